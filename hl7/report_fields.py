"""ORU^R01 as facts about reports: one for each OBR, with the observations behind it (IHE RAD-128, HL7 v2 chapter 7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from hl7.errors import Condition, Refused
from hl7.message import Field, Message, Segment
from hl7.profiles import Profile
from hl7.report_files import files
from hl7.values import clock, entity, nested_provider_name, uid
from reports.facts import ReportFacts
from worklist.order_messages import EntityIdentifier

# DCM: the study that a report is about.
_STUDY: Final = ("113014", "STUDY INSTANCE UID")
# LOINC: a report as a whole, for text that names no section; what is added to one.
_WHOLE: Final = "18748-4"
_ADDENDUM: Final = "55107-7"
# The suffixes of OBX-3 (HL7 v2 7.1.4): ``71020&IMP``.
_SUFFIXES: Final[Mapping[str, str]] = {"GDT": "59776-5", "IMP": "19005-8", "REC": "18783-1", "ADT": _ADDENDUM}
# SH has 16 (PS3.5 6.2); some give more.
_LONGEST_ACCESSION: Final = 64
_TEXTS: Final = frozenset({"TX", "FT", "ST", "CE", "CWE", "NM", ""})


def reports(message: Message, profile: Profile) -> Iterator[tuple[Segment, ReportFacts]]:
    """Each OBR with its report. Raises Refused: 100 without one, 102 for a UID or a file that can't be read."""
    groups = list(message.groups("OBR"))
    if not groups:
        raise Refused(Condition.SEGMENT_SEQUENCE, None, "a report message without OBR")
    orders = {segment.number: segment for segment in message.all("ORC")}
    for at, group in enumerate(groups, 1):
        orc = orders.get(at) or (orders.get(1) if len(groups) == 1 else None)
        yield group[0], _report(group, orc, profile)


def _report(group: Sequence[Segment], orc: Segment | None, profile: Profile) -> ReportFacts:
    obr = group[0]
    observations = [segment for segment in group if segment.name == "OBX"]
    numbers = [entity(segment, field) for field in (2, 3) for segment in (obr, orc) if segment]
    half = len(numbers) // 2
    signed = obr.get(22) or obr.get(7)
    status = obr.get(25) or next(filter(None, (each.get(11) for each in observations)), "")
    texts = tuple(sections(observations))
    pdf, attachments = files(observations)
    return ReportFacts(
        status=status.upper(),
        study_instance_uids=study_uids(observations),
        accessions=accessions(group),
        placer=next(filter(None, numbers[:half]), None),
        filler=next(filter(None, numbers[half:]), None),
        sections=texts,
        pdf=pdf,
        attachments=attachments,
        signed_by=nested_provider_name(obr, 32) or "",
        signed_at="".join(clock(signed, obr.place(22))) if signed else "",
        addendum=any(code == _ADDENDUM for code, _ in texts),
        appends=profile.report_addendum == "append",
    )


def study_uids(observations: Sequence[Segment]) -> tuple[str, ...]:
    """The studies that observations name, each once. Raises Refused (102)."""
    found = (
        uid(part.get(1), each.place(5)) for each in observations if _names_a_study(each) for part in each.repetitions(5)
    )
    return tuple(dict.fromkeys(filter(None, found)))


def accessions(segments: Sequence[Segment]) -> tuple[EntityIdentifier, ...]:
    """The accession numbers of OBR and IPC, each once; what is too long to be one is free text (OBR-18)."""
    places = {"OBR": 18, "IPC": 1}
    found = (entity(segment, places[segment.name]) for segment in segments if segment.name in places)
    return tuple(dict.fromkeys(each for each in found if each and len(each.value) <= _LONGEST_ACCESSION))


def sections(observations: Sequence[Segment]) -> Iterator[tuple[str, str]]:
    """The lines of one code and OBX-4 make one text, in the order in which they first come."""
    texts: dict[tuple[str, str], list[str]] = {}
    for each in observations:
        if (each.get(2) or "").upper() not in _TEXTS or _names_a_study(each):
            continue
        lines = [_line(each, field) for field in each.repetitions(5)] or [""]
        texts.setdefault((_code(each), each.get(4) or ""), []).extend(lines)
    yield from ((code, "\n".join(lines).strip()) for (code, _), lines in texts.items() if any(lines))


def _names_a_study(segment: Segment) -> bool:
    names = {(segment.get(3, 1) or "").upper(), (segment.get(3, 2) or "").upper()}
    return not names.isdisjoint(_STUDY)


def _code(segment: Segment) -> str:
    """Which section: by the suffix of OBX-3 if it has one that is known, else its code."""
    suffix = (segment.get(3, 1, 2) or "").upper()
    return _SUFFIXES.get(suffix) or segment.get(3) or _WHOLE


def _line(segment: Segment, field: Field) -> str:
    # A coded value shows its words; of text nobody escapes, the whole is the text.
    if (segment.get(2) or "").upper() in ("CE", "CWE"):
        return field.get(2) or field.get(1) or ""
    return field.whole() or ""
