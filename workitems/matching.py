"""What a workitem is searched by (PS3.4 CC.2.8, PS3.18 8.3.4.1): attributes of its data set, by column or inside."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from django.db.models import JSONField, Lookup, Q, QuerySet
from pydicom.datadict import dictionary_keyword, dictionary_VR, tag_for_keyword

from archive.errors import InvalidQuery
from archive.extended_datetime import in_utc, is_datetime
from archive.matching import condition, has_wildcard, is_universal
from dicom.attributes import Attribute, Matching
from dicom.uids import is_uid
from workitems.columns import COLUMNS, MOMENTS
from workitems.models import WorkItem

# Tags from the outside in: ("00404025", "00080100") is the code of the scheduled station.
Path = tuple[str, ...]
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_HIDDEN: Final = "00081195"  # Transaction UID, the key to the workitem
_UID_OF_WORKITEM: Final = "00080018"
_MOST_STEPS: Final = 6
_AFTER: Final = "~"
_UNMATCHED: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "AT", "SQ"})
_NUMBERS: Final = frozenset({"US", "SS", "UL", "SL", "FL", "FD", "SV", "UV", "IS", "DS"})
_KINDS: Final[Mapping[str, Matching]] = MappingProxyType({"DA": "date", "TM": "time", "PN": "person_name", "UI": "uid"})


@JSONField.register_lookup
class PathExists(Lookup):
    """``column @? path``: something in the document is at the end of a JSON path, which an index answers in part."""

    lookup_name = "at_path"
    prepare_rhs = False

    def as_sql(self, compiler, connection):  # type: ignore[no-untyped-def]
        """The SQL of the comparison."""
        left, params = self.process_lhs(compiler, connection)
        return f"{left} @? %s::jsonpath", [*params, self.rhs]


def path_of(name: str) -> Path | None:
    """The tags of ``ScheduledStationNameCodeSequence.CodeValue`` or ``00404025.00080100``; None for what is no
    attribute that workitems are searched by."""
    tags: list[str] = []
    for step in name.split("."):
        found = step.upper() if _TAG.fullmatch(step) else _of_keyword(step)
        if found is None:
            return None
        tags.append(found)
    if len(tags) > _MOST_STEPS or _HIDDEN in tags or any(_vr(each) != "SQ" for each in tags[:-1]):
        return None
    return None if _vr(tags[-1]) in ("", *_UNMATCHED) else tuple(tags)


def matching(rows: QuerySet[WorkItem], matches: Sequence[Sequence[str]], *, fuzzy: bool = False) -> QuerySet[WorkItem]:
    """Those of ``rows`` that match every key; each is the path as ``path_of`` reads it, and the text to match.

    Keys of items of the same sequence are of one item (PS3.4 C.2.2.2.6). Raises ``InvalidQuery``.
    """
    inside: dict[str, list[tuple[Path, str]]] = {}
    for name, given in matches:
        path, text = path_of(name), given.strip()
        if path is None:
            raise InvalidQuery(f"{name} is no key of workitems")
        if is_universal(text):
            continue
        column = COLUMNS.get(dictionary_keyword(path[0])) if len(path) == 1 else None
        if path == (_UID_OF_WORKITEM,):
            rows = rows.filter(condition(_key("SOPInstanceUID", path, "uid"), "uid", text) or Q())
        elif column in MOMENTS:
            rows = rows.filter(_moments(column or "", text))
        elif column is not None:
            rows = rows.filter(_in_column(path, column, text, fuzzy=fuzzy))
        else:
            inside.setdefault(path[0], []).append((path, text))
    for first, keys in inside.items():
        rows = rows.filter(data_set__at_path=_json_path(first, keys, fuzzy=fuzzy))
    return rows


def _in_column(path: Path, column: str, text: str, *, fuzzy: bool) -> Q:
    kind = _KINDS.get(_vr(path[0]), "wildcard")
    return condition(_key(dictionary_keyword(path[0]), path, kind), column, text, fuzzy=fuzzy) or Q()


def _key(keyword: str, path: Path, kind: Matching) -> Attribute:
    return Attribute(keyword, path[0], _vr(path[0]), "instance", kind, "", True)


def _moments(column: str, text: str) -> Q:
    """A moment of whatever precision, or a range of two; without an offset from UTC they are in UTC."""
    low, high = _bounds(column, text, is_datetime)
    found = Q(**{f"{column}__gte": in_utc(low)}) if low else Q(**{f"{column}__gt": ""})
    return found & Q(**{f"{column}__lte": in_utc(high) + _AFTER}) if high else found


def _bounds(label: str, text: str, is_value: Any) -> tuple[str, str]:
    """Both ends of a range; a value is a range of itself. A hyphen may also begin an offset from UTC."""
    if is_value(text):
        return text, text
    for place in (place for place, letter in enumerate(text) if letter == "-"):
        low, high = text[:place].strip(), text[place + 1 :].strip()
        if (low or high) and all(not end or is_value(end) for end in (low, high)):
            return low, high
    raise InvalidQuery(f"{label}: expected a value or a range of two")


def _json_path(first: str, keys: Iterable[tuple[Path, str]], *, fuzzy: bool) -> str:
    conditions = " && ".join(_predicate(path, text, fuzzy=fuzzy) for path, text in keys)
    if all(len(path) == 1 for path, _ in keys):
        return f"$ ? ({conditions})"
    return f'$."{first}"."Value"[*] ? ({conditions})'


def _predicate(path: Path, text: str, *, fuzzy: bool) -> str:
    """One key as a predicate about the item, or about the data set for an attribute of its top level."""
    vr = _vr(path[-1])
    steps = path[1:] or path
    values = "@" + "".join(f'."{step}"."Value"[*]' for step in steps)
    if vr == "PN":
        pattern = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in text)
        return f'{values}.* like_regex {json.dumps(("" if fuzzy else "^") + pattern + ("" if fuzzy else "$"))} flag "i"'
    if vr in ("DA", "TM", "DT"):
        low, high = _bounds(dictionary_keyword(path[-1]), text, _is_digits)
        ends = [f"{values} >= {json.dumps(low)}"] * bool(low)
        ends += [f"{values} <= {json.dumps(high + _AFTER)}"] * bool(high)
        return f"({' && '.join(ends)})"
    if vr == "UI":
        named = [uid.strip() for uid in re.split(r"[,\\]", text) if uid.strip()]
        if not named or not all(map(is_uid, named)):
            raise InvalidQuery(f"{dictionary_keyword(path[-1])}: a UID has digits and dots only, at most 64")
        return "(" + " || ".join(f"{values} == {json.dumps(uid)}" for uid in named) + ")"
    if vr in _NUMBERS:
        return f"({values} == {_number(path, text)} || {values} == {json.dumps(text)})"
    if has_wildcard(text):
        pattern = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in text)
        return f"{values} like_regex {json.dumps(f'^{pattern}$')}"
    return f"{values} == {json.dumps(text)}"


def _is_digits(text: str) -> bool:
    return re.fullmatch(r"[0-9.]{2,26}([+-][0-9]{4})?", text) is not None


def _number(path: Path, text: str) -> float:
    if not re.fullmatch(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?", text):
        raise InvalidQuery(f"{dictionary_keyword(path[-1])}: expected a number")
    return float(text)


def _of_keyword(keyword: str) -> str | None:
    number = tag_for_keyword(keyword)
    return None if number is None else f"{number:08X}"


def _vr(tag: str) -> str:
    try:
        return str(dictionary_VR(int(tag, 16))).partition(" ")[0]
    except KeyError:
        return ""
