"""A parsed message: segments, and values at places like ``PID-3.4.2`` that are there or aren't, never an exception.

A field is taken apart when it is asked for. A value is ``None`` where the message leaves it out, "" where it is the HL7
null ``""`` (clear what you have), else its text with escape sequences undone (HL7 v2 2.7).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from hl7.charset import codec_of, decode
from hl7.errors import Condition, Place, Refused
from hl7.header import Header, normal

_NULL: Final = '""'
_PATH: Final = re.compile(r"([A-Z][A-Z0-9]{2})-(\d+)(?:\.(\d+))?(?:\.(\d+))?")
_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}\Z")
# What one message may ask of us. Those that act are each applied by itself; only OBX-5 and a segment of the sender's
# own hold texts and files.
MOST_SEGMENTS: Final = 20_000
MOST_ACTING: Final = 500
MOST_FIELDS: Final = 1_000
MOST_REPETITIONS: Final = 5_000
LONGEST_FIELD: Final = 1 << 16
_ACTING: Final = frozenset({"PID", "MRG", "ORC", "OBR", "IPC", "AIS"})
# Those that stand for text. Others switch fonts and indent, and are left out; an escape character alone is one.
_STANDS_FOR: Final = {".br": "\n", ".sp": "\n"}
_SWITCHES: Final = re.compile(r"[HN]|\.(?:fi|nf|ce|sp|in|ti|sk)[+-]?\d*|[CM][0-9A-F]{2,}")
_HEX: Final = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")
# PostgreSQL holds no NUL; no other control character means anything in a value.
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Syntax:
    """MSH-1 and MSH-2, and the codec in which ``\\Xhh\\`` gives its bytes."""

    field: str
    component: str
    repetition: str
    escape: str
    subcomponent: str
    codec: str

    @classmethod
    def of(cls, header: Header, codec: str) -> Syntax:
        """As the header says."""
        component, repetition, escape, subcomponent = tuple(header.fields[2].decode("ascii")[:4])
        return cls(header.separator.decode("ascii"), component, repetition, escape, subcomponent, codec)

    def text(self, raw: str) -> str | None:
        """The three states of a value."""
        value = raw.strip()
        if not value:
            return None
        if value == _NULL:
            return ""
        if self.escape in value:
            value = self._unescaped(value)
        return _CONTROLS.sub("", value).strip()

    def _unescaped(self, value: str) -> str:
        """Even pieces are text, odd ones stand between two escape characters."""
        names = {"F": self.field, "S": self.component, "T": self.subcomponent, "R": self.repetition, "E": self.escape}
        names |= _STANDS_FOR
        pieces = value.split(self.escape)
        out: list[str] = []
        octets = bytearray()
        at = 0
        while at < len(pieces):
            out.append(pieces[at])
            if pieces[at] and octets:
                out[-1:] = [self._of(octets), pieces[at]]
                octets.clear()
            if at + 1 == len(pieces):
                break
            sequence = pieces[at + 1]
            closed = at + 2 < len(pieces)
            if closed and (found := _HEX.fullmatch(sequence)):
                octets += bytes.fromhex(found[1])
            elif closed and (sequence in names or _SWITCHES.fullmatch(sequence)):
                out += [self._of(octets), names.get(sequence, "")]
                octets.clear()
            else:
                out += [self._of(octets), self.escape]
                octets.clear()
                at += 1
                continue
            at += 2
        return "".join([*out, self._of(octets)])

    def _of(self, octets: bytearray) -> str:
        try:
            return octets.decode(self.codec)
        except UnicodeError:
            raise Refused(Condition.DATA_TYPE, None, "an escaped byte that the character set can't mean") from None


@dataclass(frozen=True, slots=True)
class Field:
    """One repetition of a field."""

    raw: str
    syntax: Syntax

    def get(self, component: int = 1, subcomponent: int = 1) -> str | None:
        """The value of a part. A field that is null as a whole is null in its first component."""
        # No further than what is asked for.
        parts = self.raw.split(self.syntax.component, component)
        if component > len(parts):
            return None
        inner = parts[component - 1].split(self.syntax.subcomponent, subcomponent)
        return self.syntax.text(inner[subcomponent - 1]) if subcomponent <= len(inner) else None

    def whole(self) -> str | None:
        """The field as one text, its delimiters included: for text that nobody has escaped."""
        return self.syntax.text(self.raw)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment. ``number`` counts those of its name from 1, as ERR-2 does."""

    name: str
    number: int
    fields: Sequence[str]
    syntax: Syntax

    def repetitions(self, field: int) -> list[Field]:
        """Those that hold anything. Raises Refused (102) for more than ``MOST_REPETITIONS``."""
        raw = self.fields[field] if field < len(self.fields) else ""
        if raw.count(self.syntax.repetition) >= MOST_REPETITIONS:
            raise Refused(Condition.DATA_TYPE, self.place(field), "more repetitions than are taken")
        return [Field(each, self.syntax) for each in raw.split(self.syntax.repetition) if each.strip()]

    def field(self, field: int) -> Field:
        """The first repetition."""
        raw = self.fields[field] if field < len(self.fields) else ""
        return Field(raw.partition(self.syntax.repetition)[0], self.syntax)

    def get(self, field: int, component: int = 1, subcomponent: int = 1) -> str | None:
        """A value of the first repetition: None absent, "" null, else text."""
        return self.field(field).get(component, subcomponent)

    def at(self, path: str) -> str | None:
        """The value at ``PID-3.4.2``; None where the segment is another one."""
        name, field, component, subcomponent = _place(path)
        return self.get(field, component, subcomponent) if name == self.name else None

    def place(self, field: int, component: int = 0) -> Place:
        """Where a fault of this segment is, for ERR-2."""
        return Place(self.name, field, self.number, component)


@dataclass(frozen=True, slots=True)
class Message:
    """A message and its header."""

    header: Header
    segments: tuple[Segment, ...]

    def all(self, *names: str) -> list[Segment]:
        """The segments with these names, in the order of the message."""
        return [segment for segment in self.segments if segment.name in names]

    def first(self, name: str) -> Segment | None:
        """The first segment of that name."""
        return next((segment for segment in self.segments if segment.name == name), None)

    def get(self, path: str) -> str | None:
        """The value at a place like ``PID-3.4.2`` of the first such segment."""
        name, field, component, subcomponent = _place(path)
        segment = self.first(name)
        return segment.get(field, component, subcomponent) if segment else None

    def groups(self, opener: str) -> Iterator[list[Segment]]:
        """The segments from each ``opener`` up to the next one."""
        group: list[Segment] = []
        for segment in self.segments:
            if segment.name == opener and group:
                yield group
                group = []
            if segment.name == opener or group:
                group.append(segment)
        if group:
            yield group


def parse(raw: bytes, default_charset: str = "8859/1") -> Message:
    """The message in ``raw``; ``default_charset`` is a name of table 0211, for senders that leave MSH-18 empty.

    Raises NotAMessage without a header, Refused for a header or bytes that break the rules.
    """
    message = normal(raw)
    header = Header.of(message)
    header.require()
    names = [name for name in header.repetitions(18) if name] or [default_charset]
    text = decode(message, names)
    syntax = Syntax.of(header, codec_of(names))
    return Message(header, tuple(_segments(text, syntax)))


def _segments(text: str, syntax: Syntax) -> Iterator[Segment]:
    counts: dict[str, int] = {}
    lines = text.split("\r", MOST_SEGMENTS)
    if len(lines) > MOST_SEGMENTS:
        raise Refused(Condition.DATA_TYPE, None, "more segments than are taken")
    for line in lines:
        if not line.strip():
            continue
        fields = line.split(syntax.field, MOST_FIELDS)
        name = fields[0].strip()
        if _SEGMENT.match(name) is None:
            raise Refused(Condition.SEGMENT_SEQUENCE, None, "a line that is no segment")
        if name == "MSH":
            if counts:
                raise Refused(Condition.SEGMENT_SEQUENCE, Place("MSH"), "a second message begins inside this one")
            # MSH-1 is the separator itself.
            fields.insert(1, syntax.field)
        counts[name] = counts.get(name, 0) + 1
        if name in _ACTING and counts[name] > MOST_ACTING:
            raise Refused(Condition.DATA_TYPE, Place(name, 0, counts[name]), "more segments of one kind than are taken")
        if len(line) > LONGEST_FIELD:
            _require_short(name, counts[name], fields)
        yield Segment(name, counts[name], fields, syntax)


def _require_short(name: str, number: int, fields: Sequence[str]) -> None:
    for at, value in enumerate(fields):
        if len(value) > LONGEST_FIELD and not (name.startswith("Z") or (name == "OBX" and at == 5)):
            raise Refused(Condition.DATA_TYPE, Place(name, at, number), "a field is longer than is taken")


@lru_cache(maxsize=512)
def _place(path: str) -> tuple[str, int, int, int]:
    found = _PATH.fullmatch(path)
    if found is None:
        raise ValueError(f"{path} is no place in a message")
    return found[1], int(found[2]), int(found[3] or 1), int(found[4] or 1)
