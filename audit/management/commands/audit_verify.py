"""Is the access trail what it was."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from audit.activity import crashes
from audit.archives import archives
from audit.checkpoints import BadCheckpoint, Checkpoint, PublicKey, read
from audit.places import Folder, Kept, Place
from audit.sealer import folder, own_signer, place
from audit.verify import Finding, Report, verify

SHOWN = 20
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class Command(BaseCommand):
    """``manage.py audit_verify [--checkpoint PATH] [--key KEY]``: exit code 0 if the trail is whole, else 1."""

    help = "Reads the whole access trail and says whether and where it was altered."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose checkpoints, and whose keys are believed."""
        parser.add_argument(
            "--checkpoint", help="a checkpoint, a folder of them, or s3://bucket/prefix (the installation's own)"
        )
        parser.add_argument("--archives", type=Path, help="the folder with what was taken out (the installation's own)")
        parser.add_argument("--key", action="append", help="a public key to believe (the installation's own)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify, print the findings, end with 1 if there are any."""
        console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
        try:
            keys = [PublicKey.parse(key) for key in options["key"] or [str(own_signer().public)]]
        except (BadCheckpoint, OSError, ValueError) as error:
            raise CommandError(f"no public key: {error}") from error
        try:
            where, kept = _where(options["checkpoint"])
            checkpoints, findings = _checkpoints(kept, keys)
        except OSError as error:
            raise CommandError(f"the checkpoints can't be read: {error}") from error
        began = time.monotonic()
        with console.status("reading the trail") as status:
            report = verify(
                checkpoints,
                where,
                lambda events: status.update(f"reading the trail: {events} events"),
                archives(options["archives"]),
            )
        report.findings += findings
        for crash in crashes():
            console.print(f"the {crash.application} that started at {crash.started:{_TIME}} never stopped in order")
        for line in _lines(report, time.monotonic() - began):
            console.print(line)
        if report.findings:
            raise CommandError("the trail is not what it was")


def _where(asked: str | None) -> tuple[Place, Sequence[Kept]]:
    if asked is None or asked.startswith("s3://") or Path(asked).is_dir():
        where = folder() if asked is None else place(asked)
        return where, where.checkpoints()
    path = Path(asked)
    if not path.is_file():
        raise CommandError(f"no such file or folder: {path}")
    return Folder(path.absolute().parent.parent), [path]


def _checkpoints(paths: Sequence[Kept], keys: list[PublicKey]) -> tuple[list[Checkpoint], list[Finding]]:
    found, findings = [], []
    for path in paths:
        try:
            found.append(read(path.read_text(), keys))
        except (BadCheckpoint, UnicodeDecodeError) as error:
            reason = str(error) if isinstance(error, BadCheckpoint) else "it is no text"
            findings.append(Finding(None, None, f"checkpoint {path.name}: {reason}"))
    return found, findings


def _lines(report: Report, seconds: float) -> list[str]:
    lines = []
    for finding in report.findings[:SHOWN]:
        place = f"position {finding.position}" if finding.position is not None else ""
        event = f"sequence {finding.sequence}" if finding.sequence is not None else ""
        lines.append(": ".join(filter(None, ("BAD " + ", ".join(filter(None, (place, event))), finding.text))))
    if len(report.findings) > SHOWN:
        lines.append(f"and {len(report.findings) - SHOWN} more")
    rate = f"{report.events / seconds:,.0f}".replace(",", " ")
    lines.append(f"{report.events} sealed events read in {seconds:.1f} s ({rate} a second)")
    if report.archived:
        lines.append(f"{report.archived} of them lie in archives")
    lines.append(f"{report.checkpoints} signed checkpoints, the newest of {report.signed} events")
    unsigned = report.events - report.signed
    if unsigned > 0:
        lines.append(f"{unsigned} sealed events are under no checkpoint yet: only the database vouches for them")
    if report.waiting:
        lines.append(f"{report.waiting} events wait to be sealed, the oldest for {report.oldest_waiting_seconds:.0f} s")
    if report.late:
        lines.append(
            f"{report.late} events were sealed more than an hour after the time they name, the first is sequence "
            f"{report.first_late}: nothing sealed then, or they were put in afterwards"
        )
    if not report.findings:
        lines.append(
            "The trail is what was sealed" + (" and signed." if report.checkpoints else "; nothing was signed.")
        )
    return lines
