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
from hl7.patient_fields import identifiers, patient, visit
from hl7.refusals import of_patient
from worklist import visits
from worklist.order_messages import Identifier, PatientApplied, PatientFacts, PatientRefused, VisitEffect

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
    """Apply what PV1 says; in a word, "" where it says nothing of a visit."""
    facts = visit(arrived.message)
    if facts is None:
        return ""
    visits.apply(patient_key, facts, effect, arrived.moment)
    return f"visit: {effect.value}"


def _visit(arrived: Arrived, effect: VisitEffect, *, creates: bool = True) -> Effect:
    applied = apply_patient(arrived, creates=creates)
    word = apply_visit(arrived, applied.patient, effect)
    return Effect.of_patient(applied, "updated").and_then(*filter(None, [word]))


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
        "A06": partial(_visit, effect=VisitEffect.UPDATE),
        "A07": partial(_visit, effect=VisitEffect.UPDATE),
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
        "A36": _MERGE,
        "A37": partial(_two_patients, word="unlinked"),
        "A38": partial(_visit, effect=VisitEffect.CANCEL),
        "A39": _MERGE,
        "A40": _MERGE,
        "A43": partial(_each_pair, word="given an identifier", apply=_move),
        "A47": partial(_each_pair, word="given a new identifier", apply=_change),
    }
)
