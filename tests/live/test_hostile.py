"""Hostile requests over real sockets: one answer each, a refusal, at once; and nobody else notices."""

from __future__ import annotations

import socket
import time
import zlib
from contextlib import suppress

import pytest
import requests
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid

from tests.dicom import part10_objects as objects
from tests.dicomweb.conftest import multipart_body
from tests.live.rounds import BOUNDARY
from tests.live.senders import make_sent, post
from tests.live.server import LivePacs

MIB = 1 << 20
HIDDEN = b"GET /livez?hidden HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture(scope="module")
def session(file_store: LivePacs) -> requests.Session:
    return file_store.machine("technologist")


def exchange(live: LivePacs, data: bytes) -> bytes:
    """All that the server answers to these bytes, until it closes or falls silent for half a second."""
    with socket.create_connection(("127.0.0.1", live.port), timeout=10) as wire:
        with suppress(ConnectionError):  # it may close before it has read all
            wire.sendall(data)
        wire.settimeout(0.5)
        answer = b""
        with suppress(TimeoutError, ConnectionError):
            while more := wire.recv(65536):
                answer += more
        return answer


def request(
    live: LivePacs, session: requests.Session, *fields: bytes, line: bytes = b"POST /dicom-web/studies"
) -> bytes:
    authorization = f"Authorization: {session.headers['Authorization']!s}".encode()
    host = f"Host: 127.0.0.1:{live.port}".encode()
    kind = b'Content-Type: multipart/related; type="application/dicom"; boundary=b'
    return b"\r\n".join([line + b" HTTP/1.1", host, authorization, kind, *fields, b"", b""])


FRAMINGS: dict[str, tuple[bytes, ...]] = {
    "length and chunks": (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "chunks and length": (b"Transfer-Encoding: chunked", b"Content-Length: 60"),
    "two lengths": (b"Content-Length: 5", b"Content-Length: 60"),
    "a list of lengths": (b"Content-Length: 5, 60",),
    "a signed length": (b"Content-Length: +5",),
    "a negative length": (b"Content-Length: -5",),
    "a length in hex": (b"Content-Length: 0x5",),
    "no coding known": (b"Transfer-Encoding: xchunked",),
    "chunked twice": (b"Transfer-Encoding: chunked, chunked",),
    "chunked not last": (b"Transfer-Encoding: chunked, identity",),
    "vertical tab": (b"Transfer-Encoding:\x0bchunked",),
    "blank before the colon": (b"Transfer-Encoding : chunked",),
    "folded": (b"Transfer-Encoding:\r\n chunked",),
    "bare line feed": (b"X: y\nTransfer-Encoding: chunked",),
    "NUL": (b"X: a\0b",),
}


@pytest.mark.parametrize("framing", FRAMINGS)
def test_no_request_hides_in_another(file_store: LivePacs, session: requests.Session, framing: str) -> None:
    began = time.monotonic()
    answer = exchange(file_store, request(file_store, session, *FRAMINGS[framing]) + b"0\r\n\r\n" + HIDDEN)
    assert answer.count(b"HTTP/1.1 ") <= 1, "the hidden request is answered"
    assert answer[9:12] in (b"400", b"501", b"411", b""), answer[:200]
    assert b" 200 " not in answer.split(b"\r\n")[0]
    assert time.monotonic() - began < 25


SIZES = {
    b"FFFFFFFFFFFFFFFFF\r\n": "a chunk of more than 2^64",
    b"-1\r\n": "a negative chunk",
    b"0x5\r\nhello\r\n0\r\n\r\n": "a chunk in C's hex",
    b"5 \x00\r\nhello\r\n0\r\n\r\n": "a NUL in the size",
    b"+5\r\nhello\r\n0\r\n\r\n": "a signed chunk",
    b"5\nhello\n0\n\n": "bare line feeds",
}


@pytest.mark.parametrize("body", SIZES, ids=SIZES.values())
def test_no_request_hides_in_a_chunk(file_store: LivePacs, session: requests.Session, body: bytes) -> None:
    answer = exchange(file_store, request(file_store, session, b"Transfer-Encoding: chunked") + body + HIDDEN)
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert answer[9:12] in (b"400", b""), answer[:200]


@pytest.mark.parametrize(
    ("line", "fields", "statuses"),
    [
        (b"GET /dicom-web/studies", tuple(b"X-%d: y" % n for n in range(20_000)), (b"400", b"431")),
        (b"GET /dicom-web/studies", (b"X: " + b"y" * 8 * MIB,), (b"400", b"431")),
        (b"GET /dicom-web/studies?" + b"a" * 8 * MIB, (), (b"400", b"414", b"431")),
        (b"GET /dicom-web/" + b"%2e%2e/" * 1100, (), (b"400", b"404", b"414")),
    ],
    ids=["20,000 fields", "8 MiB of field", "8 MiB of line", "7 kB of dots"],
)
def test_heads_that_are_too_large(
    file_store: LivePacs, session: requests.Session, line: bytes, fields: tuple[bytes, ...], statuses: tuple[bytes, ...]
) -> None:
    before, began = file_store.resident_bytes(), time.monotonic()
    answer = exchange(file_store, request(file_store, session, *fields, line=line))
    # Empty: closed while the client was still sending, which loses the answer on its way.
    assert answer[9:12] in (*statuses, b""), answer[:200]
    assert time.monotonic() - began < 25
    assert file_store.resident_bytes() - before < 64 * MIB


@pytest.mark.parametrize("length", [8 << 60, 1 << 64, 10**40])
def test_a_length_beyond_all_reason_allocates_nothing(
    file_store: LivePacs, session: requests.Session, length: int
) -> None:
    before = file_store.resident_bytes()
    head = request(file_store, session, b"Content-Length: %d" % length)
    with socket.create_connection(("127.0.0.1", file_store.port), timeout=10) as wire:
        wire.sendall(head + b"--b\r\n\r\nx")
        wire.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(TimeoutError, ConnectionError):
            answer = wire.recv(65536)
    assert answer[9:12] in (b"400", b"413"), answer[:200]
    assert file_store.resident_bytes() - before < 64 * MIB


def bombs() -> dict[str, bytes]:
    deflater = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    zeros = objects.data_set() + objects.element(0x00420011, "OB", bytes(256 * MIB))
    deflated = objects.meta(DeflatedExplicitVRLittleEndian) + deflater.compress(zeros) + deflater.flush()
    nested = b"\x40\0\x75\2SQ\0\0\xff\xff\xff\xff" * 200_000
    return {
        "256 MiB of zeros": deflated,
        "200,000 levels": objects.instance(tail=nested),
        "1,000,000 items": objects.instance(tail=objects.element(0x00400275, "SQ", objects.item(b"") * 1_000_000)),
        "lying length": objects.instance(tail=objects.element(0x7FE00010, "OW", b"", 0xFFFFFFFE)),
        "100,000 empty parts": b"",
    }


def test_bombs_leave_the_server_well(file_store: LivePacs, session: requests.Session) -> None:
    """The clock allows for a machine that is busy with other tests; on an idle one all is over in a few seconds."""
    before = file_store.resident_bytes()
    for name, bomb in bombs().items():
        body = multipart_body([bomb]) if bomb else b"--lightbox-test-boundary\r\n\r\n\r\n" * 100_001
        began = time.monotonic()
        answer = post(file_store, session, iter([body.replace(b"lightbox-test-boundary", BOUNDARY.encode())]))
        assert answer.status_code in (400, 409), (name, answer.text[:200])
        assert time.monotonic() - began < 60, name
        assert file_store.resident_bytes() - before < 512 * MIB, name
    began = time.monotonic()
    assert requests.get(f"{file_store.url}/livez", timeout=30).status_code == 200
    assert session.get(f"{file_store.url}/dicom-web/studies?limit=1", timeout=30).status_code in (200, 204)
    sent = make_sent(StudyInstanceUID=generate_uid())
    body = multipart_body([sent.data]).replace(b"lightbox-test-boundary", BOUNDARY.encode())
    assert post(file_store, session, iter([body])).status_code == 200
    assert time.monotonic() - began < 40


def test_a_token_in_the_address_is_none(file_store: LivePacs, session: requests.Session) -> None:
    token = str(session.headers["Authorization"]).removeprefix("Bearer ")
    for name in ("access_token", "token", "Authorization", "bearer_token"):
        assert requests.get(f"{file_store.url}/dicom-web/studies?{name}={token}", timeout=10).status_code == 401
    assert token.encode() not in (file_store.home / "web.log").read_bytes()
