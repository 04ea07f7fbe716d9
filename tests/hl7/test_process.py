"""The listener as a process of its own, and senders that are none of ours: what each message does, and its answer."""

from __future__ import annotations

import socket
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hl7.framing import framed
from tests.hl7.installation import Installation, mllp_send
from tests.hl7.messages import CANCEL, HEAD, LEGACY, MERGE, ORDER, PID, REGISTER, REPORT, adt, code, error, wire
from tests.hl7.sender import Sender

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def live() -> Iterator[Installation]:
    made = Installation().take_messages()
    yield made
    made.stop()


def test_a_foreign_sender(live: Installation, tmp_path: Path) -> None:
    """One story in seven messages, each by a process of another make; the last two ones once more."""
    for text in (REGISTER, ORDER, LEGACY, CANCEL):
        assert "MSA|AA|" in mllp_send(live.hl7_port, tmp_path, text), text
    rows = live.query("SELECT accession_number, status FROM worklist_order ORDER BY id")
    assert rows == [("A100", "SCHEDULED"), ("A200", "CANCELED")]
    steps = live.query("SELECT step_id, modality, station_ae_titles, status FROM worklist_scheduledprocedurestep")
    assert sorted(steps) == [
        ("SPS1", "CT", ["CT01"], "SCHEDULED"),
        ("SPS2", "CT", ["CT01"], "SCHEDULED"),
        ("SPS9", "CR", [], "CANCELED"),
    ]
    uids = live.query("SELECT study_instance_uid FROM worklist_requestedprocedure ORDER BY id")
    assert uids == [("1.2.840.99.1",), ("1.2.840.99.2",)]
    events = live.count("worklist_stateevent")
    assert "MSA|AA|L2" in mllp_send(live.hl7_port, tmp_path, CANCEL)
    assert live.count("worklist_stateevent") == events
    assert "MSA|AA|" in mllp_send(live.hl7_port, tmp_path, MERGE)
    assert "MSA|AA|" in mllp_send(live.hl7_port, tmp_path, MERGE.replace("|A2|", "|A2b|"))
    again = mllp_send(live.hl7_port, tmp_path, MERGE.replace("|A2|", "|A2c|").replace("MRG|124", "MRG|123"))
    assert "MSA|AR|A2c" in again
    assert "|205^" in again
    assert live.states() == ["applied"] * 4 + ["repeated", "applied", "applied", "parked"]
    merged = "SELECT p.patient_id FROM archive_patient m JOIN archive_patient p ON p.id = m.merged_into_id "
    assert live.query(f"{merged} WHERE m.patient_id = '124'") == [("123",)]


def test_a_report_and_its_correction(live: Installation, tmp_path: Path) -> None:
    corrected = REPORT.replace("|R1|", "|R2|").replace("|F|||||||501", "|C|||||||501").replace("Normal.", "Fracture.")
    sent = mllp_send(live.hl7_port, tmp_path, ORDER, REPORT, corrected)
    assert [each[:2] for each in sent.split("MSA|")[1:]] == ["AA"] * 3
    assert live.query("SELECT status, current, study_instance_uids FROM reports_report") == [
        ("CORRECTED", 2, ["1.2.840.99.1"])
    ]
    versions = live.query("SELECT number, status, sections FROM reports_reportversion ORDER BY number")
    assert [version[:2] for version in versions] == [(1, "FINAL"), (2, "CORRECTED")]
    assert [version[2][-1][-1] for version in versions] == ["Normal.", "Fracture."]
    assert versions[0][2][0] == ["59776-5", "No acute & no subacute bleed."]
    assert live.query("SELECT status FROM worklist_order WHERE accession_number = 'A100'") == [("REPORTED",)]


def test_however_it_is_cut(live: Installation) -> None:
    """In 50 packets; two in one; cut off before its end, and then whole."""
    message = adt("A28", "cut-1", "PID|1||CUT1^^^HOSP||A^B")
    stream = framed(message)
    with Sender(live.hl7_port) as sender:
        sender.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        step = max(1, len(stream) // 50)
        for at in range(0, len(stream), step):
            sender.send(stream[at : at + step])
        assert code(sender.answer()) == "AA"
        sender.send(b"".join(framed(adt("A28", f"cut-{n}", f"PID|1||CUT{n}^^^HOSP||A^B")) for n in (2, 3)))
        assert b"MSA|AA|cut-2" in sender.answer()
        assert b"MSA|AA|cut-3" in sender.answer()
    last = adt("A28", "cut-4", "PID|1||CUT4^^^HOSP||A^B")
    before = live.count("hl7_hl7message")
    with Sender(live.hl7_port) as sender:
        sender.send(framed(last)[:-10] + b"\x1c")
        sender.socket.shutdown(socket.SHUT_WR)
        assert sender.answer() == b""
    assert live.count("hl7_hl7message") == before
    with Sender(live.hl7_port) as sender:
        assert code(sender.ask(last)) == "AA"
    assert live.query("SELECT count(*) FROM archive_patient WHERE patient_id LIKE 'CUT_'") == [(4,)]


def test_a_report_with_a_pdf_of_five_megabytes(live: Installation) -> None:
    pdf = b"%PDF-1.4\n" + bytes(range(256)) * (5 << 12)
    report = wire(REPORT.replace("|R1|", "|PDF1|").replace("F1^RIS", "F9^RIS").replace("P1^EPIC", "P9^EPIC"))
    report += b"\rOBX|4|ED|PDF^Report^L||^application^pdf^Base64^" + b64encode(pdf) + b"||||||F"
    with Sender(live.hl7_port) as sender:
        assert code(sender.ask(report)) == "AA"
    assert live.query("SELECT pdf FROM reports_reportversion WHERE pdf IS NOT NULL") == [(pdf,)]


def test_characters(live: Installation) -> None:
    """Latin-1 where MSH-18 is empty, `UNICODE` alone, and bytes that the declared set can't mean."""
    head = "MSH|^~\\&|ADT|HOSP|PACS|IMG|20250110080000||ADT^A28|{0}|P|2.5.1||||||{1}\rPID|1||{0}^^^HOSP||MÜLLER^ZOË"
    with Sender(live.hl7_port) as sender:
        assert code(sender.ask(head.format("latin", "").encode("latin-1"))) == "AA"
        assert code(sender.ask(head.format("bare", "UNICODE").encode())) == "AA"
        assert error(sender.ask(head.format("broken", "UNICODE UTF-8").encode("latin-1")))[:2] == ("AE", "102")
        assert error(sender.ask(head.format("strange", "KLINGON").encode()))[:2] == ("AE", "103")
    found = live.query(
        "SELECT patient_name FROM archive_patient WHERE patient_id IN ('latin', 'bare', 'broken', 'strange')"
    )
    assert found == [("MÜLLER^ZOË",)] * 2


@pytest.mark.parametrize(
    ("control", "message", "expected"),
    [
        ("version", adt("A28", "version", PID).replace(b"|2.5.1|", b"|2.9|"), ("AR", "203", "MSH^1^12")),
        ("training", adt("A28", "training", PID).replace(b"|P|2.5.1|", b"|T|2.5.1|"), ("AR", "202", "MSH^1^11")),
        ("control", wire(ORDER.replace("|O1|", "|control|").replace("ORC|NW", "ORC|ZZ")), ("AE", "103", "ORC^1^1")),
        ("nobody", adt("A28", "nobody", "PID|1||||A^B"), ("AE", "101", "PID^1^3")),
        ("kind", adt("A28", "kind", PID).replace(b"ADT^A28", b"QBP^Q22"), ("AR", "200", "MSH^1^9^1^1")),
        ("event", adt("Z99", "event", PID), ("AR", "201", "MSH^1^9^1^2")),
    ],
)
def test_what_is_refused_has_no_effect(
    live: Installation, control: str, message: bytes, expected: tuple[str, str, str]
) -> None:
    tables = ("archive_patient", "worklist_order", "worklist_stateevent", "archive_attributeoverride")
    before = [live.count(table) for table in tables]
    with Sender(live.hl7_port) as sender:
        answer = sender.ask(message)
    assert error(answer) == expected
    assert f"|{control}|".encode() in answer
    assert [live.count(table) for table in tables] == before


def test_an_identifier_an_appointment_and_a_document_move(live: Installation) -> None:
    """A43, S13 and T10."""
    order = ORDER.replace("|O1|", "|moved-1|").replace("P1^EPIC", "P7^EPIC").replace("F1^RIS", "F7^RIS")
    order = order.replace("A100", "A107").replace("99.1|", "99.7|").replace("123^^^HOSP&1.2.3.4&ISO", "M1^^^HOSP")
    booked = (
        HEAD.format(app="RIS", type="SIU^S13", control="moved-3")
        + "\nSCH|S1||||||||||^^^20250112103000|||||||||||||||P7^EPIC|F7^RIS\nPID|1||M2^^^HOSP||B^C\nRGS|1"
    )
    document = (
        HEAD.format(app="RIS", type="MDM^{event}", control="{control}")
        + "\nEVN||20250110090000\nPID|1||M2^^^HOSP||B^C\nPV1|1|O\n"
        + "TXA|1|RAD|TX|20250110090000||||||||{number}^RIS|{parent}|P7^EPIC|F7^RIS||AU\n"
        + "OBX|1|TX|59776-5^Findings^LN|1|{text}||||||F"
    )
    first = document.format(event="T02", control="moved-4", number="D1", parent="", text="One.")
    second = document.format(event="T10", control="moved-5", number="D2", parent="D1^RIS", text="Two.")
    with Sender(live.hl7_port) as sender:
        assert code(sender.ask(wire(order))) == "AA"
        move = adt("A43", "moved-2", "EVN||20250110090000", "PID|1||M2^^^HOSP||B^C", "MRG|M1^^^HOSP")
        for message in (move, wire(booked), wire(first), wire(second)):
            assert code(sender.ask(message)) == "AA", message
    person = "SELECT coalesce(m.patient_id, p.patient_id) FROM worklist_order o JOIN archive_patient p "
    person += "ON p.id = o.patient_id LEFT JOIN archive_patient m ON m.id = p.merged_into_id"
    assert live.query(f"{person} WHERE o.accession_number = 'A107'") == [("M2",)]
    starts = "SELECT DISTINCT s.start_date, s.start_time FROM worklist_scheduledprocedurestep s JOIN "
    starts += "worklist_requestedprocedure r ON r.id = s.procedure_id JOIN worklist_order o ON o.id = r.order_id"
    assert live.query(f"{starts} WHERE o.accession_number = 'A107'") == [("20250112", "103000")]
    texts = "SELECT v.sections FROM reports_reportversion v JOIN reports_report r ON r.id = v.report_id "
    texts += "JOIN worklist_order o ON o.id = r.order_id WHERE o.accession_number = 'A107' ORDER BY v.id"
    assert [row[0][0][1] for row in live.query(texts)] == ["One.", "Two."]


def test_two_hundred_orders_at_once_keep_the_order_of_each_patient(live: Installation) -> None:
    """More than a minute's worth, by four senders that wait for no answer."""
    senders, patients, each = 4, 5, 10

    def orders(number: int) -> list[bytes]:
        return [
            wire(
                ORDER.replace("|O1|", f"|fast-{number}-{turn}-{patient}|")
                .replace("P1^EPIC", f"FP{number}-{turn}-{patient}^EPIC")
                .replace("F1^RIS", f"FF{number}-{turn}-{patient}^RIS")
                .replace("99.1|", f"99.8.{number}.{turn}.{patient}|")
                .replace("A100", f"F{number}{turn}{patient}")
                .replace("123^^^HOSP&1.2.3.4&ISO", f"FAST{number}{patient}^^^HOSP")
                .replace("V1^^^HOSP", f"FV{number}{patient}^^^HOSP")
            )
            for turn in range(each)
            for patient in range(patients)
        ]

    def send(number: int) -> list[str]:
        with Sender(live.hl7_port) as sender:
            sender.socket.settimeout(120)
            messages = orders(number)
            sender.send(b"".join(framed(message) for message in messages))
            answers = [sender.answer() for _ in messages]
        for answer, message in zip(answers, messages, strict=True):
            assert b"|" + message.split(b"|")[9] in answer
        return [code(answer) for answer in answers]

    with ThreadPoolExecutor(senders) as pool:
        assert [code for codes in pool.map(send, range(senders)) for code in codes] == ["AA"] * 200
    found = live.query(
        "SELECT p.patient_id, array_agg(split_part(o.placer_number, '-', 2)::int ORDER BY o.id) FROM worklist_order o "
        "JOIN archive_patient p ON p.id = o.patient_id WHERE p.patient_id LIKE 'FAST%%' GROUP BY 1"
    )
    assert len(found) == senders * patients
    assert all(turns == list(range(each)) for _, turns in found)
