"""One end of a WebSocket: what a client may send, and what ends it (RFC 6455)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, Pong, TextMessage

from dicomweb.websocket import MOST_OF_MESSAGE, Gone, WebSocket


class Ends:
    """Ours and the client's."""

    def __init__(self) -> None:
        ours, self.client = socket.socketpair()
        ours.setblocking(False)
        self.client.settimeout(30)
        self.web = WebSocket(ours, b"")
        self.protocol = Connection(ConnectionType.CLIENT)

    def sent(self, data: bytes) -> list[bytes]:
        """The client sends; pongs that were among it."""
        self.client.sendall(data)
        pongs: list[bytes] = []
        for _ in range(len(data) // 4096 + 1):
            pongs += self.web.receive()
        return pongs

    def heard(self) -> list[Event]:
        """What the client gets."""
        with suppress(Gone):
            self.web.flush()
        self.protocol.receive_data(self.client.recv(1 << 16))
        return list(self.protocol.events())


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.web.drop()
    made.client.close()


def test_a_message_a_ping_and_its_answer(ends: Ends) -> None:
    ends.web.send("Grüße")
    ends.web.ping(b"17")
    message, ping = ends.heard()
    assert isinstance(message, TextMessage)
    assert message.data == "Grüße"
    assert isinstance(ping, Ping)
    assert ends.sent(ends.protocol.send(ping.response())) == [b"17"]


def test_pings_are_answered_and_text_is_left_unread(ends: Ends) -> None:
    assert ends.sent(ends.protocol.send(TextMessage("hello")) + ends.protocol.send(Ping(b"x"))) == []
    [pong] = ends.heard()
    assert isinstance(pong, Pong)
    assert ends.web.closing_since is None


HOSTILE = {
    "unmasked": (b"\x81\x02hi", 1002),
    "reserved bits": (b"\xf1\x80\x00\x00\x00\x00", 1002),
    "unknown opcode": (b"\x83\x80\x00\x00\x00\x00", 1002),
    "control in pieces": (b"\x09\x80\x00\x00\x00\x00", 1002),
    "nothing to continue": (b"\x80\x80\x00\x00\x00\x00", 1002),
    "no text": (b"\x81\x82\x00\x00\x00\x00\xff\xfe", 1007),
    "a message without end": (b"\x81\xff" + struct.pack("!Q", 1 << 40) + b"\x00" * 4 + b"x" * 20_000, 1009),
    "a message in endless pieces": (
        b"\x01\x80\x00\x00\x00\x00" + (b"\x00\xe4\x00\x00\x00\x00" + b"x" * 100) * 60,
        1009,
    ),
    "too many pings": (b"\x89\x80\x00\x00\x00\x00" * 400, 1008),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_frame_or_too_much_ends_it(ends: Ends, name: str) -> None:
    """RFC 6455 7.4.1; what comes afterwards is thrown away."""
    data, code = HOSTILE[name]
    ends.sent(data)
    *_, last = ends.heard()
    assert isinstance(last, CloseConnection)
    assert last.code == code
    for _ in range(50):
        assert ends.sent(b"x" * 4096) == []
    held = ends.web._protocol._proto._frame_decoder.buffer  # of which no more may be kept
    assert len(held) <= 8192


def test_the_client_closes(ends: Ends) -> None:
    ends.sent(ends.protocol.send(CloseConnection(1000)))
    with pytest.raises(Gone):
        ends.web.flush()
    ends.protocol.receive_data(ends.client.recv(1 << 16))
    [answer] = ends.protocol.events()
    assert isinstance(answer, CloseConnection)
    assert answer.code == 1000


def test_a_client_that_hangs_up(ends: Ends) -> None:
    ends.client.close()
    with pytest.raises(Gone):
        ends.web.receive()


def test_who_reads_nothing_is_overdue(ends: Ends) -> None:
    ends.web.send("x" * (4 << 20))
    ends.web.flush()
    assert ends.web.has_unsent
    assert ends.web.stalled_since is not None
    assert not ends.web.is_overdue(ends.web.stalled_since, silence=60, stalled=30)
    assert ends.web.is_overdue(ends.web.stalled_since + 31, silence=60, stalled=30)
    assert ends.web.is_overdue(ends.web.heard_at + 61, silence=60, stalled=300)


def test_messages_within_the_bound(ends: Ends) -> None:
    ends.sent(ends.protocol.send(TextMessage("y" * (MOST_OF_MESSAGE - 200))))
    assert ends.web.closing_since is None
