"""How the pieces of an answer reach the socket: a small one waits for what follows, the last for nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from gunicorn.config import Config

from pacs_project.client_socket import MORE, ClientSocket
from pacs_project.web_answer import SMALL, Answer


class Told(ClientSocket):
    """Keeps account of what was handed to the kernel, and how."""

    sent: list[tuple[bytes, int]]

    def _send(self, data: bytes, flags: int) -> None:
        if data:
            self.sent.append((bytes(data), flags))
        super()._send(data, flags)


@pytest.fixture
def pair() -> Iterator[tuple[Told, socket.socket]]:
    listening = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listening.getsockname(), timeout=20)
    told = Told(listening.accept()[0])
    told.sent = []
    listening.close()
    yield told, client
    told.close()
    client.close()


def answered(told: Told, pieces: list[bytes], length: int | None) -> list[tuple[bytes, int]]:
    request = SimpleNamespace(version=(1, 1), method="GET", should_close=lambda: False)
    answer = Answer(request, told, Config())
    fields = [("Content-Type", "text/plain")] + ([] if length is None else [("Content-Length", str(length))])
    answer.start_response("200 OK", fields)
    for piece in pieces:
        answer.write(piece)
    answer.close()
    told.flush()
    return told.sent


def test_what_is_small_goes_with_what_follows(pair: tuple[Told, socket.socket]) -> None:
    told, client = pair
    large, small = b"l" * (SMALL + 1), b"s" * SMALL
    head, *rest = answered(told, [small, large, small, large, b"", small], 3 * SMALL + 2 * (SMALL + 1))
    assert head[0].endswith(b"\r\n\r\n" + small)
    assert head[1] == MORE
    assert rest == [(large, 0), (small, MORE), (large, 0), (small, 0)]
    told.close()
    got = b""
    while piece := client.recv(1 << 16):
        got += piece
    assert got.partition(b"\r\n\r\n")[2] == small + large + small + large + small


def test_an_answer_of_one_small_piece_is_sent_at_once(pair: tuple[Told, socket.socket]) -> None:
    told, _ = pair
    [(data, flags)] = answered(told, [b"all of it"], 9)
    assert (data.endswith(b"all of it"), flags) == (True, 0)


def test_a_piece_that_nobody_knows_to_be_followed_does_not_wait(pair: tuple[Told, socket.socket]) -> None:
    told, _ = pair
    sent = answered(told, [b"first", b"second"], None)
    assert [flags for _, flags in sent] == [0] * len(sent)
