"""Destinations made, changed, tried and switched; what can't be is refused here, whichever way it comes."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, transaction

from access.acting import Acting
from access.refused_change import RefusedChange
from archive.time_zones import site_zone
from audit.kinds import CONFIGURATION
from audit.record import record
from hl7.applying import VERSIONS
from hl7.charset import CODECS
from hl7.mllp_client import NO_ADDRESS, Client, NotConnected, Target, addresses_of
from hl7.outbound_models import Destination, OrderMessage, OrderTrigger, ReportTrigger

PROCESSING_IDS: Final = ("P", "T", "D")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")
_LONGEST_CA: Final = 100_000
# Since when there is such a message.
_SINCE: Final[Mapping[str, str]] = {OrderMessage.OMG: "2.4", OrderMessage.OMI: "2.5"}
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "order_message": tuple(OrderMessage.values),
    "version": VERSIONS,
    "charset": tuple(CODECS),
    "processing_id": PROCESSING_IDS,
}
_SETS: Final[Mapping[str, tuple[str, ...]]] = {
    "order_statuses": tuple(OrderTrigger.values),
    "report_statuses": tuple(ReportTrigger.values),
}


def check(values: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the values of a destination, by field; nothing where it may be kept."""
    wrong = {name: "one of those there are" for name, right in _CHOICES.items() if values[name] not in right}
    wrong |= {name: "of those there are" for name, right in _SETS.items() if not set(values[name]) <= set(right)}
    if not values["name"].strip():
        wrong["name"] = "this is needed"
    if not 1 <= values["port"] <= 65535:
        wrong["port"] = "from 1 to 65535"
    if not _HOST.fullmatch(values["host"]):
        wrong["host"] = "the name or the address of a host"
    since = _SINCE.get(values["order_message"])
    if since and "version" not in wrong and VERSIONS.index(values["version"]) < VERSIONS.index(since):
        wrong["version"] = f"{values['order_message']} is of HL7 {since} and newer"
    try:
        site_zone(values["time_zone"])
    except Exception:  # noqa: BLE001 - whatever a text is that names no zone
        wrong["time_zone"] = "an IANA name, or an offset like +0100"
    if values["ca"] and not _is_certificate(values["ca"]):
        wrong["ca"] = "certificates in PEM"
    if not wrong and (why := _not_allowed(values)):
        wrong["host"] = why
    return wrong


def make(values: Mapping[str, Any], by: Acting) -> Destination:
    """A destination of these values, which ``check`` has found right. Raises RefusedChange for a name that is taken."""
    return _saved(Destination(**values), by, "made")


def change(destination: Destination, values: Mapping[str, Any], by: Acting) -> Destination:
    """Other values for a destination; what waits for it goes there. Raises RefusedChange."""
    changed = sorted(name for name, value in values.items() if getattr(destination, name) != value)
    for name in changed:
        setattr(destination, name, values[name])
    if {"host", "port", "tls", "ca"} & set(changed):
        destination.failures, destination.error = 0, ""
        destination.not_before = destination.created_at
    return _saved(destination, by, f"changed ({', '.join(changed)})") if changed else destination


def switch(destination: Destination, *, enabled: bool, by: Acting) -> None:
    """Send to it, or no more. What waits keeps waiting; nothing new is written for it while it is off."""
    destination.enabled = enabled
    _saved(destination, by, "switched on" if enabled else "switched off")


def try_out(destination: Destination, by: Acting) -> str:
    """Connect to it, and send nothing: "" if that worked, else why it didn't."""
    client = Client(settings.PACS.hl7_out)
    why = ""
    try:
        client.connect(target_of(destination))
    except NotConnected as error:
        why = str(error)
    finally:
        client.close()
    record([by.event(CONFIGURATION, f"HL7 destination {destination.name} tried: {why or 'connected'}")])
    return why


def target_of(destination: Destination) -> Target:
    """Where its connections lead."""
    return Target(destination.host, destination.port, destination.tls, destination.ca)


def _saved(destination: Destination, by: Acting, done: str) -> Destination:
    try:
        with transaction.atomic():
            destination.save()
            record([by.event(CONFIGURATION, f"HL7 destination {destination.name} {done}")])
    except IntegrityError as error:
        raise RefusedChange("another destination has this name") from error
    return destination


def _is_certificate(text: str) -> bool:
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError, TypeError):
        # TypeError: it isn't ASCII.
        return False
    return len(text) <= _LONGEST_CA


def _not_allowed(values: Mapping[str, Any]) -> str:
    """Why nobody would be connected with that host; a name that has no address today may have one tomorrow."""
    try:
        addresses_of(Target(values["host"], values["port"], values["tls"]), settings.PACS.hl7_out.networks)
    except NotConnected as error:
        return "" if str(error) == NO_ADDRESS else str(error)
    return ""
