"""F19: an instance far larger than what a process may hold.

Procedure: an instance of 2 GiB (short form: 300 MiB) is stored with chunked transfer coding, retrieved, and three of
its frames are read, with each object store; then an upload of another is cut in the middle.

Pass: no web process grows by more than 512 MiB (200 MiB are held to here); every byte is the one that was sent; 20 s
after the cut no file of it is left.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from pydicom.dataset import Dataset

from tests.dicomweb.objects import make_data_set, to_bytes
from tests.faults.conftest import Figure
from tests.live.rounds import BOUNDARY
from tests.live.senders import AS_STORED, make_sent, post, store
from tests.live.server import LivePacs

MOST_GROWTH = 200 << 20
FRAME = 1 << 20  # 1024 rows of 512 columns of 2 bytes
_NOISE = os.urandom(FRAME - 8)


def frame(number: int) -> bytes:
    """The bytes of frame ``number``, unlike those of any other."""
    return struct.pack("<Q", number) + _NOISE


class Large:
    """An instance of so many frames that nobody ever holds whole."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.ds: Dataset = make_data_set(Rows=1024, Columns=512, NumberOfFrames=count, PixelData=None)
        self.head = to_bytes(self.ds) + struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, count * FRAME)
        self.hashed = hashlib.sha256()
        ds = self.ds
        self.path = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"

    def body(self) -> Iterator[bytes]:
        yield f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        for data in self._pieces():
            self.hashed.update(data)
            yield data
        yield f"\r\n--{BOUNDARY}--\r\n".encode()

    def _pieces(self) -> Iterator[bytes]:
        yield self.head
        for number in range(1, self.count + 1):
            yield frame(number)

    def half(self) -> Iterator[bytes]:
        """The body of a sender that is gone in the middle."""
        for number, data in enumerate(self.body()):
            if number == self.count // 2:
                raise ConnectionAbortedError
            yield data


@contextmanager
def growth(live: LivePacs) -> Iterator[list[int]]:
    """``[MiB]`` by which a web process grows meanwhile at the most, watched several times a second."""
    before, seen, stop = live.resident_bytes(), [0], threading.Event()
    told: list[int] = []

    def watch() -> None:
        while not stop.wait(0.05):
            seen[0] = max(seen[0], live.resident_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield told
    finally:
        stop.set()
        watcher.join()
    told.append(max(0, seen[0] - before) >> 20)
    assert told[0] << 20 < MOST_GROWTH, f"a web process grew by {told[0]} MiB"


@pytest.mark.timeout(1200)
def test_a_large_instance_comes_and_goes_in_constant_memory(
    any_store: LivePacs, figure: Figure, long_form: bool
) -> None:
    session = any_store.machine("technologist")
    assert store(any_store, session, [make_sent()]).status_code == 200  # warm
    large = Large(2048 if long_form else 300)
    name = any_store.environment["PACS_OBJECT_STORE"]
    with growth(any_store) as up:
        answer = post(any_store, session, large.body())
    assert answer.status_code == 200, answer.text

    url = f"{any_store.url}/dicom-web/{large.path}"
    with growth(any_store) as down:
        returned, size = hashlib.sha256(), 0
        with session.get(url, headers=AS_STORED, stream=True, timeout=300) as got:
            assert got.status_code == 200
            for piece in got.iter_content(1 << 20):
                returned.update(piece)
                size += len(piece)
    assert size == len(large.head) + large.count * FRAME
    assert returned.digest() == large.hashed.digest()

    with growth(any_store) as frames:
        for number in (1, large.count // 2, large.count):
            assert one_frame(session, url, number) == frame(number)

    left = after_a_cut(any_store, session, large.count)
    figure("F19", f"{name}: size", f"{size >> 20} MiB", "2048 MiB in the long form")
    for what, told in (("stored", up), ("retrieved", down), ("three frames", frames)):
        figure("F19", f"{name}: a web process grew when {what}", f"{told[0]} MiB", "512 MiB at most")
    figure("F19", f"{name}: files left 20 s after a cut upload", left, "0")


def one_frame(session: requests.Session, url: str, number: int) -> bytes:
    headers = {"Accept": "application/octet-stream"}
    answer = session.get(f"{url}/frames/{number}", headers=headers, timeout=300)
    assert answer.status_code == 200, answer.text
    return answer.content


def after_a_cut(live: LivePacs, session: requests.Session, count: int) -> int:
    """How many files an upload that was cut has left; looked for as long as 20 s."""
    cut = Large(count)
    with pytest.raises((requests.ConnectionError, ConnectionAbortedError)):
        post(live, session, cut.half())
    session.close()  # and with it the connection that the body broke off on
    until = time.monotonic() + 20
    while (left := under_way(live)) and time.monotonic() < until:
        time.sleep(0.2)
    assert not left
    assert session.get(f"{live.url}/dicom-web/{cut.path}", headers=AS_STORED, timeout=60).status_code == 404
    return len(left)


def under_way(live: LivePacs) -> list[Path]:
    """Files of uploads that have not ended."""
    return [file for room in ("store/staging", "spool") for file in (live.home / room).rglob("*") if file.is_file()]
