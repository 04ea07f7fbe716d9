"""One instance far larger than what a process may hold: in and out in constant memory, with each object store."""

from __future__ import annotations

import hashlib
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from tests.dicomweb.objects import make_data_set, to_bytes
from tests.live.rounds import BOUNDARY
from tests.live.senders import AS_STORED, make_sent, post, store
from tests.live.server import LivePacs

SIZE = int(os.environ.get("PACS_LARGE_BYTES", str(300 << 20)))
MOST_GROWTH = 200 << 20
FRAME = 1 << 20  # 1024 rows of 512 columns of 2 bytes
_NOISE = os.urandom(FRAME - 8)


def frame(number: int) -> bytes:
    """The bytes of frame ``number``, unlike those of any other."""
    return struct.pack("<Q", number) + _NOISE


@contextmanager
def bounded_memory(live: LivePacs, what: str) -> Iterator[None]:
    """Fails if a web process grows by more than ``MOST_GROWTH`` meanwhile, watched several times a second."""
    before, seen, stop = live.resident_bytes(), [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            seen[0] = max(seen[0], live.resident_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.monotonic()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
    growth = max(0, seen[0] - before)
    print(f"{what}: {SIZE >> 20} MiB in {time.monotonic() - began:.1f} s, {before >> 20} MiB + {growth >> 20} MiB RSS")
    assert growth < MOST_GROWTH, f"{what}: a web process grew by {growth >> 20} MiB"


def test_a_large_instance_comes_and_goes_in_constant_memory(any_store: LivePacs) -> None:
    session = any_store.machine("technologist")
    assert store(any_store, session, [make_sent()]).status_code == 200  # warm
    count = SIZE // FRAME
    ds = make_data_set(Rows=1024, Columns=512, NumberOfFrames=count, PixelData=None)
    head = to_bytes(ds) + struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, count * FRAME)
    hashed = hashlib.sha256()

    def body() -> Iterator[bytes]:
        yield f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        hashed.update(head)
        yield head
        for number in range(1, count + 1):
            data = frame(number)
            hashed.update(data)
            yield data
        yield f"\r\n--{BOUNDARY}--\r\n".encode()

    name = any_store.environment["PACS_OBJECT_STORE"]
    with bounded_memory(any_store, f"{name}: stored"):
        answer = post(any_store, session, body())
    assert answer.status_code == 200, answer.text

    path = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    url = f"{any_store.url}/dicom-web/{path}"
    with bounded_memory(any_store, f"{name}: retrieved"):
        returned, size = hashlib.sha256(), 0
        with session.get(url, headers=AS_STORED, stream=True, timeout=300) as got:
            assert got.status_code == 200
            for piece in got.iter_content(1 << 20):
                returned.update(piece)
                size += len(piece)
    assert size == len(head) + count * FRAME
    assert returned.digest() == hashed.digest()

    with bounded_memory(any_store, f"{name}: three frames"):
        for number in (1, count // 2, count):
            assert one_frame(session, url, number) == frame(number)


def one_frame(session: requests.Session, url: str, number: int) -> bytes:
    headers = {"Accept": "application/octet-stream"}
    answer = session.get(f"{url}/frames/{number}", headers=headers, timeout=300)
    assert answer.status_code == 200, answer.text
    return answer.content
