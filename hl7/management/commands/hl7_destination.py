"""Name a system that is told of orders and reports, or change what it is told."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.acting import COMMAND_LINE
from access.refused_change import RefusedChange
from hl7.api_destinations import DestinationWish
from hl7.destinations import change, make, switch, try_out
from hl7.outbound_models import Destination
from hl7.outbound_queue import queues


class Command(BaseCommand):
    """``manage.py hl7_destination NAME --address ris.example:2575 --set 'report_statuses=["F","C"]'``."""

    help = "Makes or changes a destination of HL7 messages; without a name, lists them."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where it is, and what it is told: the names are those of ``/api/hl7/destinations``."""
        parser.add_argument("name", nargs="?")
        parser.add_argument("--address", metavar="HOST:PORT")
        parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="JSON, or plain text")
        parser.add_argument("--ca", type=open, metavar="FILE", help="PEM of who signs its certificate")
        parser.add_argument("--off", action="store_true", help="send nothing to it any more; what waits keeps waiting")
        parser.add_argument("--on", action="store_true", help="send to it again")
        parser.add_argument("--try", action="store_true", dest="trial", help="connect to it, and send nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """List, make, change or try."""
        if not options["name"]:
            for each in queues():
                row = each.destination
                state = "off" if not row.enabled else row.error or "on"
                counts = f"{each.waiting} waiting, {each.dead} not delivered"
                self.stdout.write(f"{row.name}\t{row.host}:{row.port}\t{state}\t{counts}")
            return
        found = self._kept(options)
        if options["off"] or options["on"]:
            switch(found, enabled=options["on"], by=COMMAND_LINE)
        if options["trial"] and (why := try_out(found, COMMAND_LINE)):
            raise CommandError(f"no connection: {why}")
        self.stdout.write(f"{found.name} is {'on' if found.enabled else 'off'}")

    def _kept(self, options: dict[str, Any]) -> Destination:
        found = Destination.objects.filter(name=options["name"]).first()
        values: dict[str, Any] = dict(_value(each) for each in options["set"])
        if options["address"]:
            values["host"], _, values["port"] = options["address"].rpartition(":")
        if options["ca"]:
            values["ca"] = options["ca"].read()
        if found is not None and not values:
            return found
        wish = DestinationWish(found, data={"name": options["name"], **values}, partial=found is not None)
        if unknown := sorted(values.keys() - wish.fields.keys()):
            raise CommandError(f"a destination has no {', '.join(unknown)}")
        if not wish.is_valid():
            wrong = (f"{field}: {' '.join(map(str, errors))}" for field, errors in wish.errors.items())
            raise CommandError("; ".join(wrong))
        checked: dict[str, Any] = wish.validated_data
        try:
            return change(found, checked, COMMAND_LINE) if found else make(checked, COMMAND_LINE)
        except RefusedChange as error:
            raise CommandError(str(error)) from error


def _value(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise CommandError(f"{name}: NAME=VALUE is expected")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
