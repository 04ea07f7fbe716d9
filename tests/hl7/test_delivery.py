"""Messages on their way to a real receiver that takes, refuses, rejects, is silent, hangs up or isn't there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from audit.models import AccessEvent
from hl7.delivery import answered, failed, next_due, wait
from hl7.listener import tls_context
from hl7.mllp_client import read_answer
from hl7.models import Destination, OutboundMessage
from hl7.outbound_queue import give_up
from hl7.sender import _LOCK, Sender
from pacs_project.config_hl7_out import Hl7OutConfig
from tests.hl7.sink import Sink, ack, control_id, hangup, silent
from tests.hl7.test_listener import authority

__all__ = ["authority"]
pytestmark = pytest.mark.django_db
LOOPBACK = ip_network("127.0.0.0/8")


@pytest.fixture(autouse=True)
def wanted(monkeypatch: pytest.MonkeyPatch) -> Hl7OutConfig:
    made = Hl7OutConfig(networks=[LOOPBACK], answer_seconds=1, attempts=3)
    monkeypatch.setattr(settings.PACS, "hl7_out", made)
    return made


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as made:
        yield made


def to(sink: Sink, **fields: Any) -> Destination:
    return Destination.objects.create(name=fields.pop("name", "ris"), host="127.0.0.1", port=sink.port, **fields)


def queued(destination: Destination, number: str, patient: int = 1, type: str = "ORU^R01") -> OutboundMessage:
    raw = f"MSH|^~\\&|LIGHTBOX||RIS|H|20250110||{type}|{number}|P|2.5.1\rPID|1||{patient}\r".encode()
    return OutboundMessage.objects.create(
        destination=destination, patient=patient, type=type, about="a test", control_id=number, raw=raw, sha256=b""
    )


def sender(destination: Destination) -> Sender:
    return Sender(threading.Event(), destination.pk)


def states() -> list[tuple[str, str, int]]:
    return list(OutboundMessage.objects.order_by("pk").values_list("control_id", "state", "attempts"))


def later(destination: Destination) -> None:
    """The time to wait is over."""
    past = datetime.now(UTC) - timedelta(minutes=1)
    OutboundMessage.objects.update(next_at=past)
    Destination.objects.update(not_before=past)


def test_sent_in_order_over_one_connection(sink: Sink) -> None:
    ris = to(sink)
    for number in range(5):
        queued(ris, f"m{number}", patient=number % 2)
    works = sender(ris)
    works.work()
    queued(ris, "m5")
    works.work()
    assert sink.ids() == ["m0", "m1", "m2", "m3", "m4", "m5"]
    assert sink.connections == 1
    assert {state for _, state, _ in states()} == {"acked"}
    done = OutboundMessage.objects.get(control_id="m5")
    assert b"MSA|AA|m5" in bytes(done.answer or b"")
    event = AccessEvent.objects.filter(request_id="m5").get()
    assert (event.kind, event.outcome, event.principal_name, event.path) == ("export", 0, "ris", "ORU^R01")
    works.finish()


def test_commit_accept_is_enough(sink: Sink) -> None:
    sink.behave = ack("CA")
    ris = to(sink)
    queued(ris, "m0")
    sender(ris).work()
    assert states() == [("m0", "acked", 1)]


def test_an_error_is_final_and_holds_nobody_back(sink: Sink) -> None:
    sink.behave = lambda raw: ack("AE" if control_id(raw) == "m0" else "AA", "101")(raw)
    ris = to(sink)
    queued(ris, "m0")
    queued(ris, "m1")
    sender(ris).work()
    assert states() == [("m0", "dead", 1), ("m1", "acked", 1)]
    assert OutboundMessage.objects.get(control_id="m0").error == "answered AE, condition 101"
    assert AccessEvent.objects.get(request_id="m0").outcome == 4


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (ack("AR", "207"), "answered AR, condition 207"),
        (ack("XX"), "answered with a code that isn't known"),
        (silent, "no answer in time"),
        (hangup, "the connection was closed without an answer"),
        (lambda raw: b"garbage", "no answer in time"),
        (lambda raw: ack("AA")(raw.replace(b"|m0|", b"|another|")), "no answer in time"),
    ],
)
def test_what_may_heal_is_sent_again_as_it_was(sink: Sink, behaviour: Any, error: str) -> None:
    sink.behave = lambda raw: behaviour(raw) if control_id(raw) == "m0" else ack("AA")(raw)
    ris = to(sink)
    first = queued(ris, "m0")
    queued(ris, "same-patient")
    queued(ris, "another-patient", patient=2)
    works = sender(ris)
    works.work()
    assert states() == [("m0", "retry", 1), ("same-patient", "queued", 0), ("another-patient", "acked", 1)]
    first.refresh_from_db()
    assert first.error == error
    seconds = (first.next_at - datetime.now(UTC)).total_seconds()
    assert 5 < seconds <= 30
    later(ris)
    sink.behave = ack("AA")
    works.work()
    assert [state for _, state, _ in states()] == ["acked"] * 3
    assert sink.ids() == ["m0", "another-patient", "m0", "same-patient"]
    assert sink.got[0] == sink.got[2] == bytes(first.raw)


def test_given_up_after_the_last_attempt(sink: Sink) -> None:
    sink.behave = ack("AR")
    ris = to(sink)
    queued(ris, "m0")
    works = sender(ris)
    for _ in range(4):
        works.work()
        later(ris)
    assert states() == [("m0", "dead", 3)]
    assert OutboundMessage.objects.get().error == "given up after 3 attempts: answered AR"
    assert len(sink.got) == 3


def test_nobody_there_and_back_again() -> None:
    with Sink() as gone:
        ris = to(gone)
    queued(ris, "m0")
    queued(ris, "m1", patient=2)
    works = sender(ris)
    works.work()
    works.work()
    # The one that it was tried for has failed; the other has only waited.
    assert states() == [("m0", "retry", 1), ("m1", "queued", 0)]
    ris.refresh_from_db()
    assert (ris.failures, ris.error) == (1, "the connection was refused")
    with Sink(port=gone.port) as back:
        later(ris)
        works.work()
        assert back.ids() == ["m0", "m1"]
    ris.refresh_from_db()
    assert (ris.failures, ris.error) == (0, "")
    works.finish()


def test_a_connection_that_was_closed_meanwhile_costs_no_attempt() -> None:
    first = Sink()
    ris = to(first)
    works = sender(ris)
    queued(ris, "m0")
    works.work()
    first.close()
    with Sink(port=first.port) as second:
        queued(ris, "m1")
        works.work()
        assert second.ids() == ["m1"]
    assert states() == [("m0", "acked", 1), ("m1", "acked", 1)]


def test_what_was_sent_when_the_sender_died_is_sent_again(sink: Sink) -> None:
    ris = to(sink)
    queued(ris, "m0")
    OutboundMessage.objects.update(state="sent", attempts=1)
    sender(ris).work()
    assert states() == [("m0", "acked", 2)]
    # A message over which the sender dies each time comes to an end as well.
    queued(ris, "m1")
    OutboundMessage.objects.filter(control_id="m1").update(state="sent", attempts=3)
    sender(ris).work()
    assert states()[1] == ("m1", "dead", 3)
    assert sink.ids() == ["m0"]


def test_two_relays_one_sender(sink: Sink) -> None:
    ris = to(sink)
    queued(ris, "m0")
    with psycopg.connect(**_where(), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s, %s)", [_LOCK, ris.pk])
        works = sender(ris)
        works.work()
        assert sink.ids() == []
        # It was killed: its session ends, and its lock with it.
        other.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCK, ris.pk])
        works.work()
        assert sink.ids() == ["m0"]


@pytest.mark.parametrize(("answer", "state"), [(hangup, "dead"), (ack("AE"), "dead"), (ack("AA"), "acked")])
def test_given_up_while_it_is_on_its_way(sink: Sink, answer: Any, state: str) -> None:
    """What was delivered was; nothing else brings back what a person has ended."""
    ris = to(sink)
    one = queued(ris, "m0")
    message = next_due(ris, settings.PACS.hl7_out)
    assert message is not None
    give_up(one.pk, "mara", "the order is gone")
    if answer is hangup:
        failed(message, "no answer in time", settings.PACS.hl7_out)
    else:
        found = read_answer(answer(bytes(one.raw)) or b"")
        assert found is not None
        answered(message, found[1], settings.PACS.hl7_out)
    one.refresh_from_db()
    assert one.state == state
    assert state == "acked" or one.error == "given up by mara: the order is gone"
    assert AccessEvent.objects.filter(request_id="m0").count() == (2 if state == "acked" else 1)


def test_nobody_behind_the_connection_costs_few_messages_attempts(sink: Sink) -> None:
    """As a load balancer behaves whose server is away."""
    sink.behave = hangup
    ris = to(sink)
    for number in range(8):
        queued(ris, f"m{number}", patient=number + 1)
    works = sender(ris)
    works.work()
    works.work()
    assert [(state, attempts) for _, state, attempts in states()] == [("retry", 1)] * 3 + [("queued", 0)] * 5
    ris.refresh_from_db()
    assert (ris.failures, ris.error) == (3, "the connection was closed without an answer")
    sink.behave = ack("AA")
    later(ris)
    works.work()
    assert {state for _, state, _ in states()} == {"acked"}
    ris.refresh_from_db()
    assert (ris.failures, ris.error) == (0, "")


def test_switched_off_it_waits(sink: Sink) -> None:
    ris = to(sink, enabled=False)
    queued(ris, "m0")
    sender(ris).work()
    assert (sink.got, states()) == ([], [("m0", "queued", 0)])


def test_answers_are_not_answered(sink: Sink) -> None:
    sink.behave = silent
    ris = to(sink)
    queued(ris, "m0", type="ACK")
    sender(ris).work()
    assert states() == [("m0", "acked", 1)]


@pytest.mark.parametrize(("host", "tls"), [("127.0.0.1", False), ("localhost", True), ("10.0.0.1", True)])
def test_only_where_the_settings_allow(
    sink: Sink, host: str, tls: bool, wanted: Hl7OutConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings.PACS, "hl7_out", wanted.model_copy(update={"networks": []}))
    ris = to(sink, tls=tls)
    Destination.objects.update(host=host)
    queued(ris, "m0")
    sender(ris).work()
    assert (sink.connections, states()) == (0, [("m0", "retry", 1)])
    assert "PACS_HL7_OUT__NETWORKS" in OutboundMessage.objects.get().error


def test_tls_with_our_certificate_and_theirs(
    authority: Callable[[str], tuple[Path, Path]], wanted: Hl7OutConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, server_key = authority("server")
    client, client_key = authority("client")
    ca = server.with_name("ca.pem").read_text()
    with Sink(tls=tls_context(str(server), str(server_key), str(server.with_name("ca.pem")))) as secure:
        ris = to(secure, tls=True)
        works = sender(ris)
        queued(ris, "m0")
        works.work()
        ris.refresh_from_db()
        assert ris.error == "its certificate isn't trusted, or is another host's"
        Destination.objects.update(ca=ca)
        later(ris)
        works.work()
        # Without a certificate of ours nothing is taken.
        assert (secure.got, states()) == ([], [("m0", "retry", 2)])
        shown = {"certificate": client, "key": client_key}
        monkeypatch.setattr(settings.PACS, "hl7_out", wanted.model_copy(update=shown))
        later(ris)
        works = sender(ris)
        works.work()
        queued(ris, "m1", patient=2)
        works.work()
        assert (secure.ids(), states()) == (["m0", "m1"], [("m0", "acked", 3), ("m1", "acked", 1)])


def test_the_times_between_attempts() -> None:
    real = Hl7OutConfig()
    assert [wait(attempts, real) for attempts in range(1, 10)] == [30, 60, 120, 240, 480, 600, 600, 600, 600]
    assert real.attempts == 10


def _where() -> dict[str, Any]:
    wanted = connection.get_connection_params()
    return {name: wanted[name] for name in ("dbname", "user", "password", "host", "port") if name in wanted}
