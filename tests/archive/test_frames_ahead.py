"""Frames made before their turn: in order, never more than the window, given up with the answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from archive.decoding import places
from archive.frames_ahead import ahead, window


def test_in_order_and_no_further_than_the_window() -> None:
    begun: list[int] = []

    def make(number: int) -> Callable[[], int]:
        def made() -> int:
            begun.append(number)
            return number

        return made

    coming = ahead((make(number) for number in range(50)), 1)
    assert begun == []
    for number in range(50):
        assert next(coming) == number
        assert len(begun) <= number + 1 + places()
    assert list(coming) == []


def test_pieces_that_are_large_are_not_kept_waiting() -> None:
    assert window(1) == places()
    assert window(100 << 20) == 1
    assert window(0) == places()


def test_several_are_made_at_a_time() -> None:
    """Each waits for another one, which none could find if one were made after the other."""
    together = threading.Barrier(2)

    def made() -> bool:
        together.wait(60)
        return True

    assert list(ahead([made] * 4, 1)) == [True] * 4


def test_what_is_raised_comes_in_its_turn_and_ends_the_work() -> None:
    begun: list[int] = []

    def making() -> Iterator[Callable[[], int]]:
        for number in range(100):

            def made(number: int = number) -> int:
                begun.append(number)
                if number == 3:
                    raise ValueError("the fourth")
                return number

            yield made

    coming = ahead(making(), 1)
    assert [next(coming) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="the fourth"):
        next(coming)
    assert list(coming) == []
    assert len(begun) <= 4 + places()


def test_nothing_is_begun_for_an_answer_that_nobody_reads() -> None:
    free, begun = threading.Event(), list[int]()

    def make(number: int) -> Callable[[], int]:
        def made() -> int:
            begun.append(number)
            free.wait(60)
            return number

        return made

    def read() -> None:
        coming = ahead((make(number) for number in range(1000)), 1)
        next(coming)
        coming.close()  # type: ignore[attr-defined]

    reader = threading.Thread(target=read)
    reader.start()
    deadline = time.monotonic() + 60
    while not begun and time.monotonic() < deadline:
        time.sleep(0.01)
    free.set()
    reader.join(60)
    assert not reader.is_alive()
    assert len(begun) <= 2 + 2 * places()
