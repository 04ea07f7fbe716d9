"""What becomes of a message: kept, applied once, answered by the table."""

from __future__ import annotations

import pytest
from django.db import OperationalError, transaction

from archive.models import Patient, PatientLink
from audit.models import AccessEvent
from hl7 import receive as receiving
from hl7.header import Header
from hl7.interfaces import Peer
from hl7.models import Hl7Interface, Hl7Message
from hl7.receive import receive
from tests.hl7.messages import CANCEL, HEAD, LEGACY, MERGE, ORDER, PID, REGISTER, adt, code, error, wire
from worklist.models import Order, RequestedProcedure, ScheduledProcedureStep, StateEvent, Visit

pytestmark = pytest.mark.django_db
HERE = Peer("mllp", "127.0.0.1")


@pytest.fixture(autouse=True)
def interface() -> Hl7Interface:
    return Hl7Interface.objects.create(name="any")


def sent(raw: bytes | str, peer: Peer = HERE) -> bytes | None:
    return receive(wire(raw) if isinstance(raw, str) else raw, peer).now


def last() -> Hl7Message:
    found = Hl7Message.objects.order_by("pk").last()
    assert found is not None
    return found


def test_a_patient_is_registered() -> None:
    assert code(sent(REGISTER)) == "AA"
    patient = Patient.objects.get(patient_id="123")
    assert (patient.issuer_of_patient_id, patient.patient_name) == ("HOSP", "MÜLLER^JANE^Q^DR")
    assert (patient.patient_birth_date, patient.patient_sex) == ("19800101", "F")
    assert Patient.objects.get(patient_id="999").person == patient.pk
    assert (Visit.objects.get().number, Visit.objects.get().location) == ("V1", "RAD^R1^^HOSP")
    kept = last()
    assert (kept.state, kept.type, kept.patient, bytes(kept.raw)) == ("applied", "ADT^A04", patient.pk, wire(REGISTER))
    event = AccessEvent.objects.get(kind="patient_record")
    assert (event.patient_ids, event.source_ip, event.outcome) == (["123"], "127.0.0.1", 0)


def test_an_order_with_two_steps() -> None:
    assert code(sent(ORDER)) == "AA"
    order = Order.objects.get()
    assert (order.accession_number, order.status) == ("A100", "SCHEDULED")
    assert RequestedProcedure.objects.get().study_instance_uid == "1.2.840.99.1"
    steps = ScheduledProcedureStep.objects.order_by("pk")
    assert [(step.step_id, step.modality, step.station_ae_titles) for step in steps] == [
        ("SPS1", "CT", ["CT01"]),
        ("SPS2", "CT", ["CT01"]),
    ]
    assert last().order == order.pk


def test_a_legacy_order_cancelled_and_sent_again() -> None:
    assert code(sent(LEGACY)) == "AA"
    assert RequestedProcedure.objects.get().study_instance_uid == "1.2.840.99.2"
    first = sent(CANCEL)
    assert code(first) == "AA"
    assert Order.objects.get().status == "CANCELED"
    events = StateEvent.objects.count()
    assert sent(CANCEL) == first
    assert StateEvent.objects.count() == events
    assert [each.state for each in Hl7Message.objects.order_by("pk")] == ["applied", "applied", "repeated"]


def test_a_merge_once_and_again_and_into_itself() -> None:
    sent(REGISTER)
    sent(adt("A04", "x", PID.replace("123^", "124^")))
    assert code(sent(MERGE)) == "AA"
    assert Patient.objects.get(patient_id="124").merged_into == Patient.objects.get(patient_id="123")
    assert code(sent(MERGE.replace("|A2|", "|A3|"))) == "AA"
    same = sent(MERGE.replace("|A2|", "|A4|").replace("MRG|124", "MRG|123"))
    assert error(same)[:2] == ("AR", "205")
    swapped = MERGE.replace("|A2|", "|A5|").replace("123^", "9^").replace("MRG|124", "MRG|123").replace("9^", "124^")
    assert code(sent(swapped)) in ("AA", "AR")


def test_two_merges_in_one_message_or_none() -> None:
    for number in ("1", "2", "3", "4"):
        sent(adt("A28", f"r{number}", f"PID|1||{number}^^^HOSP||A^B"))
    two = ("PID|1||1^^^HOSP", "MRG|2^^^HOSP", "PID|2||3^^^HOSP", "MRG|4^^^HOSP")
    assert code(sent(adt("A40", "m1", *two))) == "AA"
    assert Patient.objects.filter(merged_into=None).count() == 2
    bad = ("PID|1||1^^^HOSP", "MRG|3^^^HOSP", "PID|2||7^^^HOSP", "MRG|7^^^HOSP")
    assert (
        error(sent(adt("A40", "m2", *bad))) == ("AR", "205", "MRG^2^1")
        or error(sent(adt("A40", "m2", *bad)))[1] == "205"
    )
    assert Patient.objects.filter(merged_into=None).count() == 2
    assert error(sent(adt("A40", "m3", "PID|1||1^^^HOSP"))) == ("AE", "101", "MRG^1^1")


def test_links_moves_and_changes() -> None:
    for number in ("1", "2"):
        sent(adt("A28", f"r{number}", f"PID|1||{number}^^^HOSP||A^B"))
    assert code(sent(adt("A24", "l", "PID|1||1^^^HOSP", "PID|2||2^^^HOSP"))) == "AA"
    assert PatientLink.objects.count() == 1
    assert code(sent(adt("A37", "u", "PID|1||1^^^HOSP", "PID|2||2^^^HOSP"))) == "AA"
    assert PatientLink.objects.count() == 0
    assert code(sent(adt("A47", "c", "PID|1||11^^^HOSP", "MRG|1^^^HOSP"))) == "AA"
    assert Patient.objects.get(patient_id="1").merged_into == Patient.objects.get(patient_id="11")
    assert error(sent(adt("A47", "c2", "PID|1||2^^^HOSP", "MRG|11^^^HOSP"))) == ("AR", "205", "PID^1^3")
    assert code(sent(adt("A40", "m", "PID|1||2^^^HOSP", "MRG|11^^^HOSP"))) == "AA"
    assert code(sent(adt("A43", "v", "PID|1||5^^^HOSP||N^N", "MRG|11^^^HOSP"))) == "AA"


def test_absent_and_null_values() -> None:
    sent(REGISTER)
    sent(adt("A08", "n1", "EVN||20250111", "PID|1||123^^^HOSP||NEW^NAME|"))
    assert Patient.objects.get(patient_id="123").patient_sex == "F"
    sent(adt("A08", "n2", "EVN||20250112", 'PID|1||123^^^HOSP||||""|""'))
    patient = Patient.objects.get(patient_id="123")
    assert (patient.patient_name, patient.patient_birth_date, patient.patient_sex) == ("NEW^NAME", "", "")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (adt("A04", "e1", "PID|1||||A^B"), ("AE", "101", "PID^1^3")),
        (adt("A04", "e2"), ("AE", "101", "PID^1^3")),
        (adt("A04", "e3", "PID|1||7^^^HOSP||A^B||19801350"), ("AE", "102", "PID^1^7")),
        (wire(ORDER.replace("ORC|NW", "ORC|ZZ")), ("AE", "103", "ORC^1^1")),
        (wire(ORDER.replace("2.5.1", "2.9")), ("AR", "203", "MSH^1^12")),
        (wire(ORDER.replace("|P|2.5.1", "|T|2.5.1")), ("AR", "202", "MSH^1^11")),
        (wire(ORDER.replace("OMI^O23", "OMI^O99")), ("AR", "201", "MSH^1^9^1^2")),
        (wire(ORDER.replace("OMI^O23", "ZZZ^Z99")), ("AR", "200", "MSH^1^9^1^1")),
        (wire(ORDER.replace("UNICODE UTF-8", "KLINGON")), ("AE", "103", "MSH^1^18")),
        (wire(ORDER).replace("Ü".encode(), b"\xdc"), ("AE", "102", "MSH^1^18")),
        (wire(CANCEL), ("AR", "204", "ORC^1^2")),
        (wire(LEGACY.replace("A200", "A" * 17)), ("AE", "102", "OBR^1^18")),
        (wire(LEGACY.replace("1.2.840.99.2", "not.a.uid")), ("AE", "102", "ZDS^1^1")),
    ],
)
def test_errors_by_the_table(raw: bytes, expected: tuple[str, str, str]) -> None:
    answer = sent(raw)
    assert error(answer) == expected
    assert Order.objects.count() == 0
    assert last().state in ("parked", "refused")
    for value in ("MÜLLER", "ROE", "123^^^", "19800101", "1980"):
        assert value.encode() not in (answer or b"")
        assert value not in last().error


def test_unknown_senders_and_authorities() -> None:
    Hl7Interface.objects.update(sending_application="RIS")
    assert error(sent(REGISTER)) == ("AE", "103", "MSH^1^3")
    assert last().interface is None
    Hl7Interface.objects.update(sending_application="", profile={"trusted": ["EPI"], "authority": "EPI"})
    assert code(sent(REGISTER.replace("|A1|", "|A5|"))) == "AA"
    assert Patient.objects.get().patient_id == "999"
    assert error(sent(ORDER)) == ("AR", "204", "PID^1^3")


def test_a_certificate_binds_an_interface() -> None:
    Hl7Interface.objects.update(certificate_sha256="ab" * 32)
    assert error(sent(REGISTER))[1] == "103"
    assert error(sent(REGISTER, Peer("mllp-tls", "127.0.0.1", "cd" * 32)))[1] == "103"
    assert code(sent(REGISTER, Peer("mllp-tls", "127.0.0.1", "ab" * 32))) == "AA"


def test_a_message_is_parked_and_its_sender_goes_on() -> None:
    Hl7Interface.objects.update(profile={"on_semantic_error": "ack_and_park"})
    assert code(sent(ORDER.replace("ORC|NW", "ORC|ZZ"))) == "AA"
    assert (last().state, last().condition, last().place) == ("parked", 103, "ORC^1^1")
    # What isn't for us at all is refused all the same.
    assert code(sent(ORDER.replace("2.5.1", "2.9"))) == "AR"


def test_a_number_used_again_for_another_message() -> None:
    sent(REGISTER)
    assert code(sent(REGISTER.replace("MÜLLER", "MEIER"))) == "AA"
    assert Patient.objects.get(patient_id="123").patient_name == "MEIER^JANE^Q^DR"
    # The same once more, at another time.
    assert (
        code(sent(REGISTER.replace("MÜLLER", "MEIER").replace("20250110080000-0600||ADT", "20250110080009||ADT")))
        == "AA"
    )
    assert last().state == "repeated"


def test_enhanced_mode() -> None:
    raw = wire(ORDER.replace("2.5.1||||||", "2.5.1|||AL|NE||"))
    assert code(sent(raw)) == "CA"
    assert Order.objects.count() == 1
    both = receive(wire(REGISTER.replace("2.5.1||||||", "2.5.1|||AL|AL||")), HERE)
    assert (code(both.now), code(both.later)) == ("CA", "AA")
    assert bytes(last().later or b"") == both.later
    Hl7Interface.objects.update(profile={"ack": "original"})
    assert code(sent(raw.replace(b"|O1|", b"|O2|"))) == "AA"


def test_our_own_fault_is_told_and_the_same_message_applied_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("MÜLLER")

    with monkeypatch.context() as patch:
        patch.setattr(receiving, "record_message", broken)
        answer = sent(REGISTER)
        assert answer is not None
        assert error(answer)[:2] == ("AR", "207")
        assert "MÜLLER".encode() not in answer
    assert (last().state, Patient.objects.count()) == ("failed", 0)
    assert code(sent(REGISTER)) == "AA"
    assert Patient.objects.count() == 2


def test_a_process_that_ended_before_it_answered() -> None:
    """The raw bytes are there, the effect isn't: the same message is applied when it comes again."""
    raw = wire(REGISTER)
    header = Header.of(raw)
    receiving._keep(raw, raw, header, HERE)
    assert code(sent(REGISTER)) == "AA"
    assert [each.state for each in Hl7Message.objects.order_by("pk")] == ["superseded", "applied"]


def test_effect_and_answer_are_one_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(kept: Hl7Message, outcome: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(receiving, "_note", lost)
    monkeypatch.setattr(receiving, "_note_failure", lambda *_: None)
    assert error(sent(REGISTER))[1] == "207"
    assert Patient.objects.count() == 0
    assert last().state == "received"


def test_a_deadlock_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from psycopg.errors import DeadlockDetected

    tries = []
    once = receiving._once

    def unlucky(*words: object) -> object:
        tries.append(1)
        if len(tries) < 3:
            with transaction.atomic():
                raise OperationalError from DeadlockDetected()
        return once(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(receiving, "_once", unlucky)
    assert code(sent(REGISTER)) == "AA"
    assert len(tries) == 3


def test_older_news_does_not_undo_newer() -> None:
    sent(REGISTER)
    old = adt("A08", "old", "EVN||20240101", "PID|1||123^^^HOSP||OLD^NAME|||M")
    assert code(sent(old)) == "AA"
    assert Patient.objects.get(patient_id="123").patient_name == "MÜLLER^JANE^Q^DR"
    # A clock that is ahead does not close the record for everybody else.
    sent(adt("A08", "future", "EVN||20990101", "PID|1||123^^^HOSP||FUTURE^NAME"))
    newer = HEAD.format(app="ADT", type="ADT^A08", control="now").replace("20250110080000", "")
    assert code(sent(f"{newer}\nPID|1||123^^^HOSP||TODAY^NAME")) == "AA"
    assert Patient.objects.get(patient_id="123").patient_name == "TODAY^NAME"


@pytest.mark.parametrize("value", ["ADT", "HOSP", "A1", "ADT_A01"])
def test_a_nul_in_the_header_is_kept_and_answered(value: str) -> None:
    """PostgreSQL holds none: a sender that is told to try again would do so for ever."""
    raw = wire(REGISTER).replace(f"{value}|".encode(), f"{value[0]}\0{value[1:]}|".encode(), 1)
    assert b"\0" in raw
    assert code(sent(raw)) == "AA"
    kept = last()
    assert (kept.sending_application, kept.sending_facility, kept.control_id) == ("ADT", "HOSP", "A1")
    assert bytes(kept.raw) == raw
