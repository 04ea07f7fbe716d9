"""What a client sends about a workitem against the table of requirements."""

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from dicom.errors import DicomError
from dicom.json_checked import checked
from dicom.uids import is_uid
from dicom.vrs import describe
from workitems.columns import COLUMNS
from workitems.errors import Refusal, WorkItemRefused
from workitems.models import State
from workitems.requirements import BY_TAG, UPS_PUSH, Requirement
from workitems.values import Attributes, Item, attribute, is_filled, tag, text

MOST_BYTES: Final = 8 << 20
# Of what workitems are found by; an index holds no more of two of them. An LO has 64 characters, a PN of three
# groups 194.
MOST_CHARACTERS: Final = 256
_DATE = r"[0-9]{4}((0[1-9]|1[0-2])((0[1-9]|[12][0-9]|3[01])"
_TIME = r"(([01][0-9]|2[0-3])([0-5][0-9](([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?)?)?)?"
_DATE_TIME = re.compile(rf"{_DATE}{_TIME}([+-][0-9]{{4}})?")
# Which ends ask for what
_ENDS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {State.COMPLETED: frozenset("RPp"), State.CANCELED: frozenset("RX")}
)


def well_formed(data_set: Mapping[str, Any]) -> Attributes:
    """The data set in one form, UIDs and moments in it such as they have to be. Raises ``WorkItemRefused``."""
    try:
        found = checked(data_set)
    except DicomError as error:
        raise WorkItemRefused(Refusal.INVALID_DATA_SET, str(error)) from error
    _check_forms(found)
    # Whatever the sender had: JSON and XML are text, and are answered in UTF-8.
    return found | attribute("SpecificCharacterSet", "ISO_IR 192") if tag("SpecificCharacterSet") in found else found


def check_size(data_set: Item) -> None:
    """Raises ``WorkItemRefused`` for what has grown, by one update after the other, beyond what is kept."""
    if len(orjson.dumps(data_set)) > MOST_BYTES:
        raise WorkItemRefused(Refusal.INVALID_DATA_SET, f"a workitem has at most {MOST_BYTES} bytes")


def check_create(data_set: Attributes) -> Attributes:
    """Type 2 attributes that were left out, without a value. Raises ``WorkItemRefused`` for what makes no workitem.

    An attribute of Type 2 that is not there is as if it were empty (PS3.5 7.4.3): that is put in order, not refused.
    """
    _check_columns(data_set)
    missing: Attributes = {}
    for row in BY_TAG.values():
        there, filled = tag(row.keyword) in data_set, is_filled(data_set, row.keyword)
        if row.create == "1" and not filled:
            raise _invalid(row.keyword, "has to have a value")
        if row.create == "0" and filled:
            raise _invalid(row.keyword, "may have no value in a new workitem")
        if row.keyword == "ProcedureStepState" and text(data_set, row.keyword) != State.SCHEDULED:
            raise WorkItemRefused(
                Refusal.NOT_SCHEDULED_AT_FIRST, "(0074,1000) ProcedureStepState: a new workitem is SCHEDULED"
            )
        if row.create in "02" and not there and row.keyword != "TransactionUID":
            missing |= attribute(row.keyword)
        _check_values(data_set, row)
        _check_items(data_set, row, "create")
    if text(data_set, "SOPClassUID") not in ("", UPS_PUSH):
        raise _invalid("SOPClassUID", f"a workitem is of {UPS_PUSH}")
    return missing


def check_update(data_set: Attributes) -> None:
    """Raises ``WorkItemRefused`` for a change of what may not be changed, or that takes away what has to be there."""
    _check_columns(data_set)
    for name in data_set:
        row = BY_TAG.get(name)
        if row is None:
            continue
        if row.update == "-":
            raise _invalid(row.keyword, "may not be changed")
        if row.update == "1" and not is_filled(data_set, row.keyword):
            raise _invalid(row.keyword, "has to have a value")
        _check_values(data_set, row)
        _check_items(data_set, row, "update")


def missing_at_end(data_set: Item, state: str) -> list[str]:
    """The attributes that the data set still needs to be COMPLETED or CANCELED, as ``(gggg,eeee) Keyword``."""
    return list(dict.fromkeys(_missing(data_set, BY_TAG.values(), _ENDS[state])))


def _missing(data_set: Item, rows: Iterable[Requirement], asked: frozenset[str]) -> Iterator[str]:
    for row in rows:
        if row.final not in asked:
            continue
        if not (tag(row.keyword) in data_set if row.final == "p" else is_filled(data_set, row.keyword)):
            yield describe(int(tag(row.keyword), 16))
        elif row.items:
            for item in data_set[tag(row.keyword)].get("Value") or []:
                yield from _missing(item, row.items, asked)


def _check_items(data_set: Item, row: Requirement, request: str) -> None:
    for item in (data_set.get(tag(row.keyword)) or {}).get("Value") or [] if row.items else []:
        for inner in row.items:
            required = inner.create if request == "create" else inner.update
            there = tag(inner.keyword) in item
            # Within a sequence the same type says what has to be there, and of an update what may be left out.
            needed = required == "1" and (there or inner.create == "1")
            if needed and not is_filled(item, inner.keyword):
                raise _invalid(inner.keyword, f"has to have a value in {row.keyword}")
            _check_values(item, inner)
            _check_items(item, inner, request)


def _check_columns(data_set: Item) -> None:
    for keyword in COLUMNS:
        if len(text(data_set, keyword)) > MOST_CHARACTERS:
            raise _invalid(keyword, f"has more than {MOST_CHARACTERS} characters")


def _check_values(data_set: Item, row: Requirement) -> None:
    if row.values and is_filled(data_set, row.keyword) and text(data_set, row.keyword) not in row.values:
        raise _invalid(row.keyword, f"expected {' or '.join(sorted(row.values))}")


def _check_forms(data_set: Item) -> None:
    """UIDs are UIDs and moments are moments, at any depth."""
    for name, found in data_set.items():
        for value in found.get("Value") or []:
            if found["vr"] == "SQ":
                _check_forms(value)
            elif found["vr"] == "UI" and value and not is_uid(value):
                raise WorkItemRefused(Refusal.INVALID_DATA_SET, f"{describe(int(name, 16))}: a UID was expected")
            elif found["vr"] == "DT" and value and not _DATE_TIME.fullmatch(value.strip()):
                raise WorkItemRefused(
                    Refusal.INVALID_DATA_SET, f"{describe(int(name, 16))}: a date and time YYYYMMDDHHMMSS was expected"
                )


def _invalid(keyword: str, text: str) -> WorkItemRefused:
    return WorkItemRefused(Refusal.INVALID_DATA_SET, f"{describe(int(tag(keyword), 16))}: {text}")
