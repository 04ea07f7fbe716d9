"""ADT events and their effect on patients and visits (HL7 v2 chapter 3): one table.

Cancelling a visit never takes a patient or a study away, and a merge keeps what each object was stored under.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from archive import patients
from hl7.effects import Arrived, Effect, Handler
from hl7.errors import Condition, Place, Refused
from hl7.message import Segment
from hl7.patient_fields import identifiers, patient, visit, visit_number
from hl7.refusals import of_patient, of_visit
from worklist import visits
from worklist.order_messages import Identifier, PatientApplied, PatientFacts, PatientRefused, VisitEffect, VisitRefused

Pair = tuple[Segment, Segment]


def _only(arrived: Arrived, name: str) -> Segment:
    found = arrived.message.first(name)
    if found is None:
        raise Refused(Condition.REQUIRED_FIELD_MISSING, Place(name, 3 if name == "PID" else 1), "segment missing")
    return found


def apply_patient(arrived: Arrived, *, creates: bool = True) -> PatientApplied:
    """Take up or update the patient of PID. Raises Refused."""
    pid = _only(arrived, "PID")
    facts = patient(pid, arrived.profile, creates=creates)
    try:
        return patients.apply(facts, arrived.moment)
    except PatientRefused as error:
        raise of_patient(error) from error


def apply_visit(arrived: Arrived, patient_key: int, effect: VisitEffect) -> str:
    """Apply what PV1 says; in a word, "" where it says nothing of a visit. Raises Refused."""
    try:
        return _apply_visit(arrived, patient_key, effect)
    except VisitRefused as error:
        raise of_visit(error) from error


def apply_visit_beside(arrived: Arrived, patient_key: int, effect: VisitEffect) -> str:
    """The same of a message that is about something else, which another patient's number is no reason to refuse."""
    try:
        return _apply_visit(arrived, patient_key, effect)
    except VisitRefused as error:
        return f"visit not taken: {error}"


def _apply_visit(arrived: Arrived, patient_key: int, effect: VisitEffect) -> str:
    facts = visit(arrived.message)
    if facts is None:
        return ""
    visits.apply(patient_key, facts, effect, arrived.moment)
    return f"visit: {effect.value}"


def _renumber(arrived: Arrived, patient_key: int, pid: Segment, mrg: Segment) -> str:
    """The account of MRG-3 becomes that of PID-18; in a word, "" where there is nothing to do. Raises Refused."""
    old, new = visit_number(mrg, 3), visit_number(pid, 18)
    try:
        done = old is not None and new is not None and visits.renumber(patient_key, old, new, arrived.moment)
    except VisitRefused as error:
        raise of_visit(error) from error
    return "account: renumbered" if done else ""


def _visit(arrived: Arrived, effect: VisitEffect, *, creates: bool = True) -> Effect:
    applied = apply_patient(arrived, creates=creates)
    word = apply_visit(arrived, applied.patient, effect)
    return Effect.of_patient(applied, "updated").and_then(*filter(None, [word]))


def _class(arrived: Arrived) -> Effect:
    """A06, A07: with MRG-3 the visit goes on under another number."""
    applied = apply_patient(arrived)
    mrg = arrived.message.first("MRG")
    words = [_renumber(arrived, applied.patient, _only(arrived, "PID"), mrg)] if mrg else []
    words.append(apply_visit(arrived, applied.patient, VisitEffect.UPDATE))
    return Effect.of_patient(applied, "updated").and_then(*filter(None, words))


def _update(arrived: Arrived) -> Effect:
    """A08, A31: whether somebody unknown is taken up is the profile's to say."""
    return _visit(arrived, VisitEffect.UPDATE, creates=arrived.profile.adt_creates)


def _person(arrived: Arrived) -> Effect:
    """A28: nobody visits."""
    return Effect.of_patient(apply_patient(arrived), "updated")


def _pairs(arrived: Arrived) -> Iterator[Pair]:
    """Each PID with the MRG that follows it: the PATIENT group of A40 repeats."""
    pid: Segment | None = None
    found = False
    for segment in arrived.message.all("PID", "MRG"):
        if segment.name == "PID":
            if pid is not None:
                break
            pid = segment
        elif pid is not None:
            yield pid, segment
            pid, found = None, True
    if pid is not None or not found:
        raise Refused(Condition.REQUIRED_FIELD_MISSING, Place("MRG", 1, pid.number if pid else 1), "segment missing")


def _each_pair(arrived: Arrived, word: str, apply: Callable[[Arrived, Pair], PatientApplied]) -> Effect:
    pairs = list(_pairs(arrived))
    everyone = [
        each
        for pid, mrg in pairs
        for segment, field in ((pid, 3), (mrg, 1))
        for each in identifiers(segment, field, arrived.profile)
    ]
    # All at once and in one order, so that two messages about the same patients never wait for each other.
    patients.lock(everyone)
    effect = Effect(())
    for pid, mrg in pairs:
        try:
            applied = apply(arrived, (pid, mrg))
        except PatientRefused as error:
            raise of_patient(error, mrg.number if error.prior else pid.number) from error
        one = Effect.of_patient(applied, word)
        effect = Effect((*effect.words, *one.words), one.patient)
    return effect


def _facts(arrived: Arrived, pid: Segment) -> PatientFacts:
    return patient(pid, arrived.profile)


def _prior(arrived: Arrived, mrg: Segment) -> Identifier:
    return identifiers(mrg, 1, arrived.profile)[0]


def _merge(arrived: Arrived, pair: Pair) -> PatientApplied:
    return patients.merge(_prior(arrived, pair[1]), _facts(arrived, pair[0]), arrived.moment)


def _merge_with_account(arrived: Arrived, pair: Pair) -> PatientApplied:
    """A36: the patient, and of its accounts the one that is named."""
    applied = _merge(arrived, pair)
    _renumber(arrived, applied.patient, *pair)
    return applied


def _move(arrived: Arrived, pair: Pair) -> PatientApplied:
    return patients.move_identifier(_prior(arrived, pair[1]), _facts(arrived, pair[0]), arrived.moment)


def _change(arrived: Arrived, pair: Pair) -> PatientApplied:
    new = identifiers(pair[0], 3, arrived.profile)[0]
    return patients.change_identifier(_prior(arrived, pair[1]), new, arrived.moment)


def _two_patients(arrived: Arrived, word: str) -> Effect:
    """A24 and A37 have two PIDs; an A24 with one links its PID to its MRG."""
    pids = arrived.message.all("PID")
    segments = [(pid, 3) for pid in pids[:2]]
    if len(pids) == 1 and (mrg := arrived.message.first("MRG")):
        segments.append((mrg, 1))
    if len(segments) < 2:
        raise Refused(Condition.REQUIRED_FIELD_MISSING, Place("PID", 3, 2), "the second patient is missing")
    one, other = (identifiers(segment, field, arrived.profile)[0] for segment, field in segments)
    try:
        (patients.link if word == "linked" else patients.unlink)(one, other, arrived.moment)
    except PatientRefused as error:
        raise of_patient(error) from error
    return Effect((f"patients {word}",))


_MERGE: Final = partial(_each_pair, word="merged", apply=_merge)
EVENTS: Final[Mapping[str, Handler]] = MappingProxyType(
    {
        "A01": partial(_visit, effect=VisitEffect.OPEN),
        "A02": partial(_visit, effect=VisitEffect.MOVE),
        "A03": partial(_visit, effect=VisitEffect.DISCHARGE),
        "A04": partial(_visit, effect=VisitEffect.REGISTER),
        "A05": partial(_visit, effect=VisitEffect.PRE_ADMIT),
        "A06": _class,
        "A07": _class,
        "A08": _update,
        "A10": partial(_visit, effect=VisitEffect.ARRIVE),
        "A11": partial(_visit, effect=VisitEffect.CANCEL),
        "A12": partial(_visit, effect=VisitEffect.MOVE),
        "A13": partial(_visit, effect=VisitEffect.UNDISCHARGE),
        "A18": _MERGE,
        "A24": partial(_two_patients, word="linked"),
        "A28": _person,
        "A31": _update,
        "A34": _MERGE,
        "A36": partial(_each_pair, word="merged, with an account", apply=_merge_with_account),
        "A37": partial(_two_patients, word="unlinked"),
        "A38": partial(_visit, effect=VisitEffect.CANCEL),
        "A39": _MERGE,
        "A40": _MERGE,
        "A43": partial(_each_pair, word="given an identifier", apply=_move),
        "A47": partial(_each_pair, word="given a new identifier", apply=_change),
    }
)
