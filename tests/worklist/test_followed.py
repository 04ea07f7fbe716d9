"""What follows when patients become one or a study is shown again: strangers, news for the followers, visits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import transaction

from archive import metadata, outbox, patients
from archive.models import ChangeFeedEntry, Instance, OutboxEntry, Patient, Series, Study
from archive.patient_facts import Identifier, PatientFacts
from archive.tasks import TASKS
from tests.worklist.making import HEAD, UID, A, B, at, image, send, work
from worklist import visits
from worklist.models import Order, Visit
from worklist.order_messages import EntityIdentifier, VisitEffect, VisitFacts, VisitRefused

pytestmark = pytest.mark.django_db
V1, V2 = EntityIdentifier("V1", "HOSP"), EntityIdentifier("V2", "HOSP")


def run(kind: str) -> None:
    for entry in OutboxEntry.objects.filter(kind=kind):
        outbox.run(entry.pk, TASKS)
    assert not OutboxEntry.objects.filter(kind=kind).exclude(last_error="").exists()


def merge(prior: Identifier = B, into: Identifier = A) -> None:
    with transaction.atomic():
        patients.merge(prior, PatientFacts((into,), name="MÜLLER^JANE"), at(1))


def prepare(study: Study) -> None:
    for series in Series.objects.filter(study=study):
        metadata.prepare(str(series.pk))


def news() -> list[str]:
    return list(ChangeFeedEntry.objects.order_by("sequence").values_list("action", flat=True))


@pytest.mark.parametrize("known", [True, False])
def test_objects_of_a_stranger_are_the_patients_when_the_two_are_one(known: bool) -> None:
    study = image(A, StudyInstanceUID=UID)
    if known:
        image(B)
    image(B, StudyInstanceUID=UID)
    image(Identifier("125", "HOSP"), StudyInstanceUID=UID)
    assert Instance.objects.filter(patient_mismatch=True).count() == 2
    merge()
    run(outbox.STRANGERS)
    [stranger] = Instance.objects.filter(patient_mismatch=True)
    assert stranger.series.study == study
    prepare(study)
    texts = [metadata.series_document(series, "").text() for series in Series.objects.filter(study=study)]
    assert sorted(b'"124"' in text for text in texts) == [False, False, True]  # as it was, in Original Attributes
    assert sum(b'"125"' in text for text in texts) == 1
    assert "update" in news()


def test_objects_are_strangers_again_when_a_merge_is_taken_back() -> None:
    """Those that came before the merge and those that came while it was good, in the studies of either."""
    one, other = image(A, StudyInstanceUID=UID), image(B)
    image(B, StudyInstanceUID=UID)
    merge()
    run(outbox.STRANGERS)
    image(B, StudyInstanceUID=UID)
    image(A, StudyInstanceUID=other.study_instance_uid)
    assert not Instance.objects.filter(patient_mismatch=True).exists()
    with transaction.atomic():
        patients.restore_identifier(B, at(2))
    run(outbox.STRANGERS)
    assert dict(Study.objects.values_list("pk", "patient__patient_id")) == {one.pk: "123", other.pk: "124"}
    strangers = Instance.objects.filter(patient_mismatch=True).select_related("series")
    assert sorted(each.series.study_id for each in strangers) == sorted([one.pk, one.pk, other.pk])
    merge()
    run(outbox.STRANGERS)
    assert not Instance.objects.filter(patient_mismatch=True).exists()


def test_a_correction_is_news_once_the_metadata_say_it() -> None:
    study = image(A)
    prepare(study)
    assert news() == ["create"]
    with transaction.atomic():
        patients.apply(PatientFacts((A,), name="NEW^NAME"), at(1))
    prepare(study)
    assert news() == ["create", "update"]
    image(A, StudyInstanceUID=study.study_instance_uid)
    prepare(study)
    assert news() == ["create", "update", "create"]


def test_a_study_that_leaves_quarantine_is_news() -> None:
    send(patient=B)
    study = image(A, StudyInstanceUID=UID)
    work()
    assert news() == ["create"]
    merge(A, B)
    work()
    study.refresh_from_db()
    assert not study.quarantined
    assert "update" in news()


def test_a_visit_of_another_patient_is_not_moved() -> None:
    send(replace(HEAD, visit=V1))
    one, other = (Patient.objects.create(patient_id=each, issuer_of_patient_id="HOSP") for each in ("200", "201"))
    facts = VisitFacts(V1, location="WARD^1")
    visit = visits.apply(one.pk, facts, VisitEffect.OPEN, at())
    assert visits.apply(one.pk, facts, VisitEffect.UPDATE, at()) == visit
    with pytest.raises(VisitRefused), transaction.atomic():
        visits.apply(other.pk, replace(facts, location="ELSEWHERE"), VisitEffect.OPEN, at())
    row = Visit.objects.get()
    assert (row.patient_id, row.location) == (one.pk, "WARD^1")
    # An order that names it is that of its patient all the same, without a visit.
    send(replace(HEAD, visit=V1), minutes=1)
    assert Order.objects.get().visit is None
    # Of one person under another identifier it is.
    with transaction.atomic():
        patients.merge(Identifier("201", "HOSP"), PatientFacts((Identifier("200", "HOSP"),)), at(2))
    assert visits.apply(one.pk, facts, VisitEffect.UPDATE, at(3)) == visit


@pytest.mark.parametrize("present", [False, True])
def test_a_visit_goes_on_under_another_number(present: bool) -> None:
    send()
    patient = Order.objects.get().patient_id
    old = visits.apply(patient, VisitFacts(V1), VisitEffect.OPEN, at())
    new = visits.apply(patient, VisitFacts(V2), VisitEffect.OPEN, at()) if present else old
    send(replace(HEAD, visit=V1), minutes=1)
    assert visits.renumber(patient, V1, V2, at(2))
    assert not visits.renumber(patient, EntityIdentifier("V9"), V2, at(2))
    order = Order.objects.get()
    assert order.visit is not None
    assert (order.visit.pk, order.visit.number) == (new, "V2")
    assert Visit.objects.filter(number="V1").exists() == present
