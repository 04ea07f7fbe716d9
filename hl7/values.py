"""HL7 data types as DICOM values: times, names, identifiers, codes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

from hl7.errors import Condition, Place, Refused
from hl7.message import Field, Segment
from worklist.order_messages import Code, EntityIdentifier

_TIME: Final = re.compile(
    r"(?P<year>\d{4})(?:(?P<month>\d\d)(?:(?P<day>\d\d)(?:(?P<hour>\d\d)(?:(?P<minute>\d\d)"
    r"(?:(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6})\d*)?)?)?)?)?)?(?P<zone>[+-]\d{4})?"
)
# Three groups of 64 characters (PS3.5 6.2).
_LONGEST_GROUP: Final = 64
_NOT_IN_NAMES: Final = str.maketrans({"^": " ", "=": " ", "\\": " ", "\n": " "})
# XPN-8: alphabetic, ideographic, phonetic, in DICOM's order.
_REPRESENTATIONS: Final = {"": 0, "A": 0, "I": 1, "P": 2}
# XPN-7: whose turn comes first where a person has several names; others, as an alias, only where none of these is.
_NAME_TYPES: Final = ("L", "D", "", "C", "U", "B")
_UID: Final = re.compile(r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))+")


def clock(text: str, place: Place) -> tuple[str, str]:
    """``text`` as DA and TM values of the sender's own clock, "" for a time that isn't given. Raises Refused (102)."""
    found = _read(text, place)
    day = f"{found['year']}{found['month'] or ''}{found['day'] or ''}"
    return day if len(day) == 8 else "", "".join(found[part] or "" for part in ("hour", "minute", "second"))


def moment(text: str, zone: tzinfo, place: Place) -> datetime:
    """``text`` as a point in time; ``zone`` is that of a sender that names none. Raises Refused (102)."""
    found = _read(text, place)
    year, month, day = int(found["year"]), int(found["month"] or 1), int(found["day"] or 1)
    hour, minute, second = (int(found[part] or 0) for part in ("hour", "minute", "second"))
    if found["zone"]:
        offset = timedelta(hours=int(found["zone"][1:3]), minutes=int(found["zone"][3:]))
        zone = timezone(offset if found["zone"][0] == "+" else -offset)
    micro = int((found["fraction"] or "").ljust(6, "0"))
    try:
        return datetime(year, month, day, hour, minute, min(second, 59), micro, zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _malformed("no such time", place) from None


def date(text: str | None, place: Place) -> str | None:
    """A DA value of 8 to 14 digits; what is no whole day is as good as not given. Raises Refused (102)."""
    if not text:
        return text
    return clock(text, place)[0] or None


def _read(text: str, place: Place) -> dict[str, str]:
    found = _TIME.fullmatch(text.replace(" ", ""))
    if found is None:
        raise _malformed("no date or time", place)
    parts = found.groupdict()
    try:
        datetime(int(parts["year"]), int(parts["month"] or 1), int(parts["day"] or 1))
        if int(parts["hour"] or 0) > 23 or int(parts["minute"] or 0) > 59 or int(parts["second"] or 0) > 60:
            raise ValueError
        if parts["zone"] and (int(parts["zone"][1:3]) > 14 or int(parts["zone"][3:]) > 59):
            raise ValueError
    except ValueError:
        raise _malformed("no such date or time", place) from None
    return parts


def person_name(segment: Segment, field: int) -> str | None:
    """The repetitions of an XPN field as one PN value (PS3.5 6.2.1), in the sender's order where it names no types.

    XPN has family, given, middle, *suffix, prefix*, degree; PN has family, given, middle, prefix, suffix.
    """
    names = segment.repetitions(field)
    if not names:
        return None
    if names[0].whole() == "":
        return ""
    names = [name for name in names if name.get(1) or name.get(2)]
    if not names:
        return None
    kinds = [(name.get(7) or "").upper() for name in names]
    chosen = next((kind for kind in _NAME_TYPES if kind in kinds), kinds[0])
    groups = ["", "", ""]
    for name, kind in zip(names, kinds, strict=True):
        place = _REPRESENTATIONS.get((name.get(8) or "").upper(), 0)
        if not groups[place] and (kind == chosen or place > 0):
            groups[place] = _group(name, 1, 2, 3, prefix=5, suffixes=(4, 6))
    return "=".join(groups).rstrip("=")


def provider_name(segment: Segment, field: int) -> str | None:
    """An XCN field (identifier, family, given, middle, suffix, prefix) as a PN value.

    A sender that has only the identifier names nobody.
    """
    found = segment.field(field)
    if found.whole() == "":
        return ""
    return _group(found, 2, 3, 4, prefix=6, suffixes=(5, 7)) or None


def nested_provider_name(segment: Segment, field: int) -> str | None:
    """A CNN inside an NDL (OBR-32 to 35): its parts are subcomponents (identifier, family, given, middle, ...).

    Senders that write an XCN instead are understood, too.
    """
    found = segment.field(field)
    parts = [found.get(1, number) or "" for number in (2, 3, 4, 6, 5)]
    if not any(parts):
        return provider_name(segment, field)
    return _joined(parts)


def _group(name: Field, family: int, given: int, middle: int, *, prefix: int, suffixes: tuple[int, int]) -> str:
    suffix = " ".join(filter(None, (name.get(part) for part in suffixes)))
    return _joined([*(name.get(part) or "" for part in (family, given, middle, prefix)), suffix])


def _joined(parts: list[str]) -> str:
    return "^".join(" ".join(part.translate(_NOT_IN_NAMES).split()) for part in parts).rstrip("^")[:_LONGEST_GROUP]


def entity(segment: Segment, field: int) -> EntityIdentifier | None:
    """EI: a number, and the namespace, else the universal id, of who gave it."""
    found = segment.field(field)
    value = found.get(1)
    return EntityIdentifier(value, found.get(2) or found.get(3) or "") if value else None


def code(segment: Segment, field: int, first: int = 1) -> Code | None:
    """CE, CWE: code, meaning, scheme from component ``first`` on; the meaning may stand alone."""
    value, meaning, scheme = (segment.get(field, first + step) or "" for step in range(3))
    return Code(value, scheme, meaning) if value else None


def uid(text: str | None, place: Place) -> str | None:
    """A UID (PS3.5 9.1); null is as good as none. Raises Refused (102)."""
    if not text:
        return None
    if len(text) > 64 or not _UID.fullmatch(text):
        raise _malformed("no UID", place)
    return text


def _malformed(text: str, place: Place) -> Refused:
    return Refused(Condition.DATA_TYPE, place, text)
