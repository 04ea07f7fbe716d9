"""Searching declared attributes: conditions on their owners (PS3.4 C.2.2.2), and their values in answers."""

import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import Exists, OuterRef, Q

from archive.errors import InvalidQuery
from archive.extended_datetime import datetime_condition
from archive.extended_declaration import MATCHINGS, ExtendedAttribute
from archive.extended_extraction import MOST_VALUES, number_text
from archive.extended_models import ExtendedValue
from archive.index_rows import LONGEST_TEXT
from archive.matching import EMPTY, condition, has_wildcard, is_universal
from dicom.attributes import Attribute

# A comma may be part of the values of these; several of them are separated by a backslash only.
_WITH_COMMAS = frozenset({"LO", "PN", "SH", "UC"})
_OF_ONE_VALUE = frozenset({"LT", "ST", "UT", "UR"})
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
_DECIMAL = re.compile(r"[+-]?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?")
_DECIMALS = frozenset({"DS", "FD", "FL"})
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

Owner = tuple[int, int]  # tag and owner


@dataclass(frozen=True, slots=True)
class ExtendedMatch:
    """One key of a query that is a declared attribute, and the text to match it with."""

    attribute: ExtendedAttribute
    text: str


def extended_condition(match: ExtendedMatch, way: str, *, fuzzy: bool, empty: bool, each: bool) -> Q | None:
    """The condition that the owner (its primary key reached by ``way``) has a value that matches.

    ``None`` is universal matching. ``empty`` and ``each`` are of ``archive.search.SearchQuery``. Raises
    ``InvalidQuery``.
    """
    attribute, text = match.attribute, match.text.strip()
    if is_universal(text):
        return None
    rows = ExtendedValue.objects.filter(tag=attribute.id)
    if empty and text == EMPTY:
        return Q(~Exists(rows.filter(owner_id=OuterRef(f"{way}pk"))))
    parts = _parts(attribute, text) if each else [text]
    if len(parts) > 1 and any(map(has_wildcard, parts)):
        raise InvalidQuery(f"{attribute.label}: several values to be matched together have no wild cards")
    found = Q()
    for part in parts:
        matching = _condition(attribute, part, fuzzy)
        if matching is not None:
            found &= Q(**{f"{way}pk__in": rows.filter(matching).values("owner_id")})
    return found


def fragments(attributes: Sequence[ExtendedAttribute], owners: Mapping[str, Iterable[int]]) -> dict[Owner, list[Any]]:
    """The values of ``attributes`` for DICOM JSON, by tag and owner (primary keys by level); one query.

    Of each the first ``MOST_VALUES``.
    """
    asked = Q(pk__in=[])
    for attribute in attributes:
        asked |= Q(tag=attribute.id, owner_id__in=sorted(set(owners[attribute.level])))
    vrs = {attribute.id: attribute.vr for attribute in attributes}
    found: dict[Owner, list[Any]] = {}
    rows = ExtendedValue.objects.filter(asked).order_by("tag_id", "owner_id", "position", "pk")
    for tag, owner, value in rows.values_list("tag_id", "owner_id", "value"):
        values = found.setdefault((tag, owner), [])
        if len(values) < MOST_VALUES:
            values.append(_json(vrs[tag], value))
    return found


def with_extended(answer: str, found: Iterable[tuple[ExtendedAttribute, Sequence[Any]]]) -> str:
    """``answer`` with values of declared attributes: empty ones with their VR alone, private ones with their creator.

    A value inside a sequence stands in an item of its own.
    """
    loaded: dict[str, Any] = orjson.loads(answer)
    there = frozenset(loaded)
    for attribute, values in found:
        *sequences, tag = attribute.steps
        if not sequences:
            loaded[tag] = {"vr": attribute.vr} | ({"Value": list(values)} if values else {})
            loaded |= _creator(attribute)
        elif sequences[0] not in there:
            items = [_creator(attribute) | {tag: {"vr": attribute.vr, "Value": [value]}} for value in values]
            for sequence in reversed(sequences[1:]):
                items = [{sequence: {"vr": "SQ", "Value": [item]}} for item in items]
            present = loaded.setdefault(sequences[0], {"vr": "SQ"})
            if items:
                present["Value"] = present.get("Value", []) + items
    return orjson.dumps({tag: loaded[tag] for tag in sorted(loaded)}).decode()


def _creator(attribute: ExtendedAttribute) -> dict[str, Any]:
    if not attribute.private_creator:
        return {}
    tag = attribute.steps[-1]
    return {f"{tag[:4]}00{tag[4:6]}": {"vr": "LO", "Value": [attribute.private_creator]}}


def _json(vr: str, value: str) -> Any:
    if MATCHINGS[vr] == "number":
        return orjson.loads(value)
    if vr == "PN":
        return {group: part for group, part in zip(_NAME_GROUPS, value.split("="), strict=False) if part}
    return value


def _parts(attribute: ExtendedAttribute, text: str) -> list[str]:
    if attribute.vr in _OF_ONE_VALUE:
        return [text]
    parts = text.split("\\") if attribute.vr in _WITH_COMMAS else re.split(r"[,\\]", text)
    return [part.strip() for part in parts if part.strip()]


def _condition(attribute: ExtendedAttribute, text: str, fuzzy: bool) -> Q | None:
    matching = MATCHINGS[attribute.vr]
    if matching == "datetime":
        return datetime_condition(attribute.label, text)
    if matching == "number":
        return Q(value=_number(attribute, text))
    if attribute.vr == "AT":
        text = text.upper()
    column = Attribute(attribute.label, attribute.steps[-1], attribute.vr, attribute.level, matching, "value", False)  # type: ignore[arg-type]
    if matching in ("single", "wildcard") and not has_wildcard(text):
        text = text[:LONGEST_TEXT]
    return condition(column, column.column, text, fuzzy=fuzzy)


def _number(attribute: ExtendedAttribute, text: str) -> str:
    """The number that ``text`` is, as the index has it."""
    if attribute.vr not in _DECIMALS:
        if not _WHOLE.fullmatch(text):
            raise InvalidQuery(f"{attribute.label}: expected a whole number")
        return number_text(int(text))
    if not _DECIMAL.fullmatch(text):
        raise InvalidQuery(f"{attribute.label}: expected a decimal number")
    number = float(text)
    if attribute.vr == "FL" and abs(number) < 3.4e38:
        (number,) = struct.unpack("<f", struct.pack("<f", number))
    return number_text(number)
