"""ORU^R01 as facts about reports: one for each OBR, with the observations behind it (IHE RAD-128, HL7 v2 chapter 7)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Final

from hl7.errors import Condition, Place, Refused
from hl7.message import Message, Segment
from hl7.values import clock, entity, nested_provider_name, uid
from worklist.order_messages import EntityIdentifier, ReportFacts

# DCM: the study that a report is about.
_STUDY: Final = ("113014", "STUDY INSTANCE UID")
# LOINC: a report as a whole, for text that names no section.
_WHOLE: Final = "18748-4"
_TEXTS: Final = frozenset({"TX", "FT", "ST", "CE", "CWE", "NM", ""})


def reports(message: Message) -> Iterator[tuple[Segment, ReportFacts]]:
    """Each OBR with its report. Raises Refused: 100 without one, 102 for a UID or a file that can't be read."""
    groups = list(message.groups("OBR"))
    if not groups:
        raise Refused(Condition.SEGMENT_SEQUENCE, None, "a report message without OBR")
    orders = {segment.number: segment for segment in message.all("ORC")}
    for at, group in enumerate(groups, 1):
        yield group[0], _report(group, orders.get(at) or (orders.get(1) if len(groups) == 1 else None))


def _report(group: Sequence[Segment], orc: Segment | None) -> ReportFacts:
    obr = group[0]
    observations = [segment for segment in group if segment.name == "OBX"]
    numbers = [entity(segment, field) for field in (2, 3) for segment in (obr, orc) if segment]
    half = len(numbers) // 2
    signed = obr.get(22) or obr.get(7)
    status = obr.get(25) or next(filter(None, (each.get(11) for each in observations)), "")
    return ReportFacts(
        status=status.upper(),
        study_instance_uids=tuple(dict.fromkeys(_uids(observations))),
        accessions=_accessions(group),
        placer=next(filter(None, numbers[:half]), None),
        filler=next(filter(None, numbers[half:]), None),
        sections=tuple(_sections(observations)),
        pdf=next(filter(None, (_file(each) for each in observations)), None),
        signed_by=nested_provider_name(obr, 32) or "",
        signed_at="".join(clock(signed, obr.place(22))) if signed else "",
    )


def _uids(observations: Sequence[Segment]) -> Iterator[str]:
    for each in observations:
        names = {(each.get(3, 1) or "").upper(), (each.get(3, 2) or "").upper()}
        if not names.isdisjoint(_STUDY):
            yield from filter(None, (uid(part.get(1), each.place(5)) for part in each.repetitions(5)))


def _accessions(group: Sequence[Segment]) -> tuple[EntityIdentifier, ...]:
    places = {"OBR": 18, "IPC": 1}
    found = (entity(segment, places[segment.name]) for segment in group if segment.name in places)
    return tuple(dict.fromkeys(filter(None, found)))


def _sections(observations: Sequence[Segment]) -> Iterator[tuple[str, str]]:
    """The lines of one code and OBX-4 make one text, in the order in which they first come."""
    texts: dict[tuple[str, str], list[str]] = {}
    for each in observations:
        names = {(each.get(3, 1) or "").upper(), (each.get(3, 2) or "").upper()}
        if (each.get(2) or "").upper() not in _TEXTS or not names.isdisjoint(_STUDY):
            continue
        lines = [_line(each, at) for at in range(len(each.repetitions(5)))] or [""]
        texts.setdefault((each.get(3) or _WHOLE, each.get(4) or ""), []).extend(lines)
    yield from ((code, "\n".join(lines).strip()) for (code, _), lines in texts.items() if any(lines))


def _line(segment: Segment, at: int) -> str:
    field = segment.repetitions(5)[at]
    # A coded value shows its words; of text nobody escapes, the whole is the text.
    if (segment.get(2) or "").upper() in ("CE", "CWE"):
        return field.get(2) or field.get(1) or ""
    return field.whole() or ""


def _file(segment: Segment) -> bytes | None:
    """ED: ``^application^pdf^Base64^...``. Other kinds of files aren't taken up."""
    if (segment.get(2) or "").upper() != "ED":
        return None
    kind, encoding = (segment.get(5, 3) or "").lower(), (segment.get(5, 4) or "").lower()
    data = segment.get(5, 5)
    if not data or "pdf" not in kind or encoding != "base64":
        return None
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Refused(Condition.DATA_TYPE, Place("OBX", 5, segment.number, 5), "no Base64") from None
