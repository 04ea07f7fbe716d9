"""List the HL7 messages that we send; send those that were not delivered once more, or give up what waits."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from hl7.outbound_models import DeliveryState
from hl7.outbound_queue import ENDED_BY, NotPossible, deliveries, give_up, retry

BY = "command line"
MOST = 200


class Command(BaseCommand):
    """``manage.py hl7_deliveries [--state dead] [--destination ris] [--retry N ...] [--retry-dead] [--give-up N]``."""

    help = "Lists HL7 messages that are sent, the newest first; --retry sends one again, --give-up ends one."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which messages."""
        parser.add_argument("--state", choices=["open", *DeliveryState.values], default="")
        parser.add_argument("--destination", default="")
        parser.add_argument("--retry", type=int, nargs="*", default=[], metavar="NUMBER")
        all_dead = "all that were not delivered, but what a person gave up; the oldest first"
        parser.add_argument("--retry-dead", action="store_true", help=all_dead)
        parser.add_argument("--give-up", type=int, nargs="*", default=[], metavar="NUMBER")
        parser.add_argument("--reason", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what is asked; without a number, list."""
        again = list(options["retry"])
        if options["retry_dead"]:
            dead = deliveries("dead", options["destination"]).exclude(error__startswith=ENDED_BY).order_by("pk")
            again += dead.values_list("pk", flat=True)
        if options["give_up"] and not options["reason"]:
            raise CommandError("--give-up needs a --reason")
        if not (again or options["give_up"] or options["retry_dead"]):
            for each in deliveries(options["state"], options["destination"])[:MOST]:
                ahead = getattr(each, "held_by", None)
                held = f"behind {ahead}" if ahead else ""
                self.stdout.write(
                    f"{each.pk}\t{each.made_at:%Y-%m-%d %H:%M}\t{each.destination.name}\t{each.type}\t{each.about}\t"
                    f"{each.state}\t{each.attempts}\t{each.error or held}"
                )
            return
        try:
            for number in again:
                retry(number, BY)
            for number in options["give_up"]:
                give_up(number, BY, options["reason"])
        except NotPossible as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{len(again)} to be sent again, {len(options['give_up'])} given up")
