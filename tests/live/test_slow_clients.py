"""Clients that send or read slowly, or not at all. A crowd of them: ``tests/faults/test_f18_slow_clients.py``."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import requests

from tests.live.rounds import STORE_TYPE
from tests.live.senders import Sent, make_sent, store
from tests.live.server import LivePacs

PATIENCE = 8.0  # what the machine itself may pause for; who waits for somebody slow waits 10 s and more


@pytest.fixture(scope="module")
def session(file_store: LivePacs) -> requests.Session:
    return file_store.machine("technologist")


@pytest.fixture(scope="module")
def large(file_store: LivePacs, session: requests.Session) -> Sent:
    """More than the kernel's buffers take."""
    sent = make_sent(kilobytes=32 * 1024)
    assert store(file_store, session, [sent]).status_code == 200
    return sent


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connect(live: LivePacs, stack: ExitStack, *, buffer: int = 0) -> socket.socket:
    wire = stack.enter_context(socket.socket())
    if buffer:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    wire.settimeout(30)
    wire.connect(("127.0.0.1", live.port))
    return wire


def head(live: LivePacs, line: str, session: requests.Session | None = None, *fields: str) -> bytes:
    lines = [line, f"Host: 127.0.0.1:{live.port}", *fields]
    if session is not None:
        lines.append(f"Authorization: {session.headers['Authorization']!s}")
    return "\r\n".join([*lines, "", ""]).encode()


def half_a_head(live: LivePacs, session: requests.Session, large: Sent) -> bytes:
    return b"GET /li"


def a_late_body(live: LivePacs, session: requests.Session, large: Sent) -> bytes:
    fields = ("Content-Type: application/x-www-form-urlencoded", "Content-Length: 1000")
    return head(live, "POST /oauth/token/ HTTP/1.1", None, *fields) + b"grant"


def a_slow_store(live: LivePacs, session: requests.Session, large: Sent) -> bytes:
    fields = (f"Content-Type: {STORE_TYPE}", "Content-Length: 100000000")
    return head(live, "POST /dicom-web/studies HTTP/1.1", session, *fields) + b"--"


def an_unread_answer(live: LivePacs, session: requests.Session, large: Sent) -> bytes:
    accept = "Accept: application/dicom; transfer-syntax=*"
    return head(live, f"GET /dicom-web/{large.path} HTTP/1.1", session, accept)


Begin = Callable[[LivePacs, requests.Session, Sent], bytes]


def status_of(wire: socket.socket) -> int:
    """The status of the answer; 0 if the connection was closed without one."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while b"\r\n" not in data and (more := wire.recv(4096)):
            data += more
    return int(data.split()[1]) if data else 0


def ended(wire: socket.socket, seconds: float) -> bool:
    """Did the server close the connection within this time? What it sends meanwhile is read."""
    wire.settimeout(seconds)
    try:
        while wire.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True
    return True


@pytest.mark.parametrize("begin", [half_a_head, a_late_body])
def test_a_request_is_whole_within_ten_seconds(
    file_store: LivePacs, session: requests.Session, large: Sent, sockets: ExitStack, begin: Begin
) -> None:
    """One byte a second doesn't help."""
    wire = connect(file_store, sockets)
    wire.sendall(begin(file_store, session, large))
    began = time.monotonic()
    with contextlib.suppress(OSError):
        while time.monotonic() - began < 9:
            wire.sendall(b"v")
            time.sleep(1)
    assert status_of(wire) == 408
    assert 9 <= time.monotonic() - began < 25


def test_more_connections_than_there_is_room_for(file_store: LivePacs, sockets: ExitStack) -> None:
    """The oldest of those that say nothing make room."""
    silent = [connect(file_store, sockets) for _ in range(2300)]
    start = time.monotonic()
    assert requests.get(f"{file_store.url}/livez", timeout=30).status_code == 200
    assert time.monotonic() - start < PATIENCE
    assert any(ended(wire, 0.01) for wire in silent[:300])


def test_stores_wait_for_each_other_but_not_for_ever(
    file_store: LivePacs, session: requests.Session, large: Sent, sockets: ExitStack
) -> None:
    wires = [connect(file_store, sockets) for _ in range(60)]
    for wire in wires:
        wire.sendall(a_slow_store(file_store, session, large))
    began = time.monotonic()
    refused = 0
    for wire in wires:
        wire.settimeout(max(0.01, 14 - (time.monotonic() - began)))
        with contextlib.suppress(TimeoutError):
            answer = wire.recv(4096)
            assert answer.startswith((b"HTTP/1.1 503 ", b"HTTP/1.1 429 ")), answer
            assert b"Retry-After: " in answer
            refused += 1
    assert refused >= 60 - 2 * 12
    for wire in wires:
        wire.close()
    assert store(file_store, session, [make_sent(kilobytes=100)]).status_code == 200


@pytest.mark.parametrize(
    ("line", "fields", "status"),
    [
        ("POST /oauth/token/", ("Content-Length: 70000",), 413),
        ("POST /accounts/login/", ("Transfer-Encoding: chunked",), 411),
        ("POST http://127.0.0.1/oauth/token/?a=/dicom-web/", ("Content-Length: 70000",), 413),
        ("POST /dicom-web/studies", ("Content-Length: 70000",), 401),
        ("POST /dicom-web/studies", ("Transfer-Encoding: chunked",), 401),
    ],
)
def test_strangers_send_no_large_bodies(
    file_store: LivePacs, sockets: ExitStack, line: str, fields: tuple[str, ...], status: int
) -> None:
    wire = connect(file_store, sockets)
    wire.sendall(head(file_store, f"{line} HTTP/1.1", None, *fields))
    start = time.monotonic()
    assert status_of(wire) == status
    assert ended(wire, 5)
    assert time.monotonic() - start < PATIENCE + 2


def test_a_head_without_end(file_store: LivePacs, sockets: ExitStack) -> None:
    wire = connect(file_store, sockets)
    wire.sendall(b"GET /livez HTTP/1.1\r\n" + b"X-Filler: " + b"x" * 40_000)
    assert status_of(wire) == 431


def test_clients_that_do_not_close(file_store: LivePacs, sockets: ExitStack) -> None:
    """gunicorn's own way of closing waits in the event loop, 2 s for each."""
    for _ in range(30):
        connect(file_store, sockets).sendall(head(file_store, "GET /livez HTTP/1.1", None, "Connection: close"))
    time.sleep(0.3)
    start = time.monotonic()
    assert requests.get(f"{file_store.url}/livez", timeout=30).status_code == 200
    assert time.monotonic() - start < 3 * PATIENCE, "it is 60 s"


def test_requests_in_pieces_and_in_a_row(file_store: LivePacs, session: requests.Session, sockets: ExitStack) -> None:
    """What a slow client sends arrives whole; requests sent ahead are answered in order on one connection."""
    wire = connect(file_store, sockets)
    one = head(file_store, "GET /dicom-web/studies?limit=0 HTTP/1.1", session)
    for byte in one:
        wire.sendall(bytes([byte]))
    assert status_of(wire) == 200
    wire = connect(file_store, sockets)
    live = head(file_store, "GET /livez HTTP/1.1")
    wire.sendall(live * 3 + head(file_store, "GET /livez HTTP/1.1", None, "Connection: close"))
    answers = b""
    while more := wire.recv(65536):
        answers += more
    assert answers.count(b"HTTP/1.1 200 OK") == 4


def test_what_comes_behind_a_probe_does_not_hold_its_thread(
    file_store: LivePacs, session: requests.Session, large: Sent, sockets: ExitStack
) -> None:
    """Probes and retrievals on one connection, of which nobody reads the answers: other probes are answered."""
    probe, some = head(file_store, "GET /livez HTTP/1.1"), make_sent(kilobytes=8)
    assert store(file_store, session, [some]).status_code == 200
    for _ in range(8):
        wire = connect(file_store, sockets, buffer=4096)
        wire.sendall(probe + an_unread_answer(file_store, session, large))
    for before in range(6, 30):
        # For one of them there is just no room left when it comes to the probe.
        wire = connect(file_store, sockets, buffer=4096)
        wire.sendall(an_unread_answer(file_store, session, some) * before + probe)
    time.sleep(2)
    for _ in range(8):
        assert requests.get(f"{file_store.url}/livez", timeout=PATIENCE).status_code == 200


def test_a_small_body_that_is_asked_for_first(file_store: LivePacs, sockets: ExitStack) -> None:
    body = b"grant_type=client_credentials&client_id=a&client_secret=b"
    form = "Content-Type: application/x-www-form-urlencoded"
    fields = (form, f"Content-Length: {len(body)}", "Expect: 100-continue")
    wire = connect(file_store, sockets)
    wire.sendall(head(file_store, "POST /oauth/token/ HTTP/1.1", None, *fields))
    assert wire.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.sendall(body)
    assert status_of(wire) == 401


def test_a_proxy_is_believed_only_by_the_settings(file_store: LivePacs) -> None:
    """On this machine gunicorn would believe anybody: a wrong SCRIPT_NAME was answered 500."""
    for fields in ({"SCRIPT_NAME": "/evil"}, {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "off"}):
        assert requests.get(f"{file_store.url}/livez", headers=fields, timeout=30).status_code == 200


def test_a_large_answer_arrives_whole(file_store: LivePacs, session: requests.Session, large: Sent) -> None:
    url = f"{file_store.url}/dicom-web/{large.path}"
    answer = requests.get(url, headers=dict(session.headers) | {"Accept": "application/dicom"}, timeout=60)
    assert answer.content == large.data


def test_the_log_says_nothing_of_what_was_asked(
    file_store: LivePacs, session: requests.Session, sockets: ExitStack
) -> None:
    name = "ZZMARKER"
    for line in (
        f"GET /dicom-web/studies?PatientName={name} HTTP/9.x",
        f"GET /dicom-web/studies?PatientName={name}",
        f"G{{}}T /{name} HTTP/1.1",
        f"GET /dicom-web/studies?PatientName={name}%00 HTTP/1.1",
        f"GET /{name} HTTP/1.1\r\nBad Field {name}: x",
    ):
        wire = connect(file_store, sockets)
        wire.sendall(head(file_store, line, session))
        assert status_of(wire) in (400, 404), line
    log = (file_store.home / "web.log").read_text()
    assert "Invalid request from ip=127.0.0.1: InvalidHTTPVersion" in log
    assert name not in log
    assert os.path.getsize(file_store.home / "web.log") < 1 << 20
