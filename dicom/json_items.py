"""Reading a data set that is at hand as DICOM JSON (PS3.18 Annex F): what is odd or missing is simply not there."""

from __future__ import annotations

import math
from base64 import b64decode
from binascii import Error
from collections.abc import Mapping
from typing import Any

Item = Mapping[str, Any]

_CODE_VALUES = ("00080100", "00080119", "00080120")  # CodeValue, LongCodeValue, URNCodeValue
_CODE_MEANING = "00080104"
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def values(item: Item, tag: str) -> list[Any]:
    """The values of an attribute, none if it is absent or empty."""
    attribute = item.get(tag)
    found = attribute.get("Value") if isinstance(attribute, Mapping) else None
    return found if isinstance(found, list) else []


def texts(item: Item, tag: str) -> list[str]:
    """The values as text; of a person's name its groups, as in `Alphabetic (Ideographic)`."""
    return [_spoken(value) for value in values(item, tag) if value is not None]


def text(item: Item, tag: str) -> str:
    """The first value as text, "" if there is none."""
    found = values(item, tag)
    return _spoken(found[0]) if found and found[0] is not None else ""


def number(item: Item, tag: str) -> float | None:
    """The first value as a finite number."""
    found = values(item, tag)
    return _number(found[0]) if found else None


def whole(item: Item, tag: str, default: int = 0) -> int:
    """The first value as a whole number."""
    found = number(item, tag)
    return default if found is None else int(found)


def numbers(item: Item, tag: str) -> list[float] | None:
    """All values as finite numbers; None if one of them is none."""
    found = [_number(value) for value in values(item, tag)]
    return None if None in found else [value for value in found if value is not None]


def items(item: Item, tag: str) -> list[Item]:
    """The items of a sequence."""
    return [value for value in values(item, tag) if isinstance(value, Mapping)]


def first(item: Item, *path: str) -> Item:
    """The first item of each of these sequences, one inside the other; an empty one where there is none."""
    for tag in path:
        found = items(item, tag)
        if not found:
            return {}
        item = found[0]
    return item


def meaning(item: Item, tag: str) -> str:
    """What the code in a code sequence means (PS3.3 8.3), or the code itself if it does not say."""
    code = first(item, tag)
    return text(code, _CODE_MEANING) or code_value(item, tag)


def code_value(item: Item, tag: str) -> str:
    """The code in a code sequence (PS3.3 8.1)."""
    code = first(item, tag)
    return next((value for each in _CODE_VALUES if (value := text(code, each))), "")


def inline(item: Item, tag: str) -> bytes | None:
    """The bytes of an attribute that the JSON carries itself; None if it does not."""
    attribute = item.get(tag)
    encoded = attribute.get("InlineBinary") if isinstance(attribute, Mapping) else None
    try:
        return b64decode(encoded) if isinstance(encoded, str) else None
    except (Error, ValueError):
        return None


def without(item: Item, tags: frozenset[str]) -> Item:
    """The data set without these attributes, at any depth."""
    if not tags:
        return item
    return {tag: _attribute(attribute, tags) for tag, attribute in item.items() if tag not in tags}


def _attribute(attribute: Any, tags: frozenset[str]) -> Any:
    if not isinstance(attribute, Mapping) or attribute.get("vr") != "SQ":
        return attribute
    inside = [without(each, tags) for each in attribute.get("Value", ()) if isinstance(each, Mapping)]
    return {**attribute, "Value": inside}


def _spoken(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    groups = [str(value[name]).replace("^", " ").strip() for name in _NAME_GROUPS if value.get(name)]
    return f"{groups[0]} ({', '.join(groups[1:])})" if len(groups) > 1 else "".join(groups)


def _number(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None
