"""Read what is stored and compare it with what was received."""

from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from archive import copying
from archive.errors import ArchiveError
from archive.models import Instance
from audit import kinds
from audit.kinds import Outcome
from audit.record import AuditUnavailable, NewAccessEvent, record
from custody.integrity import scrubbing
from custody.integrity.looking import Looked
from custody.integrity.models import Finding, Lap, State


class Command(BaseCommand):
    """``./pacs scrub``: exit code 1 if anything is found. UIDs and keys are named, never what an object says."""

    help = "Reads every object again and compares it with what was received; repairs from the second store."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which, and what to do about it."""
        parser.add_argument("--study", default="", metavar="UID", help="the objects of one study only")
        parser.add_argument("--dry-run", action="store_true", help="look, and change nothing")
        parser.add_argument("--no-repair", action="store_true", help="file what is found, and repair nothing")
        parser.add_argument("--status", action="store_true", help="how far the scrub in the background is")
        parser.add_argument("--json", action="store_true", help="the answer as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Scrub and tell."""
        as_json = options["json"]
        try:
            if options["status"]:
                answer = status()
                found = bool(answer["open_findings"])
            else:
                change = not options["dry_run"]
                repair = change and not options["no_repair"]
                tally = scrubbing.scrub(
                    options["study"], change=change, repair=repair, tell=lambda looked: self._tell(looked, as_json)
                )
                answer, found = summary(tally), bool(tally.wrong)
                _record(tally, options["study"], dry_run=options["dry_run"])
        except (ArchiveError, AuditUnavailable) as error:
            raise CommandError(str(error), returncode=2) from error
        if as_json:
            self.stdout.write(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
        else:
            for name, value in answer.items():
                if not isinstance(value, list):
                    self.stdout.write(f"{name.replace('_', ' ')}: {value}")
        if found:
            raise SystemExit(1)

    def _tell(self, looked: Looked, as_json: bool) -> None:
        if not as_json:
            for kind in looked.wrong:
                state = "repaired" if kind in looked.repaired else "open"
                self.stdout.write(f"{kind} ({state}): {looked.row.key} of instance {looked.row.sop_instance_uid}")


def summary(tally: scrubbing.Tally) -> dict[str, Any]:
    """What a scrub saw, as JSON has it."""
    findings = [
        {
            "kind": str(kind),
            "object_key": looked.row.key,
            "study_instance_uid": looked.row.study_instance_uid,
            "sop_instance_uid": looked.row.sop_instance_uid,
            "repaired": kind in looked.repaired,
        }
        for looked in tally.wrong
        for kind in looked.wrong
    ]
    return {
        "objects": tally.objects,
        "bytes": tally.bytes,
        "found": len(findings),
        "repaired": sum(each["repaired"] is True for each in findings),
        "representations_made_again": tally.made_again,
        "orphans": tally.orphans,
        "skipped_until_recalled": tally.skipped,
        "skipped_while_their_tier_is_away": tally.away,
        "findings": findings,
    }


def status() -> dict[str, Any]:
    """How far the walk in the background is, and what is open."""
    walk = Lap.objects.order_by("-pk").first()
    ahead = Instance.objects.filter(pk__gt=walk.after).count() if walk and walk.ended_at is None else 0
    return {
        "asked_at": timezone.now().isoformat(),
        "walk_began": walk.began_at.isoformat() if walk else "",
        "walk_ended": walk.ended_at.isoformat() if walk and walk.ended_at else "",
        "objects_read": walk.objects_read if walk else 0,
        "bytes_read": walk.bytes_read if walk else 0,
        "objects_to_go": ahead,
        "not_yet_checkable": Instance.objects.filter(block_crcs=None).count(),
        "not_in_the_second_store": copying.waiting() if copying.second_store() else 0,
        "open_findings": Finding.objects.filter(state=State.OPEN).count(),
    }


def _record(tally: scrubbing.Tally, study: str, *, dry_run: bool) -> None:
    how = " (dry run)" if dry_run else ""
    event = NewAccessEvent(
        kind=kinds.INTEGRITY,
        principal_kind="system",
        principal_name="scrub",
        study_uids=[study] if study else [],
        instance_count=tally.objects,
        bytes=tally.bytes,
        outcome=Outcome.SERIOUS_FAILURE if tally.wrong else Outcome.SUCCESS,
        outcome_description=f"{tally.objects} objects compared, {len(tally.wrong)} not as they were received{how}",
    )
    record([event])
