"""Documents that come by MDM, addenda, files and links of reports, and reports that come before their order."""

from __future__ import annotations

import base64

import pytest

from archive import outbox
from archive.models import OutboxEntry
from archive.tasks import TASKS
from hl7.interfaces import Peer
from hl7.models import Hl7Interface, Hl7Message
from hl7.receive import receive
from reports.late_orders import REPORTS_OF_ORDER
from reports.models import Report, ReportAttachment, ReportVersion
from reports.receiving import version_kept
from tests.hl7.messages import HEAD, ORDER, PID, REPORT, code, error, wire
from worklist.models import Order, StateEvent

pytestmark = pytest.mark.django_db
TXA = "TXA|1|DI|TX|202501101100||202501101100||20250110111500|501^RAD^RITA|||{number}|{parent}|P1^EPIC|F1^RIS||{status}"
TEXT = "OBX|1|TX|18748-4^Report^LN|1|{}||||||F"


@pytest.fixture(autouse=True)
def interface() -> Hl7Interface:
    return Hl7Interface.objects.create(name="any")


def sent(text: str) -> bytes | None:
    return receive(wire(text), Peer("mllp", "127.0.0.1")).now


def document(event: str, control: str, number: str, status: str, *observations: str, parent: str = "") -> bytes | None:
    txa = TXA.format(number=number, parent=parent, status=status)
    return sent("\n".join((HEAD.format(app="DOC", type=f"MDM^{event}", control=control), PID, txa, *observations)))


def versions() -> list[tuple[int, str, str]]:
    rows = ReportVersion.objects.order_by("report", "number")
    return [(row.number, row.status, " ".join(text for _, text in row.sections)) for row in rows]


def test_a_document_from_its_first_word_to_its_end() -> None:
    sent(ORDER)
    assert code(document("T02", "1", "D1^DOC", "DO", TEXT.format("First."))) == "AA"
    assert Order.objects.get().status != "REPORTED"
    # Signed as it stands.
    assert code(document("T04", "2", "D1^DOC", "AU")) == "AA"
    assert Order.objects.get().status == "REPORTED"
    assert code(document("T08", "3", "D1^DOC", "AU", TEXT.format("Edited."))) == "AA"
    assert code(document("T10", "4", "D2^DOC", "LA", TEXT.format("Replaced."), parent="D1^DOC")) == "AA"
    assert code(document("T06", "5", "D3^DOC", "AU", TEXT.format("Also seen."), parent="D2^DOC")) == "AA"
    assert code(document("T11", "6", "D2^DOC", "")) == "AA"
    assert versions() == [
        (1, "PRELIMINARY", "First."),
        (2, "FINAL", "First."),
        (3, "CORRECTED", "Edited."),
        (4, "CORRECTED", "Replaced."),
        (5, "ADDENDED", "Replaced. Also seen."),
        (6, "CANCELLED", "Replaced. Also seen."),
    ]
    report = Report.objects.get()
    assert (report.numbered_by, report.number, report.status, report.order) == (
        "document",
        "D1",
        "CANCELLED",
        Order.objects.get(),
    )
    signed = ReportVersion.objects.get(number=2)
    assert (signed.signed_by, signed.signed_at) == ("RAD^RITA", "20250110111500")
    assert StateEvent.objects.filter(machine="report").count() == 5


def test_an_addendum_to_what_is_not_signed_keeps_its_text() -> None:
    document("T02", "1", "D1^DOC", "DO", TEXT.format("First."))
    assert code(document("T06", "2", "D2^DOC", "AU", TEXT.format("Also seen."), parent="D1^DOC")) == "AA"
    assert versions() == [(1, "PRELIMINARY", "First."), (2, "FINAL", "First. Also seen.")]


def test_documents_that_are_refused() -> None:
    for event in ("T04", "T11"):
        assert error(document(event, event, "D9", "AU")) == ("AR", "204", "TXA^1^12")
    assert code(document("T08", "edit", "D9", "AU", TEXT.format("Edited, and not known before."))) == "AA"
    assert error(document("T08", "early", "D9", "IP", TEXT.format("x"))) == ("AE", "103", "TXA^1^17")
    head = HEAD.format(app="DOC", type="MDM^T02", control="none")
    assert error(sent(f"{head}\n{PID}\n{TEXT.format('x')}")) == ("AE", "101", "TXA^1^12")
    assert error(sent(HEAD.format(app="DOC", type="MDM^T01", control="t1") + "\n" + PID)) == (
        "AR",
        "201",
        "MSH^1^9^1^2",
    )


def test_an_addendum_alone_and_with_the_whole() -> None:
    addendum = (
        REPORT.replace("|R1|", "|R2|").replace("59776-5^Findings", "CTHEAD&ADT^").replace("No acute", "Addendum.")
    )
    sent(REPORT)
    sent(addendum)
    assert [row[:2] for row in versions()] == [(1, "FINAL"), (2, "ADDENDED")]
    assert versions()[1][2] == "Addendum. & no subacute bleed. Normal."
    Hl7Interface.objects.update(profile={"report_addendum": "append"})
    alone = "\n".join(line for line in REPORT.splitlines() if "OBX|2" not in line and "OBX|1" not in line)
    later = alone.replace("|R1|", "|R3|").replace("Normal.", "One more thing.")
    sent(later)
    assert versions()[2] == (3, "ADDENDED", "Addendum. & no subacute bleed. Normal. One more thing.")
    # The same once more, under another number of the message, adds nothing.
    sent(later.replace("|R3|", "|R4|"))
    assert Report.objects.get().current == 3
    sent(alone.replace("|R1|", "|R5|").replace("|||F|||||||501", "|||C|||||||501").replace("Normal.", "All anew."))
    assert versions()[3] == (4, "CORRECTED", "All anew.")


@pytest.mark.parametrize(("told", "status"), [("X", "CANCELLED"), ("D", "ENTERED_IN_ERROR"), ("W", "ENTERED_IN_ERROR")])
def test_what_is_taken_back_may_be_written_again(told: str, status: str) -> None:
    sent(REPORT)
    sent(REPORT.replace("|R1|", "|R2|").replace("|||F|||||||501", f"|||{told}|||||||501"))
    assert Report.objects.get().status == status
    sent(REPORT.replace("|R1|", "|R3|").replace("Normal.", "Right this time."))
    assert [row[1] for row in versions()] == ["FINAL", status, "FINAL"]


def observation(kind: str, value: str) -> str:
    return f"OBX|9|{kind}|A1^Attached^L||{value}||||||F"


def test_files_by_their_content_and_links_as_they_stand() -> None:
    pdf, cda = b"%PDF-1.7 x", b'<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"/>'
    coded = [base64.b64encode(data).decode() for data in (pdf, cda, pdf + b"2", b"\0\1")]
    lines = [
        observation("ED", f"RIS^AP^^Base64^{coded[0]}"),
        observation("ED", f"^multipart^x-hl7-cda-level-one^Base64^{coded[1]}"),
        observation("ED", f"^application^pdf^Base64^{coded[2]}"),
        observation("ED", "^application^octet-stream^Hex^7b5c727466317d"),
        observation("ED", "^application^pdf^Base64^"),
        observation("RP", "https://ris.example/r?a=1&b=2^RIS^image^jpeg"),
    ]
    assert code(sent("\n".join((REPORT, *lines)))) == "AA"
    version = ReportVersion.objects.get()
    assert bytes(version.pdf or b"") == pdf
    rows = ReportAttachment.objects.filter(version=version).order_by("place")
    found = [(row.media_type, row.title, row.link, bytes(row.data or b"")) for row in rows]
    assert found[0] == ("text/xml", "Attached", "", cda)
    assert found[1] == ("application/pdf", "Attached", "", pdf + b"2")
    assert found[3][:3] == ("image/jpeg", "Attached", "https://ris.example/r?a=1&b=2")
    faults = {
        f"^application^pdf^Base64^{coded[3]}": "OBX^4^5^1^5",
        "^application^rtf^Base64^***": "OBX^4^5^1^5",
        "^application^rtf^Rot13^abc": "OBX^4^5^1^4",
    }
    for number, (value, place) in enumerate(faults.items()):
        broken = REPORT.replace("|R1|", f"|B{number}|") + "\n" + observation("ED", value)
        assert error(sent(broken)) == ("AE", "102", place)
    many = REPORT.replace("|R1|", "|B9|") + 30 * ("\n" + observation("RP", "https://ris.example/1"))
    assert error(sent(many))[:2] == ("AE", "102")


def test_a_report_that_comes_before_its_order() -> None:
    kept: list[int] = []
    version_kept.connect(receiver := lambda version, **_: kept.append(version.number), weak=False)
    try:
        sent(REPORT)
    finally:
        version_kept.disconnect(receiver)
    assert kept == [1]
    assert Report.objects.get().order is None
    sent(ORDER)
    assert Order.objects.get().status == "SCHEDULED"
    entry = OutboxEntry.objects.get(kind=REPORTS_OF_ORDER)
    outbox.run(entry.pk, TASKS)
    assert Report.objects.get().order == Order.objects.get()
    assert Order.objects.get().status == "REPORTED"
    # Another message about the order finds nothing that waits.
    OutboxEntry.objects.all().delete()
    sent(ORDER.replace("|O1|", "|O2|"))
    assert not OutboxEntry.objects.filter(kind=REPORTS_OF_ORDER).exists()
    assert Hl7Message.objects.filter(state="parked").count() == 0
