"""What becomes of a patient when a feed speaks of it: updates, merges, moved identifiers, and images that come late."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import connection, transaction
from pydicom.uid import generate_uid

from archive import patients
from archive.models import AttributeOverride, Instance, Patient, PatientLink, Study
from archive.patient_facts import Identifier, Moment, PatientApplied, PatientFacts, PatientRefusal, PatientRefused
from archive.store import Batching, store
from tests.dicomweb.objects import make_object
from tests.worklist.making import at_once

pytestmark = pytest.mark.django_db
# For what several workers do at once.
committing = pytest.mark.django_db(transaction=True)

BATCHING = Batching(instances=64, total_bytes=1 << 28, object_bytes=1 << 28)
NOON = datetime(2025, 1, 10, 12, tzinfo=UTC)
A, B, C = (Identifier(value, "HOSP", type="MR") for value in ("123", "124", "125"))
OTHER = Identifier("999", "EPI", type="PI")


@pytest.fixture(autouse=True)
def _empty_object_store(settings: Any, tmp_path: Path) -> None:
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})


def at(minutes: int = 0) -> Moment:
    return Moment(NOON + timedelta(minutes=minutes), "ris", f"M{minutes}")


def image(identifier: Identifier, **values: Any) -> str:
    """Store one object of the patient in a study of its own; returns the study's UID."""
    study = values.setdefault("StudyInstanceUID", generate_uid())
    named = {"PatientID": identifier.value, "IssuerOfPatientID": identifier.issuer or None}
    data = make_object(**{k: v for k, v in named.items() if v is not None}, **values)
    [stored] = store([iter([data])], batching=BATCHING, record=lambda batch: None)
    assert stored.failure_reason is None
    return str(study)


def facts(*identifiers: Identifier, **values: Any) -> PatientFacts:
    return PatientFacts(identifiers or (A,), **values)


def apply(*identifiers: Identifier, minutes: int = 0, **values: Any) -> PatientApplied:
    with transaction.atomic():
        return patients.apply(facts(*identifiers, **values), at(minutes))


def merge(prior: Identifier, surviving: Identifier, minutes: int = 0, **values: Any) -> PatientApplied:
    with transaction.atomic():
        return patients.merge(prior, facts(surviving, **values), at(minutes))


def refused(call: Callable[[], object]) -> PatientRefusal:
    with pytest.raises(PatientRefused) as caught, transaction.atomic():
        call()
    return caught.value.reason


def answer(study: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(Study.objects.get(study_instance_uid=study).answer)
    return {tag: (found[tag].get("Value") or [None])[0] for tag in ("00100010", "00100020", "00100030", "00100040")}


def of(study: str) -> Patient:
    return Study.objects.get(study_instance_uid=study).patient


def test_a_name_told_later_is_in_the_answers_and_what_is_not_told_stays() -> None:
    study = image(A)
    applied = apply(name="MÜLLER^JANE^Q^DR", birth_date=None, sex="")
    assert (applied.created, applied.studies) == (False, 1)
    assert applied.changed == {"PatientName", "PatientSex"}
    shown = answer(study)
    assert shown["00100010"] == {"Alphabetic": "MÜLLER^JANE^Q^DR"}
    assert (shown["00100030"], shown["00100040"]) == ("19700102", None)
    kept = {(o.keyword, o.old, o.new, o.source_message) for o in AttributeOverride.objects.all()}
    assert ("PatientSex", "F", "", "M0") in kept
    assert Study.objects.get().series.get().version == 2
    again = apply(name="MÜLLER^JANE^Q^DR")
    assert again.studies == 0
    assert not again.changed


def test_an_older_event_fills_only_what_is_empty() -> None:
    apply(name="NEW^NAME", minutes=10)
    stale = apply(name="OLD^NAME", sex="F", minutes=5)
    assert stale.stale
    assert stale.changed == {"PatientSex"}
    patient = Patient.objects.get()
    assert (patient.patient_name, patient.patient_sex, patient.event_at) == ("NEW^NAME", "F", at(10).at)


def test_an_unknown_patient_is_taken_up_only_where_that_is_wanted() -> None:
    assert refused(lambda: patients.apply(facts(creates=False), at())) is PatientRefusal.UNKNOWN_PATIENT
    assert apply(A, OTHER, name="A^B").created
    assert refused(lambda: patients.apply(PatientFacts(()), at())) is PatientRefusal.NO_IDENTIFIER
    long = Identifier("1" * 65, "HOSP")
    assert refused(lambda: patients.apply(facts(long), at())) is PatientRefusal.TOO_LONG
    apply(B)
    assert refused(lambda: patients.apply(facts(B, OTHER), at())) is PatientRefusal.NAMES_TWO_PATIENTS
    # What comes under a further identifier is the patient's.
    study = image(OTHER)
    assert of(study).patient_id == "123"
    assert answer(study)["00100020"] == "123"


def test_objects_without_an_issuer_are_the_patients_where_a_feed_says_so() -> None:
    before = image(Identifier("123"))
    assert of(before).issuer_of_patient_id == ""
    applied = apply(A, unqualified=True, name="A^B")
    assert (applied.created, applied.studies) == (True, 1)
    after = image(Identifier("123"))
    assert of(before) == of(after) == Patient.objects.get(issuer_of_patient_id="HOSP")


def test_the_survivor_of_a_merge_has_everything_and_gets_what_comes_late() -> None:
    first, second = image(A), image(B, PatientName="Other^Name")
    applied = merge(B, A, name="MÜLLER^JANE")
    assert (applied.studies, applied.repeated) == (2, False)
    survivor = Patient.objects.get(patient_id="123")
    assert of(first) == of(second) == survivor
    assert Study.objects.get(study_instance_uid=second).original_patient == Patient.objects.get(patient_id="124")
    assert answer(second)["00100010"] == {"Alphabetic": "MÜLLER^JANE"}
    assert answer(second)["00100020"] == "123"
    late = image(B)
    assert of(late) == survivor
    assert answer(late)["00100020"] == "123"
    # More of the study that moved is no mismatch.
    image(B, StudyInstanceUID=second)
    assert not Study.objects.get(study_instance_uid=second).series.filter(instances__patient_mismatch=True).exists()


def test_the_edges_of_merges() -> None:
    apply(A, OTHER)
    apply(B)
    assert refused(lambda: patients.merge(A, facts(A), at())) is PatientRefusal.SAME_IDENTIFIER
    merge(B, A)
    assert merge(B, A).repeated
    assert refused(lambda: patients.merge(A, facts(B), at())) is PatientRefusal.MERGED_AWAY  # sides swapped
    assert refused(lambda: patients.apply(facts(B), at())) is PatientRefusal.MERGED_AWAY
    with transaction.atomic():  # the list names survivor and retired
        assert patients.merge(B, facts(A, B), at()).repeated
        assert patients.apply(facts(B, A), at()).patient == Patient.objects.get(patient_id="123").pk
    assert merge(OTHER, A).repeated  # another identifier of the same patient
    apply(C)
    assert refused(lambda: patients.merge(B, facts(C), at())) is PatientRefusal.MERGED_AWAY
    # Nobody knows the prior one: what comes under it is the survivor's.
    merge(Identifier("777", "HOSP"), A)
    assert of(image(Identifier("777", "HOSP"))).patient_id == "123"


@committing
def test_chains_of_merges_name_the_last_survivor_at_once() -> None:
    studies = [image(C), image(B), image(A)]
    merge(C, B)
    merge(B, A)
    assert {of(study).patient_id for study in studies} == {"123"}
    assert {row.person for row in Patient.objects.all()} == {Patient.objects.get(patient_id="123").pk}
    assert of(image(C)).patient_id == "123"


def test_part_of_a_wrong_merge_is_undone_by_moving_the_identifier() -> None:
    own, wrong = image(A), image(B)
    merge(B, A)
    with transaction.atomic():
        applied = patients.move_identifier(B, facts(C, name="THIRD^ONE"), at())
    assert applied.studies == 1
    assert (of(own).patient_id, of(wrong).patient_id) == ("123", "125")
    assert answer(wrong)["00100020"] == "125"
    assert of(image(B)).patient_id == "125"
    with transaction.atomic():
        assert patients.move_identifier(B, facts(C), at()).repeated
        patients.restore_identifier(B, at())
    assert of(wrong).patient_id == "124"
    assert Study.objects.get(study_instance_uid=wrong).original_patient is None
    assert answer(wrong)["00100010"] == {"Alphabetic": "Doe^Jane"}


def test_an_identifier_that_leads_others_is_not_moved_alone() -> None:
    apply(A, OTHER)
    apply(B)
    assert refused(lambda: patients.move_identifier(A, facts(B), at())) is PatientRefusal.NOT_THIS_PATIENTS
    assert refused(lambda: patients.move_identifier(C, facts(B), at())) is PatientRefusal.UNKNOWN_PATIENT


def test_a_changed_identifier_goes_on_naming_the_patient() -> None:
    study = image(A)
    with transaction.atomic():
        applied = patients.change_identifier(A, B, at())
    assert applied.studies == 1
    assert answer(study)["00100020"] == "124"
    assert Study.objects.get().original_patient == Patient.objects.get(patient_id="123")
    assert of(image(A)).patient_id == "124"
    with transaction.atomic():
        assert patients.change_identifier(A, B, at()).repeated
    apply(C)
    assert refused(lambda: patients.change_identifier(C, B, at())) is PatientRefusal.TARGET_EXISTS
    assert apply(A, name="STILL^KNOWN").patient == applied.patient


def test_links_are_notes() -> None:
    apply(A)
    apply(B)
    with transaction.atomic():
        assert patients.link(A, B, at())
        assert not patients.link(B, A, at())
        patients.unlink(A, B, at())
    assert not PatientLink.objects.exists()
    assert refused(lambda: patients.unlink(A, B, at())) is PatientRefusal.NOT_LINKED
    assert refused(lambda: patients.link(A, C, at())) is PatientRefusal.UNKNOWN_PATIENT


@committing
def test_feeds_that_speak_of_one_patient_at_once_make_one() -> None:
    at_once([lambda n=n: apply(A, OTHER, name=f"NAME^{n:02}", minutes=n) for n in range(8)])  # type: ignore[misc]
    patient = Patient.objects.get(merged_into=None)
    assert (patient.patient_name, Patient.objects.count()) == ("NAME^07", 2)


@committing
def test_images_that_come_while_their_patient_is_merged_away_are_the_survivors() -> None:
    for _ in range(3):
        first, second = (Identifier(generate_uid()[-12:], "HOSP") for _ in range(2))
        apply(first)
        apply(second)
        uids = [generate_uid() for _ in range(4)]
        at_once(
            [
                *(lambda uid=uid, second=second: image(second, StudyInstanceUID=uid) for uid in uids),
                lambda first=first, second=second: merge(second, first),  # type: ignore[misc]
            ]
        )
        assert {of(uid).patient_id for uid in uids} == {first.value}
        assert {answer(uid)["00100020"] for uid in uids} == {first.value}


@contextmanager
def stored_meanwhile(*images: Callable[[], object]) -> Iterator[None]:
    """The transaction of a message; all ``images`` wait for it before it ends, and are there when this is left."""

    def run(call: Callable[[], object]) -> None:
        try:
            call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(images)) as workers:
        with transaction.atomic():
            yield
            begun = [workers.submit(run, call) for call in images]
            ends = time.monotonic() + 60
            while waiting() < len(images):
                assert time.monotonic() < ends
                time.sleep(0.02)
        for each in begun:
            each.result()


def waiting() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
        [(found,)] = cursor.fetchall()
    return int(found)


@committing
def test_what_comes_while_its_patient_is_corrected_does_not_bring_the_old_name_back() -> None:
    series = generate_uid()
    study = image(A, SeriesInstanceUID=series)
    apply(A, OTHER)
    # An object of the patient, one under a further identifier, and a stranger's, which waits for the study alone.
    late = [partial(image, who, StudyInstanceUID=study, SeriesInstanceUID=series) for who in (A, OTHER, C)]
    with stored_meanwhile(*late):
        patients.apply(facts(A, name="NEW^NAME"), at(1))
    assert answer(study)["00100010"] == {"Alphabetic": "NEW^NAME"}
    assert Instance.objects.filter(patient_mismatch=True).count() == 1


@committing
def test_what_comes_while_its_patient_is_merged_away_is_no_stranger_to_the_survivors_studies() -> None:
    series, third = generate_uid(), generate_uid()
    own, other = image(A, SeriesInstanceUID=series), image(B, SeriesInstanceUID=series)
    late = [partial(image, B, StudyInstanceUID=study, SeriesInstanceUID=series) for study in (own, other, third)]
    with stored_meanwhile(*late):
        patients.merge(B, facts(A, name="NEW^NAME"), at(1))
    for study in (own, other, third):
        assert (answer(study)["00100020"], answer(study)["00100010"]) == ("123", {"Alphabetic": "NEW^NAME"})
    assert not Instance.objects.filter(patient_mismatch=True).exists()
    came_as = dict(Study.objects.values_list("study_instance_uid", "original_patient__patient_id"))
    assert came_as == {own: None, other: "124", third: "124"}


@committing
def test_images_and_the_first_message_about_their_patient_at_once() -> None:
    for _ in range(3):
        own, other = (Identifier(generate_uid()[-12:], issuer) for issuer in ("HOSP", "EPI"))
        uids = [generate_uid() for _ in range(4)]
        at_once(
            [
                *(lambda uid=uid, own=own: image(own, StudyInstanceUID=uid) for uid in uids[:2]),
                *(lambda uid=uid, other=other: image(other, StudyInstanceUID=uid) for uid in uids[2:]),
                partial(try_both, own, other),
            ]
        )
        with_both = {of(uid).patient_id for uid in uids}
        # Either the message knew both first, or the images of the second identifier were there before it.
        assert with_both in ({own.value}, {own.value, other.value})
        if with_both == {own.value}:
            assert {answer(uid)["00100020"] for uid in uids} == {own.value}


def try_both(own: Identifier, other: Identifier) -> None:
    """The message, which is refused where two patients were known by then."""
    with suppress(PatientRefused):
        apply(own, other, name="NEW^NAME")
