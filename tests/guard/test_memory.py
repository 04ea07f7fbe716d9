"""What a request holds in memory at once, by what Python allocates: never a copy too many, never a whole large body."""

from __future__ import annotations

import io
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory

from tests.dicomweb.conftest import BOUNDARY
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.guard.requests import ROOT, Site, slice_of

pytestmark = pytest.mark.django_db(transaction=True)
SIDE: Final = 512
FRAME: Final = 2 * SIDE * SIDE
LARGE: Final = 200 << 20
# Pieces of 1 MB on their way, and what a request needs besides.
_CONSTANT: Final = 12 << 20
_BESIDES: Final = 256 << 10


@contextmanager
def held() -> Iterator[Callable[[], int]]:
    """The most bytes that were allocated at once since the beginning of the block."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    try:
        yield lambda: tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def peak(call: Callable[[], object]) -> int:
    """The most bytes that ``call`` has at once, the second time it is made."""
    call()
    with held() as most:
        call()
        return most()


def test_a_frame_is_held_once() -> None:
    site = Site.made()
    uid = f"{ROOT}.0.1"
    site.store([slice_of(uid, 1, Rows=SIDE, Columns=SIDE, PixelData=bytes(FRAME))])
    instance = f"studies/{uid}/series/{uid}.1/instances/{uid}.1.1"
    for path, accept, times in (
        (f"{instance}/frames/1", 'multipart/related; type="application/octet-stream"', 1),
        (f"{instance}/frames/1", "application/octet-stream", 1),
        (instance, "application/dicom", 1),
        (f"studies/{uid}", 'multipart/related; type="application/dicom"', 1),
    ):
        most = peak(lambda path=path, accept=accept: site.get(path, accept))  # type: ignore[misc]
        assert most < times * FRAME + _BESIDES, (path, accept, most / FRAME)


class Body(io.RawIOBase):
    """A body of which only what is read exists: ``head``, so many zeros, ``tail``."""

    def __init__(self, head: bytes, zeros: int, tail: bytes) -> None:
        self.size = len(head) + zeros + len(tail)
        self._left: list[bytes | int] = [head, zeros, tail]

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "the whole body was asked for at once"
        while self._left:
            part = self._left.pop(0)
            length = part if isinstance(part, int) else len(part)
            if length == 0:
                continue
            if length > size:
                self._left.insert(0, part - size if isinstance(part, int) else part[size:])
            return bytes(min(length, size)) if isinstance(part, int) else part[:size]
        return b""


def test_a_large_instance_comes_and_goes_piece_by_piece() -> None:
    site = Site.made()
    uid = f"{ROOT}.0.2"
    ds = make_data_set(
        StudyInstanceUID=uid,
        SeriesInstanceUID=f"{uid}.1",
        SOPInstanceUID=f"{uid}.1.1",
        Rows=1024,
        Columns=512,
        NumberOfFrames=LARGE >> 20,
        PixelData=None,
    )
    part = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    head = part + to_bytes(ds) + struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, LARGE)
    body = Body(head, LARGE, f"\r\n--{BOUNDARY}--\r\n".encode())
    with held() as most:
        assert answered(site, body).startswith("200")
        assert most() < _CONSTANT, f"stored with {most() >> 20} MB"
    instance = f"studies/{uid}/series/{uid}.1/instances/{uid}.1.1"
    for path, accept in (
        (instance, "application/dicom"),
        (f"studies/{uid}", 'multipart/related; type="application/dicom"'),
        (f"{instance}/bulkdata/7FE00010", "application/octet-stream"),
    ):
        with held() as most:
            site.get(path, accept)
            assert most() < _CONSTANT, f"{path}: {most() >> 20} MB"


def answered(site: Site, body: Body) -> str:
    """The status line of a Store whose body is read from ``body``."""
    environ = RequestFactory().post("/dicom-web/studies").environ
    environ |= {
        "wsgi.input": body,
        "CONTENT_LENGTH": str(body.size),
        "CONTENT_TYPE": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
        "HTTP_AUTHORIZATION": f"Bearer {site.token}",
        "HTTP_ACCEPT": "application/dicom+json",
    }
    told: list[str] = []

    def start(status: str, headers: Any, error: Any = None) -> Callable[[bytes], object]:
        told.append(status)
        return lambda data: None

    answer = WSGIHandler()(environ, start)
    told.append(b"".join(answer).decode())
    return " ".join(told)
