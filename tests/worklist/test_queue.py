"""The queue of what found no order: who sees what, and what a person decides."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from archive.errors import Conflict, NotFound
from archive.models import Study
from archive.patient_facts import Identifier
from tests.worklist.making import UID, A, B, image, send, work
from worklist.models import Outcome, Reconciliation, RequestedProcedure, StudyOrderLink
from worklist.order_messages import EntityIdentifier, OrderFacts
from worklist.queue import reopen, settle, waiting

pytestmark = pytest.mark.django_db


def test_what_waits_and_within_which_scope() -> None:
    send()
    conflict = image(B, StudyInstanceUID=UID)
    unknown = image(A, AccessionNumber="NONE", StudyDate="20250110")
    work()
    with CaptureQueriesContext(connection) as queries:
        rows = waiting(Study.objects.all())
    assert len(queries) == 2
    assert {(row.study, row.outcome) for row in rows} == {
        (conflict, Outcome.CONFLICT),
        (unknown, Outcome.UNSCHEDULED),
    }
    [row] = waiting(Study.objects.all(), Outcome.CONFLICT)
    assert [(c.accession_number, c.same_patient) for c in row.candidates] == [("A100", False)]
    [row] = waiting(Study.objects.filter(pk=unknown.pk))
    assert [(c.accession_number, c.same_patient) for c in row.candidates] == [("A100", True)]
    assert waiting(Study.objects.none()) == []


def test_a_person_picks_one_of_several() -> None:
    for filler, issuer in (("F1", "RIS"), ("F2", "ELSEWHERE")):
        send(OrderFacts(filler=EntityIdentifier(filler, "RIS"), accession=EntityIdentifier("A1", issuer)))
    study = image(A, AccessionNumber="A1")
    work()
    [row] = waiting(Study.objects.all())
    assert row.outcome is Outcome.AMBIGUOUS
    settle(study.study_instance_uid, [row.candidates[1].procedure], "tech")
    assert waiting(Study.objects.all()) == []
    assert StudyOrderLink.objects.get().made_by == "tech"
    send(OrderFacts(filler=EntityIdentifier("F3", "RIS"), accession=EntityIdentifier("A1", "RIS")))
    work()
    assert StudyOrderLink.objects.count() == 1
    reopen(study.study_instance_uid)
    work()
    assert Reconciliation.objects.get(study=study).outcome == Outcome.AMBIGUOUS
    assert not StudyOrderLink.objects.exists()


def test_an_order_of_another_patient_is_not_linked_but_its_study_may_be_shown() -> None:
    send()
    study = image(B, StudyInstanceUID=UID)
    work()
    [procedure] = RequestedProcedure.objects.values_list("pk", flat=True)
    with pytest.raises(Conflict):
        settle(UID, [procedure], "tech")
    with pytest.raises(NotFound):
        settle("1.2.3", [], "tech")
    with pytest.raises(NotFound):
        settle(UID, [0], "tech")
    study.refresh_from_db()
    assert study.quarantined
    settle(UID, [], "tech")
    study.refresh_from_db()
    assert not study.quarantined


def test_a_study_of_nobody_becomes_that_of_the_orders_patient() -> None:
    send()
    study = image(Identifier(""), AccessionNumber="A100")
    work()
    [procedure] = RequestedProcedure.objects.values_list("pk", flat=True)
    settle(study.study_instance_uid, [procedure], "tech")
    study.refresh_from_db()
    assert study.patient.patient_id == "123"
    assert study.original_patient is not None
