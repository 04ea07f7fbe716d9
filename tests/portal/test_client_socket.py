"""The socket that gunicorn's threads write to: a head waits for its body, and nothing for longer than its answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from pacs_project.client_socket import JOINED, LONGEST_HEAD, ClientSocket

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"


@pytest.fixture
def ends() -> Iterator[tuple[ClientSocket, socket.socket]]:
    ours, theirs = socket.socketpair()
    sending = ClientSocket(ours)
    theirs.settimeout(20)
    yield sending, theirs
    sending.close()
    theirs.close()


def arrived(theirs: socket.socket) -> bytes:
    """What is there now."""
    theirs.setblocking(False)
    try:
        return theirs.recv(1 << 20)
    except BlockingIOError:
        return b""


def test_a_head_and_a_short_body_arrive_together(ends: tuple[ClientSocket, socket.socket]) -> None:
    sending, theirs = ends
    sending.sendall(HEAD)
    assert arrived(theirs) == b""
    sending.sendall(b"body")
    assert arrived(theirs) == HEAD + b"body"
    sending.sendall(b"more")
    assert arrived(theirs) == b"more", "only the first thing waits"


@pytest.mark.parametrize("size", [JOINED, JOINED + 1, 3 * JOINED])
def test_all_of_a_long_body_follows_its_head(ends: tuple[ClientSocket, socket.socket], size: int) -> None:
    sending, theirs = ends
    sending.sendall(HEAD)
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    sending.sendall(memoryview(body))
    got = bytearray()
    while len(got) < len(HEAD) + size:
        got += theirs.recv(1 << 20)
    assert bytes(got) == HEAD + body


def test_a_head_alone_is_sent_at_the_end_of_its_answer(ends: tuple[ClientSocket, socket.socket]) -> None:
    sending, theirs = ends
    sending.sendall(HEAD)
    assert sending.flush()
    assert arrived(theirs) == HEAD
    assert sending.flush()
    assert arrived(theirs) == b""
    sending.begin()
    sending.sendall(HEAD)
    assert arrived(theirs) == b"", "of the next answer, again"
    assert sending.flush()
    assert arrived(theirs) == HEAD


def test_what_is_too_long_for_a_head_does_not_wait(ends: tuple[ClientSocket, socket.socket]) -> None:
    sending, theirs = ends
    sending.sendall(b"x" * (LONGEST_HEAD + 1))
    assert len(arrived(theirs)) == LONGEST_HEAD + 1


def test_a_client_that_has_gone_is_no_error_at_the_end(ends: tuple[ClientSocket, socket.socket]) -> None:
    sending, theirs = ends
    sending.sendall(HEAD)
    theirs.close()
    assert not sending.flush()
