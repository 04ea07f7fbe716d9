"""What the rules of retention would do: said for each study, and written down as a plan if that is asked."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from access.acting import COMMAND_LINE
from audit.kinds import SEARCH
from audit.record import record
from custody.retention.decisions import Decision, StudyFacts
from custody.retention.models import Action
from custody.retention.planning import look, plan
from custody.retention.rules import in_words, standing


class Command(BaseCommand):
    """``manage.py retention --dry-run`` or ``--plan``; a person confirms a plan in the administration."""

    help = "Says for each study what the rules of retention decide, and why. Removes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whether a plan is made of it, and how much is said."""
        kind = parser.add_mutually_exclusive_group(required=True)
        kind.add_argument("--dry-run", action="store_true", help="say what would be done, and write nothing")
        kind.add_argument("--plan", action="store_true", help="make a plan that can be confirmed")
        parser.add_argument("--due", action="store_true", help="name only studies that would be removed")
        parser.add_argument("--quiet", action="store_true", help="only the totals")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say it."""

        def told(facts: StudyFacts, decision: Decision) -> None:
            if not options["quiet"] and not (options["due"] and decision.action == Action.KEEP):
                self.stdout.write(f"{facts.study_instance_uid}: {decision.words}")

        for number, rule in enumerate(standing(), start=1):
            self.stdout.write(f"Rule {number}, {rule.name}: {in_words(rule)}")
        if options["plan"]:
            made = plan(told)
            totals = made.totals
        else:
            record([COMMAND_LINE.event(SEARCH, "dry run of the rules of retention")])
            totals = look(told).as_json()
        due = totals["due"]
        for row in totals["rules"]:
            name = row["rule"] or "no rule"
            self.stdout.write(f"{name}: {row['action']} {row['studies']} studies, {row['bytes']} bytes")
        for reason, studies in totals["kept"].items():
            self.stdout.write(f"kept, {reason}: {studies} studies")
        self.stdout.write(f"{due['studies']} of {totals['studies']} studies, {due['bytes']} bytes would be removed")
        if options["plan"]:
            self.stdout.write(f"plan {made.pk}: a person confirms it under Administration, Retention")
