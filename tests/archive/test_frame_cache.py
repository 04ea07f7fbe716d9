"""The cache of decoded frames: bounded, one making at a time, failures never kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from archive.frame_cache import FrameCache, FrameKey


def key(number: int) -> FrameKey:
    return FrameKey("objects/one", number, "1.2.840.10008.1.2.1")


def counted(frame: bytes) -> tuple[Callable[[], bytes], list[bytes]]:
    """A maker of ``frame``, and a list that grows with each making."""
    made: list[bytes] = []

    def make() -> bytes:
        made.append(frame)
        return frame

    return make, made


def test_a_frame_is_made_once_and_kept() -> None:
    frames = FrameCache(1000)
    make, made = counted(b"x" * 100)
    assert [frames.get(key(1), make) for _ in range(3)] == [b"x" * 100] * 3
    assert (len(made), frames.size) == (1, 100)
    frames.get(key(2), make)
    frames.get(FrameKey("objects/two", 1, key(1).transfer_syntax_uid), make)
    frames.get(FrameKey("objects/one", 1, "1.2.840.10008.1.2.5"), make)
    assert (len(made), frames.size) == (4, 400)


def test_the_one_not_used_for_longest_goes_first() -> None:
    frames = FrameCache(400)
    make, made = counted(b"x" * 100)
    for number in (1, 2, 3, 4, 1, 5):
        frames.get(key(number), make)
    assert (len(made), frames.size) == (5, 400)
    frames.get(key(1), make)
    assert len(made) == 5
    frames.get(key(2), make)
    assert (len(made), frames.size) == (6, 400)


@pytest.mark.parametrize("capacity", [0, 399])
def test_what_is_too_large_is_given_and_not_kept(capacity: int) -> None:
    frames = FrameCache(capacity)
    make, made = counted(b"x" * 100)
    assert frames.get(key(1), make) == frames.get(key(1), make) == b"x" * 100
    assert (len(made), frames.size) == (2, 0)


def test_who_asks_while_it_is_being_made_waits_for_that_one() -> None:
    frames = FrameCache(1000)
    begun, go_on = threading.Event(), threading.Event()
    make, made = counted(b"x" * 100)

    def slow() -> bytes:
        begun.set()
        assert go_on.wait(30)
        return make()

    with ThreadPoolExecutor(9) as threads:
        first = threads.submit(frames.get, key(1), slow)
        assert begun.wait(30)
        others = [threads.submit(frames.get, key(1), make) for _ in range(8)]
        assert frames.get(key(2), lambda: b"another") == b"another"
        assert not any(other.done() for other in others)
        go_on.set()
        assert {future.result(30) for future in (first, *others)} == {b"x" * 100}
    assert len(made) == 1


def test_a_failure_reaches_all_who_wait_and_is_tried_again() -> None:
    frames = FrameCache(1000)
    begun, go_on = threading.Event(), threading.Event()

    def fail() -> bytes:
        begun.set()
        assert go_on.wait(30)
        raise LookupError("no such frame")

    make, made = counted(b"x")
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(frames.get, key(1), fail)
        assert begun.wait(30)
        second = threads.submit(frames.get, key(1), fail)
        go_on.set()
        for future in (first, second):
            with pytest.raises(LookupError):
                future.result(30)
    assert (frames.get(key(1), make), len(made), frames.size) == (b"x", 1, 1)
