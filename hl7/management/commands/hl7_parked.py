"""List the HL7 messages that wait for somebody; apply or dismiss them."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from hl7.errors import Refused
from hl7.replay import NotReplayable, dismiss, replay, waiting

BY = "command line"


class Command(BaseCommand):
    """``manage.py hl7_parked [--replay N] [--dismiss N] [--dry-run]``."""

    help = "Lists HL7 messages that could not be applied; --replay applies them once more, --dismiss closes them."

    def add_arguments(self, parser: CommandParser) -> None:
        """Numbers of messages."""
        parser.add_argument("--replay", type=int, nargs="*", default=[], metavar="NUMBER")
        parser.add_argument("--dismiss", type=int, nargs="*", default=[], metavar="NUMBER")
        parser.add_argument("--dry-run", action="store_true", help="say what a replay would do, and do nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what is asked; without a number, list."""
        if not (options["replay"] or options["dismiss"]):
            for each in waiting():
                self.stdout.write(
                    f"{each.pk}\t{each.received_at:%Y-%m-%d %H:%M}\t{each.type}\t{each.state}\t"
                    f"{each.condition or ''} {each.place} {each.error}"
                )
            return
        still = [number for number in options["replay"] if not self._replay(number, dry_run=options["dry_run"])]
        for number in options["dismiss"]:
            try:
                dismiss(number, BY)
            except NotReplayable as error:
                raise CommandError(f"{number}: {error}") from error
        if still:
            raise CommandError(f"{len(still)} of {len(options['replay'])} can't be applied")

    def _replay(self, number: int, *, dry_run: bool) -> bool:
        try:
            effect = replay(number, BY, dry_run=dry_run)
        except (Refused, NotReplayable) as error:
            self.stderr.write(f"{number}: {error}")
            return False
        self.stdout.write(f"{number}: {'; '.join(effect.words)}")
        return True
