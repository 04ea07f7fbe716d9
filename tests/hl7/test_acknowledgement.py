"""Answers: whom, what and when, and nothing of the patient in them."""

from __future__ import annotations

import pytest

from hl7.acknowledgement import answers
from hl7.errors import DISPLAY, Condition, Place, Refused
from hl7.header import Header
from hl7.message import parse

MSH = b"MSH|^~\\&|RIS|HOSP|PACS|IMG|20250110080000||ADT^A04^ADT_A01|A1 \xfc|P|2.5.1|||%s|%s||8859/1"
REFUSED = Refused(Condition.REQUIRED_FIELD_MISSING, Place("PID", 3), "a patient identifier is missing")


def header(accept: bytes = b"", application: bytes = b"") -> Header:
    return Header.of(MSH % (accept, application))


def test_an_answer_in_original_mode() -> None:
    now = answers(header(), None).now
    assert now is not None
    first, second, rest = now.split(b"\r")
    fields = first.split(b"|")
    assert fields[2:6] == [b"PACS", b"IMG", b"RIS", b"HOSP"]
    assert fields[8] == b"ACK^A04^ACK"
    assert len(fields[9]) == 20
    assert fields[10:12] == [b"P", b"2.5.1"]
    assert fields[17] == b"8859/1"
    assert (second, rest) == (b"MSA|AA|A1 \xfc", b"")


@pytest.mark.parametrize("condition", Condition)
def test_every_condition_of_the_table(condition: Condition) -> None:
    now = answers(header(), Refused(condition, Place("PID", 3, 2, 1), "why" * 40)).now
    assert now is not None
    _, msa, err, _ = now.split(b"\r")
    assert msa.split(b"|")[1] == (b"AE" if condition < 200 else b"AR")
    assert len(msa.split(b"|")[3]) == 80
    assert err.split(b"|")[2:5] == [b"PID^2^3^1^1", f"{int(condition)}^{DISPLAY[condition]}^HL70357".encode(), b"E"]
    assert parse(now).get("ERR-3") == str(int(condition))


@pytest.mark.parametrize(
    ("accept", "application", "now", "later"),
    [
        (b"NE", b"NE", None, None),
        (b"AL", b"", b"CA", None),
        (b"AL", b"NE", b"CA", None),
        (b"SU", b"NE", b"CA", None),
        (b"ER", b"NE", None, None),
        (b"NE", b"AL", b"AA", None),
        (b"", b"AL", b"AA", None),
        (b"", b"ER", None, None),
        (b"AL", b"AL", b"CA", b"AA"),
        (b"ER", b"AL", None, b"AA"),
    ],
)
def test_enhanced_mode(accept: bytes, application: bytes, now: bytes | None, later: bytes | None) -> None:
    given = answers(header(accept, application), None)
    for answer, code in ((given.now, now), (given.later, later)):
        assert (answer is None) == (code is None)
        assert answer is None or answer.split(b"\rMSA|")[1][:2] == code
    original = answers(header(accept, application), None, original=True)
    assert original.now is not None
    assert b"MSA|AA" in original.now


def test_enhanced_mode_when_something_is_wrong() -> None:
    read = answers(header(b"AL", b"AL"), REFUSED)
    assert b"MSA|CA" in (read.now or b"")
    assert b"MSA|AE" in (read.later or b"")
    unread = answers(header(b"AL", b"AL"), REFUSED, committed=False)
    assert b"MSA|CE" in (unread.now or b"")
    assert unread.later is None
    rejected = answers(header(b"AL"), Refused(Condition.UNSUPPORTED_VERSION, None, "no"), committed=False)
    assert b"MSA|CR" in (rejected.now or b"")
    assert answers(header(b"SU"), REFUSED, committed=False).now is None


def test_answers_are_not_answered() -> None:
    assert answers(Header.of((MSH % (b"", b"")).replace(b"ADT^A04^ADT_A01", b"ACK^A04")), None).now is None


def test_nothing_in_a_header_breaks_the_frame() -> None:
    now = answers(Header.of(b"MSH|^~\\&|a\x1c|b\x0b|c|d|||ADT^A04|\x1c|P|2.5"), None).now
    assert now is not None
    assert b"\x1c" not in now
    assert b"\x0b" not in now
