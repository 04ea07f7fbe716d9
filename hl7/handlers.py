"""Message type and event -> what is done: THE table; the conformance statement is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from hl7 import adt, mdm, siu
from hl7.effects import Handler
from hl7.errors import Condition, Place, Refused
from hl7.header import Header
from hl7.orders import apply_orders
from hl7.reports import apply_reports

HANDLERS: Final[Mapping[tuple[str, str], Handler]] = MappingProxyType(
    {
        **{("ADT", event): handler for event, handler in adt.EVENTS.items()},
        ("ORM", "O01"): apply_orders,
        ("OMG", "O19"): apply_orders,
        ("OMI", "O23"): apply_orders,
        ("ORU", "R01"): apply_reports,
        **{("MDM", event): handler for event, handler in mdm.EVENTS.items()},
        **{("SIU", event): handler for event, handler in siu.EVENTS.items()},
    }
)
# What older senders leave out of MSH-9.2, because the type has this event only.
_ONLY_EVENT: Final = {"ORM": "O01", "OMG": "O19", "OMI": "O23", "ORU": "R01"}
_TYPES: Final = frozenset(kind for kind, _ in HANDLERS)


def handler_of(header: Header, accepted: tuple[str, ...]) -> Handler:
    """The handler of a message; ``accepted`` are types or types with events that the profile takes, all where empty.

    Raises Refused: 200 for a type, 201 for an event that isn't supported.
    """
    kind, event = header.type, header.event or _ONLY_EVENT.get(header.type, "")
    if kind not in _TYPES or (accepted and not any(each.partition("^")[0] == kind for each in accepted)):
        raise Refused(Condition.UNSUPPORTED_MESSAGE_TYPE, Place("MSH", 9, component=1), "type not supported")
    found = HANDLERS.get((kind, event))
    if found is None or (accepted and not {kind, f"{kind}^{event}"} & set(accepted)):
        raise Refused(Condition.UNSUPPORTED_EVENT, Place("MSH", 9, component=2), "event not supported")
    return found
