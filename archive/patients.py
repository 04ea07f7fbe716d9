"""What becomes of a patient: updated, merged, linked, an identifier moved or changed (HL7 v2 chapter 3, IHE RAD-12).

Everything runs in the caller's transaction. Stored bytes stay as they came; what leaves is corrected on the way out
(``archive.corrections``).
"""

from collections.abc import Iterable

from django.utils import timezone

from archive import patient_rows as rows
from archive import strangers
from archive.models import Patient, PatientLink
from archive.names import name_key
from archive.patient_facts import (
    Identifier,
    Moment,
    PatientApplied,
    PatientFacts,
    PatientRefusal,
    PatientRefused,
    Told,
)
from archive.patient_models import Standing
from archive.patient_rows import lock
from archive.prepared_rows import update

__all__ = ["apply", "change_identifier", "link", "lock", "merge", "move_identifier", "restore_identifier", "unlink"]

# LO (PS3.5 6.2)
_LONGEST = 64
_WRITTEN = ("patient_name", "patient_name_key", "patient_birth_date", "patient_sex", "told", "event_at", "corrected_at")
# DICOM keyword -> column
_COLUMNS = {
    "PatientName": "patient_name",
    "PatientBirthDate": "patient_birth_date",
    "PatientSex": "patient_sex",
}


def apply(facts: PatientFacts, moment: Moment) -> PatientApplied:
    """Take up or update a patient.

    An event older than the newest one applied fills only what has no value. Raises ``PatientRefused``.
    """
    _check(facts.identifiers)
    first, *others = facts.identifiers
    bare = Identifier(first.value) if facts.unqualified and first.key[1] else None
    everyone = [*facts.identifiers, *([bare] if bare else [])]
    lock(everyone)
    known = rows.locked(everyone)
    patient, created = _named(facts, known), False
    if patient is None:
        if not facts.creates:
            raise PatientRefused(PatientRefusal.UNKNOWN_PATIENT, "no patient has this identifier")
        patient, created = rows.add(first, moment), True
        known[first.key] = patient
    for other in (first, *others):
        if other.key not in known:
            known[other.key] = rows.add(other, moment, patient, Standing.OTHER)
    moved = _adopt(bare, known.get(bare.key), patient, moment) if bare else 0
    stale = patient.event_at is not None and moment.at < patient.event_at
    changed = _update(patient, facts, moment, stale=stale)
    studies = 0
    if moved:
        _regrouped(patient)
    if changed or moved:
        touched = rows.locked_studies(patient)
        rows.refresh(touched)
        studies = len(touched)
    return PatientApplied(patient.pk, created, changed, studies, stale)


def merge(prior: Identifier, surviving: PatientFacts, moment: Moment) -> PatientApplied:
    """The patient of ``prior`` (MRG-1) becomes that of ``surviving`` (PID-3), which ``prior`` names from now on.

    A prior identifier that nobody knows is remembered as one of the survivor's. Raises ``PatientRefused``.
    """
    _check([prior], prior=True)
    _check(surviving.identifiers)
    if prior.key == surviving.identifiers[0].key:
        raise PatientRefused(PatientRefusal.SAME_IDENTIFIER, "a patient is not merged into itself")
    lock([prior, *surviving.identifiers])
    # A list that names the retired identifier beside the survivor's (PID-3) says nothing new.
    named = tuple(each for each in surviving.identifiers if each.key != prior.key)
    applied = apply(_with(surviving, named), moment)
    row = rows.locked([prior]).get(prior.key)
    survivor = rows.lock_rows([applied.patient])[applied.patient]
    if row is None:
        rows.add(prior, moment, survivor, Standing.MERGED)
        strangers.wish_for(survivor)
        return applied
    if row.person == survivor.pk:
        if row.standing in (Standing.OTHER, Standing.UNQUALIFIED):
            rows.point(row, survivor, Standing.MERGED, "merge", moment)
        return _but(applied, repeated=True)
    if row.standing == Standing.MERGED:
        raise PatientRefused(PatientRefusal.MERGED_AWAY, "the prior identifier is another patient's by now", prior=True)
    retired = rows.lock_rows([row.person])[row.person]
    moved = rows.locked_studies(retired)
    rows.move_studies(moved, survivor)
    rows.point(retired, survivor, Standing.MERGED, "merge", moment)
    _regrouped(survivor)
    rows.refresh(moved)
    return _but(applied, studies=applied.studies + len(moved))


def move_identifier(identifier: Identifier, to: PatientFacts, moment: Moment) -> PatientApplied:
    """What came under ``identifier`` (MRG-1), and whatever comes under it, is that of the patient ``to`` (A43).

    So part of a wrong merge is undone: nothing else of the patient it was moves. Raises ``PatientRefused``.
    """
    _check([identifier], prior=True)
    _check(to.identifiers)
    if identifier.key == to.identifiers[0].key:
        raise PatientRefused(PatientRefusal.SAME_IDENTIFIER, "the identifier is the patient's own")
    lock([identifier, *to.identifiers])
    row = rows.locked([identifier]).get(identifier.key)
    if row is None:
        raise PatientRefused(PatientRefusal.UNKNOWN_PATIENT, "nobody has the identifier to be moved", prior=True)
    named = tuple(each for each in to.identifiers if each.key != identifier.key)
    applied = apply(_with(to, named), moment)
    target = rows.lock_rows([applied.patient])[applied.patient]
    if row.person == target.pk:
        return _but(applied, repeated=True)
    if row.merged_into_id is None and row.further_identifiers.exclude(standing=Standing.UNQUALIFIED).exists():
        text = "the identifier leads a patient with further ones; merge it, or change it first"
        raise PatientRefused(PatientRefusal.NOT_THIS_PATIENTS, text, prior=True)
    studies = _hand_over(row, target, Standing.OTHER, moment)
    return _but(applied, studies=applied.studies + studies)


def restore_identifier(identifier: Identifier, moment: Moment) -> PatientApplied:
    """A retired identifier leads its own patient again, with all that came under it: a merge taken back.

    Raises ``PatientRefused``.
    """
    _check([identifier])
    lock([identifier])
    row = rows.locked([identifier]).get(identifier.key)
    if row is None:
        raise PatientRefused(PatientRefusal.UNKNOWN_PATIENT, "nobody has this identifier")
    if row.merged_into_id is None:
        return PatientApplied(row.pk, repeated=True)
    return PatientApplied(row.pk, studies=_hand_over(row, None, Standing.LEADS, moment))


def change_identifier(old: Identifier, new: Identifier, moment: Moment) -> PatientApplied:
    """The patient of ``old`` (MRG-1) is led by ``new`` (PID-3) from now on; ``old`` goes on naming it (A47).

    Raises ``PatientRefused``.
    """
    _check([old], prior=True)
    _check([new])
    if old.key == new.key:
        raise PatientRefused(PatientRefusal.SAME_IDENTIFIER, "an identifier is not changed into itself")
    lock([old, new])
    known = rows.locked([old, new])
    row, present = known.get(old.key), known.get(new.key)
    if present is not None:
        if row is not None and row.person == present.person and row.standing == Standing.ALIAS:
            return PatientApplied(present.person, repeated=True)
        raise PatientRefused(PatientRefusal.TARGET_EXISTS, "somebody has the new identifier already")
    if row is None:
        raise PatientRefused(PatientRefusal.UNKNOWN_PATIENT, "nobody has the identifier to be changed", prior=True)
    patient = rows.leading(row)
    if row.standing == Standing.MERGED:
        raise PatientRefused(PatientRefusal.MERGED_AWAY, "the identifier was retired by a merge", prior=True)
    if row.pk != patient.pk:
        rows.add(new, moment, patient, Standing.OTHER)
        rows.point(row, patient, Standing.ALIAS, "change of identifier", moment)
        return PatientApplied(patient.pk)
    studies = rows.locked_studies(patient)
    before = {"PatientID": (patient.patient_id, new.key[0])}
    before["IssuerOfPatientID"] = (patient.issuer_of_patient_id, new.key[1])
    patient.patient_id, patient.issuer_of_patient_id = new.key
    patient.type_of_patient_id = new.type
    patient.issuer_universal_id, patient.issuer_universal_id_type = new.universal_id, new.universal_id_type
    patient.save()
    alias = rows.add(old, moment, patient, Standing.ALIAS)
    rows.came_under(studies, patient, alias)
    rows.note(patient, before, "change of identifier", moment)
    _regrouped(patient)
    rows.refresh(studies)
    return PatientApplied(patient.pk, changed=frozenset(before), studies=len(studies))


def link(one: Identifier, other: Identifier, moment: Moment) -> bool:
    """Note that two patients are held for one person (A24); nothing moves. Returns whether that is new.

    Raises ``PatientRefused``.
    """
    pair = _pair(one, other)
    made = {"made_by": moment.actor, "source_message": moment.message}
    return PatientLink.objects.get_or_create(one=pair[0], other=pair[1], defaults=made)[1]


def unlink(one: Identifier, other: Identifier, moment: Moment) -> None:
    """Take a link back (A37). Raises ``PatientRefused``, also where there is none."""
    pair = _pair(one, other)
    if not PatientLink.objects.filter(one=pair[0], other=pair[1]).delete()[0]:
        raise PatientRefused(PatientRefusal.NOT_LINKED, "these patients are not linked")


def _check(identifiers: Iterable[Identifier], *, prior: bool = False) -> None:
    listed = list(identifiers)
    if not listed or not all(each.key[0] for each in listed):
        raise PatientRefused(PatientRefusal.NO_IDENTIFIER, "a patient identifier is missing", prior=prior)
    if any(len(part) > _LONGEST for each in listed for part in each.key):
        text = f"a patient identifier or its issuer has more than {_LONGEST} characters"
        raise PatientRefused(PatientRefusal.TOO_LONG, text, prior=prior)


def _named(facts: PatientFacts, known: dict[rows.Key, Patient]) -> Patient | None:
    """The one patient whom the identifiers of a list name, ``None`` for a new one."""
    found = [known[each.key] for each in facts.identifiers if each.key in known]
    persons = {row.person for row in found}
    if len(persons) > 1:
        raise PatientRefused(PatientRefusal.NAMES_TWO_PATIENTS, "the identifiers of the list are of several patients")
    if not found:
        return None
    first = known.get(facts.identifiers[0].key)
    if first is not None and first.standing == Standing.MERGED and not any(row.pk == first.person for row in found):
        raise PatientRefused(PatientRefusal.MERGED_AWAY, "the patient was merged into another one")
    return rows.leading(found[0])


def _adopt(bare: Identifier, row: Patient | None, patient: Patient, moment: Moment) -> int:
    """Objects that carry the patient's value without an issuer are the patient's, unless somebody else's already."""
    if row is None:
        rows.add(bare, moment, patient, Standing.UNQUALIFIED)
        return 0
    if row.merged_into_id is not None or row.pk == patient.pk:
        return 0
    studies = rows.locked_studies(row)
    rows.move_studies(studies, patient)
    rows.point(row, patient, Standing.UNQUALIFIED, "issuer", moment)
    return len(studies)


def _update(patient: Patient, facts: PatientFacts, moment: Moment, *, stale: bool) -> frozenset[str]:
    """Write what was told; returns the keywords whose value, or being told at all, changed."""
    said: dict[str, Told] = {
        "PatientName": facts.name,
        "PatientBirthDate": facts.birth_date,
        "PatientSex": facts.sex,
    }
    values = {
        keyword: value
        for keyword, value in said.items()
        if value is not None and not (stale and (getattr(patient, _COLUMNS[keyword]) or not value))
    }
    changes = {
        keyword: (getattr(patient, _COLUMNS[keyword]), value)
        for keyword, value in values.items()
        if getattr(patient, _COLUMNS[keyword]) != value
    }
    newly = values.keys() - set(patient.told)
    for keyword, (_, value) in changes.items():
        setattr(patient, _COLUMNS[keyword], value)
    patient.patient_name_key = name_key(patient.patient_name)
    patient.told = sorted({*patient.told, *values})
    if not stale:
        patient.event_at = moment.at
    if changes or newly:
        patient.corrected_at = timezone.now()
    update(patient, *_WRITTEN)
    if changes:
        rows.note(patient, changes, "update", moment)
    return frozenset(changes) | newly


def _regrouped(patient: Patient) -> None:
    """Other studies or identifiers are the patient's."""
    patient.corrected_at = timezone.now()
    patient.save(update_fields=["corrected_at"])
    rows.look_for_orders(patient)
    strangers.wish_for(patient)


def _hand_over(row: Patient, target: Patient | None, standing: Standing, moment: Moment) -> int:
    """What came under the identifier ``row`` goes to ``target``, ``None`` for itself; returns how many studies."""
    holder = rows.lock_rows([row.person])[row.person]
    owner = row if target is None else target
    # With an identifier that leads goes all that it leads.
    studies = rows.locked_studies(holder, original=None if holder.pk == row.pk else row)
    rows.point(row, target, standing, "move of identifier", moment)
    rows.move_studies(studies, owner)
    _regrouped(owner)
    rows.refresh(studies)
    left: Iterable[int] = [] if holder.pk == row.pk else rows.locked_studies(holder)
    strangers.wish_for_studies({*studies, *left})
    return len(studies)


def _pair(one: Identifier, other: Identifier) -> tuple[Patient, Patient]:
    _check([one, other])
    lock([one, other])
    known = rows.locked([one, other])
    if one.key not in known or other.key not in known:
        raise PatientRefused(
            PatientRefusal.UNKNOWN_PATIENT, "one of the identifiers is unknown", prior=one.key in known
        )
    found = sorted((rows.leading(known[each.key]) for each in (one, other)), key=lambda patient: patient.pk)
    if found[0].pk == found[1].pk:
        raise PatientRefused(PatientRefusal.SAME_IDENTIFIER, "both identifiers are of one patient")
    return found[0], found[1]


def _with(facts: PatientFacts, identifiers: tuple[Identifier, ...]) -> PatientFacts:
    return PatientFacts(identifiers, facts.name, facts.birth_date, facts.sex, facts.unqualified)


def _but(applied: PatientApplied, *, studies: int | None = None, repeated: bool = False) -> PatientApplied:
    return PatientApplied(
        applied.patient,
        applied.created,
        applied.changed,
        applied.studies if studies is None else studies,
        applied.stale,
        repeated,
    )
