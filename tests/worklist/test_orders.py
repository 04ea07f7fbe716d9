"""Order messages by the matrix of order control and status, with their events; what they schedule; what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import transaction

from archive import patients
from archive.patient_facts import PatientFacts
from dicom.uids import is_uid
from tests.worklist.making import FILLER, HEAD, PLACER, UID, A, B, at, at_once, image, send, work
from worklist import visits
from worklist.models import Order, RequestedProcedure, ScheduledProcedureStep, StateEvent, StudyOrderLink, Visit
from worklist.order_matrix import CONTROLS, MATRIX
from worklist.order_messages import (
    EntityIdentifier,
    OrderFacts,
    OrderRefusal,
    OrderRefused,
    ProcedureFacts,
    StepFacts,
    VisitEffect,
    VisitFacts,
)
from worklist.states import FIRST, MACHINES, IllegalMove, transition

pytestmark = pytest.mark.django_db
# For what several workers do at once.
committing = pytest.mark.django_db(transaction=True)

KEYS = OrderFacts(placer=PLACER, filler=FILLER)


def refusal(facts: OrderFacts, control: str = "NW", status: str = "SC", **values: object) -> OrderRefusal:
    with pytest.raises(OrderRefused) as caught:
        send(facts, control, status, **values)  # type: ignore[arg-type]
    return caught.value.reason


def states(machine: str = "order") -> list[str]:
    return list(StateEvent.objects.filter(machine=machine).order_by("pk").values_list("after", flat=True))


def status() -> str:
    return Order.objects.get().status


def test_an_order_of_two_steps() -> None:
    applied = send()
    assert (applied.created, applied.status) == (True, "SCHEDULED")
    order = Order.objects.get()
    assert (order.accession_number, order.accession_issuer, order.priority) == ("A100", "RIS", "STAT")
    procedure = order.procedures.get()
    assert (procedure.study_instance_uid, procedure.code) == (UID, ["CTHEAD", "L", "CT HEAD"])
    assert [(s.step_id, s.start_time, s.station_ae_titles) for s in procedure.steps.order_by("pk")] == [
        ("SPS1", "090000", ["CT01"]),
        ("SPS2", "091500", ["CT01"]),
    ]
    assert states() == ["REQUESTED", "SCHEDULED"]
    # The same again changes it in place, and no state.
    assert not send(replace(HEAD, reason="fall")).created
    assert (Order.objects.get().reason, states()) == ("fall", ["REQUESTED", "SCHEDULED"])
    assert ScheduledProcedureStep.objects.count() == 2


@pytest.mark.parametrize(
    ("control", "status_told", "becomes", "steps"),
    [
        ("NW", "", "SCHEDULED", "SCHEDULED"),
        ("SN", "IP", "SCHEDULED", "SCHEDULED"),
        ("NA", "", "SCHEDULED", "SCHEDULED"),
        ("XO", "", "SCHEDULED", "SCHEDULED"),
        ("XO", "CM", "COMPLETED", "COMPLETED"),
        ("SC", "IP", "STARTED", "STARTED"),
        ("SC", "A", "STARTED", "STARTED"),
        ("SC", "CM", "COMPLETED", "COMPLETED"),
        ("SC", "CA", "DISCONTINUED", "DISCONTINUED"),
        ("CA", "CA", "CANCELED", "CANCELED"),
        ("OC", "", "CANCELED", "CANCELED"),
        ("CR", "CA", "CANCELED", "CANCELED"),
        ("DC", "DC", "DISCONTINUED", "DISCONTINUED"),
        ("OD", "CA", "DISCONTINUED", "DISCONTINUED"),
        ("RP", "", "REPLACED", "CANCELED"),
        ("HD", "HD", "HELD", "SCHEDULED"),
    ],
)
def test_what_becomes_of_a_scheduled_order(control: str, status_told: str, becomes: str, steps: str) -> None:
    send()
    assert send(KEYS, control, status_told, minutes=5).status == becomes
    assert set(ScheduledProcedureStep.objects.values_list("status", flat=True)) == {steps}
    # Again it changes nothing.
    before = StateEvent.objects.count()
    assert send(KEYS, control, status_told, minutes=6).status == becomes
    assert StateEvent.objects.count() == before


def test_the_matrix_is_whole() -> None:
    assert set("NW SN NA XO SC CA OC CR DC OD RP RO RU HD RL PA CH".split()) == CONTROLS  # noqa: SIM905
    assert {control for control, _ in MATRIX} == CONTROLS
    assert refusal(HEAD, "ZZ") is OrderRefusal.UNMAPPED_CONTROL
    assert refusal(HEAD, "NW", "CM") is OrderRefusal.UNMAPPED_STATUS


def test_hold_and_release_lead_back() -> None:
    send()
    send(KEYS, "SC", "IP")
    send(KEYS, "HD", "HD")
    assert status() == "HELD"
    send(KEYS, "RL", "SC")
    assert status() == "STARTED"


def test_a_replaced_order_and_the_one_that_replaces_it() -> None:
    send()
    old = Order.objects.get()
    send(KEYS, "RP", "")
    new = OrderFacts(
        filler=EntityIdentifier("F2", "RIS"), accession=EntityIdentifier("A101", "RIS"), replaces=(FILLER,)
    )
    assert send(new, "RO", "").status == "SCHEDULED"
    assert Order.objects.get(filler_number="F2").replaces == old


def test_parents_have_no_step_and_children_do() -> None:
    parent = OrderFacts(placer=PLACER, accession=EntityIdentifier("A1"))
    assert send(parent, "PA", "").status == "REQUESTED"
    child = OrderFacts(filler=EntityIdentifier("C1"), accession=EntityIdentifier("A1"), parent=PLACER)
    send(child, "CH", "")
    assert ScheduledProcedureStep.objects.get().procedure.order.parent == Order.objects.get(placer_number="P1")


def test_the_fillers_order_gets_its_placers_number() -> None:
    send(replace(HEAD, placer=None), "SN", "SC")
    send(KEYS, "NA", "")
    assert Order.objects.get().placer_number == "P1"


def test_one_step_is_always_built_and_its_study_has_a_uid() -> None:
    bare = OrderFacts(filler=FILLER, accession=EntityIdentifier("A200", "RIS"))
    send(bare)
    step = ScheduledProcedureStep.objects.get()
    uid = step.procedure.study_instance_uid
    assert is_uid(uid)
    assert uid.startswith("2.25.")
    assert len(step.procedure.procedure_id) <= 16
    # Linked orders of one accession number are one study.
    send(replace(bare, filler=EntityIdentifier("F9", "RIS")))
    assert set(RequestedProcedure.objects.values_list("study_instance_uid", flat=True)) == {uid}
    send(replace(bare, filler=EntityIdentifier("F10", "RIS"), missing_study_uid="generate"))
    assert RequestedProcedure.objects.exclude(study_instance_uid=uid).count() == 1


def test_what_is_refused() -> None:
    reject = replace(HEAD, missing_study_uid="reject", procedures=(ProcedureFacts("RP9"),))
    assert refusal(reject) is OrderRefusal.NO_STUDY_UID
    assert refusal(OrderFacts()) is OrderRefusal.NO_ORDER_NUMBER
    assert refusal(KEYS) is OrderRefusal.NO_PROCEDURE_IDENTIFIER
    assert refusal(KEYS, "CA", "CA") is OrderRefusal.UNKNOWN_ORDER
    long = replace(HEAD, accession=EntityIdentifier("A" * 17))
    assert refusal(long) is OrderRefusal.ACCESSION_TOO_LONG
    assert refusal(replace(HEAD, filler=EntityIdentifier("F" * 65))) is OrderRefusal.TOO_LONG
    wrong = replace(HEAD, procedures=(ProcedureFacts("RP1", "1.2.x"),))
    assert refusal(wrong) is OrderRefusal.INVALID_UID
    differ = replace(HEAD, procedures=(ProcedureFacts("RP1", UID), ProcedureFacts("RP1", "1.2.3")))
    assert refusal(differ) is OrderRefusal.STUDY_UIDS_DIFFER
    assert not Order.objects.exists()
    send()
    assert refusal(HEAD, "XO", patient=B) is OrderRefusal.ANOTHER_PATIENTS
    send(KEYS, "SC", "CM")
    assert refusal(KEYS, "CA", "CA") is OrderRefusal.ILLEGAL_MOVE
    send(replace(HEAD, placer=EntityIdentifier("P2"), filler=EntityIdentifier("F2")))
    assert refusal(replace(KEYS, filler=EntityIdentifier("F2"))) is OrderRefusal.AMBIGUOUS_ORDER


def test_an_order_that_has_images_is_not_cancelled() -> None:
    send()
    image(StudyInstanceUID=UID)
    work()
    assert StudyOrderLink.objects.count() == 1
    applied = send(KEYS, "CA", "CA")
    assert (applied.status, applied.cancelled_with_images) == ("STARTED", True)
    assert Order.objects.get().cancelled_with_images


def test_an_order_goes_with_its_patient() -> None:
    send(patient=B)
    with transaction.atomic():
        patients.merge(B, PatientFacts((A,)), at(1))
    # The survivor's messages change it.
    assert send(KEYS, "SC", "IP", patient=A).status == "STARTED"


def test_every_move_of_the_machines_leads_somewhere_known_and_others_raise() -> None:
    for machine, moves in MACHINES.items():
        assert FIRST[machine] in moves
        assert {to for after in moves.values() for to in after} <= moves.keys()
        assert all(state not in after for state, after in moves.items())
    send()
    order = Order.objects.get()
    with pytest.raises(IllegalMove):
        transition(order, "REQUESTED", at())
    assert Order.objects.get().status == "SCHEDULED"


def test_arrival_moves_the_steps_of_the_visit() -> None:
    number = EntityIdentifier("V1", "HOSP")
    with transaction.atomic():
        patient = patients.apply(PatientFacts((A,)), at()).patient
        visits.apply(
            patient, VisitFacts(number, "O", "RAD^R1^^HOSP", referring="REF^RUTH"), VisitEffect.PRE_ADMIT, at()
        )
    send(replace(HEAD, visit=number))
    with transaction.atomic():
        visits.apply(patient, VisitFacts(number, location="RAD^R2"), VisitEffect.ARRIVE, at(1))
    visit = Visit.objects.get()
    assert (visit.status, visit.patient_class, visit.location) == ("ACTIVE", "O", "RAD^R2")
    assert status() == "ARRIVED"
    assert states("visit") == ["EXPECTED", "ACTIVE"]
    assert set(ScheduledProcedureStep.objects.values_list("status", flat=True)) == {"ARRIVED"}
    with transaction.atomic():
        visits.apply(patient, VisitFacts(number), VisitEffect.CANCEL, at(2))
    assert Visit.objects.get().status == "CANCELED"
    assert status() == "ARRIVED"


@committing
def test_feeds_at_once_end_as_one_after_the_other_would() -> None:
    """Two workers, one patient, one order: each message is applied whole, one order comes of it."""
    at_once([lambda n=n: send(replace(HEAD, reason=f"R{n}"), minutes=n) for n in range(8)])  # type: ignore[misc]
    order = Order.objects.get()
    assert order.reason.startswith("R")
    assert order.procedures.get().steps.count() == 2
    events = list(StateEvent.objects.filter(machine="order", subject=order.pk).order_by("pk"))
    assert [(e.before, e.after) for e in events] == [("", "REQUESTED"), ("REQUESTED", "SCHEDULED")]
    at_once([lambda n=n: send(KEYS, "SC", "IP", minutes=n) for n in range(4)])  # type: ignore[misc]
    assert StateEvent.objects.filter(machine="order", after="STARTED").count() == 1


def test_a_step_told_again_keeps_what_is_not_told() -> None:
    send()
    changed = replace(HEAD, procedures=(ProcedureFacts("RP1", steps=(StepFacts("SPS2", start_time="100000"),)),))
    send(changed, "XO", "SC")
    step = ScheduledProcedureStep.objects.get(step_id="SPS2")
    assert (step.start_time, step.start_date, step.station_ae_titles) == ("100000", "20250110", ["CT01"])
