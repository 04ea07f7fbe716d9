"""The values of declared attributes out of the DICOM JSON of one instance (PS3.18 Annex F)."""

import math
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from archive.extended_datetime import in_utc, is_datetime
from archive.extended_declaration import MATCHINGS, ExtendedAttribute
from archive.index_rows import LONGEST_TEXT
from archive.names import name_key
from dicom import json
from dicom.charsets import character_set

MOST_VALUES = 1000
TIMEZONE_OFFSET_FROM_UTC = "00080201"
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_DATE = re.compile(r"[0-9]{8}")
_OLD_DATE = re.compile(r"([0-9]{4})\.([0-9]{2})\.([0-9]{2})")
_TIME = re.compile(r"[0-9]{2}([0-9]{2}([0-9]{2}(\.[0-9]{1,6})?)?)?")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_UTF8 = character_set(("ISO_IR 192",))

DataSet = Mapping[str, Any]


class Unsearchable(Exception):
    """An instance has the attribute, but not in a form that can be searched. The message has no value in it."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value as it is matched and answered; ``key`` is the folded name of a PN, the moment in UTC of a DT."""

    position: int
    text: str
    key: str = ""


def values_of(attribute: ExtendedAttribute, data_set: DataSet) -> list[Value]:
    """The values of ``attribute`` in ``data_set``, of all items together. Raises ``Unsearchable``."""
    found: list[Value] = []
    zone = str(_plain(data_set.get(TIMEZONE_OFFSET_FROM_UTC, {})))
    for element in _elements(data_set, attribute.steps, attribute.private_creator):
        for raw in _raw_values(attribute, element):
            text = _text(attribute.vr, raw)
            if text:
                found.append(Value(len(found), text[:LONGEST_TEXT], _key(attribute.vr, text, zone)[:LONGEST_TEXT]))
            if len(found) > MOST_VALUES:
                raise Unsearchable(f"it has more than {MOST_VALUES} values")
    return found


def number_text(number: float) -> str:
    """The one way in which a number is written in the index: ``1.50`` is ``1.5``, ``2.0`` is ``2``."""
    whole = isinstance(number, int) or (number.is_integer() and abs(number) < 2**53)
    return str(int(number)) if whole else repr(number)


def _elements(item: DataSet, steps: Sequence[str], creator: str) -> Iterator[DataSet]:
    if len(steps) > 1:
        for inner in item.get(steps[0], {}).get("Value") or []:
            if isinstance(inner, Mapping):
                yield from _elements(inner, steps[1:], creator)
        return
    tags = _in_blocks(item, steps[0], creator) if creator else [steps[0]]
    yield from (item[tag] for tag in tags if tag in item)


def _in_blocks(item: DataSet, tag: str, creator: str) -> list[str]:
    """The tags that a private attribute may have in this data set: one for each block its creator reserved."""
    reserving = (f"{tag[:4]}00{block:02X}" for block in range(0x10, 0x100))
    return [f"{tag[:4]}{t[6:]}{tag[6:]}" for t in reserving if t in item and str(_plain(item[t])).strip() == creator]


def _plain(element: DataSet) -> Any:
    return (element.get("Value") or [""])[0]


def _raw_values(attribute: ExtendedAttribute, element: DataSet) -> list[Any]:
    if "BulkDataURI" in element:
        raise Unsearchable("its value is kept as bulk data, which is not searched")
    if "InlineBinary" in element:
        if element.get("vr") != "UN":
            raise Unsearchable(f"its VR is {element.get('vr')}, not {attribute.vr}")
        # Implicit VR says nothing of private attributes; the declaration does.
        tag = int(attribute.steps[-1], 16)
        told = json.attribute(tag, attribute.vr.encode(), b64decode(element["InlineBinary"]), _UTF8)
        element = next(iter(orjson.loads(b"{%b}" % told).values()))
    values = element.get("Value") or []
    if element.get("vr") == "SQ":
        raise Unsearchable(f"its VR is SQ, not {attribute.vr}")
    return list(values)


def _text(vr: str, raw: Any) -> str:
    """A value as the index has it; empty for none."""
    if raw is None:
        return ""
    if isinstance(raw, Mapping):
        raw = "=".join(str(raw.get(group, "")) for group in _NAME_GROUPS).rstrip("= ")
    if MATCHINGS[vr] == "number":
        return _number(raw)
    text = number_text(raw) if isinstance(raw, int | float) else str(raw).strip()
    if vr == "DA" and text:
        text = _OLD_DATE.sub(r"\1\2\3", text)
        return _formed(text, _DATE.fullmatch(text) is not None, vr)
    if vr == "TM" and text:
        text = text.replace(":", "")
        return _formed(text, _TIME.fullmatch(text) is not None, vr)
    if vr == "DT" and text:
        return _formed(text, is_datetime(text), vr)
    return text


def _number(raw: Any) -> str:
    if isinstance(raw, str):
        if not raw.strip():
            return ""
        if not _NUMBER.fullmatch(raw.strip()):
            raise Unsearchable("a value of it is no number")
        whole = raw.strip().lstrip("+-").isdigit()
        raw = int(raw) if whole and len(raw) <= LONGEST_TEXT else float(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not _is_finite(raw):
        raise Unsearchable("a value of it is no number")
    return number_text(raw)


def _is_finite(number: float) -> bool:
    return isinstance(number, int) or math.isfinite(number)


def _formed(text: str, well: bool, vr: str) -> str:
    if not well:
        raise Unsearchable(f"a value of it has not the form of VR {vr}")
    return text


def _key(vr: str, text: str, zone: str) -> str:
    if vr == "PN":
        return name_key(text)
    return in_utc(text, zone) if vr == "DT" else ""
