"""An HTTP/1.1 client that costs little itself: one socket, requests made beforehand, bodies read into one buffer."""

from __future__ import annotations

import base64
import socket
import ssl
import time
import zlib
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

HEAD_LIMIT: Final = 1 << 16
TIMEOUT: Final = 300.0


class WireError(Exception):
    """The server broke the connection or answered what is no HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; moments are of ``time.perf_counter``, which all processes of a machine share."""

    status: int
    headers: dict[str, str]
    body: bytes | bytearray
    begun: float
    first_byte: float
    ended: float

    @property
    def seconds(self) -> float:
        """From sending to the last byte."""
        return self.ended - self.begun

    def content(self) -> bytes:
        """The body without its content coding."""
        coding = self.headers.get("content-encoding", "identity")
        if coding == "identity":
            return bytes(self.body)
        if coding == "gzip":
            return zlib.decompress(self.body, wbits=31)
        raise WireError(f"a body coded as {coding}, which nobody asked for")


@dataclass(frozen=True, slots=True)
class Address:
    """A base URL in parts."""

    secure: bool
    host: str
    port: int
    path: str


def address(url: str) -> Address:
    """Raises ValueError for what is no http:// or https:// URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url} is no http:// or https:// address")
    secure = parts.scheme == "https"
    return Address(secure, parts.hostname, parts.port or (443 if secure else 80), parts.path.rstrip("/"))


def authorization(credentials: str) -> str:
    """The header for ``USER:PASSWORD`` or for a bearer token; empty for nothing."""
    if ":" in credentials:
        return "Basic " + base64.b64encode(credentials.encode()).decode()
    return f"Bearer {credentials}" if credentials else ""


class Connection:
    """One connection, kept alive; opened again where the server has closed it meanwhile."""

    def __init__(self, to: Address, credentials: str = "") -> None:
        self._to = to
        said = authorization(credentials)
        name = to.host if to.port in (80, 443) else f"{to.host}:{to.port}"
        self._common = f"Host: {name}\r\n" + (f"Authorization: {said}\r\n" if said else "")
        self._socket: socket.socket | None = None
        self._used = False

    def open(self) -> socket.socket:
        """Connect, so that the first request doesn't have to."""
        wire = socket.create_connection((self._to.host, self._to.port), timeout=TIMEOUT)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._to.secure:
            wire = ssl.create_default_context().wrap_socket(wire, server_hostname=self._to.host)
        self._socket = wire
        self._used = False
        return wire

    def close(self) -> None:
        """Safe to call twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
        """``path`` is below the base URL, with its query. Raises WireError and OSError."""
        lines = [f"{method} {self._to.path}/{path} HTTP/1.1\r\n", self._common]
        lines += [f"{name}: {value}\r\n" for name, value in headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}\r\n")
        head = ("".join(lines) + "\r\n").encode()
        if self._socket is not None and self._used:
            try:
                return self._exchange(self._socket, head, body)
            except (WireError, ConnectionError):
                self.close()
        return self._exchange(self._socket or self.open(), head, body)

    def _exchange(self, wire: socket.socket, head: bytes, body: bytes | None) -> Answer:
        begun = time.perf_counter()
        if body is None:
            wire.sendall(head)
        elif len(body) < HEAD_LIMIT:
            wire.sendall(head + body)
        else:
            wire.sendall(head)
            wire.sendall(body)
        got = bytearray(wire.recv(HEAD_LIMIT))
        first_byte = time.perf_counter()
        while (end := got.find(b"\r\n\r\n")) < 0:
            more = wire.recv(HEAD_LIMIT)
            if not more or len(got) > HEAD_LIMIT:
                raise WireError("the connection ended before an answer")
            got += more
        status, fields = parse_head(bytes(got[:end]))
        rest = got[end + 4 :]
        content = self._body(wire, status, fields, rest)
        ended = time.perf_counter()
        self._used = True
        if fields.get("connection", "").lower() == "close":
            self.close()
        return Answer(status, fields, content, begun, first_byte, ended)

    def _body(self, wire: socket.socket, status: int, fields: dict[str, str], rest: bytearray) -> bytes | bytearray:
        if status in (204, 304):
            return b""
        if "content-length" in fields:
            return _exactly(wire, int(fields["content-length"]), rest)
        if fields.get("transfer-encoding", "").lower() == "chunked":
            return _chunks(wire, rest)
        while more := wire.recv(1 << 20):
            rest += more
        self.close()
        return rest


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Status and header fields, names in lower case. Raises WireError."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise WireError("the answer is no HTTP/1.1")
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    return int(words[1]), fields


def _exactly(wire: socket.socket, size: int, rest: bytearray) -> bytearray:
    body = bytearray(size)
    have = len(rest)
    body[:have] = rest
    if len(body) != size:
        raise WireError("the answer is longer than it said")
    view = memoryview(body)
    while have < size:
        got = wire.recv_into(view[have:])
        if not got:
            raise WireError(f"the connection ended after {have} of {size} bytes")
        have += got
    return body


def _chunks(wire: socket.socket, rest: bytearray) -> bytearray:
    """RFC 9112 7.1, without trailers that matter."""
    body, buffer = bytearray(), rest
    at = 0

    def more() -> None:
        got = wire.recv(1 << 20)
        if not got:
            raise WireError("the connection ended within a chunk")
        buffer.extend(got)

    while True:
        while (end := buffer.find(b"\r\n", at)) < 0:
            more()
        size = int(bytes(buffer[at:end]).split(b";")[0], 16)
        at = end + 2
        while len(buffer) < at + size + 2:
            more()
        if size == 0:
            while (blank := buffer.find(b"\r\n", at)) < 0:
                more()
            if blank != at:
                at = blank + 2
                continue
            return body
        body += buffer[at : at + size]
        del buffer[: at + size + 2]
        at = 0
