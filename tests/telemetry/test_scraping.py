"""A process without a web server of its own is scraped on a port, by whoever shows the token, and by nobody else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from telemetry import metrics, shared_values
from telemetry.metrics import HTTP_SLOW
from telemetry.scraping import scraped
from tests.live.server import free_port

TOKEN = {"Authorization": "Bearer right"}


@pytest.fixture(autouse=True)
def kept(tmp_path: Path) -> Iterator[None]:
    before = shared_values.folder()
    shared_values.keep_in(tmp_path)
    yield
    if before is not None:
        shared_values.keep_in(before)


def test_counts_are_told_to_whoever_shows_the_token() -> None:
    port = free_port()
    there = f"http://127.0.0.1:{port}/metrics"
    HTTP_SLOW.inc(3)
    with scraped("127.0.0.1", port, "right"):
        answer = requests.get(there, headers=TOKEN, timeout=30)
        assert answer.status_code == 200
        assert "version=0.0.4" in answer.headers["Content-Type"]
        assert "pacs_http_slow_total 3.0" in answer.text.splitlines()
        assert not any(line.startswith(name) for line in answer.text.splitlines() for name in metrics.GAUGES)
        assert "Python" not in answer.headers["Server"]
        refused = [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}, {"Authorization": "right"}]
        assert {requests.get(there, headers=shown, timeout=30).status_code for shown in refused} == {401}
        assert requests.get(f"http://127.0.0.1:{port}/", headers=TOKEN, timeout=30).status_code == 404
        assert requests.post(there, headers=TOKEN, timeout=30).status_code == 501
    with pytest.raises(requests.ConnectionError):
        requests.get(there, headers=TOKEN, timeout=30)


@pytest.mark.parametrize(("asked", "token"), [(False, "right"), (True, "")])
def test_nobody_listens_unless_port_and_token_are_set(asked: bool, token: str) -> None:
    port = free_port()
    with scraped("127.0.0.1", port if asked else 0, token), pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=30)


def test_a_port_that_is_taken_keeps_nobody_from_working(caplog: pytest.LogCaptureFixture) -> None:
    port, worked = free_port(), []
    with scraped("127.0.0.1", port, "right"), scraped("127.0.0.1", port, "right"):
        worked.append(requests.get(f"http://127.0.0.1:{port}/metrics", headers=TOKEN, timeout=30).status_code)
    assert worked == [200]
    assert "can't be scraped" in caplog.text
