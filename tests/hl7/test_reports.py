"""Reports that come by ORU: versions, what they are about, their order."""

from __future__ import annotations

import base64

import pytest

from archive.models import Patient, Study
from hl7.interfaces import Peer
from hl7.models import Hl7Interface, Hl7Message
from hl7.receive import receive
from reports.about import reports_of, studies_of
from reports.models import Report, ReportVersion
from tests.hl7.messages import MERGE, ORDER, REGISTER, REPORT, adt, code, error, wire
from worklist.models import Order, StateEvent

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def interface() -> Hl7Interface:
    return Hl7Interface.objects.create(name="any")


def sent(text: str) -> bytes | None:
    return receive(wire(text), Peer("mllp", "127.0.0.1")).now


def study(uid: str, patient_id: str = "123", accession: str = "") -> Study:
    patient = Patient.objects.get(patient_id=patient_id, issuer_of_patient_id="HOSP")
    return Study.objects.create(patient=patient, study_instance_uid=uid, accession_number=accession)


def test_a_final_report_and_its_correction() -> None:
    sent(REGISTER)
    sent(ORDER)
    assert code(sent(REPORT)) == "AA"
    report = Report.objects.get()
    assert (report.status, report.number, report.current) == ("FINAL", "F1", 1)
    first = report.versions.get()
    assert first.sections == [["59776-5", "No acute & no subacute bleed."], ["19005-8", "Normal."]]
    assert (first.signed_by, Order.objects.get().status) == ("RAD^RITA", "REPORTED")
    # The images come later.
    assert not studies_of(report).exists()
    found = study("1.2.840.99.1")
    study("1.2.840.99.9")
    assert list(studies_of(report)) == [found]
    assert list(reports_of(found)) == [report]
    corrected = (
        REPORT.replace("|R1|", "|R2|").replace("|||F|||||||501", "|||C|||||||501").replace("Normal.", "Small bleed.")
    )
    assert code(sent(corrected)) == "AA"
    versions = list(ReportVersion.objects.order_by("number").values_list("number", "status"))
    assert versions == [(1, "FINAL"), (2, "CORRECTED")]
    assert first.sections == ReportVersion.objects.get(number=1).sections
    machine = StateEvent.objects.filter(machine="report").order_by("pk")
    assert list(machine.values_list("before", "after")) == [("", "FINAL"), ("FINAL", "CORRECTED")]


def test_the_same_report_under_another_number_of_the_message() -> None:
    sent(REPORT)
    assert code(sent(REPORT.replace("|R1|", "|R2|"))) == "AA"
    assert ReportVersion.objects.count() == 1
    kept = Hl7Message.objects.order_by("pk").last()
    assert kept is not None
    assert "report known already" in kept.effect
    # Another text of a final report is a correction, whatever it is called.
    sent(REPORT.replace("|R1|", "|R3|").replace("Normal.", "Not normal."))
    assert Report.objects.get().status == "CORRECTED"


def test_what_is_refused() -> None:
    sent(REPORT)
    preliminary = REPORT.replace("|R1|", "|R4|").replace("|||F|||||||501", "|||P|||||||501").replace("Normal.", "x")
    assert error(sent(preliminary)) == ("AE", "103", "OBR^1^25")
    assert error(sent(preliminary.replace("|||P|", "|||Q|").replace("R4", "R5"))) == ("AE", "103", "OBR^1^25")
    other = REPORT.replace("|R1|", "|R6|").replace("123^^^HOSP", "77^^^HOSP")
    assert error(sent(other)) == ("AR", "205", "OBR^1^3")
    assert error(sent(REPORT.replace("|R1|", "|R7|").replace("1.2.840.99.1", "1.02.x")))[:2] == ("AE", "102")
    assert error(sent(REPORT.replace("|R1|", "|R8|").replace("|P1^EPIC|F1^RIS|", "|||"))) == ("AE", "101", "OBR^1^3")
    assert ReportVersion.objects.count() == 1
    assert not Patient.objects.filter(patient_id="77").exists()


def test_a_pdf_of_five_megabytes() -> None:
    pdf = b"%PDF-1.7 " + b"p" * (5 << 20)
    observation = f"OBX|4|ED|PDF^Report^L|1|^application^pdf^Base64^{base64.b64encode(pdf).decode()}||||||F"
    assert code(sent(f"{REPORT}\n{observation}")) == "AA"
    assert bytes(ReportVersion.objects.get().pdf or b"") == pdf
    broken = REPORT.replace("|R1|", "|R2|") + "\nOBX|4|ED|PDF^Report^L|1|^application^pdf^Base64^***||||||F"
    assert error(sent(broken)) == ("AE", "102", "OBX^4^5^1^5")


def test_by_accession_and_by_order_after_a_merge() -> None:
    receive(adt("A28", "x", "PID|1||124^^^HOSP||A^B"), Peer("mllp"))
    without = "\n".join(line for line in REPORT.splitlines() if "113014" not in line)
    by_accession = without.replace("123^^^HOSP", "124^^^HOSP").replace(
        "OBR|1|P1^EPIC|F1^RIS|CTHEAD^CT HEAD^L|||20250110092000|||||||||||",
        "OBR|1|P1^EPIC|F1^RIS|CTHEAD^CT HEAD^L|||20250110092000|||||||||||A7",
    )
    assert code(sent(by_accession)) == "AA"
    report = Report.objects.get()
    assert report.accession_numbers == ["A7"]
    found = study("1.2.3.7", "124", "A7")
    assert list(studies_of(report)) == [found]
    sent(REGISTER)
    strangers = study("1.2.3.8", "123", "A7")
    assert list(reports_of(strangers)) == []
    # Once both are one person, it is about both.
    assert code(sent(MERGE)) == "AA"
    report.refresh_from_db()
    assert set(studies_of(report)) == {found, strangers}
    assert list(reports_of(strangers)) == [report]


@pytest.mark.parametrize("field", ["OBR-3", "OBR-18", "a study"])
def test_a_number_too_long_for_an_index_is_not_our_fault(field: str) -> None:
    """An answer of ours (AR 207) would have it sent again and again."""
    long = "".join(f"{number * 2654435761 % 2**32:08x}" for number in range(2_000))
    told = REPORT.replace("F1^RIS", f"{long}^RIS") if field == "OBR-3" else REPORT
    if field == "OBR-18":
        told = told.replace("|||20250110092000||||||||||||||||||F|", f"|||20250110092000|||||||||||{long}|||||||F|")
    if field == "a study":
        told = told.replace("1.2.840.99.1|", f"1.2.{long}|")
    answer = sent(told)
    # In OBR-18 anything may stand.
    assert code(answer) == "AA" if field == "OBR-18" else error(answer)[:2] == ("AE", "102")
    assert [report.accession_numbers for report in Report.objects.all()] == ([[]] if field == "OBR-18" else [])
