"""The MSH segment as bytes: enough to answer a message that can't be read any further.

An answer names the sender's own MSH-10 byte for byte, so nothing of it is decoded here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

from hl7.errors import Condition, NotAMessage, Place, Refused

_BOM = b"\xef\xbb\xbf"
# Ends of segments that aren't <CR>: <CR><LF>, and <LF> where a segment begins behind it. Each is looked at once.
_FOREIGN_END = re.compile(rb"\r\n|\n(?=[A-Z][A-Z0-9]{2}[^A-Za-z0-9\s])")
# What is longer is no header of anybody's, and would go back with the answer.
_LONGEST = 1 << 16
# What would end a frame, or begin one, in the middle of our answer.
_FRAMING = re.compile(rb"[\x0b\x1c]")
_HEADERS = (b"MSH", b"FHS", b"BHS")


def normal(raw: bytes) -> bytes:
    """``raw`` with ``<CR>`` between segments, without a byte order mark or anything around the message."""
    return _FOREIGN_END.sub(b"\r", raw.removeprefix(_BOM).strip(b" \t\r\n\0")) if raw else raw


@dataclass(frozen=True, slots=True)
class Header:
    """``fields[n]`` is MSH-n as it was sent; ``fields[0]`` is the name of the segment."""

    fields: tuple[bytes, ...]

    @classmethod
    def of(cls, message: bytes) -> Header:
        """The header of a message with ``<CR>`` between its segments. Raises NotAMessage."""
        line = message.partition(b"\r")[0]
        if line[:3] not in _HEADERS or not 8 <= len(line) <= _LONGEST:
            raise NotAMessage
        separator = line[3:4]
        delimiters = line[4:].partition(separator)[0]
        distinct = {separator, *(delimiters[at : at + 1] for at in range(len(delimiters)))}
        if not 4 <= len(delimiters) <= 5 or len(distinct) != len(delimiters) + 1 or _wordlike(separator + delimiters):
            raise NotAMessage
        return cls((line[:3], separator, *line[4:].split(separator)))

    def field(self, number: int) -> bytes:
        """The first repetition of MSH-``number``, b"" where there is none; safe to be sent back."""
        value = self.fields[number] if number < len(self.fields) else b""
        if number > 2:
            value = value.partition(self.repetition)[0]
        return _FRAMING.sub(b"", value).strip()

    def component(self, number: int, component: int) -> bytes:
        """A component of it, b"" where there is none."""
        parts = self.field(number).split(self.fields[2][:1])
        return parts[component - 1].strip() if component <= len(parts) else b""

    def text(self, number: int, component: int = 1) -> str:
        """A component as ASCII, for comparisons, without NUL (no row holds it); what isn't ASCII becomes U+FFFD."""
        return self.component(number, component).decode("ascii", "replace").replace("\0", "")

    def repetitions(self, number: int) -> list[str]:
        """All repetitions of MSH-``number`` as ASCII."""
        value = self.fields[number] if number < len(self.fields) else b""
        return [each.decode("ascii", "replace").strip() for each in value.split(self.repetition)]

    @property
    def separator(self) -> bytes:
        """MSH-1."""
        return self.fields[1]

    @property
    def repetition(self) -> bytes:
        """The second character of MSH-2."""
        return self.fields[2][1:2]

    @property
    def control_id(self) -> bytes:
        """MSH-10, byte for byte."""
        return self.field(10)

    @property
    def type(self) -> str:
        """MSH-9.1, such as ADT."""
        return self.text(9, 1)

    @property
    def event(self) -> str:
        """MSH-9.2, such as A04."""
        return self.text(9, 2)

    def require(self) -> None:
        """Raises Refused where a header of a message lacks what every message has (table 0357, 101)."""
        if self.fields[0] != b"MSH":
            raise Refused(Condition.UNSUPPORTED_MESSAGE_TYPE, None, "batches aren't taken: send messages one by one")
        for number in (9, 10, 11, 12):
            if not self.component(number, 1):
                raise Refused(Condition.REQUIRED_FIELD_MISSING, Place("MSH", number), "required field missing")
        if len(self.control_id) > 199:
            raise Refused(Condition.DATA_TYPE, Place("MSH", 10), "more than 199 characters")

    def body_digest(self, message: bytes) -> bytes:
        """SHA-256 of the message without MSH-7: a sender that repeats a message may set its time anew."""
        line, _, rest = message.partition(b"\r")
        fields = line.split(self.separator)
        if len(fields) > 6:
            fields[6] = b""
        return sha256(self.separator.join(fields) + b"\r" + rest).digest()


def _wordlike(delimiters: bytes) -> bool:
    return any(byte <= 0x20 or byte >= 0x7F or chr(byte).isalnum() for byte in delimiters)
