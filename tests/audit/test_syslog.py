"""The trail arrives at a real receiver of syslog over TLS: every kind, in order, nothing lost while it is away."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from django.core.management import call_command

from audit import sender
from audit.kinds import KINDS
from audit.messages import Source, Subject
from audit.models import OutputCursor
from audit.record import NewAccessEvent, record
from audit.sealing import seal
from audit.sender import Sender, state
from audit.syslog import Connection, Receiver, frame
from tests.audit.logs import an_event, as_superuser
from tests.audit.receivers import Authority, Sink, Way, eventually, taken_apart

pytestmark = pytest.mark.django_db(transaction=True)
SOURCE = Source("pacs.example.org", "https://pacs.example.org")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "one")


@pytest.fixture
def sink(authority: Authority) -> Iterator[Sink]:
    made = Sink(authority)
    yield made
    made.close()


@pytest.fixture
def way(sink: Sink) -> Iterator[Way]:
    made = Way(sink.port)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "PAUSE", 0.05)
    monkeypatch.setattr(sender, "LONGEST_PAUSE", 0.2)


def a_sender(receiver: Receiver, stop: threading.Event | None = None) -> Sender:
    return Sender(
        stop or threading.Event(), receiver, SOURCE, lambda uids: {uid: Subject("P-7", "A-7") for uid in uids}
    )


@contextmanager
def running(port: int, authority: Authority) -> Iterator[None]:
    with a_sender(Receiver("localhost", port, authority.file)):
        yield


def grow(count: int) -> None:
    record([an_event(request_id=f"r{number}") for number in range(count)])
    assert seal() == count


def test_every_kind_arrives_in_order(sink: Sink, authority: Authority) -> None:
    record(
        [NewAccessEvent(kind=kind, principal_kind="person", principal_id="p", study_uids=["1.2.3"])
         for kind in KINDS.values()]
    )  # fmt: skip
    seal()
    with running(sink.port, authority):
        eventually(lambda: len(sink.messages) == len(KINDS), "not everything arrived")
        grow(3)
        eventually(lambda: len(sink.messages) == len(KINDS) + 3, "what came later did not arrive")
    assert sink.sequence_ids() == list(range(1, len(KINDS) + 4))
    for kind, received in zip(KINDS.values(), sink.messages, strict=False):
        root = ElementTree.fromstring(received.xml)  # noqa: S314 - ours
        assert (root.tag, root[0][0].get("csd-code")) == ("AuditMessage", kind.event_id)
        assert received.message_id == "DICOM+RFC3881"
        assert received.priority == (84 if kind.name == "alert" else 85)


def test_what_arrived_is_not_sent_again_after_an_orderly_end(sink: Sink, authority: Authority) -> None:
    grow(5)
    with running(sink.port, authority):
        eventually(lambda: len(sink.messages) == 5, "not everything arrived")
    assert OutputCursor.objects.get().position == 5
    grow(2)
    with running(sink.port, authority):
        eventually(lambda: len(sink.messages) >= 7, "not everything arrived")
    assert sink.sequence_ids() == [1, 2, 3, 4, 5, 6, 7]


def test_what_a_connection_outlives_has_arrived(
    sink: Sink, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "SETTLE_SECONDS", 0.2)
    grow(3)
    with running(sink.port, authority):
        eventually(lambda: OutputCursor.objects.filter(position=3).exists(), "the cursor did not move")
        assert sink.sequence_ids() == [1, 2, 3]


def test_a_receiver_that_swallows_and_comes_back(sink: Sink, way: Way, authority: Authority) -> None:
    """500 events while everything that is sent disappears: none is lost, and the order is that of the log."""
    grow(20)
    with running(way.port, authority):
        eventually(lambda: len(sink.messages) == 20, "the way is not open")
        way.swallow()
        for _ in range(10):
            grow(50)
        eventually(lambda: way.swallowed > 10_000, "nothing was sent into the hole")
        assert len(sink.messages) == 20
        way.restore()
        eventually(lambda: len(set(sink.sequence_ids())) == 520, "something was lost")
    first_seen = list(dict.fromkeys(sink.sequence_ids()))
    assert first_seen == list(range(1, 521))
    assert_only_unconfirmed_ones_twice(sink.sequence_ids())


def assert_only_unconfirmed_ones_twice(ids: list[int]) -> None:
    """Each connection sends a run without gaps; a run begins no later than where the one before ended."""
    for earlier, later in pairwise(ids):
        assert later <= earlier + 1, (earlier, later)


def test_a_connection_that_breaks_again_and_again(sink: Sink, way: Way, authority: Authority) -> None:
    with running(way.port, authority):
        for turn in range(1, 6):
            grow(40)
            eventually(lambda least=turn * 40: len(set(sink.sequence_ids())) == least, "lost")  # type: ignore[misc]
            way.cut()
    assert list(dict.fromkeys(sink.sequence_ids())) == list(range(1, 201))
    assert_only_unconfirmed_ones_twice(sink.sequence_ids())


def test_what_waits_is_told(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    grow(3)
    lonely = a_sender(Receiver("localhost", port, authority.file))
    lonely.turn()
    assert state() | {"waits_since": None} == {
        "sealed": 3, "sent": 0, "arrived": 0, "waits_since": None, "error": "ConnectionRefusedError",
    }  # fmt: skip
    assert state()["waits_since"] is not None
    out = io.StringIO()
    call_command("audit_status", stdout=out)
    assert "ConnectionRefusedError" in out.getvalue()
    assert "3 wait" in out.getvalue()


def test_one_sender_at_a_time(sink: Sink, authority: Authority) -> None:
    grow(4)
    receiver = Receiver("localhost", sink.port, authority.file)
    first = a_sender(receiver)
    first.turn()
    with a_sender(receiver):
        grow(4)
        first.turn()
        eventually(lambda: len(sink.messages) == 8, "not everything arrived")
    first.finish()
    assert sink.sequence_ids() == list(range(1, 9))
    assert sink.sessions == 1


class TestWhoIsTrusted:
    """Certificates on both sides."""

    def test_a_receiver_of_another_authority_gets_nothing(self, sink: Sink, tmp_path: Path) -> None:
        grow(1)
        stranger = a_sender(Receiver("localhost", sink.port, Authority(tmp_path / "other").file))
        stranger.turn()
        assert sink.messages == []
        assert state()["error"] == "SSLCertVerificationError"

    def test_a_receiver_of_another_name_gets_nothing(self, sink: Sink, authority: Authority) -> None:
        with pytest.raises(OSError, match=r"127\.0\.0\.1"):
            Connection(Receiver("127.0.0.1", sink.port, authority.file))

    @pytest.mark.parametrize("known", [True, False])
    def test_a_receiver_that_asks_for_ours(self, authority: Authority, tmp_path: Path, known: bool) -> None:
        ours = Authority(tmp_path / "ours")
        certificate, key = (ours if known else Authority(tmp_path / "others")).issue("lightbox")
        sink = Sink(authority, clients=ours)
        grow(1)
        with a_sender(Receiver("localhost", sink.port, authority.file, certificate, key)):
            if known:
                eventually(lambda: len(sink.messages) == 1, "it did not arrive")
            else:
                eventually(lambda: bool(state()["error"]), "it was not refused")
        assert len(sink.messages) == known
        sink.close()


def test_an_event_that_is_gone_stops_nobody(sink: Sink, authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    grow(3)
    as_superuser("DELETE FROM audit_accessevent WHERE request_id = 'r1'")
    with running(sink.port, authority):
        eventually(lambda: len(sink.messages) == 2, "the others did not arrive")
    assert sink.sequence_ids() == [1, 3]
    assert "THE ACCESS TRAIL WAS ALTERED" in caplog.text


AT = datetime(2030, 1, 31, 12, 30, 15, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("position", "expected"), [(1, 1), (2**31 - 1, 2**31 - 1), (2**31, 1), (2**32, 2)], ids=str
)  # fmt: skip
def test_the_form_of_a_message(position: int, expected: int) -> None:
    xml = "<ä/>".encode()
    framed = frame(xml, position=position, at=AT, host="pacs.example.org ü", warning=True)
    length, _, message = framed.partition(b" ")
    assert int(length) == len(message)
    assert message.startswith(b"<84>1 2030-01-31T12:30:15.000007Z pacs.example.org lightbox - DICOM+RFC3881 [meta ")
    assert taken_apart(message).sequence_id == expected
    assert taken_apart(message).xml == xml
