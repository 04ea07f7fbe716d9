"""What is written for others when an order moves or a report comes: in that transaction, in the form they want."""

from __future__ import annotations

import base64

import pytest
from django.db import transaction
from django.utils import timezone

from archive.models import Patient
from archive.patient_facts import Moment
from hl7.interfaces import Peer
from hl7.message import Message, parse
from hl7.models import Destination, Hl7Interface, OutboundMessage
from hl7.outbound_segments import pid, pv1
from hl7.outbound_text import EVERYTHING, escaped, nested_provider_name, person_name
from hl7.profiles import Profile
from hl7.receive import receive
from hl7.report_fields import reports
from tests.hl7.messages import LEGACY, MERGE, ORDER, REGISTER, REPORT, code, wire
from worklist.models import Order, OrderStatus, Visit
from worklist.states import transition

pytestmark = pytest.mark.django_db
HERE = Peer("mllp", "127.0.0.1")


@pytest.fixture(autouse=True)
def interface() -> Hl7Interface:
    return Hl7Interface.objects.create(name="any")


def destination(**fields: object) -> Destination:
    values: dict[str, object] = {
        "name": "ris",
        "host": "127.0.0.1",
        "port": 2575,
        "order_message": "ORM^O01",
        "order_statuses": ["IP", "CM", "DC"],
        "report_statuses": ["P", "F", "C", "X"],
        "receiving_application": "RIS",
        "receiving_facility": "HOSP",
    }
    return Destination.objects.create(**values | fields)


def sent(text: str) -> None:
    assert code(receive(wire(text), HERE).now) == "AA"


def moved(*states: str, source: str = "") -> Order:
    order = Order.objects.get()
    for state in states:
        assert transition(order, state, Moment(timezone.now(), "archive", source))
    return order


def only() -> Message:
    return parse(bytes(OutboundMessage.objects.get().raw))


def test_the_status_of_an_order_as_orm() -> None:
    destination()
    sent(REGISTER)
    sent(ORDER)
    assert not OutboundMessage.objects.exists()
    order = moved(OrderStatus.STARTED)
    row = OutboundMessage.objects.get()
    assert (row.state, row.type, row.about, row.order) == ("queued", "ORM^O01", "order status IP", order.pk)
    assert row.patient == Patient.objects.get(patient_id="123").pk
    found = only()
    assert found.header.control_id.decode() == row.control_id
    assert len(row.control_id) <= 20
    assert [found.get(place) for place in ("MSH-5", "MSH-6", "MSH-9.1", "MSH-9.3", "MSH-12", "MSH-18")] == [
        *("RIS", "HOSP", "ORM", "ORM_O01", "2.5.1", "UNICODE UTF-8")
    ]
    assert [found.get(place) for place in ("ORC-1", "ORC-2.1", "ORC-2.2", "ORC-3.1", "ORC-5")] == [
        *("SC", "P1", "EPIC", "F1", "IP")
    ]
    assert [found.get(place) for place in ("PID-3.1", "PID-3.4.1", "PID-3.4.2", "PID-5.1", "PID-5.5", "PID-7")] == [
        *("123", "HOSP", "1.2.3.4", "MÜLLER", "DR", "19800101")
    ]
    assert [found.get(place) for place in ("PV1-2", "PV1-19.1", "OBR-18", "OBR-19", "ZDS-1.1", "OBR-31.2")] == [
        *("O", "V1", "A100", "RP1", "1.2.840.99.1", "trauma")
    ]


def test_the_same_as_omi_and_as_an_old_version() -> None:
    destination(name="new", order_message="OMI^O23")
    destination(name="old", order_message="ORM^O01", version="2.3", charset="8859/1", order_statuses=["CM"])
    sent(ORDER)
    moved(OrderStatus.STARTED, OrderStatus.COMPLETED)
    new = [parse(bytes(each.raw)) for each in OutboundMessage.objects.filter(destination__name="new").order_by("pk")]
    assert [each.get("ORC-5") for each in new] == ["IP", "CM"]
    assert [ipc.get(4) for ipc in new[0].all("IPC")] == ["SPS1", "SPS2"]
    assert (new[0].get("IPC-1.2"), new[0].get("IPC-3"), new[0].get("IPC-9")) == ("RIS", "1.2.840.99.1", "CT01")
    old = OutboundMessage.objects.get(destination__name="old")
    assert b"|ORM^O01|" in bytes(old.raw)
    assert "MÜLLER".encode("latin-1") in bytes(old.raw)


def test_what_isnt_wanted_isnt_made() -> None:
    destination(name="off", enabled=False)
    destination(name="none", order_message="", report_statuses=[])
    destination(name="others", order_statuses=["DC"], report_statuses=["X"])
    sent(ORDER)
    moved(OrderStatus.STARTED, OrderStatus.COMPLETED)
    sent(REPORT)
    assert not OutboundMessage.objects.exists()


def test_not_back_to_where_it_came_from(interface: Hl7Interface) -> None:
    destination(name="same", interface=interface)
    destination(name="echo", interface=interface, echo=True)
    destination(name="other")
    sent(ORDER)
    sent(ORDER.replace("|O1|", "|O2|").replace("ORC|NW|P1^EPIC|F1^RIS||SC", "ORC|SC|P1^EPIC|F1^RIS||CM"))
    assert sorted(OutboundMessage.objects.values_list("destination__name", flat=True)) == ["echo", "other"]
    OutboundMessage.objects.all().delete()
    sent(REPORT)
    assert sorted(OutboundMessage.objects.values_list("destination__name", flat=True)) == ["echo", "other"]


def test_a_report_that_completes_the_order() -> None:
    destination(name="ris", report_statuses=[])
    sent(ORDER)
    sent(REPORT)
    assert only().get("ORC-5") == "CM"


def test_a_change_that_is_taken_back_tells_nobody() -> None:
    destination()
    sent(ORDER)
    with transaction.atomic():
        moved(OrderStatus.STARTED)
        transaction.set_rollback(True)
    assert not OutboundMessage.objects.exists()


def test_a_report_and_its_correction() -> None:
    destination(order_message="")
    sent(ORDER)
    pdf = b"%PDF-1.4 " + bytes(range(256))
    file = f"\nOBX|4|ED|18748-4^Report^LN||^application^pdf^Base64^{base64.b64encode(pdf).decode()}||||||F"
    sent(REPORT.replace("Normal.", "Normal.\\.br\\Nothing \\F\\ else") + file)
    sent(REPORT.replace("|R1|", "|R2|").replace("||F||", "||C||").replace("Normal.", "Fracture."))
    first, second = OutboundMessage.objects.order_by("pk")
    assert [each.about for each in (first, second)] == ["report F, version 1", "report C, version 2"]
    found = parse(bytes(first.raw))
    assert [found.get(place) for place in ("ORC-1", "OBR-2.1", "OBR-3.1", "OBR-18", "OBR-25", "OBX-5")] == [
        *("RE", "P1", "F1", "A100", "F", "1.2.840.99.1")
    ]
    # What we write is what we would read.
    [(_, facts)] = reports(found, Profile())
    assert facts.study_instance_uids == ("1.2.840.99.1",)
    assert facts.sections == (
        ("59776-5", "No acute & no subacute bleed."),
        ("19005-8", "Normal.\nNothing | else"),
    )
    assert (facts.pdf, facts.signed_by, facts.status) == (pdf, "RAD^RITA", "F")
    assert parse(bytes(second.raw)).get("OBX-11") == "C"


def test_after_a_merge_the_survivor_is_named_and_the_order_of_messages_stays() -> None:
    destination()
    sent(LEGACY.replace("123^^^CLINIC", "124^^^HOSP&1.2.3.4&ISO"))
    moved(OrderStatus.STARTED)
    before = OutboundMessage.objects.get()
    sent(MERGE)
    moved(OrderStatus.COMPLETED)
    survivor = Patient.objects.get(patient_id="123")
    first, second = OutboundMessage.objects.order_by("pk")
    assert (first.pk, first.patient, second.patient) == (before.pk, survivor.pk, survivor.pk)
    repetitions = parse(bytes(second.raw)).all("PID")[0].repetitions(3)
    assert [each.get(1) for each in repetitions] == ["123", "124"]


def test_what_the_charset_cant_hold_goes_as_utf_8() -> None:
    destination(charset="8859/1")
    sent(ORDER.replace("MÜLLER^JANE^Q^^DR", "Иванов^Иван"))
    moved(OrderStatus.STARTED)
    assert (only().get("MSH-18"), only().get("PID-5.1")) == ("UNICODE UTF-8", "Иванов")


@pytest.mark.parametrize("sign", ["¥", "‾"])
def test_what_a_charset_would_write_as_a_delimiter_goes_as_utf_8(sign: str) -> None:
    """Shift JIS has a yen sign where ASCII has the escape character."""
    destination(charset="ISO IR14")
    sent(ORDER.replace("MÜLLER^JANE^Q^^DR", f"A{sign}F{sign}B^太郎"))
    moved(OrderStatus.STARTED)
    found = only()
    assert (found.get("MSH-18"), found.get("PID-5.1"), found.get("PID-5.2")) == (EVERYTHING, f"A{sign}F{sign}B", "太郎")
    sent(ORDER.replace("MÜLLER^JANE^Q^^DR", "A^太郎").replace("|O1|", "|O2|"))
    moved(OrderStatus.COMPLETED)
    found = parse(bytes(OutboundMessage.objects.get(about="order status CM").raw))
    assert (found.get("MSH-18"), found.get("PID-5.2")) == ("ISO IR14", "太郎")


def test_no_value_of_an_object_ends_a_field_or_a_segment() -> None:
    """Names, sexes and the like come with objects as well, in which any character may stand."""
    evil = "F|^~\\&\rZXX|1|evil\nOBX|9\x0b\x1c\r"
    values = {"patient_name": evil, "patient_birth_date": evil, "patient_sex": evil, "type_of_patient_id": evil}
    issuer = {"issuer_of_patient_id": evil, "issuer_universal_id": evil, "issuer_universal_id_type": evil}
    patient = Patient(pk=1, patient_id=evil, **values, **issuer)
    visit = Visit(number=evil, issuer=evil, patient_class=evil, location=evil, attending_physician_name=evil)
    for line in (pid(patient, Patient(pk=2, patient_id=evil)), pv1(visit)):
        assert not set("\r\n\x0b\x1c") & set(line)
        assert len(line.split("|")) <= 20
    assert pid(patient, patient).split("|")[8] == escaped(evil)


def test_an_answer_of_enhanced_mode_goes_to_the_senders_listener(interface: Hl7Interface) -> None:
    destination(name="elsewhere", answers=True)
    destination(name="listener", answers=True, interface=interface)
    enhanced = REGISTER.replace("|P|2.5.1||||||", "|P|2.5.1|||AL|AL||")
    assert code(receive(wire(enhanced), HERE).now) == "CA"
    row = OutboundMessage.objects.get()
    assert (row.destination.name, row.type, code(bytes(row.raw))) == ("listener", "ACK", "AA")
    # Sent again while the answer waits: it isn't sent twice.
    assert code(receive(wire(enhanced), HERE).now) == "CA"
    assert OutboundMessage.objects.count() == 1


def test_values() -> None:
    assert escaped("a|b^c&d~e\\f\r\ng\x0b") == "a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f\\.br\\g"
    assert person_name("Yamada^Tarou=山田^太郎=やまだ^たろう") == (
        "Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P"
    )
    assert person_name("Doe^John^Q^Dr^Jr") == "Doe^John^Q^Jr^Dr"
    assert nested_provider_name("RAD^RITA") == "&RAD&RITA"
