"""Connections of one client are spread over the workers, and a worker that is gone keeps nobody waiting."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pacs_project.web_balance import MOST_WORKERS, Balance

ROOT = Path(__file__).resolve().parent.parent.parent
APPLICATION = """
import os
def application(environ, start_response):
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
ROUNDS, CONNECTIONS = 10, 6


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "telling_application.py").write_text(APPLICATION)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "gunicorn", "--worker-class=pacs_project.web_worker.WebWorker", "--threads=4"]
    command += ["--workers=2", "--worker-connections=100", f"--bind=127.0.0.1:{number}", "--no-control-socket"]
    with (tmp_path / "web.log").open("wb") as file:
        server = subprocess.Popen(
            [*command, "telling_application:application"],
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{tmp_path}"},
            cwd=tmp_path,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        _await_workers(number)
        yield number
    finally:
        server.terminate()
        server.wait(30)


def test_six_connections_of_a_client_have_both_workers(port: int) -> None:
    shares: Counter[tuple[int, ...]] = Counter()
    for _ in range(ROUNDS):
        with ExitStack() as open_ones:
            opened = [open_ones.enter_context(_connected(port)) for _ in range(CONNECTIONS)]
            workers = Counter(_asked(each) for each in opened)
        shares[tuple(sorted(workers.values()))] += 1
        time.sleep(0.05)
    # Whoever wakes first would take all of them in most rounds, and half of them in three of ten.
    assert shares[3, 3] + shares[2, 4] >= ROUNDS * 0.7, shares


def test_a_worker_with_more_steps_back_and_one_with_as_many_does_not() -> None:
    balance = Balance()
    mine, other = balance.reserve(), _of_another_process(balance, connections=2)
    assert mine is not None
    assert other != mine
    balance.tell(mine, 2)
    assert not balance.another_has_less(mine, 2)
    assert balance.another_has_less(mine, 3)


def test_whoever_is_gone_or_has_left_is_nobody_to_wait_for() -> None:
    balance = Balance()
    gone = balance.reserve()
    assert gone is not None
    if not (child := os.fork()):
        balance.tell(gone, 0)
        os._exit(0)
    os.waitpid(child, 0)
    assert not balance.another_has_less(MOST_WORKERS, 5)
    assert balance.reserve() == gone
    balance.tell(gone, 0)
    assert balance.another_has_less(MOST_WORKERS, 5)
    balance.leave(gone)
    assert not balance.another_has_less(MOST_WORKERS, 5)


def test_a_place_that_is_only_reserved_is_nobody_to_wait_for() -> None:
    balance = Balance()
    balance.reserve()
    assert not balance.another_has_less(MOST_WORKERS, 5)


def test_more_workers_than_places() -> None:
    balance = Balance()
    assert [balance.reserve() for _ in range(MOST_WORKERS)] == [*range(MOST_WORKERS)]
    assert balance.reserve() is None


def _of_another_process(balance: Balance, connections: int) -> int:
    place = balance.reserve()
    assert place is not None
    balance.tell(place, connections)
    return place


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def _asked(connection: socket.socket) -> bytes:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = connection.recv(4096)
    while b"\r\n\r\n" not in answer or not answer.partition(b"\r\n\r\n")[2]:
        answer += connection.recv(4096)
    return answer.partition(b"\r\n\r\n")[2]


def _await_workers(port: int) -> None:
    """Until both have answered."""
    until = time.monotonic() + 60
    seen: set[bytes] = set()
    while time.monotonic() < until and len(seen) < 2:
        try:
            with ExitStack() as open_ones:
                opened = [open_ones.enter_context(_connected(port)) for _ in range(8)]
                seen |= {_asked(each) for each in opened}
        except OSError:
            time.sleep(0.1)
    assert len(seen) == 2
