"""One DICOMweb server over HTTP: bounded in time and size, never an exception but ``NoAnswer``."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit
from uuid import uuid4

MOST_BYTES = 64 << 20


class NoAnswer(Exception):
    """The server did not answer, or not with HTTP."""


class NotMet(Exception):
    """The answer is not what the clause asks for; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, header fields and whole body of an answer."""

    status: int
    headers: Message
    body: bytes

    @property
    def media_type(self) -> str:
        """Content-Type without parameters, lower case."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """The body as JSON. Raises ``NotMet``."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise NotMet(f"the body ({self.media_type or 'no Content-Type'}) is no JSON") from error

    def objects(self) -> list[dict[str, Any]]:
        """The body as DICOM JSON objects (PS3.18 F.2); 204 is none. Raises ``NotMet``."""
        if self.status == 204:
            return []
        found = self.json()
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise NotMet("the body is no JSON array of objects")
        return found

    def parts(self) -> list[tuple[Message, bytes]]:
        """Header fields and payload of each part of a multipart body (RFC 2046 5.1.1). Raises ``NotMet``."""
        boundary = self.headers.get_boundary()
        if self.media_type != "multipart/related" or not boundary:
            raise NotMet(f"Content-Type is {self.media_type or 'missing'}, expected multipart/related with a boundary")
        _, *pieces = (b"\r\n" + self.body).split(b"\r\n--" + boundary.encode("latin-1", "replace"))
        if not pieces or not pieces[-1].startswith(b"--"):
            raise NotMet("the multipart body has no closing delimiter")
        return [_part(piece) for piece in pieces[:-1]]


class Server:
    """The server at ``url``, the root of its Studies Service. Every request is a connection of its own."""

    def __init__(self, url: str, *, authorization: str | None = None, timeout: float = 30.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected a URL that begins with http:// or https://")
        self.root = url.rstrip("/")
        self.authorization = authorization
        self.timeout = timeout

    def send(
        self,
        method: str,
        path: str,
        *,
        accept: str | None = None,
        query: Mapping[str, str] | str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterator[bytes] | None = None,
    ) -> Answer:
        """The answer to a request; an iterator is sent chunked. ``path`` below the root, or a whole URL.

        Credentials go to the root's own host only. Raises ``NoAnswer``.
        """
        fields = {"User-Agent": "lightbox-selftest", "Accept-Encoding": "identity"} | dict(headers or {})
        if accept is not None:
            fields["Accept"] = accept
        asked = query if isinstance(query, str) else urlencode(query or {})
        try:
            root, url = urlsplit(self.root), urlsplit(self.absolute(path))
            if self.authorization and (url.scheme, url.netloc) == (root.scheme, root.netloc):
                fields["Authorization"] = self.authorization
            joined = "&".join(filter(None, (url.query, asked)))
            target = (url.path or "/") + (f"?{joined}" if joined else "")
            connection = self._connection(url.scheme, url.hostname or "", url.port)
            try:
                connection.request(method, target, body=body, headers=fields)
                response = connection.getresponse()
                return Answer(response.status, response.headers, self._body(response))
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NoAnswer(f"{type(error).__name__}: {error}"[:200]) from error

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        """The whole body; one that trickles or has no end is given up."""
        until = time.monotonic() + 4 * self.timeout
        pieces: list[bytes] = []
        size = 0
        while piece := response.read1(1 << 16):
            pieces.append(piece)
            size += len(piece)
            if size > MOST_BYTES or time.monotonic() > until:
                raise NoAnswer(f"the answer has no end within {MOST_BYTES >> 20} MiB and {4 * self.timeout:g} s")
        if response.length:
            raise NoAnswer("the body ended before its Content-Length")
        return b"".join(pieces)

    def absolute(self, path: str) -> str:
        """``path`` below the root; a BulkDataURI may be whole or begin with a slash."""
        if path.startswith(("http://", "https://")):
            return path
        return urljoin(self.root, path) if path.startswith("/") else f"{self.root}/{path}"

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=self.timeout, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port, timeout=self.timeout)


def basic(user: str, password: str) -> str:
    """An Authorization field (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def multipart(objects: list[bytes]) -> tuple[str, bytes]:
    """Content-Type and body of a Store request (PS3.18 10.5.1)."""
    boundary = uuid4().hex
    parts = [
        b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (boundary.encode(), payload) for payload in objects
    ]
    content_type = f'multipart/related; type="application/dicom"; boundary={boundary}'
    return content_type, b"".join(parts) + f"--{boundary}--\r\n".encode()


def _part(piece: bytes) -> tuple[Message, bytes]:
    head, found, payload = piece.partition(b"\r\n\r\n")
    if not found:
        raise NotMet("a part of the multipart body has no end of its header fields")
    message = Message()
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip():
            message[name.strip()] = value.strip()
    return message, payload
