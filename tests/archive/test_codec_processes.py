"""Codecs that crash, loop, fill memory or lie cost their own frame and nothing else (archive/codec_processes.py)."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy
import pytest
from django.conf import settings

from archive import codec_processes
from archive.codec_processes import away
from archive.decoding import decoding, places
from archive.errors import ArchiveUnavailable
from dicom.codec_messages import CLASSES, Unexpected, pack_answer, pack_request
from dicom.codecs import DecodedFrame
from dicom.errors import CannotDecode, DicomError, TooComplex
from dicom.region import OutsideImage
from tests.dicom import hostile_codecs as hostile

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True, scope="module")
def short_limits() -> Iterator[None]:
    """A second of processor time and 256 MiB for each call, in children made for this module."""
    codec_processes._close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings.PACS.limits, "codec_seconds", 1.0)
        patch.setattr(settings.PACS.limits, "codec_bytes", 256 << 20)
        yield
    codec_processes._close()


def test_frames_go_without_a_copy() -> None:
    frame, array = bytes(1 << 20), hostile.samples(700)
    head, *rest = pack_request(1.0, hostile.echo, (frame, array), {})
    assert len(head) < 4096
    assert [memoryview(piece).nbytes for piece in rest] == [len(frame), array.nbytes]
    assert numpy.shares_memory(numpy.frombuffer(rest[0], "u1"), numpy.frombuffer(frame, "u1"))
    assert numpy.shares_memory(numpy.frombuffer(rest[1], "u1"), array)


@pytest.mark.parametrize("edge", [232, 256, 257])
def test_noise_in_jpeg_xl_stays_within_its_memory(edge: int) -> None:
    assert away(hostile.noise_in_jpeg_xl, edge) is True


def test_values_come_back_as_they_were() -> None:
    array = numpy.arange(24, dtype=">u2").reshape(2, 3, 4)
    values: list[Any] = [None, True, -3, 1.5, "text", b"bytes", b"", [1, [2]], (1, (b"x", None)), {"a": {"b": [b"c"]}}]
    for value in values:
        assert away(hostile.echo, value) == value
        assert type(away(hostile.echo, value)) is type(value)
    for sent in (
        array,
        hostile.samples(8)[:, ::2],
        numpy.zeros((0, 4), "f4"),
        numpy.array([True]),
        numpy.zeros((700, 700), "i4"),
    ):
        came = away(hostile.echo, sent)
        assert came.dtype == sent.dtype
        numpy.testing.assert_array_equal(came, sent)
    frame = away(hostile.echo, DecodedFrame(array, "RGB"))
    assert isinstance(frame, DecodedFrame)
    assert frame.photometric_interpretation == "RGB"
    assert away(hostile.samples, 300).sum() == hostile.samples(300).sum()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("cannot", CannotDecode), ("complex", TooComplex), ("outside", OutsideImage), ("value", Unexpected)],
)
def test_errors_keep_their_kind_and_only_ours_their_text(kind: str, expected: type[DicomError]) -> None:
    with pytest.raises(expected) as raised:
        away(hostile.refuse, kind)
    assert type(raised.value) is expected
    assert str(raised.value) == ("ValueError" if kind == "value" else "told")


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (hostile.crash, "SIGSEGV"),
        (hostile.abort, "SIGABRT"),
        (hostile.leave, "ended without an answer"),
        (hostile.spin, "more than 1 seconds"),
        (hostile.sleep, "more than 1 seconds"),
        (hostile.fill_memory, "MemoryError"),
    ],
    ids=lambda it: getattr(it, "__name__", ""),
)
def test_a_codec_that_breaks_costs_its_own_frame(
    call: Callable[[], Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "seconds" not in reason:  # a machine with other work takes more than one until memory is full
        monkeypatch.setattr(settings.PACS.limits, "codec_seconds", 60.0)
    assert away(hostile.echo, 1) == 1
    with pytest.raises(CannotDecode, match=reason):
        away(call)
    assert away(hostile.echo, 2) == 2


def head(text: bytes, sizes: tuple[int, ...] = ()) -> bytes:
    return struct.pack("<QI", len(text), len(sizes)) + b"".join(struct.pack("<Q", size) for size in sizes) + text


LIES = {
    "no JSON": head(b"{" * 10),
    "a head of 8 EB": struct.pack("<QI", 1 << 62, 0) + bytes(100),
    "a buffer of 8 EB": struct.pack("<QIQ", 2, 1, 1 << 62) + b"{}",
    "a million buffers": struct.pack("<QI", 2, 1 << 20) + bytes(100),
    "deep": head(b'{"value": ' + b"[" * 500 + b"]" * 500 + b"}"),
    "an array larger than its bytes": head(b'{"value": {"array": 0, "dtype": "<u2", "shape": [9, 9]}}', (2,)) + b"ab",
    "an array of objects": head(b'{"value": {"array": 0, "dtype": "O", "shape": [1]}}', (8,)) + bytes(8),
    "negative": head(b'{"value": {"array": 0, "dtype": "u1", "shape": [-1, -2]}}', (2,)) + b"ab",
    "no such buffer": head(b'{"value": {"bytes": 5}}'),
    "another class": head(b'{"value": {"class": "subprocess:Popen", "fields": {"args": ["true"]}}}'),
    "other fields": head(b'{"value": {"class": "dicom.codecs.decoded:DecodedFrame", "fields": {"x": 1}}}'),
    "nothing": head(b"{}"),
}


@pytest.mark.parametrize("name", LIES)
def test_what_a_codec_says_is_never_believed_further_than_its_form(name: str) -> None:
    with pytest.raises(CannotDecode, match="can't be read"):
        away(hostile.lie, LIES[name])
    assert away(hostile.echo, 2) == 2


def test_an_answer_without_a_plain_form_is_an_error() -> None:
    with pytest.raises(Unexpected, match="TypeError"):
        away(hostile.no_plain_form)
    with pytest.raises(TypeError):
        pack_answer(settings)
    assert all(":" in name for name in CLASSES)


def test_codecs_see_no_secret_and_write_no_file() -> None:
    seen = away(hostile.surroundings)
    assert not [name for name in seen["environment"] if "PACS" in name or "DJANGO" in name or "DATABASE" in name]
    assert not seen["written"]
    assert seen["folder"] == "/"
    assert seen["pid"] != os.getpid()
    sockets = [target for target in seen["files"] if target.startswith("socket:")]
    assert len(sockets) == 1
    assert {target for target in seen["files"] if target not in sockets} <= {"/dev/null", "/proc/self/fd"}


def test_as_many_children_as_places_whoever_asks() -> None:
    with ThreadPoolExecutor(16) as threads:
        pids = {seen["pid"] for seen in threads.map(lambda _: away(hostile.surroundings), range(60))}
    assert 1 <= len(pids) <= places()


def test_a_thread_with_a_place_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings.PACS.limits, "decoding_wait_seconds", 0.1)
    with decoding():
        for _ in range(3 * places()):
            assert away(hostile.echo, 1) == 1


def test_a_nursery_that_is_lost_is_replaced() -> None:
    seen = away(hostile.surroundings)
    children = [each.pid for each in codec_processes._pool._idle]
    os.kill(seen["parent"], signal.SIGKILL)
    assert gone(children)
    assert away(hostile.surroundings)["parent"] != seen["parent"]


def test_a_nursery_that_answers_too_late_is_replaced() -> None:
    codec_processes._close()
    seen = away(hostile.surroundings)
    [child] = [each for each in codec_processes._pool._idle if each.pid == seen["pid"]]
    codec_processes._pool._idle.remove(child)
    child.nursery._control.settimeout(0.1)
    os.kill(seen["parent"], signal.SIGSTOP)
    try:
        assert child.end() == -1
    finally:
        os.kill(seen["parent"], signal.SIGCONT)
    seen = away(hostile.surroundings)
    assert seen["pid"] in [each.pid for each in codec_processes._pool._idle]


def test_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    codec_processes._close()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ArchiveUnavailable):
        away(hostile.echo, 1)
    monkeypatch.undo()
    assert away(hostile.echo, 1) == 1


def test_a_fork_has_children_of_its_own() -> None:
    ours = away(hostile.surroundings)
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            theirs = away(hostile.surroundings)
            os.write(writing, json.dumps([theirs["pid"], theirs["parent"]]).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        theirs = json.load(pipe)
    os.waitpid(pid, 0)
    assert ours["pid"] not in theirs
    assert ours["parent"] not in theirs
    assert away(hostile.surroundings)["parent"] == ours["parent"]
    assert gone(theirs)


PARENT = """
import os, sys, threading, time
import django
django.setup()
from archive.codec_processes import away
from tests.dicom import hostile_codecs as hostile
seen = away(hostile.surroundings)
threading.Thread(target=away, args=(hostile.sleep,), daemon=True).start()
print(seen["pid"], seen["parent"], flush=True)
time.sleep(3600)
"""


def test_no_child_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PACS_DATA": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        pids = [int(word) for word in process.stdout.readline().split()]
        assert len(pids) == 2
        process.kill()
    assert gone(pids)


def test_threads_that_come_and_go_share_the_children() -> None:
    pids: list[int] = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: pids.append(away(hostile.surroundings)["pid"]))
        thread.start()
        thread.join()
    assert len(set(pids)) == 1


def gone(pids: list[int]) -> bool:
    """Whether these processes end within a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not any(_alive(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
