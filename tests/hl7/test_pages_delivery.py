"""Destinations and deliveries in pages, for programs and on the command line: what is done, shown and refused."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from io import StringIO
from ipaddress import ip_network
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from access.marking import restrict
from access.restriction_models import Mark
from access.restrictions import marks
from archive.models import Patient
from audit.models import AccessEvent, Alert
from hl7.models import Destination, Hl7Interface, Hl7Message, OutboundMessage
from hl7.watch import Hl7Watch
from pacs_project.config_hl7_out import Hl7OutConfig
from tests.access.conftest import MakePerson, make_client, make_person, make_token
from tests.hl7.sink import Sink
from trail.telling import message as mail_of
from worklist.models import Order

__all__ = ["make_client", "make_person", "make_token"]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Hl7OutConfig(networks=[ip_network("127.0.0.0/8")])
    monkeypatch.setattr(settings.PACS, "hl7_out", made)


@pytest.fixture
def mara(make_person: MakePerson) -> Browser:
    """An administrator, who has the right to interfaces and has just shown a password."""
    window = Browser(HTTP_ACCEPT="text/html,*/*;q=0.8", HTTP_HOST="127.0.0.1")
    window.force_login(make_person("administrator", username="mara"))
    session = window.session
    session["proved_at"] = timezone.now().timestamp()
    session.save()
    return window


def made(**fields: Any) -> Destination:
    return Destination.objects.create(**{"name": "ris", "host": "127.0.0.1", "port": 2575} | fields)


def queued(destination: Destination, number: str, patient: int = 0, **fields: Any) -> OutboundMessage:
    raw = f"MSH|^~\\&|L||R||2025||ORU^R01|{number}|P|2.5.1\rPID|1||77^^^H||DOE^JANE\r".encode()
    values = {"type": "ORU^R01", "about": "report F, version 1", "control_id": number, "raw": raw, "sha256": b""}
    return OutboundMessage.objects.create(destination=destination, patient=patient, **values | fields)


FORM = {
    "name": "ris",
    "host": "127.0.0.1",
    "port": "2575",
    "order_message": "ORM^O01",
    "order_statuses": ["IP", "CM"],
    "report_statuses": ["F"],
    "version": "2.3.1",
    "charset": "8859/1",
    "processing_id": "P",
    "receiving_application": "RIS",
}


def test_a_destination_is_made_changed_and_switched(mara: Browser) -> None:
    assert mara.get(reverse("hl7-destination-new")).status_code == 200
    answer = mara.post(reverse("hl7-destination-new"), FORM)
    ris = Destination.objects.get()
    assert answer.headers["Location"] == reverse("hl7-destination", args=[ris.pk])
    assert (ris.order_statuses, ris.report_statuses, ris.version, ris.pdf) == (["IP", "CM"], ["F"], "2.3.1", False)
    page = mara.get(reverse("hl7-destinations")).content.decode()
    assert "127.0.0.1:2575" in page
    assert mara.post(reverse("hl7-destination", args=[ris.pk]), FORM | {"port": "2576"}).status_code == 302
    assert mara.post(reverse("hl7-destination-switch", args=[ris.pk]), {"to": "off"}).status_code == 302
    ris.refresh_from_db()
    assert (ris.port, ris.enabled) == (2576, False)
    said = AccessEvent.objects.filter(kind="configuration").order_by("sequence")
    assert list(said.values_list("outcome_description", flat=True)) == [
        "HL7 destination ris made",
        "HL7 destination ris changed (port)",
        "HL7 destination ris switched off",
    ]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"host": "10.1.2.3"}, "PACS_HL7_OUT__NETWORKS"),
        ({"host": "169.254.169.254", "tls": "on"}, "PACS_HL7_OUT__NETWORKS"),
        ({"host": "a b"}, "The name or the address of a host"),
        ({"port": "0"}, "greater than or equal to 1"),
        ({"order_message": "OMI^O23"}, "OMI^O23 is of HL7 2.5 and newer"),
        ({"time_zone": "Nowhere/Land"}, "IANA"),
        ({"ca": "no certificate"}, "Certificates in PEM"),
        ({"ca": "Zertifikat für ris"}, "Certificates in PEM"),
        ({"charset": "EBCDIC"}, "Charset"),
        ({"order_statuses": ["QQ"]}, "Order_Statuses"),
    ],
)
def test_what_cant_be_is_said(mara: Browser, wrong: dict[str, Any], words: str) -> None:
    answer = mara.post(reverse("hl7-destination-new"), FORM | wrong)
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert not Destination.objects.exists()


def test_a_connection_is_tried(mara: Browser) -> None:
    with Sink() as sink:
        ris = made(port=sink.port)
        answer = mara.post(reverse("hl7-destination-try", args=[ris.pk]), follow=True)
        assert "It can be connected to" in answer.content.decode()
    assert sink.got == []
    answer = mara.post(reverse("hl7-destination-try", args=[ris.pk]), follow=True)
    assert "the connection was refused" in answer.content.decode()


def test_deliveries_and_what_holds_them_back(mara: Browser) -> None:
    ris = made()
    first = queued(ris, "m1", 5, state="retry", attempts=2, error="no answer in time")
    queued(ris, "m2", 5)
    dead = queued(ris, "m3", 6, state="dead", error="answered AE, condition 101", finished_at=timezone.now())
    queued(ris, "m4", 7, state="acked")
    page = mara.get(reverse("hl7-deliveries")).content.decode()
    for part in (
        "2 waiting",
        "1 to be sent again",
        "1 held back by these",
        "1 not delivered",
        f"message {first.pk}</a>",
    ):
        assert part in page
    only = mara.get(reverse("hl7-deliveries"), {"state": "dead", "destination": "ris"}).content.decode()
    assert "m3" in only
    assert "m1" not in only
    assert mara.get(reverse("hl7-deliveries"), {"state": "x"}).status_code == 200
    assert mara.post(reverse("hl7-deliveries-act"), {"action": "give_up", "message": first.pk}).status_code == 400
    given = {"action": "give_up", "message": [first.pk], "reason": "the order is gone"}
    assert mara.post(reverse("hl7-deliveries-act"), given).status_code == 302
    assert mara.post(reverse("hl7-deliveries-act"), {"action": "retry", "message": [dead.pk]}).status_code == 302
    first.refresh_from_db()
    dead.refresh_from_db()
    assert (first.state, first.error) == ("dead", "given up by mara: the order is gone")
    assert (dead.state, dead.attempts, dead.error) == ("queued", 0, "")
    event = AccessEvent.objects.filter(query=f"hl7 give_up {first.pk}").get()
    assert (event.kind, event.outcome_description) == ("order_record", "the order is gone")


def test_the_text_of_one_is_shown_and_that_is_written_down(mara: Browser) -> None:
    patient = Patient.objects.create(patient_id="77", issuer_of_patient_id="H")
    one = queued(made(), "m1", patient.pk, answer=b"MSH|^~\\&|R\rMSA|AR|m1\r")
    page = mara.get(reverse("hl7-delivery", args=[one.pk])).content.decode()
    assert "DOE^JANE" in page
    assert "MSA|AR|m1" in page
    event = AccessEvent.objects.filter(query=f"hl7 delivery {one.pk}").get()
    assert event.patient_ids == ["77"]
    restrict(patient, Mark.VIP, "a well-known person")
    marks.forget()
    assert mara.get(reverse("hl7-delivery", args=[one.pk])).status_code == 403
    assert mara.get(f"/api/hl7/deliveries/{one.pk}").status_code == 403
    assert mara.get(reverse("hl7-delivery", args=[0])).status_code == 404
    marks.forget()


def test_a_mark_closes_what_was_sent_before_a_merge(mara: Browser) -> None:
    leads = Patient.objects.create(patient_id="78", issuer_of_patient_id="H")
    patient = Patient.objects.create(patient_id="77", issuer_of_patient_id="H", merged_into=leads)
    one = queued(made(), "m1", patient.pk, state="acked")
    assert mara.get(f"/api/hl7/deliveries/{one.pk}").status_code == 200
    restrict(leads, Mark.VIP, "a well-known person")
    marks.forget()
    assert mara.get(reverse("hl7-delivery", args=[one.pk])).status_code == 403
    assert mara.get(f"/api/hl7/deliveries/{one.pk}").status_code == 403
    marks.forget()


def test_a_mark_closes_what_names_an_order_of_somebody_else(mara: Browser) -> None:
    """The merge in whose time it was made was taken back: the message names both."""
    leads, patient = (Patient.objects.create(patient_id=each, issuer_of_patient_id="H") for each in ("78", "77"))
    order = Order.objects.create(patient=patient)
    one = queued(made(), "m1", leads.pk, order=order.pk)
    assert mara.get(f"/api/hl7/deliveries/{one.pk}").status_code == 200
    assert AccessEvent.objects.get(query=f"hl7 delivery {one.pk}").patient_ids == ["78", "77"]
    restrict(patient, Mark.VIP, "a well-known person")
    marks.forget()
    assert mara.get(reverse("hl7-delivery", args=[one.pk])).status_code == 403
    assert mara.get(f"/api/hl7/deliveries/{one.pk}").status_code == 403
    marks.forget()


def test_for_programs(mara: Browser) -> None:
    Hl7Interface.objects.create(name="in")
    wish = {"name": "ehr", "host": "127.0.0.1", "port": 2577, "report_statuses": ["F", "C"], "interface": "in"}

    def sent(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        call = getattr(mara, method)
        answer = call(path, json.dumps(body), content_type="application/json") if method != "get" else call(path)
        return answer.status_code, answer.json()

    status, ehr = sent("post", "/api/hl7/destinations", wish)
    assert status == 201, ehr
    assert (ehr["interface"], ehr["report_statuses"], ehr["waiting"], ehr["pdf"]) == ("in", ["F", "C"], 0, True)
    assert sent("post", "/api/hl7/destinations", wish)[0] == 409
    assert sent("post", "/api/hl7/destinations", wish | {"name": "x", "host": "10.0.0.1"})[0] == 400
    here = f"/api/hl7/destinations/{ehr['id']}"
    assert sent("patch", here, {"order_message": "OMG^O19", "version": "2.3"})[0] == 400
    status, changed = sent("patch", here, {"enabled": False, "order_message": "OMG^O19", "order_statuses": ["CM"]})
    assert (status, changed["enabled"], changed["order_message"]) == (200, False, "OMG^O19")
    assert sent("get", "/api/hl7/destinations")[1] == [changed]
    status, tried = sent("post", f"{here}/try")
    assert (status, tried) == (200, {"connected": False, "error": "the connection was refused"})
    row = queued(Destination.objects.get(), "m1", state="dead", finished_at=timezone.now())
    status, listed = sent("get", "/api/hl7/deliveries?state=dead&limit=1")
    assert [each["control_id"] for each in listed["deliveries"]] == ["m1"]
    there = f"/api/hl7/deliveries/{row.pk}"
    assert sent("get", there)[1]["raw"][1] == "PID|1||77^^^H||DOE^JANE"
    assert sent("post", f"{there}/retry")[1]["state"] == "queued"
    assert sent("post", f"{there}/retry")[0] == 409
    assert sent("post", f"{there}/give-up", {})[0] == 400
    assert sent("post", f"{there}/give-up", {"reason": "test"})[1]["state"] == "dead"
    assert sent("get", "/api/hl7/deliveries?state=burnt")[0] == 400
    assert sent("get", "/api/hl7/deliveries/0")[0] == 404


def said(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_on_the_command_line() -> None:
    said("hl7_destination", "ris", "--address", "127.0.0.1:2575", "--set", 'report_statuses=["F"]')
    said("hl7_destination", "ris", "--set", "version=2.3.1", "--off")
    ris = Destination.objects.get()
    assert (ris.version, ris.report_statuses, ris.enabled) == ("2.3.1", ["F"], False)
    assert "ris\t127.0.0.1:2575\toff\t0 waiting, 0 not delivered" in said("hl7_destination")
    for bad in (["--set", "colour=red"], ["--set", "charset=EBCDIC"], ["--address", "10.0.0.1:1"]):
        with pytest.raises(CommandError):
            said("hl7_destination", "ris", *bad)
    row = queued(ris, "m1", state="dead", finished_at=timezone.now())
    assert "m1" not in said("hl7_deliveries")
    assert "report F, version 1\tdead" in said("hl7_deliveries", "--state", "dead")
    assert "1 to be sent again" in said("hl7_deliveries", "--retry-dead")
    with pytest.raises(CommandError, match="reason"):
        said("hl7_deliveries", "--give-up", str(row.pk))
    assert "1 given up" in said("hl7_deliveries", "--give-up", str(row.pk), "--reason", "a test")
    assert "0 to be sent again" in said("hl7_deliveries", "--retry-dead")
    with pytest.raises(CommandError):
        said("hl7_deliveries", "--give-up", str(row.pk), "--reason", "a test")


def test_alerts_once_for_each_cause() -> None:
    watch = Hl7Watch(threading.Event())
    now = timezone.now()
    old = now - timedelta(minutes=20)
    ris = made()
    queued(ris, "m1", state="dead", finished_at=old)
    queued(ris, "m2", made_at=old)
    feed = Hl7Interface.objects.create(name="adt")
    values = {"transport": "mllp", "peer": "", "raw": b"", "sha256": b"", "body_sha256": b""}
    Hl7Message.objects.create(interface=feed, state="parked", finished_at=old, **values)
    watch.work()
    watch.work()
    found = {alert.rule: alert for alert in Alert.objects.all()}
    assert sorted(found) == ["hl7_blocked", "hl7_dead", "hl7_parked"]
    assert Alert.objects.count() == 3
    assert found["hl7_dead"].description == "messages to ris were refused or given up: 1"
    told = mail_of(found["hl7_parked"])
    assert (told.title, told.text.splitlines()[0]) == (
        "HL7 messages wait for somebody",
        "messages from adt can't be applied and wait for somebody: 1.",
    )
    # The next one of the same cause, and an hour later.
    Alert.objects.update(found_at=now - timedelta(hours=2))
    queued(ris, "m3", state="dead", finished_at=timezone.now())
    watch.work()
    assert Alert.objects.filter(rule="hl7_dead").count() == 2
    assert Alert.objects.count() == 4
