"""Name a partner that sends HL7 messages, or change its profile."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, transaction

from audit.kinds import CONFIGURATION
from audit.record import NewAccessEvent, record
from hl7.models import Hl7Interface
from hl7.profiles import InvalidProfile, Profile


class Command(BaseCommand):
    """``manage.py hl7_interface NAME --application RIS --facility HOSP --set authority=HOSP``."""

    help = "Makes or changes the interface of a partner that sends HL7 messages; without a name, lists them."

    def add_arguments(self, parser: CommandParser) -> None:
        """What identifies the partner's messages, and its profile."""
        parser.add_argument("name", nargs="?")
        parser.add_argument("--application", help="MSH-3 of its messages; any where it is empty")
        parser.add_argument("--facility", help="MSH-4")
        parser.add_argument("--certificate", help="SHA-256 of its client certificate, hex; it then has to use TLS")
        parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="JSON, or plain text")
        parser.add_argument("--inactive", action="store_true", help="take nothing from it any more")

    def handle(self, *args: Any, **options: Any) -> None:
        """List, make or change."""
        if not options["name"]:
            for each in Hl7Interface.objects.order_by("name"):
                sender = f"{each.sending_application or '*'}|{each.sending_facility or '*'}"
                self.stdout.write(f"{each.name}\t{sender}\t{'active' if each.active else 'off'}\t{each.profile}")
            return
        with transaction.atomic():
            interface = Hl7Interface.objects.filter(name=options["name"]).first() or Hl7Interface(name=options["name"])
            for column, option in (
                ("sending_application", "application"),
                ("sending_facility", "facility"),
                ("certificate_sha256", "certificate"),
            ):
                if options[option] is not None:
                    setattr(interface, column, options[option])
            interface.certificate_sha256 = interface.certificate_sha256.replace(":", "").lower()
            interface.profile |= dict(_value(each) for each in options["set"])
            interface.active = not options["inactive"]
            try:
                Profile.read(interface.profile)
                interface.save()
            except InvalidProfile as error:
                raise CommandError(str(error)) from error
            except IntegrityError as error:
                raise CommandError("another active interface takes the same sender's messages") from error
            record([_event(interface)])
        self.stdout.write(f"{interface.name} is {'active' if interface.active else 'off'}")


def _value(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise CommandError(f"{name}: NAME=VALUE is expected")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _event(interface: Hl7Interface) -> NewAccessEvent:
    return NewAccessEvent(
        kind=CONFIGURATION,
        principal_kind="system",
        principal_name="command line",
        outcome_description=f"HL7 interface {interface.name}",
    )
