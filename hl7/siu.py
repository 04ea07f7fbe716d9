"""Appointments: SIU events move the steps of orders in time and place (HL7 v2 chapter 10).

The order is found by its numbers in SCH-26 and SCH-27, else in ORC or OBR. An appointment of no known order is of
another department, or its order comes later, with its own time: nothing is done, and the effect says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from hl7.adt import apply_patient
from hl7.effects import Arrived, Effect, Handler
from hl7.errors import Condition, Place, Refused
from hl7.message import Message, Segment
from hl7.values import clock, entity, provider_name
from worklist import appointments
from worklist.appointments import AppointmentEffect, AppointmentFacts
from worklist.order_messages import EntityIdentifier, Told

# SH (PS3.5 6.2): Scheduled Procedure Step Location (0040,0011); a longer name of a room is cut.
_LONGEST_LOCATION: Final = 16
_NUMBERS: Final = (("SCH", 27), ("SCH", 26), ("ORC", 3), ("ORC", 2), ("OBR", 3), ("OBR", 2))
# Where the start stands, in order of preference: segment, field, component.
_STARTS: Final = (("AIS", 4, 1), ("AIL", 6, 1), ("AIP", 6, 1), ("SCH", 11, 4), ("TQ1", 7, 1))


def facts(message: Message) -> Iterator[AppointmentFacts]:
    """One for each AIS, the service that is booked; one of the whole message without any. Raises Refused (102)."""
    head: dict[str, Segment] = {}
    for segment in message.segments:
        head.setdefault(segment.name, segment)
    orders = tuple(dict.fromkeys(_numbers(head)))
    services = list(message.groups("AIS"))
    for group in services or [list(message.segments)]:
        own = {segment.name: segment for segment in reversed(group)}
        # What stands in front of the first service is of all of them; what is behind one is its own.
        found = {name: segment for name, segment in head.items() if name in ("SCH", "TQ1")} | own
        if not services or "AIL" not in own:
            found = head | found
        day, time = _start(found)
        yield AppointmentFacts(
            orders=orders,
            service=(own["AIS"].get(3) or "") if "AIS" in own else "",
            start_date=day,
            start_time=time,
            location=_room(found.get("AIL")),
            performing_physician=provider_name(found["AIP"], 3) if "AIP" in found else None,
        )


def _numbers(head: Mapping[str, Segment]) -> Iterator[EntityIdentifier]:
    for name, field in _NUMBERS:
        if name in head and (number := entity(head[name], field)) is not None:
            yield number


def _start(found: Mapping[str, Segment]) -> tuple[Told, Told]:
    for name, field, component in _STARTS:
        segment = found.get(name)
        if segment and (text := segment.get(field, component)):
            day, time = clock(text, segment.place(field, component if component > 1 else 0))
            return day or None, time or None
    return None, None


def _room(ail: Segment | None) -> Told:
    """PL-2, the room, else PL-1."""
    room = (ail.get(3, 2) or ail.get(3)) if ail else None
    return room[:_LONGEST_LOCATION] if room else None


def _apply(arrived: Arrived, effect: AppointmentEffect) -> Effect:
    if arrived.message.first("SCH") is None and arrived.message.first("AIS") is None:
        raise Refused(Condition.REQUIRED_FIELD_MISSING, Place("SCH", 1), "segment missing")
    found = list(facts(arrived.message))
    applied = apply_patient(arrived, creates=arrived.profile.adt_creates)
    told = Effect.of_patient(applied, "updated")
    for each in found:
        done = appointments.apply(applied.patient, each, effect, arrived.moment)
        if done.order is None:
            told = told.and_then("appointment of no known order: nothing to schedule")
        else:
            word = effect.value.lower().replace("_", " ")
            told = told.and_then(f"appointment {word}: {done.steps} steps", order=done.order)
    return told


EVENTS: Final[Mapping[str, Handler]] = MappingProxyType(
    {
        "S12": partial(_apply, effect=AppointmentEffect.BOOKED),
        "S13": partial(_apply, effect=AppointmentEffect.BOOKED),
        "S14": partial(_apply, effect=AppointmentEffect.BOOKED),
        "S15": partial(_apply, effect=AppointmentEffect.CANCELLED),
        "S17": partial(_apply, effect=AppointmentEffect.CANCELLED),
        "S26": partial(_apply, effect=AppointmentEffect.MISSED),
    }
)
