"""Parsing: places, three states, escape sequences, character sets, times and names."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hl7.acknowledgement import answers
from hl7.charset import CODECS, decode
from hl7.errors import Condition, NotAMessage, Place, Refused
from hl7.header import Header, normal
from hl7.message import Message, parse
from hl7.values import clock, date, moment, person_name

MSH = "MSH|^~\\&|RIS|HOSP|PACS|IMG|20250110080000||ADT^A04^ADT_A01|A1|P|2.5.1||||||"
ANYWHERE = Place("PID", 7)


def message(*segments: str, charset: str = "UNICODE UTF-8", ends: str = "\r") -> Message:
    return parse(ends.join((MSH + charset, *segments)).encode())


def refusal(*segments: str, head: str = MSH) -> Refused:
    with pytest.raises(Refused) as caught:
        parse("\r".join((head, *segments)).encode())
    return caught.value


def test_places() -> None:
    found = message("PID|1||123^^^HOSP&1.2.3&ISO^MR~9^^^EPI||A^B", "OBX|1", "OBX|2||x")
    assert found.get("PID-3") == "123"
    assert found.get("PID-3.4.2") == "1.2.3"
    assert [each.get(1) for each in found.all("PID")[0].repetitions(3)] == ["123", "9"]
    assert [segment.number for segment in found.all("OBX")] == [1, 2]
    for absent in ("PID-99", "PID-3.9", "PID-3.1.5", "ZZZ-1", "OBX-3"):
        assert found.get(absent) is None
    assert found.get("MSH-1") == "|"
    assert found.get("MSH-9.2") == "A04"


def test_three_states() -> None:
    found = message('PID|1||123||""|""^x||F')
    assert (found.get("PID-4"), found.get("PID-5"), found.get("PID-6"), found.get("PID-8")) == (None, "", "", "F")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", r"a|b^c&d~e\f"),
        (r"one\.br\two", "one\ntwo"),
        (r"\H\bold\N\ plain", "bold plain"),
        (r"\.sp+2\x\.in4\y", "xy"),
        (r"M\XC3BC\ller", "Müller"),
        (r"M\XC3\\XBC\ller", "Müller"),
        (r"C:\temp", r"C:\temp"),
        (r"C:\temp\new", r"C:\temp\new"),
        ("tail\\", "tail\\"),
        (r"\Z99\x", r"\Z99\x"),
        ("nul\0bell\x07", "nulbell"),
    ],
)
def test_escapes(raw: str, text: str) -> None:
    assert message(f"NTE|1||{raw}").get("NTE-3") == text


def test_an_escaped_byte_that_means_nothing() -> None:
    with pytest.raises(Refused) as caught:
        message(r"NTE|1||\XFF\ ").get("NTE-3")
    assert caught.value.condition is Condition.DATA_TYPE


@pytest.mark.parametrize("ends", ["\r", "\n", "\r\n"])
def test_ends_of_segments(ends: str) -> None:
    found = message("PID|1||7", "NTE|1||one", ends=ends)
    assert [segment.name for segment in found.segments] == ["MSH", "PID", "NTE"]
    assert found.get("PID-3") == "7"


def test_a_line_feed_inside_a_field_stays() -> None:
    assert message("NTE|1||one\ntwo", "PID|1").get("NTE-3") == "one\ntwo"


def test_byte_order_mark_and_other_delimiters() -> None:
    assert parse(b"\xef\xbb\xbf" + (MSH + "UNICODE UTF-8\rPID|1||7").encode()).get("PID-3") == "7"
    other = MSH.replace("|", "$").replace("^", "%").replace("~", "*").replace("\\&", "!@")
    found = parse((other + "\rPID$1$$7%x$$A!F!B%C*D").encode())
    assert (found.get("PID-5"), found.get("PID-5.2"), found.get("PID-3.2")) == ("A$B", "C", "x")


def test_charsets() -> None:
    for name, text in (
        ("8859/1", "Müller"),
        ("8859/2", "Łódź"),
        ("8859/5", "Иванов"),
        ("8859/7", "Ωμέγα"),
        ("8859/8", "רות"),
        ("8859/15", "Œuvre"),
        ("GB 18030-2000", "王小东"),
        ("KS X 1001", "박서연"),
        ("BIG-5", "陳美玲"),
        ("ISO IR87", "山田"),
        ("ISO IR14", "ﾔﾏﾀﾞ"),
        ("UNICODE", "Müller"),
        ("CP1250", "Żaneta"),
    ):
        raw = f"{MSH}{name}\rPID|1||7||{text}".encode(CODECS[name])
        assert parse(raw).get("PID-5") == text, name
    assert parse((MSH + "\rPID|1||7||Müller").encode("latin-1")).get("PID-5") == "Müller"


def test_switched_charsets() -> None:
    raw = (MSH + "8859/1~8859/2\rPID|1||7||M").encode() + b"\xfcller^\x1b-B\xa3\xf3d\xbc\x1b(B"
    found = parse(raw)
    assert (found.get("PID-5"), found.get("PID-5.2")) == ("Müller", "Łódź")
    japanese = (MSH + "ASCII~ISO IR87\rPID|1||7||YAMADA^TAROU~").encode() + "山田^太郎".encode("iso2022_jp")
    assert parse(japanese).all("PID")[0].repetitions(5)[1].get(2) == "太郎"
    with pytest.raises(Refused):
        decode(b"\x1b-Zx", ["8859/1", "8859/2"])


def test_charsets_are_strict() -> None:
    with pytest.raises(Refused) as caught:
        parse(f"{MSH}UNICODE UTF-8\rPID|1||7||".encode() + b"M\xfcller")
    assert (caught.value.condition, str(caught.value.place)) == (Condition.DATA_TYPE, "MSH^1^18")
    assert refusal(head=MSH + "KLINGON").condition is Condition.VALUE_NOT_FOUND


@pytest.mark.parametrize(
    ("head", "condition", "place"),
    [
        (MSH.replace("|A1|", "||"), Condition.REQUIRED_FIELD_MISSING, "MSH^1^10"),
        (MSH.replace("|P|", "||"), Condition.REQUIRED_FIELD_MISSING, "MSH^1^11"),
        (MSH.replace("|2.5.1|", "||"), Condition.REQUIRED_FIELD_MISSING, "MSH^1^12"),
        (MSH.replace("ADT^A04^ADT_A01", ""), Condition.REQUIRED_FIELD_MISSING, "MSH^1^9"),
        (MSH.replace("MSH", "FHS"), Condition.UNSUPPORTED_MESSAGE_TYPE, "None"),
    ],
)
def test_headers_that_lack_something(head: str, condition: Condition, place: str) -> None:
    found = refusal(head=head)
    assert (found.condition, str(found.place)) == (condition, place)


def test_segments_out_of_order() -> None:
    assert refusal("PID|1", MSH).condition is Condition.SEGMENT_SEQUENCE
    assert refusal("no segment").condition is Condition.SEGMENT_SEQUENCE


@pytest.mark.parametrize(
    "raw", [b"", b"hello", b"MSH", b"MSH|^~", b"MSHHHHHHHHHH", b"MSH|aaaa|", b"MSH\x00\x01\x02\x03"]
)
def test_what_is_no_message(raw: bytes) -> None:
    with pytest.raises(NotAMessage):
        parse(raw)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=300))
def test_no_bytes_break_the_parser(raw: bytes) -> None:
    for data in (raw, MSH.encode() + b"\r" + raw, b"MSH|^~\\&|" + raw):
        try:
            answers(Header.of(normal(data)), None)
            found = parse(data)
        except (Refused, NotAMessage):
            continue
        for segment in found.segments:
            try:
                assert "\0" not in (segment.get(1) or "")
                person_name(segment, 5)
            except Refused:
                continue


def test_times() -> None:
    chicago = ZoneInfo("America/Chicago")
    assert moment("20250110080000-0600", UTC, ANYWHERE) == datetime(2025, 1, 10, 14, tzinfo=UTC)
    assert moment("202501100800", chicago, ANYWHERE) == datetime(2025, 1, 10, 14, tzinfo=UTC)
    assert moment("2025", UTC, ANYWHERE) == datetime(2025, 1, 1, tzinfo=UTC)
    assert moment("20250110080000.1234+0530", UTC, ANYWHERE) == datetime(2025, 1, 10, 2, 30, 0, 123400, tzinfo=UTC)
    assert clock("20250110080059", ANYWHERE) == ("20250110", "080059")
    assert clock("20250110", ANYWHERE) == ("20250110", "")
    assert (date("19800101", ANYWHERE), date("19800101123045", ANYWHERE), date("1980", ANYWHERE)) == (
        "19800101",
        "19800101",
        None,
    )
    assert (date("", ANYWHERE), date(None, ANYWHERE)) == ("", None)
    for wrong in ("x", "20251301", "20250230", "2025011025", "198001", "20250110+9900", "0000"):
        if wrong == "198001":
            assert date(wrong, ANYWHERE) is None
            continue
        with pytest.raises(Refused) as caught:
            moment(wrong, UTC, ANYWHERE)
        assert (caught.value.condition, caught.value.place) == (Condition.DATA_TYPE, ANYWHERE)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("MÜLLER^JANE^Q^^DR", "MÜLLER^JANE^Q^DR"),
        ("Doe^John^A^Jr^Dr^MD", "Doe^John^A^Dr^Jr MD"),
        ("Okafor^Ngozi~Okafors^Ngozi^^^^^M", "Okafor^Ngozi"),
        ("Alias^A^^^^^A~Legal^L^^^^^L", "Legal^L"),
        ("Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("van Beethoven&van&Beethoven^Ludwig", "van Beethoven^Ludwig"),
        (r"O\S\Brien^A=B", "O Brien^A B"),
        ('""', ""),
        ("", None),
        ("^^^^DR", None),
    ],
)
def test_names(field: str, name: str | None) -> None:
    assert person_name(message(f"PID|1||7||{field}").all("PID")[0], 5) == name
