"""Studies and orders find each other, whichever came first; what is wrong is hidden, what is unclear stays readable."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from pydicom.dataset import Dataset

from archive import outbox, patients
from archive.models import OutboxEntry, Study
from archive.patient_facts import Identifier, PatientFacts
from tests.worklist.making import HEAD, UID, A, B, at, at_once, image, send, work
from worklist.models import Order, Outcome, Reconciliation, ScheduledProcedureStep, StudyOrderLink
from worklist.order_messages import EntityIdentifier, OrderFacts

pytestmark = pytest.mark.django_db
# For what several workers do at once.
committing = pytest.mark.django_db(transaction=True)


def outcome(study: Study) -> str:
    return Reconciliation.objects.get(study=study).outcome


def ordered(filler: str, accession: str, issuer: str = "RIS") -> OrderFacts:
    return OrderFacts(filler=EntityIdentifier(filler, "RIS"), accession=EntityIdentifier(accession, issuer))


@pytest.mark.parametrize("images_first", [False, True])
@pytest.mark.parametrize("values", [{"StudyInstanceUID": UID}, {"AccessionNumber": "A100"}], ids=["uid", "accession"])
def test_what_matches_is_linked_whichever_came_first(images_first: bool, values: dict[str, str]) -> None:
    if images_first:
        study = image(A, **values)
        work()
        assert not Reconciliation.objects.exists()  # no orders at all: nothing to wait for
    send()
    if not images_first:
        study = image(A, **values)
    work()
    assert outcome(study) == Outcome.LINKED
    assert StudyOrderLink.objects.get().study == study
    assert Order.objects.get().status == "STARTED"
    assert set(ScheduledProcedureStep.objects.values_list("status", flat=True)) == {"STARTED"}
    # Looking again changes nothing.
    send()
    work()
    assert StudyOrderLink.objects.count() == 1


def test_each_item_of_the_request_attributes_is_an_order() -> None:
    """One study for two orders: grouped procedures (IHE SWF)."""
    send(ordered("F1", "A1"))
    send(ordered("F2", "A2"))
    items = []
    for accession in ("A1", "A2"):
        item = Dataset()
        item.AccessionNumber = accession
        items.append(item)
    study = image(RequestAttributesSequence=items)
    work()
    assert outcome(study) == Outcome.LINKED
    assert {link.procedure.order.filler_number for link in StudyOrderLink.objects.all()} == {"F1", "F2"}


def test_an_accession_on_several_orders_of_the_patient_links_them_all() -> None:
    send(ordered("F1", "A1"))
    send(ordered("F2", "A1"))
    study = image(AccessionNumber="A1")
    work()
    assert outcome(study) == Outcome.LINKED
    assert StudyOrderLink.objects.count() == 2


def test_an_order_of_another_patient_hides_the_study_until_the_patients_are_one() -> None:
    send(patient=B)
    study = image(A, StudyInstanceUID=UID)
    work()
    study.refresh_from_db()
    assert (outcome(study), study.quarantined) == (Outcome.CONFLICT, True)
    assert not StudyOrderLink.objects.exists()
    assert Order.objects.get().status == "SCHEDULED"
    with transaction.atomic():
        patients.merge(B, PatientFacts((A,)), at(1))
    work()
    study.refresh_from_db()
    assert (outcome(study), study.quarantined) == (Outcome.LINKED, False)
    assert Order.objects.get().status == "STARTED"


@pytest.mark.parametrize("other", ["patient", "issuer", "year"])
def test_an_accession_that_means_several_things_is_for_a_person_to_settle(other: str) -> None:
    send(ordered("F1", "A1"))
    send(ordered("F2", "A1", "ELSEWHERE" if other == "issuer" else "RIS"), patient=B if other == "patient" else A)
    if other == "year":
        earlier = timezone.now() - timedelta(days=800)
        Order.objects.filter(filler_number="F1").update(created_at=earlier)
    study = image(AccessionNumber="A1")
    work()
    study.refresh_from_db()
    assert (outcome(study), study.quarantined) == (Outcome.AMBIGUOUS, False)
    assert len(Reconciliation.objects.get().candidates) == 2
    assert not StudyOrderLink.objects.exists()


def test_an_unknown_accession_stays_visible_with_suggestions_and_is_tried_again() -> None:
    send()
    study = image(AccessionNumber="UNKNOWN", StudyDate="20250110")
    work()
    row = Reconciliation.objects.get()
    assert (row.outcome, study.quarantined) == (Outcome.UNSCHEDULED, False)
    assert row.candidates == [Order.objects.get().procedures.get().pk]
    entry = OutboxEntry.objects.get(kind=outbox.RECONCILE)
    assert entry.not_before > timezone.now() + timedelta(seconds=30)
    # After thirty days it is left alone.
    Reconciliation.objects.update(opened_at=timezone.now() - timedelta(days=31))
    work()
    assert not OutboxEntry.objects.filter(kind=outbox.RECONCILE).exists()


def test_who_names_no_issuer_is_the_orders_patient_where_the_number_is_the_same() -> None:
    send()
    study = image(Identifier("123"), AccessionNumber="A100")
    work()
    study.refresh_from_db()
    assert outcome(study) == Outcome.LINKED
    assert study.patient.issuer_of_patient_id == "HOSP"
    assert study.original_patient is not None
    assert '"MÜLLER^JANE"' in study.answer
    stranger = image(Identifier("555"), AccessionNumber="A100")
    work()
    assert outcome(stranger) == Outcome.CONFLICT


def test_objects_without_a_patient_id_are_for_a_person_to_settle() -> None:
    send()
    study = image(Identifier(""), AccessionNumber="A100")
    work()
    assert outcome(study) == Outcome.AMBIGUOUS
    assert not Study.objects.get().quarantined


def test_an_order_cancelled_before_its_images_came_says_so() -> None:
    send()
    send(replace(HEAD, procedures=()), "CA", "CA")
    study = image(StudyInstanceUID=UID)
    work()
    order = Order.objects.get()
    assert (outcome(study), order.status, order.cancelled_with_images) == (Outcome.LINKED, "CANCELED", True)


def test_what_a_person_settled_is_left_alone() -> None:
    send(patient=B)
    study = image(A, StudyInstanceUID=UID)
    work()
    Reconciliation.objects.update(settled_by="somebody", outcome=Outcome.UNSCHEDULED)
    Study.objects.update(quarantined=False)
    send(patient=B)
    work()
    assert not Study.objects.get(pk=study.pk).quarantined


def test_objects_of_another_patient_in_a_study_are_counted() -> None:
    send()
    study = image(StudyInstanceUID=UID)
    image(B, StudyInstanceUID=UID)
    work()
    row = Reconciliation.objects.get(study=study)
    assert (row.outcome, row.strangers) == (Outcome.LINKED, 1)


@committing
def test_order_and_images_at_once_find_each_other() -> None:
    for number in range(3):
        facts = ordered(f"F{number}", f"A{number}")
        at_once([lambda facts=facts: send(facts), lambda n=number: image(AccessionNumber=f"A{n}")])  # type: ignore[misc]
        at_once([work, work])
        work()
    assert StudyOrderLink.objects.count() == 3
    assert set(Reconciliation.objects.values_list("outcome", flat=True)) == {Outcome.LINKED}
