"""ORC, OBR, IPC and what stands around them as facts about orders: the field map is the table ``ATTRIBUTES``.

It follows IHE RAD TF-2 (RAD-2 to RAD-4, appendix B) for ORM, OMG and OMI alike; a place whose segment a message
lacks has no value. Which place an accession number, a StudyUID or a code comes from is the profile's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from hl7.errors import Condition, Refused
from hl7.message import Message, Segment
from hl7.patient_fields import location, visit
from hl7.profiles import Profile
from hl7.values import clock, code, entity, nested_provider_name, provider_name, uid
from worklist.order_messages import Code, EntityIdentifier, OrderFacts, ProcedureFacts, StepFacts, Told

LONGEST_ACCESSION: Final = 16
Reader = Callable[[Segment, int], Told]


def _text(segment: Segment, field: int) -> Told:
    return segment.get(field)


def _meaning(segment: Segment, field: int) -> Told:
    """The text of a coded value, else its code."""
    text = segment.get(field, 2)
    return segment.get(field) if text is None else text


def _phones(segment: Segment, field: int) -> Told:
    numbers = [each.get(1) or each.get(12) or each.get(4) or "" for each in segment.repetitions(field)]
    return numbers[0] if len(numbers) == 1 else "\\".join(filter(None, numbers)) or None


def _address(segment: Segment, field: int) -> Told:
    found = segment.field(field)
    if found.whole() == "":
        return ""
    return ", ".join(filter(None, (found.get(part) for part in (1, 2, 3, 4, 5, 6)))) or None


def _department(segment: Segment, field: int) -> Told:
    """PL-9, the description of a location."""
    return segment.get(field, 9)


def _organisation(segment: Segment, field: int) -> Told:
    return _meaning(segment, field)


@dataclass(frozen=True, slots=True)
class Row:
    """A worklist attribute by keyword, and where it comes from, in order of preference."""

    keyword: str
    places: tuple[tuple[str, int], ...]
    read: Reader = _text


ATTRIBUTES: Final[tuple[Row, ...]] = (
    Row("PatientMotherBirthName", (("PID", 6),)),
    Row("PatientAddress", (("PID", 11),), _address),
    Row("PatientTelephoneNumbers", (("PID", 13), ("PID", 14)), _phones),
    Row("CurrentPatientLocation", (("PV1", 3),), location),
    Row("ConfidentialityConstraintOnPatientDataDescription", (("PV1", 16),)),
    Row("InstitutionName", (("ORC", 17), ("MSH", 4)), _organisation),
    Row("InstitutionAddress", (("ORC", 22),), _address),
    Row("InstitutionalDepartmentName", (("ORC", 13),), _department),
    Row("ConfidentialityCode", (("ORC", 28),), _meaning),
    Row("PatientState", (("OBR", 12),), _meaning),
    Row("MedicalAlerts", (("OBR", 13),)),
    Row("RequestingPhysician", (("OBR", 16), ("ORC", 12)), provider_name),
    Row("PatientTransportArrangements", (("OBR", 30),)),
    Row("RequestedProcedureComments", (("NTE", 3),)),
    Row("Allergies", (("AL1", 3),), _meaning),
)
# TQ1-9, ORC-7.6 and OBR-27.6 -> Requested Procedure Priority (0040,1003).
PRIORITIES: Final = {"S": "STAT", "A": "HIGH", "P": "HIGH", "C": "HIGH", "T": "MEDIUM", "R": "ROUTINE"}
# Observations of the body: names -> keyword; units -> factor to kilograms and metres.
_BODY: Final = {
    **dict.fromkeys(("BODY WEIGHT", "29463-7", "3141-9"), "PatientWeight"),
    **dict.fromkeys(("BODY HEIGHT", "8302-2", "3137-7"), "PatientSize"),
}
_UNITS: Final[dict[str, dict[str, float]]] = {
    "PatientWeight": {"kg": 1.0, "g": 0.001, "lb": 0.45359237, "[lb_av]": 0.45359237, "lbs": 0.45359237},
    "PatientSize": {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254, "[in_i]": 0.0254},
}


@dataclass(frozen=True, slots=True)
class OrderMessage:
    """One order of a message: what is to be done with it, and its ORC for faults to be shown at."""

    control: str
    status: str
    facts: OrderFacts
    orc: Segment


def orders(message: Message, profile: Profile) -> Iterator[OrderMessage]:
    """The orders of a message in its own order. Raises Refused: 100 without an ORC, or for a value that can't be."""
    before = []
    for segment in message.segments:
        if segment.name == "ORC":
            break
        before.append(segment)
    groups = list(message.groups("ORC"))
    if not groups:
        raise Refused(Condition.SEGMENT_SEQUENCE, None, "an order message without ORC")
    replaced: tuple[EntityIdentifier, ...] = ()
    parent: EntityIdentifier | None = None
    for group in groups:
        orc = group[0]
        control, status = profile.controls((orc.get(1) or "").upper(), (orc.get(5) or ""))
        if not control:
            raise Refused(Condition.REQUIRED_FIELD_MISSING, orc.place(1), "required field missing")
        numbers = tuple(filter(None, (_number(group, 2), _number(group, 3))))
        replaces = replaced if control in ("RO", "RU") else ()
        if control in ("RP", "RQ"):
            replaced = numbers
        if control == "PA":
            parent = numbers[0] if numbers else None
        above = parent if control == "CH" else None
        yield OrderMessage(control, status.upper(), _facts(message, before, group, profile, replaces, above), orc)


def _facts(
    message: Message,
    before: Sequence[Segment],
    group: Sequence[Segment],
    profile: Profile,
    replaces: tuple[EntityIdentifier, ...],
    parent: EntityIdentifier | None,
) -> OrderFacts:
    first = {segment.name: segment for segment in reversed((*before, *group))}
    referring = _first(first, (("PV1", 8), ("OBR", 16), ("ORC", 12)), provider_name)
    attributes = {row.keyword: _first(first, row.places, row.read) for row in ATTRIBUTES}
    attributes |= _body((*before, *group))
    stay = visit(message)
    if stay is not None:
        attributes["AdmittingDate"] = stay.admitted and stay.admitted[:8]
        attributes["AdmittingTime"] = stay.admitted and stay.admitted[8:]
        attributes["PregnancyStatus"] = "3" if stay.pregnant else None
    return OrderFacts(
        placer=_number(group, 2),
        filler=_number(group, 3),
        accession=_accession(first, profile),
        visit=stay.number if stay else None,
        priority=_priority(first),
        reason=_first(first, (("OBR", 31), ("ORC", 16)), _meaning),
        clinical_info=_first(first, (("OBR", 13),), _text),
        referring=referring,
        attributes=tuple((keyword, value) for keyword, value in attributes.items() if value is not None),
        procedures=tuple(_procedures(group, first, profile)),
        replaces=replaces,
        parent=parent,
        missing_study_uid=profile.missing_study_uid,
    )


def _number(group: Sequence[Segment], field: int) -> EntityIdentifier | None:
    """The placer's (2) or filler's (3) number: of ORC, else of the first OBR."""
    return next(filter(None, (entity(each, field) for each in group if each.name in ("ORC", "OBR"))), None)


def _first(first: dict[str, Segment], places: Sequence[tuple[str, int]], read: Reader) -> Told:
    """The value of the first place that has one."""
    values = (read(first[name], field) for name, field in places if name in first)
    return next((value for value in values if value is not None), None)


def _accession(first: dict[str, Segment], profile: Profile) -> EntityIdentifier | None:
    """As the profile says; a filler number is one only where it is short enough."""
    for place in profile.accession_from:
        segment = first.get(place[:3])
        value = segment.at(place) if segment else None
        if segment and value and (segment.name != "ORC" or len(value) <= LONGEST_ACCESSION):
            field, _, component = place[4:].partition(".")
            issuer = "" if component else segment.get(int(field), 2) or ""
            return EntityIdentifier(value, profile.accession_issuer or issuer)
    return None


def _priority(first: dict[str, Segment]) -> Told:
    places = (("TQ1", 9, 1), ("ORC", 7, 6), ("OBR", 27, 6), ("OBR", 5, 1))
    found = (first[name].get(field, component) for name, field, component in places if name in first)
    word = next((value for value in found if value), "").upper()
    return PRIORITIES.get(word[:1]) if word else None


def _procedures(group: Sequence[Segment], first: dict[str, Segment], profile: Profile) -> Iterator[ProcedureFacts]:
    """One for each OBR with the IPCs behind it."""
    requests = [at for at, segment in enumerate(group) if segment.name == "OBR"]
    for at, until in pairwise([*requests, len(group)]):
        # Segments ahead of the OBR, as TQ1, are of this one; a ZDS may stand behind the last one for all.
        own = first | {segment.name: segment for segment in reversed(group[at:until])}
        steps = [segment for segment in group[at:until] if segment.name == "IPC"]
        yield _procedure(own, steps, profile)


def _procedure(first: dict[str, Segment], ipcs: Sequence[Segment], profile: Profile) -> ProcedureFacts:
    obr = first["OBR"]
    found = _code(first, profile.procedure_code_from)
    uids = {value for ipc in ipcs if (value := uid(ipc.get(3), ipc.place(3)))}
    if len(uids) > 1:
        raise Refused(Condition.DATA_TYPE, ipcs[0].place(3), "the steps of one procedure name different studies")
    return ProcedureFacts(
        procedure_id=_first(first, (("IPC", 2), ("OBR", 19)), _text),
        study_instance_uid=_study_uid(first, profile),
        code=found,
        description=(found.meaning or found.value) if found else obr.get(4, 2),
        steps=tuple(_step(first, ipc, profile) for ipc in ipcs) or (_step(first, None, profile),),
    )


def _study_uid(first: dict[str, Segment], profile: Profile) -> str | None:
    for place in profile.study_uid_from:
        segment = first.get(place[:3])
        value = segment.at(place) if segment else None
        if segment and value:
            return uid(value, segment.place(int(place[4:].partition(".")[0])))
    return None


def _code(first: dict[str, Segment], places: Sequence[str]) -> Code | None:
    for place in places:
        field, _, component = place[4:].partition(".")
        segment = first.get(place[:3])
        if segment and (found := code(segment, int(field), int(component or 1))):
            return found
    return None


def _step(first: dict[str, Segment], ipc: Segment | None, profile: Profile) -> StepFacts:
    """An IPC, or what OBR says where a message has none."""
    own = first | ({"IPC": ipc} if ipc else {})
    protocol = _code(own, profile.protocol_from)
    day, time = _start(own)
    stations = [each.get(1) for each in ipc.repetitions(9)] if ipc else []
    return StepFacts(
        step_id=_first(own, (("IPC", 4), ("OBR", 20)), _text),
        modality=_first(own, (("IPC", 5), ("OBR", 24)), _text),
        station_ae_titles=tuple(filter(None, stations)),
        station_name=_first(own, (("IPC", 7),), _text),
        location=_first(own, (("IPC", 8),), _text),
        start_date=day,
        start_time=time,
        description=(protocol.meaning or None) if protocol else None,
        protocol_codes=(protocol,) if protocol else (),
        performing_physician=_first(own, (("OBR", 34),), nested_provider_name),
    )


def _start(first: dict[str, Segment]) -> tuple[Told, Told]:
    for name, field, component in (("TQ1", 7, 1), ("ORC", 7, 4), ("OBR", 27, 4), ("OBR", 36, 1)):
        segment = first.get(name)
        if segment and (text := segment.get(field, component)):
            day, time = clock(text, segment.place(field, component if component > 1 else 0))
            return day or None, time or None
    return None, None


def _body(segments: Sequence[Segment]) -> dict[str, Told]:
    """Weight and height in DICOM's units; a value in a unit that isn't known is left out, never copied."""
    found: dict[str, Told] = {}
    for segment in segments:
        if segment.name != "OBX":
            continue
        names = ((segment.get(3, part) or "").upper() for part in (1, 2, 4, 5))
        keyword = next((_BODY[name] for name in names if name in _BODY), None)
        factor = _UNITS[keyword].get((segment.get(6) or "").lower()) if keyword else None
        try:
            value = float(segment.get(5) or "")
        except ValueError:
            continue
        if keyword and factor and 0 < value < 1e6:
            found[keyword] = f"{value * factor:.6g}"
    return found
