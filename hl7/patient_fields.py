"""PID, MRG and PV1 as facts about a patient and a visit (field map: IHE RAD TF-2 RAD-2, HL7 v2 3.4)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from hl7.errors import Condition, Place, Refused
from hl7.message import Message, Segment
from hl7.profiles import Profile
from hl7.values import clock, date, moment, person_name, provider_name
from worklist.order_messages import EntityIdentifier, Identifier, Moment, PatientFacts, VisitFacts

# Table 0001 -> Patient's Sex (0010,0040). Unknown is no value in DICOM.
_SEX: Final = {"F": "F", "M": "M", "O": "O", "A": "O", "N": "O", "U": "", "": ""}
# Table 0009.
_PREGNANT: Final = "B6"


def identifiers(segment: Segment, field: int, profile: Profile) -> tuple[Identifier, ...]:
    """The identifiers of a CX field (PID-3, MRG-1) by trusted authorities, the profile's own authority first.

    Raises Refused: 101 where there is none, 204 where none is of an authority that the profile trusts.
    """
    found = []
    for each in segment.repetitions(field):
        value = each.get(1)
        if value:
            namespace, universal, kind = (each.get(4, part) or "" for part in (1, 2, 3))
            issuer = namespace or universal or profile.authority
            found.append(Identifier(value, issuer, universal, kind, each.get(5) or ""))
    if not found:
        raise Refused(Condition.REQUIRED_FIELD_MISSING, segment.place(field), "a patient identifier is missing")
    trusted = {profile.authority, *profile.trusted}
    taken = [each for each in found if not profile.trusted or each.issuer in trusted]
    if not taken:
        text = "no identifier is of an assigning authority that this interface trusts"
        raise Refused(Condition.UNKNOWN_KEY, segment.place(field), text)
    taken.sort(key=lambda each: each.issuer != profile.authority)
    # The same identifier may stand there twice with different types.
    return tuple({each.key: each for each in reversed(taken)}[key] for key in dict.fromkeys(each.key for each in taken))


def patient(segment: Segment, profile: Profile, *, creates: bool = True) -> PatientFacts:
    """A PID. Raises Refused."""
    sex = segment.get(8)
    return PatientFacts(
        identifiers(segment, 3, profile),
        name=person_name(segment, 5),
        birth_date=date(segment.get(7), segment.place(7)),
        sex=None if sex is None else _SEX.get(sex.upper()),
        unqualified=profile.unqualified,
        creates=creates,
    )


def visit(message: Message) -> VisitFacts | None:
    """PV1, with the account of PID-18 where it has no visit number; None where neither says anything of a visit."""
    pv1, pid = message.first("PV1"), message.first("PID")
    account = visit_number(pid, 18) if pid else None
    if pv1 is None:
        return VisitFacts(account) if account else None
    admitted = pv1.get(44)
    return VisitFacts(
        visit_number(pv1, 19) or account,
        patient_class=pv1.get(2),
        location=location(pv1, 3),
        attending=provider_name(pv1, 7),
        referring=provider_name(pv1, 8),
        ambulatory=pv1.get(15),
        admitted="".join(clock(admitted, pv1.place(44))) if admitted else admitted,
        pregnant=_PREGNANT in {each.get(1) for each in pv1.repetitions(15)},
    )


def visit_number(segment: Segment, field: int) -> EntityIdentifier | None:
    """The number of a visit or account (CX) and who gave it; None where the field is empty."""
    number = segment.get(field)
    return EntityIdentifier(number, segment.get(field, 4) or "") if number else None


def location(segment: Segment, field: int) -> str | None:
    """PL as ``ward^room^bed^facility``."""
    found = segment.field(field)
    if found.whole() == "":
        return ""
    return "^".join(found.get(part) or "" for part in (1, 2, 3, 4)).rstrip("^") or None


def told_at(message: Message, profile: Profile, received: datetime, message_key: str, actor: str) -> Moment:
    """When it was so: EVN-2, else MSH-7, and never later than the message came, whatever the sender's clock says."""
    text, place = message.get("EVN-2"), Place("EVN", 2)
    if not text:
        text, place = message.get("MSH-7"), Place("MSH", 7)
    at = moment(text, profile.zone, place) if text else received
    return Moment(min(at, received), actor, message_key)
