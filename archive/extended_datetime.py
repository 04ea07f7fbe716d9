"""Values of VR DT (PS3.5 6.2): their moment in UTC, and range matching (PS3.4 C.2.2.2.5)."""

import re
from datetime import UTC, datetime, timedelta

from django.db.models import Q

from archive.errors import InvalidQuery

_OFFSET = r"[+-](?:0[0-9]|1[0-4])[0-5][0-9]"
_FORM = (
    r"[0-9]{4}(?:(?:0[1-9]|1[0-2])(?:(?:0[1-9]|[12][0-9]|3[01])(?:(?:[01][0-9]|2[0-3])(?:[0-5][0-9]"
    r"(?:(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?)?)?)?"
)
_DATETIME = re.compile(rf"({_FORM})({_OFFSET})?")
_ZONE = re.compile(_OFFSET)
# A hyphen before four digits that can be an offset is one; any other parts two bounds.
_RANGE = re.compile(rf"({_FORM}(?:{_OFFSET})?)?-({_FORM}(?:{_OFFSET})?)?")
# Sorts after every character that a value can go on with, so that an upper bound of 10:00 takes in 10:00:59.
_AFTER = "~"
_MINUTES = 12  # digits of YYYYMMDDHHMM


def is_datetime(text: str) -> bool:
    """Whether ``text`` is a value of VR DT, of whatever precision."""
    return _DATETIME.fullmatch(text) is not None


def in_utc(text: str, zone: str = "") -> str:
    """The digits of a DT in UTC; ``zone`` is its offset where it has none itself. What is coarser than hours stays."""
    found = _DATETIME.fullmatch(text)
    if found is None:
        return text
    digits, own = found.groups()
    offset = own or (zone if _ZONE.fullmatch(zone) else "")
    whole, _, fraction = digits.partition(".")
    if not offset or len(whole) < len("YYYYMMDDHH"):
        return str(digits)
    away = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5])) * (-1 if offset[0] == "-" else 1)
    # A leap second has no moment of its own in Python; its digits are put back.
    seconds = whole[_MINUTES:]
    try:
        minute = datetime.strptime(whole[:_MINUTES].ljust(_MINUTES, "0"), "%Y%m%d%H%M").replace(tzinfo=UTC) - away
    except (ValueError, OverflowError):
        return str(digits)
    length = max(min(len(whole), _MINUTES), _MINUTES if offset[3:5] != "00" else 0)
    return f"{minute:%Y%m%d%H%M}".rjust(_MINUTES, "0")[:length] + seconds + (f".{fraction}" if fraction else "")


def datetime_condition(label: str, text: str) -> Q:
    """One value, ``a-b``, ``a-`` or ``-b``. Raises ``InvalidQuery``.

    A bound with an offset from UTC is compared as a moment, one without as it is written in the object.
    """
    if is_datetime(text):
        return _not_before(text) & _not_after(text)
    found = _RANGE.fullmatch(text)
    if found is None or not any(found.groups()):
        raise InvalidQuery(f"{label}: expected a date and time YYYYMMDDHHMMSS.FFFFFF&ZZXX or a range of two")
    low, high = found.groups()
    condition = _not_before(low) if low else Q(value__gt="")
    return condition & _not_after(high) if high else condition


def _not_before(text: str) -> Q:
    column, digits = _column(text)
    return Q(**{f"{column}__gte": re.sub(r"\.?0+$", "", digits) if "." in digits else digits})


def _not_after(text: str) -> Q:
    column, digits = _column(text)
    return Q(**{f"{column}__lte": digits + _AFTER})


def _column(text: str) -> tuple[str, str]:
    found = _DATETIME.fullmatch(text)
    return ("value_key", in_utc(text)) if found and found[2] else ("value", text)
