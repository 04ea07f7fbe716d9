"""A subscriber as a stranger would write one: a WebSocket client on a plain socket, and raw frames for bad ones."""

from __future__ import annotations

import base64
import json
import secrets
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, TextMessage
from wsproto.frame_protocol import FrameProtocol

PATIENCE = 60.0


class Refused(Exception):
    """The answer was another one than 101; its status is the first argument."""


class Subscriber:
    """A channel to ``url``. ``answers_pings``: as every library does by itself."""

    def __init__(
        self, url: str, token: str = "", *, answers_pings: bool = True, headers: dict[str, str] | None = None
    ) -> None:
        parts = urlsplit(url)
        self.sock = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=PATIENCE)
        asked = {
            "Host": parts.netloc,
            "Upgrade": "websocket",
            "Connection": "keep-alive, Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
            "Sec-WebSocket-Version": "13",
        }
        if token:
            asked["Authorization"] = token
        asked |= headers or {}
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        head = f"GET {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in asked.items()) + "\r\n"
        self.sock.sendall(head.encode())
        received = b""
        while b"\r\n\r\n" not in received:
            piece = self.sock.recv(65536)
            if not piece:
                raise Refused(0, received)
            received += piece
        self.answer, _, rest = received.partition(b"\r\n\r\n")
        status = int(self.answer.split()[1])
        if status != 101:
            self.sock.close()
            raise Refused(status, rest)
        self.answers_pings = answers_pings
        self.protocol = Connection(ConnectionType.CLIENT, trailing_data=rest)
        self.waiting: list[Event] = []
        self.closed: int | None = None

    def events(self, count: int) -> list[dict[str, Any]]:
        """The next ``count`` events; less if the channel ends before."""
        found: list[dict[str, Any]] = []
        text = ""
        for event in self._received():
            if isinstance(event, TextMessage):
                text += event.data
                if event.message_finished:
                    found.append(json.loads(text))
                    text = ""
            if len(found) == count:
                break
        return found

    def until_closed(self) -> int | None:
        """Read on to the end; the code with which the server closed, None for an end without one."""
        for _ in self._received():
            pass
        return self.closed

    def confirm(self) -> None:
        """Read until a ping was answered, so that what came before it counts as received."""
        for event in self._received():
            if isinstance(event, Ping):
                return

    def raw(self, data: bytes) -> None:
        """Bytes that need not be a frame."""
        self.sock.sendall(data)

    def frame(self, text: str) -> bytes:
        """A proper message."""
        return bytes(FrameProtocol(True, []).send_data(text))

    def close(self) -> None:
        """Gone without a word."""
        self.sock.close()

    def _received(self) -> Iterator[Event]:
        while True:
            self.waiting += self.protocol.events()
            while self.waiting:
                event = self.waiting.pop(0)
                # A close may have come right behind the ping: then there is nobody to answer.
                is_open = self.protocol.state is ConnectionState.OPEN
                if isinstance(event, Ping) and self.answers_pings and is_open:
                    self.sock.sendall(self.protocol.send(event.response()))
                if isinstance(event, CloseConnection):
                    self.closed = event.code
                    if self.protocol.state is ConnectionState.REMOTE_CLOSING:
                        self.sock.sendall(self.protocol.send(event.response()))
                yield event
            if self.protocol.state is ConnectionState.CLOSED:
                return
            try:
                data = self.sock.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                return
            self.protocol.receive_data(data)


def numbers(events: list[dict[str, Any]]) -> list[int]:
    """Which events of their subscriber they are."""
    return [event["00091001"]["Value"][0] for event in events]


def about(event: dict[str, Any]) -> tuple[str, int, str]:
    """Workitem, type, and state if it says one."""
    state = event.get("00741000", {}).get("Value", [""])[0]
    return event["00001000"]["Value"][0], event["00001002"]["Value"][0], state
