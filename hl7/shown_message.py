"""A message as people read it: its segments as lines, its fields with their names, and as much of each as fits.

Nothing here fails: what can't be parsed is shown as bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from hl7.charset import decode
from hl7.errors import NotAMessage, Refused
from hl7.field_names import component_name, field_name
from hl7.header import Header, normal
from hl7.message import Field, Message, Segment, Syntax, parse
from hl7.models import Hl7Message
from hl7.profiles import InvalidProfile

MOST_SEGMENTS: Final = 300
# Of a field, and of a message.
MOST_PARTS: Final = 100
MOST_FIELDS: Final = 5_000
LONGEST_LINE: Final = 2_000
LONGEST_VALUE: Final = 400
# More than this isn't taken apart for a page; the bytes are all kept.
MOST_BYTES: Final = 4 << 20
# Control characters as the signs that stand for them (U+2400 ff.).
_VISIBLE: Final = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\r\t"} | {0x7F: 0x2421}
# Where messages name patients: identifiers of PID-2, 3 and 4, and MRG-1.
_IDENTIFIERS: Final[Mapping[str, tuple[int, ...]]] = {"PID": (2, 3, 4), "MRG": (1, 4)}
_LAST_IDENTIFIER: Final = 5


@dataclass(frozen=True, slots=True)
class ShownValue:
    """A part of a field: its place (``PID-3.4.2``), what it is called ("" where that isn't known), and its text."""

    place: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class ShownField:
    """A field with anything in it; ``parts`` are its components where it has several, of each repetition."""

    place: str
    name: str
    text: str
    parts: tuple[ShownValue, ...]


@dataclass(frozen=True, slots=True)
class ShownSegment:
    """A segment; ``number`` counts those of its name from 1."""

    name: str
    number: int
    fields: tuple[ShownField, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """Bytes as lines of text, a segment each; ``shortened`` if not all is shown."""

    lines: tuple[str, ...]
    shortened: bool


def lines_of(raw: bytes) -> Lines:
    """The segments of a message as it came. Bytes that its character set can't mean are read as ISO 8859-1."""
    return _lines(_text(raw[:MOST_BYTES]), shortened=len(raw) > MOST_BYTES)


def segments_of(message: Hl7Message) -> tuple[ShownSegment, ...]:
    """The message taken apart, as far as a page can show it; nothing where that isn't possible."""
    parsed = _parsed(message)
    found: list[ShownSegment] = []
    left = MOST_FIELDS
    for each in parsed.segments[:MOST_SEGMENTS] if parsed else ():
        found.append(ShownSegment(each.name, each.number, tuple(islice(_fields(each), left))))
        left -= len(found[-1].fields)
    return tuple(found)


def identifiers_in(message: Hl7Message) -> list[str]:
    """The values of patient identifiers that the message names, each once; also of one that can't be taken apart."""
    parsed = _parsed(message)
    segments = parsed.segments if parsed else tuple(_anyhow(bytes(message.raw)))
    found: dict[str, None] = {}
    for segment in segments:
        numbers = _IDENTIFIERS.get(segment.name, ())
        values = (_quiet(each, 1) for number in numbers for each in _repetitions(segment, number))
        found |= dict.fromkeys(value.replace("\0", "") for value in values if value)
    return list(found)


def _anyhow(raw: bytes) -> Iterator[Segment]:
    """The segments that name patients in a message that breaks the rules, by the delimiters of its header."""
    try:
        syntax = Syntax.of(Header.of(normal(raw)), "latin-1")
    except NotAMessage:
        return
    for line in _text(raw).split("\r"):
        fields = line.lstrip().split(syntax.field, _LAST_IDENTIFIER)
        if fields[0] in _IDENTIFIERS:
            yield Segment(fields[0], 1, fields, syntax)


def _parsed(message: Hl7Message) -> Message | None:
    raw = bytes(message.raw)
    if len(raw) > MOST_BYTES:
        # The patient stands in front, and is never cut in two.
        raw = raw[:MOST_BYTES].rpartition(b"\r")[0]
    try:
        charset = message.interface.rules().charset if message.interface else "8859/1"
        return parse(raw, charset)
    except (Refused, NotAMessage, InvalidProfile):
        pass
    try:
        return parse(_text(raw).encode("utf-8"), "UNICODE UTF-8")
    except (Refused, NotAMessage):
        return None


def _text(raw: bytes) -> str:
    try:
        names = [name for name in Header.of(normal(raw)).repetitions(18) if name] or ["UNICODE UTF-8"]
        return decode(normal(raw), names)
    except (Refused, NotAMessage):
        return normal(raw).decode("latin-1")


def _lines(text: str, *, shortened: bool) -> Lines:
    found = [line for line in text.split("\r") if line.strip()]
    shown = tuple(_cut(line.translate(_VISIBLE), LONGEST_LINE) for line in found[:MOST_SEGMENTS])
    cut = len(found) > MOST_SEGMENTS or any(len(line) > LONGEST_LINE for line in found[:MOST_SEGMENTS])
    return Lines(shown, shortened or cut)


def _repetitions(segment: Segment, number: int) -> list[Field]:
    """However many there are."""
    raw = segment.fields[number] if number < len(segment.fields) else ""
    return [Field(each, segment.syntax) for each in raw.split(segment.syntax.repetition) if each.strip()]


def _fields(segment: Segment) -> Iterator[ShownField]:
    for number in range(1, len(segment.fields)):
        place = f"{segment.name}-{number}"
        name = field_name(segment.name, number)
        if segment.name == "MSH" and number in (1, 2):
            yield ShownField(place, name, segment.fields[number], ())
            continue
        repetitions = _repetitions(segment, number)[:MOST_PARTS]
        if repetitions:
            every = (
                part
                for at, each in enumerate(repetitions, 1)
                for part in _parts(each, place if at == 1 else f"{place}[{at}]", segment.name, number)
            )
            parts = tuple(islice(every, MOST_PARTS))
            whole = " ~ ".join(_cut(each.raw, LONGEST_VALUE) for each in repetitions)
            several = len(parts) > 1
            text = whole if several else parts[0].text if parts else whole
            yield ShownField(place, name, _cut(text, LONGEST_VALUE), parts if several else ())


def _parts(field: Field, place: str, segment: str, number: int) -> Iterator[ShownValue]:
    # No more than are shown: looking for each costs as much as all that are in front of it.
    components = field.raw.split(field.syntax.component, MOST_PARTS)[:MOST_PARTS]
    for at, component in enumerate(components, 1):
        inner = component.split(field.syntax.subcomponent, MOST_PARTS)[:MOST_PARTS]
        for below, _ in enumerate(inner, 1):
            text = _quiet(field, at, below)
            if text is not None:
                where = f"{place}.{at}" if len(inner) == 1 else f"{place}.{at}.{below}"
                yield ShownValue(where, component_name(segment, number, at), _cut(text or '""', LONGEST_VALUE))


def _quiet(field: Field, component: int, subcomponent: int = 1) -> str | None:
    try:
        return field.get(component, subcomponent)
    except Refused:
        # An escaped byte that means nothing: shown as it came.
        return field.raw


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"
