"""Alerts by webhook: signed, once, to nobody but whom the settings name, and without the patient."""

from __future__ import annotations

import base64
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from access import alerts, telling
from access.acting import Acting
from access.emergency import begin
from access.webhooks import NotDelivered, may_connect, post, signature
from audit.models import Notice
from pacs_project.config_alerts import WebhookConfig
from tests.access.test_emergency import REASON, of
from trail.telling import tell_of_alerts
from trail.watch import look

Make = Callable[..., Any]
pytestmark = pytest.mark.django_db
SECRET = "a secret of more than enough characters"
LOOPBACK = [ip_network("127.0.0.0/8")]


class Receiver(ThreadingHTTPServer):
    """What was posted here; it answers with ``status``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Clerk)
        self.posted: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        self.url = f"http://localhost:{self.server_address[1]}/hook?from=lightbox"


class _Clerk(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.status)
        self.send_header("Location", f"{self.server.url}&elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def told(receiver: Receiver, settings: Any) -> Receiver:
    """Alerts go to the receiver."""
    wanted = WebhookConfig(
        urls=[receiver.url], hosts=["localhost"], secret=SecretStr(SECRET),
        private_networks=[*LOOPBACK, ip_network("::1/128")],
    )  # fmt: skip
    settings.PACS = settings.PACS.model_copy(update={"alert_webhook": wanted})
    return receiver


def test_an_emergency_once_signed_and_without_the_patient(told: Receiver, make_person: Make, make_study: Make) -> None:
    user = make_person("radiologist", username="rita")
    study = make_study(name="MARKER^PAT", patient_id="MARKERID")
    begun = begin(study.patient, f"{REASON} SECRETREASON", 30, Acting(None, of(user)))
    assert (alerts.tell_of_emergencies(), alerts.tell_of_emergencies()) == (1, 0)
    [(headers, body)] = told.posted
    said = json.loads(body)
    assert said["type"] == "emergency_access.started"
    assert said["data"]["emergency"] == str(begun.external_id)
    assert said["data"]["principal"]["id"] == str(user.external_id)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(SECRET.encode(), signed, "sha256")).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    for hidden in (b"MARKER", b"SECRETREASON", study.study_instance_uid.encode()):
        assert hidden not in body
    begun.refresh_from_db()
    assert begun.alerted_at is not None


def test_an_alert_of_the_watch(told: Receiver, make_study: Make, make_person: Make) -> None:
    from django.utils import timezone

    from audit.kinds import REFUSED
    from audit.record import NewAccessEvent, record

    refused = NewAccessEvent(
        kind=REFUSED, principal_kind="link", principal_id="0b9d", principal_name="MARKER^PAT", decision="deny",
        study_uids=["1.2.3.77"], patient_ids=["MARKERID"], source_ip="192.0.2.1",
    )  # fmt: skip
    record([refused] * 25)
    assert [alert.rule for alert in look(timezone.now())] == ["refusals"]
    assert (tell_of_alerts(), tell_of_alerts()) == (1, 0)
    [(_, body)] = told.posted
    said = json.loads(body)
    assert (said["type"], said["data"]["count"]) == ("alert.refusals", 25)
    assert said["data"]["principal"] == {"kind": "link", "id": "0b9d"}
    for hidden in (b"MARKER", b"1.2.3.77"):
        assert hidden not in body


def test_an_address_that_nobody_can_ask_keeps_no_other_waiting(
    told: Receiver, settings: Any, make_person: Make, make_study: Make
) -> None:
    hook = settings.PACS.alert_webhook
    urls = [f"{told.url}/ä", f"http://{'a' * 64}.example/", told.url]
    settings.PACS = settings.PACS.model_copy(update={"alert_webhook": hook.model_copy(update={"urls": urls})})
    begin(make_study().patient, REASON, 30, Acting(None, of(make_person("radiologist"))))
    assert alerts.tell_of_emergencies() == 1
    assert len(told.posted) == 1


@pytest.mark.parametrize("status", [302, 307, 404, 500])
def test_what_is_not_taken_is_told_again_and_no_redirect_followed(
    told: Receiver, make_person: Make, make_study: Make, status: int
) -> None:
    begin(make_study().patient, REASON, 30, Acting(None, of(make_person("radiologist"))))
    told.status = status
    assert alerts.tell_of_emergencies() == 0
    assert len(told.posted) == 1
    assert not Notice.objects.exists()
    told.status = 200
    assert alerts.tell_of_emergencies() == 1
    first, second = (headers["webhook-id"] for headers, _ in told.posted)
    assert first == second


def test_a_dead_webhook_keeps_no_other_waiting(
    told: Receiver, settings: Any, make_person: Make, make_study: Make
) -> None:
    hook = settings.PACS.alert_webhook
    dead = hook.model_copy(update={"urls": ["http://localhost:1/", told.url]})
    settings.PACS = settings.PACS.model_copy(update={"alert_webhook": dead})
    for number in range(2):
        begin(make_study(patient_id=f"P{number}").patient, REASON, 30, Acting(None, of(make_person("radiologist"))))
    assert alerts.tell_of_emergencies() == 2
    assert len(told.posted) == 2


def test_what_fails_again_and_again_is_left_alone_for_longer(
    told: Receiver, make_person: Make, make_study: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(make_study().patient, REASON, 30, Acting(None, of(make_person("radiologist"))))
    told.status = 500
    now = 1_000.0

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return now

    monkeypatch.setattr(telling, "time", Clock)
    for _ in range(20):
        alerts.tell_of_emergencies()
    assert len(told.posted) == 2, "the first failure is tried again at once"
    now += telling.LONGEST_PAUSE
    alerts.tell_of_emergencies()
    assert len(told.posted) == 3


@pytest.mark.parametrize("networks", [[], [ip_network("10.0.0.0/8")]])
def test_nothing_that_is_not_public_is_connected_to(receiver: Receiver, networks: list[Any]) -> None:
    with pytest.raises(NotDelivered):
        post(receiver.url, "1", {}, SECRET, networks, None)
    assert receiver.posted == []


def test_a_name_that_leads_inside_is_refused(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is allowed and answers with an address in here, as one that was taken over might."""
    port = receiver.server_address[1]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", port))])
    with pytest.raises(NotDelivered):
        post(f"https://hooks.example.org:{port}/", "1", {}, SECRET, [], None)
    assert receiver.posted == []


@pytest.mark.parametrize(
    ("address", "is_public"),
    [
        ("93.184.215.14", True), ("2606:4700::1111", True),
        ("127.0.0.1", False), ("10.1.2.3", False), ("169.254.169.254", False), ("0.0.0.0", False),  # noqa: S104
        ("100.64.0.1", False), ("224.0.0.1", False), ("255.255.255.255", False), ("192.168.1.1", False),
        ("::1", False), ("::", False), ("fe80::1", False), ("fd00::1", False), ("ff02::1", False),
        ("::ffff:127.0.0.1", False), ("::ffff:10.0.0.1", False), ("::127.0.0.1", False),
        ("64:ff9b::7f00:1", False), ("64:ff9b::a9fe:a9fe", False), ("2002:7f00:1::", False),
        ("fec0::1", False), ("64:ff9b:1::a00:1", False), ("::ffff:0:a00:1", False), ("4000::1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, is_public: bool) -> None:
    assert may_connect(ip_address(address), []) is is_public


def test_a_private_network_by_setting() -> None:
    networks = [ip_network("10.1.0.0/16")]
    assert may_connect(ip_address("10.1.2.3"), networks)
    assert may_connect(ip_address("::ffff:10.1.2.3"), networks)
    assert not may_connect(ip_address("10.2.0.1"), networks)


def test_a_signature_of_the_published_form() -> None:
    """The example of the specification of Standard Webhooks, computed by its rule."""
    key = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
    made = signature(f"whsec_{key}", "msg_1", "1614265330", b'{"test": 2432232314}')
    told = hmac.digest(b"0123456789abcdef0123456789abcdef", b'msg_1.1614265330.{"test": 2432232314}', "sha256")
    assert base64.b64decode(made) == told


@pytest.mark.parametrize(
    "fields",
    [
        {"urls": ["https://a.example/"], "hosts": ["b.example"], "secret": SECRET},
        {"urls": ["https://a.example/"], "hosts": [], "secret": SECRET},
        {"urls": ["https://a.example/"], "hosts": ["a.example"], "secret": "short"},
        {"urls": ["ftp://a.example/"], "hosts": ["a.example"], "secret": SECRET},
        {"urls": ["https://user@a.example/"], "hosts": ["a.example"], "secret": SECRET},
    ],
)
def test_settings_that_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WebhookConfig(**fields)
