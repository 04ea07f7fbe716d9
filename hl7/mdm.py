"""Documents as reports: MDM events with content, and those that change a document's status (HL7 v2 chapter 9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final

from hl7.effects import Arrived, Effect, Handler
from hl7.errors import Condition, Place, Refused
from hl7.message import Segment
from hl7.report_fields import accessions, sections, study_uids
from hl7.report_files import files
from hl7.reports import take
from hl7.values import clock, entity, provider_name
from reports.facts import ReportFacts
from worklist.order_messages import EntityIdentifier

# TXA-17 (table 0271): authenticated and legally authenticated documents are signed, all others are not yet.
_SIGNED: Final = ("AU", "LA")
# TXA-19 (table 0273): deleted.
_DELETED: Final = "CA"


@dataclass(frozen=True, slots=True)
class Event:
    """What a trigger does: ``known`` needs a document that is there, ``status`` is that of table 0123 where TXA-17
    doesn't say it."""

    known: bool = False
    addendum: bool = False
    status: str = ""


def _number(txa: Segment, field: int, also: Segment | None, of: int) -> EntityIdentifier | None:
    return entity(txa, field) or (entity(also, of) if also else None)


def _facts(arrived: Arrived, txa: Segment, event: Event) -> ReportFacts:
    message = arrived.message
    observations = message.all("OBX")
    obr, orc = message.first("OBR"), message.first("ORC")
    texts = tuple(sections(observations))
    pdf, attachments = files(observations)
    signed = txa.get(22, 15) or txa.get(8) or txa.get(6)
    told = "F" if (txa.get(17) or "").upper() in _SIGNED else "P"
    return ReportFacts(
        status=event.status or ("D" if (txa.get(19) or "").upper() == _DELETED else told),
        study_instance_uids=study_uids(observations),
        accessions=accessions(message.all("OBR", "IPC")),
        placer=_number(txa, 14, obr or orc, 2),
        filler=_number(txa, 15, obr or orc, 3),
        document=entity(txa, 12),
        parent=entity(txa, 13),
        sections=texts,
        pdf=pdf,
        attachments=attachments,
        signed_by=provider_name(txa, 22) or provider_name(txa, 10) or provider_name(txa, 9) or "",
        signed_at="".join(clock(signed, txa.place(22))) if signed else "",
        known=event.known and not (texts or pdf or attachments),
        status_only=not (texts or pdf or attachments),
        addendum=event.addendum,
        appends=event.addendum,
    )


def _document(arrived: Arrived, event: Event) -> Effect:
    txa = arrived.message.first("TXA")
    if txa is None:
        raise Refused(Condition.REQUIRED_FIELD_MISSING, Place("TXA", 12), "segment missing")
    return take(arrived, [(txa, _facts(arrived, txa, event))])


# A document that is changed, or replaced, and isn't known is a new one if its content comes along.
EVENTS: Final[Mapping[str, Handler]] = MappingProxyType(
    {
        "T02": partial(_document, event=Event()),
        "T04": partial(_document, event=Event(known=True)),
        "T06": partial(_document, event=Event(addendum=True)),
        "T08": partial(_document, event=Event(known=True)),
        "T10": partial(_document, event=Event()),
        "T11": partial(_document, event=Event(known=True, status="X")),
    }
)
