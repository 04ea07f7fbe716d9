"""DICOM values as HL7 v2 writes them, and segments as bytes: the other direction of ``hl7.values``.

Everything here gives text that is escaped already; ``segment`` and ``message`` only join it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from secrets import token_hex
from typing import Final

from hl7.charset import CODECS

DELIMITERS: Final = "^~\\&"
# What is written where a text can't be in the charset that a destination wants: its MSH-18 then says so.
EVERYTHING: Final = "UNICODE UTF-8"
_ESCAPES: Final = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"})
_ENDS: Final = re.compile(r"\r\n|\r|\n")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")
# DICOM's groups of a name -> XPN-8.
_REPRESENTATIONS: Final = ("A", "I", "P")


@dataclass(frozen=True, slots=True)
class Head:
    """MSH of a destination; ``at`` is by the clock of its zone."""

    sending_application: str
    sending_facility: str
    receiving_application: str
    receiving_facility: str
    processing_id: str
    version: str
    charset: str
    at: datetime


def escaped(text: str) -> str:
    """``text`` without anything that would end a field; ends of lines become ``\\.br\\``."""
    return "\\.br\\".join(_CONTROLS.sub("", line).translate(_ESCAPES) for line in _ENDS.split(text))


def components(*values: str) -> str:
    """Components that are not escaped yet."""
    return "^".join(escaped(value) for value in values).rstrip("^")


def entity(value: str, issuer: str) -> str:
    """EI."""
    return components(value, issuer) if value else ""


def person_name(name: str) -> str:
    """A PN value as XPN: family, given, middle, suffix, prefix; ideographic and phonetic groups repeat (XPN-8)."""
    groups = [_turned(group) for group in name.split("=")[:3]]
    alone = len([group for group in groups if group]) < 2
    found = []
    for group, kind in zip(groups, _REPRESENTATIONS, strict=False):
        if group and alone:
            found.append(components(*group))
        elif group:
            found.append(components(*group, *[""] * (6 - len(group)), "L", kind))
    return "~".join(found)


def provider_name(name: str) -> str:
    """A PN value as XCN without an identifier."""
    group = _turned(name.split("=")[0])
    return components("", *group) if group else ""


def nested_provider_name(name: str) -> str:
    """A PN value as a CNN inside an NDL: identifier, family, given, middle, suffix, prefix by ``&``."""
    group = _turned(name.split("=")[0])
    return "&".join(["", *(escaped(part) for part in group)]).rstrip("&") if group else ""


def _turned(group: str) -> list[str]:
    """PN has the prefix ahead of the suffix, HL7 behind it."""
    parts = [part.strip() for part in [*group.split("^"), "", "", "", ""][:5]]
    turned = [*parts[:3], parts[4], parts[3]]
    while turned and not turned[-1]:
        turned.pop()
    return turned


def time_of(moment: datetime, zone: tzinfo) -> str:
    """A DTM with the offset of ``zone``."""
    return moment.astimezone(zone).strftime("%Y%m%d%H%M%S%z")


def segment(name: str, fields: Mapping[int, str]) -> str:
    """A segment of these fields by number."""
    last = max((number for number, value in fields.items() if value), default=0)
    return "|".join([name, *(fields.get(number, "") for number in range(1, last + 1))])


def new_control_id() -> str:
    """MSH-10: 20 characters, as many as the oldest versions hold."""
    return token_hex(10)


def message(head: Head, type: str, control_id: str, segments: Iterable[str]) -> bytes:
    """The message; in UTF-8, and MSH-18 says it, where the charset that is wanted can't hold it."""
    kind, event = type.split("^")
    structured = _numbers(head.version) >= (2, 3, 1)
    fields = {
        3: escaped(head.sending_application),
        4: escaped(head.sending_facility),
        5: escaped(head.receiving_application),
        6: escaped(head.receiving_facility),
        7: head.at.strftime("%Y%m%d%H%M%S%z"),
        9: f"{type}^{kind}_{event}" if structured else type,
        10: control_id,
        11: head.processing_id,
        12: head.version,
    }
    body = list(segments)
    try:
        return _encoded(fields | {18: head.charset}, body, CODECS[head.charset])
    except UnicodeError:
        return _encoded(fields | {18: EVERYTHING}, body, CODECS[EVERYTHING])


def _encoded(fields: Mapping[int, str], body: Sequence[str], codec: str) -> bytes:
    # MSH-1 is the separator itself, so that its fields begin with MSH-2.
    head = segment("MSH", {1: DELIMITERS, **{number - 1: value for number, value in fields.items()}})
    text = "".join(f"{line}\r" for line in (head, *body))
    raw = text.encode(codec)
    # Shift JIS writes a yen sign as the byte of \, and an overline as that of ~: both would be delimiters.
    if codec != "utf_8" and raw.decode(codec) != text:
        raise UnicodeError("another text would be read")
    return raw


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
