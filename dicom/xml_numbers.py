"""Numbers as XML writes them, as DICOM JSON has them."""

from __future__ import annotations

import math
import re

INTEGERS = frozenset(("SL", "SS", "SV", "UL", "US", "UV"))
FLOATS = frozenset(("DS", "FD", "FL", "IS"))  # an IS that is no integer stays what it is

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LONGEST = 64
# XML Schema writes INF; JSON has no literal for any of them
_SPECIAL = {"NaN": "NaN", "INF": "inf", "+INF": "inf", "-INF": "-inf", "inf": "inf", "-inf": "-inf"}


def integer(text: str) -> int:
    """A whole number of at most 64 bits; ValueError."""
    stripped = text.strip()
    if _INTEGER.fullmatch(stripped) is None:
        raise ValueError("no integer")
    number = int(stripped)
    if not -(2**63) <= number < 2**64:
        raise ValueError("more than 64 bits")
    return number


def decimal(text: str) -> int | float | str:
    """A number, whole where it is written so; ValueError."""
    stripped = text.strip()
    if stripped in _SPECIAL:
        return _SPECIAL[stripped]
    if len(stripped) > _LONGEST or _DECIMAL.fullmatch(stripped) is None:
        raise ValueError("no number")
    if _INTEGER.fullmatch(stripped) and -(2**63) <= int(stripped) < 2**64:
        return int(stripped)
    number = float(stripped)
    if not math.isfinite(number):
        raise ValueError("no finite number")
    return number
