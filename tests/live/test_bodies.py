"""Bodies over real sockets: slow, broken off, wrongly counted; nothing of them stays, and nobody else has to wait."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from pydicom.uid import generate_uid

from tests.dicomweb.conftest import multipart_body
from tests.dicomweb.objects import make_object
from tests.live.rounds import BOUNDARY, STORE_TYPE
from tests.live.senders import Sent, found, make_sent, post
from tests.live.server import LivePacs

CHUNKED = ("Transfer-Encoding: chunked",)


@pytest.fixture(scope="module")
def session(file_store: LivePacs) -> requests.Session:
    return file_store.machine("technologist")


@pytest.fixture
def sent() -> Sent:
    return make_sent(kilobytes=2048)


def body_of(*sent: Sent) -> bytes:
    return multipart_body([each.data for each in sent]).replace(b"lightbox-test-boundary", BOUNDARY.encode())


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def staged(live: LivePacs) -> list[Path]:
    return list((live.home / "store/staging").glob("*"))


def are_staged(live: LivePacs, count: int) -> bool:
    """Whether soon so many uploads are under way."""
    until = time.monotonic() + 20
    while len(staged(live)) != count and time.monotonic() < until:
        time.sleep(0.05)
    return len(staged(live)) == count


class Wire:
    """A request written by hand."""

    def __init__(self, live: LivePacs, session: requests.Session, *fields: str, content_type: str = STORE_TYPE) -> None:
        self.socket = socket.create_connection(("127.0.0.1", live.port), timeout=60)
        head = [
            "POST /dicom-web/studies HTTP/1.1",
            f"Host: 127.0.0.1:{live.port}",
            f"Authorization: {session.headers['Authorization']!s}",
            f"Content-Type: {content_type}",
            *fields,
        ]
        self.send("\r\n".join([*head, "", ""]).encode())

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer, read to its Content-Length or the end of the connection."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.socket.recv(65536)
            if not more:
                return 0, data
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields.get(b"content-length", b"0"))
        while len(body) < length:
            body += self.socket.recv(65536)
        return int(head.split()[1]), body

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def test_a_slow_sender_is_waited_for(file_store: LivePacs, session: requests.Session) -> None:
    one, two = make_sent(), make_sent()
    body = body_of(one, two)

    def slowly() -> Iterator[bytes]:
        for start in range(0, len(body), len(body) // 12):
            time.sleep(0.1)
            yield body[start : start + len(body) // 12]

    assert post(file_store, session, slowly()).status_code == 200
    assert found(file_store, session, [one.uid, two.uid]).total() == 2


def test_pieces_of_every_size(file_store: LivePacs, session: requests.Session) -> None:
    one = make_sent(kilobytes=2048)
    body = body_of(one)
    with Wire(file_store, session, *CHUNKED) as wire:
        for size in (1, 2, 3, 5, 100, 4095, 70_000):
            wire.send(chunk(body[:size]))
            body = body[size:]
        wire.send(chunk(body) + b"0\r\nX-Trailer: here\r\n\r\n")
        status, answer = wire.answer()
    assert status == 200, answer
    assert found(file_store, session, [one.uid]).total() == 1


@pytest.mark.parametrize("fields", [CHUNKED, ("Content-Length: {length}",)], ids=["chunked", "counted"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_client_that_goes_away_leaves_nothing(
    file_store: LivePacs, session: requests.Session, sent: Sent, fields: tuple[str, ...], share: float
) -> None:
    body = body_of(sent)
    cut = body[: int(len(body) * share)]
    with Wire(file_store, session, *(field.format(length=len(body)) for field in fields)) as wire:
        wire.send(b"%x\r\n%s" % (len(body), cut) if fields is CHUNKED else cut)
        # Only what is larger than one read of the server gets as far as a file.
        assert share < 0.5 or are_staged(file_store, 1)
    assert are_staged(file_store, 0)
    assert not found(file_store, session, [sent.uid])


@pytest.mark.parametrize("whole_part", [True, False])
def test_a_body_shorter_than_it_says_is_refused(
    file_store: LivePacs, session: requests.Session, sent: Sent, whole_part: bool
) -> None:
    body = body_of(sent)
    sent_bytes = body if whole_part else body[:-1000]
    with Wire(file_store, session, f"Content-Length: {len(body) + 500}") as wire:
        wire.send(sent_bytes)
        wire.socket.shutdown(socket.SHUT_WR)
        status, answer = wire.answer()
    # Behind the closing delimiter nothing is of interest: what was announced there may stay away.
    assert status == (200 if whole_part else 400), answer
    assert are_staged(file_store, 0)
    assert found(file_store, session, [sent.uid]).total() == whole_part


@pytest.mark.parametrize("fields", [("Content-Length: 9000",), CHUNKED], ids=["counted", "chunked"])
def test_a_single_instance_that_breaks_off_is_refused(
    file_store: LivePacs, session: requests.Session, fields: tuple[str, ...]
) -> None:
    """What arrived is a whole object; only the count says that something is missing."""
    one = make_sent()
    with Wire(file_store, session, *fields, content_type="application/dicom") as wire:
        wire.send(one.data if fields is not CHUNKED else b"%x\r\n%s" % (9000, one.data))
        wire.socket.shutdown(socket.SHUT_WR)
        status, answer = wire.answer()
    assert status == 400, answer
    assert not found(file_store, session, [one.uid])


def test_what_follows_the_counted_body_is_another_request(file_store: LivePacs, session: requests.Session) -> None:
    one, two = make_sent(), make_sent()
    body, more = body_of(one), body_of(two)
    with Wire(file_store, session, f"Content-Length: {len(body)}") as wire:
        wire.send(body + more)
        status, answer = wire.answer()
        assert status == 200, answer
        assert one.uid.encode() in answer
        assert two.uid.encode() not in answer
        following, _ = wire.answer()
    assert following in (0, 400)
    assert not found(file_store, session, [two.uid])


@pytest.mark.parametrize(
    "garbage",
    [b"zz\r\n", b"-5\r\n", b"5;ext=\x01\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloXX", b"\r\n", b"f" * 40 + b"\r\n"],
)
def test_a_malformed_chunk_is_the_clients_fault(
    file_store: LivePacs, session: requests.Session, sent: Sent, garbage: bytes
) -> None:
    with Wire(file_store, session, *CHUNKED) as wire:
        wire.send(chunk(body_of(sent)[:9000]) + garbage)
        wire.socket.shutdown(socket.SHUT_WR)
        status, answer = wire.answer()
    assert status == 400, answer
    assert json.loads(answer)["code"] == "malformed-body"
    assert are_staged(file_store, 0)


def test_a_client_that_asks_first(file_store: LivePacs, session: requests.Session, sent: Sent) -> None:
    body = body_of(sent)
    with Wire(file_store, session, f"Content-Length: {len(body)}", "Expect: 100-continue") as wire:
        assert wire.answer() == (100, b"")
        wire.send(body)
        status, answer = wire.answer()
    assert status == 200, answer


def test_who_may_not_store_hears_so_before_the_body_is_read(file_store: LivePacs) -> None:
    stranger = requests.Session()
    stranger.headers["Authorization"] = "Bearer nobody"
    with Wire(file_store, stranger, f"Content-Length: {10 << 30}") as wire:
        status, answer = wire.answer()
    assert status == 401, answer


def test_stalled_uploads_keep_nobody_else_waiting(file_store: LivePacs, session: requests.Session) -> None:
    body = body_of(make_sent(kilobytes=2048))
    with ExitStack() as stalled:
        for _ in range(8):
            wire = stalled.enter_context(Wire(file_store, session, *CHUNKED))
            wire.send(b"%x\r\n%s" % (len(body), body[: len(body) // 2]))
        assert are_staged(file_store, 8)
        for _ in range(10):
            assert requests.get(f"{file_store.url}/livez", timeout=20).status_code == 200
        other = make_sent()
        assert post(file_store, session, iter([body_of(other)])).status_code == 200
        assert found(file_store, session, [other.uid]).total() == 1
    assert are_staged(file_store, 0)


def test_a_keep_alive_connection_survives_refusals(file_store: LivePacs, session: requests.Session) -> None:
    """What was refused was read all the same: the next request on the connection is understood."""
    study = generate_uid()
    for data, status in ((b"no DICOM", 409), (make_object(StudyInstanceUID=study), 200), (b"", 409)):
        body = multipart_body([data]).replace(b"lightbox-test-boundary", BOUNDARY.encode())
        assert post(file_store, session, iter([body])).status_code == status
