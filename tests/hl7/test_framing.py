"""MLLP framing: however the bytes were cut, the same messages come out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hl7.framing import Deframer, FrameTooLong, framed

MESSAGES = (b"MSH|^~\\&|a\rPID|1\r", b"MSH|^~\\&|b", b"MSH|^~\\&|" + b"x" * 5000)


def fed(stream: bytes, cuts: list[int], most: int = 1 << 20) -> tuple[list[bytes], Deframer]:
    deframer, found, at = Deframer(most), [], 0
    for cut in [*sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]:
        found += deframer.feed(stream[at:cut])
        at = cut
    return found, deframer


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 1 << 16), max_size=50))
def test_messages_cut_anywhere(cuts: list[int]) -> None:
    found, deframer = fed(b"".join(map(framed, MESSAGES)), cuts)
    assert tuple(found) == MESSAGES
    assert (deframer.dropped, deframer.inside, deframer.buffered) == (0, False, 0)


def test_one_byte_at_a_time() -> None:
    stream = b"".join(map(framed, MESSAGES[:2]))
    assert tuple(fed(stream, list(range(len(stream))))[0]) == MESSAGES[:2]


def test_bytes_of_no_message_are_counted() -> None:
    found, deframer = fed(b"noise" + framed(b"MSH|1") + b"\r\n" + framed(b"MSH|2"), [])
    assert found == [b"MSH|1", b"MSH|2"]
    assert deframer.dropped == 7


def test_a_message_that_its_sender_begins_anew() -> None:
    found, deframer = fed(b"\x0bMSH|half" + framed(b"MSH|whole"), [3, 9])
    assert found == [b"MSH|whole"]
    assert deframer.dropped == 9


def test_the_carriage_return_after_the_end_may_be_missing_between_frames() -> None:
    assert fed(b"\x0bMSH|1\x1c\x0bMSH|2\x1c\r", [7])[0] == [b"MSH|1", b"MSH|2"]


def test_an_end_inside_a_message_ends_nothing() -> None:
    found, deframer = fed(b"\x0bMSH|1\x1crest", [])
    assert found == []
    assert deframer.inside


def test_a_frame_without_end_is_bounded() -> None:
    deframer = Deframer(1000)
    deframer.feed(b"\x0b" + b"x" * 999)
    with pytest.raises(FrameTooLong):
        deframer.feed(b"xx")
    # Noise is not held.
    quiet = Deframer(1000)
    for _ in range(100):
        quiet.feed(b"x" * 999)
    assert (quiet.buffered, quiet.dropped) == (0, 99_900)


def test_many_packets_are_not_searched_again_and_again() -> None:
    """Each byte is looked at a few times at the most, however small the packets are."""
    deframer = Deframer(4 << 20)
    deframer.feed(b"\x0b")
    for _ in range(2000):
        assert deframer.feed(b"y" * 500) == []
        assert deframer._searched >= deframer.buffered - 1
    assert len(deframer.feed(b"\x1c\r")[0]) == 1_000_000
