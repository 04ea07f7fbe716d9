"""The Storage Commitment Request and Response Modules as DICOM JSON (PS3.18 J.1, J.2).

Instances are named in Referenced SOP Sequence (0008,1199), or in Referenced Study Sequence (0008,1110) by study,
series and SOP class, or in both; the response names each where the request did.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any

import orjson

from archive.commitment import Reference, Verdict
from dicom.uids import UID_PATTERN
from dicomweb.errors import BadRequest, TooLarge

REFERENCED_SOP_SEQUENCE = "00081199"
FAILED_SOP_SEQUENCE = "00081198"
REFERENCED_STUDY_SEQUENCE = "00081110"
FAILED_STUDY_SEQUENCE = "0008119B"
FAILURE_REASON = "00081197"
_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID = "0020000D", "0020000E"
_SOP_CLASS_UID, _SOP_INSTANCE_UID = "00081150", "00081155"
_SERIES, _CLASSES, _INSTANCES = "00081115", "00081112", "0008114A"
_NAMES = {
    REFERENCED_SOP_SEQUENCE: "Referenced SOP Sequence (0008,1199)",
    REFERENCED_STUDY_SEQUENCE: "Referenced Study Sequence (0008,1110)",
    _SERIES: "Referenced Series Sequence (0008,1115)",
    _CLASSES: "Referenced Instances by SOP Class Sequence (0008,1112)",
    _INSTANCES: "Referenced Instance Sequence (0008,114A)",
    _STUDY_INSTANCE_UID: "Study Instance UID (0020,000D)",
    _SERIES_INSTANCE_UID: "Series Instance UID (0020,000E)",
    _SOP_CLASS_UID: "Referenced SOP Class UID (0008,1150)",
    _SOP_INSTANCE_UID: "Referenced SOP Instance UID (0008,1155)",
}
_UID = re.compile(UID_PATTERN)
_Items = list[dict[str, Any]]
# What a group is named by, the sequence of what is in it, and the group of a reference
_LEVELS: Sequence[tuple[str, str, Callable[[Reference], str]]] = (
    (_STUDY_INSTANCE_UID, _SERIES, attrgetter("study_instance_uid")),
    (_SERIES_INSTANCE_UID, _CLASSES, attrgetter("series_instance_uid")),
    (_SOP_CLASS_UID, _INSTANCES, attrgetter("sop_class_uid")),
)


def references_of(body: bytes, most: int) -> list[Reference]:
    """What a request asks about, at least one and at most ``most`` instances. Raises ``BadRequest``, ``TooLarge``.

    Every study and series has to name its instances: whether "all of it" is here nobody but the sender can know.
    """
    try:
        module = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is no JSON: {error.msg} at character {error.pos}") from error
    if isinstance(module, list) and len(module) == 1:
        module = module[0]
    if not isinstance(module, dict):
        raise BadRequest("expected one DICOM JSON object")
    if not any(map(module.get, (REFERENCED_SOP_SEQUENCE, REFERENCED_STUDY_SEQUENCE))):
        raise BadRequest(f"expected {_NAMES[REFERENCED_SOP_SEQUENCE]} or {_NAMES[REFERENCED_STUDY_SEQUENCE]}")
    found = [reference for tag in _READERS if tag in module for reference in _READERS[tag](module)]
    if len(found) > most:
        raise TooLarge(f"more than {most} instances in one request")
    return found


def response_of(verdicts: Sequence[Verdict]) -> str:
    """The Storage Commitment Response Module; a sequence without items is left out."""
    flat = [v for v in verdicts if not v.reference.study_instance_uid]
    nested = [v for v in verdicts if v.reference.study_instance_uid]
    sequences = {
        REFERENCED_STUDY_SEQUENCE: _grouped(_only(nested, failed=False), _LEVELS),
        FAILED_SOP_SEQUENCE: [_of_class(v) | _instance(v) for v in _only(flat, failed=True)],
        REFERENCED_SOP_SEQUENCE: [_of_class(v) | _instance(v) for v in _only(flat, failed=False)],
        FAILED_STUDY_SEQUENCE: _grouped(_only(nested, failed=True), _LEVELS),
    }
    return orjson.dumps({tag: _sequence(items) for tag, items in sequences.items() if items}).decode()


def _flat(module: Any) -> Iterator[Reference]:
    for place, item in _items(module, REFERENCED_SOP_SEQUENCE, ""):
        yield Reference(_uid(item, _SOP_CLASS_UID, place), _uid(item, _SOP_INSTANCE_UID, place))


def _nested(module: Any) -> Iterator[Reference]:
    for in_study, study in _items(module, REFERENCED_STUDY_SEQUENCE, ""):
        study_uid = _uid(study, _STUDY_INSTANCE_UID, in_study)
        for in_series, series in _items(study, _SERIES, in_study):
            series_uid = _uid(series, _SERIES_INSTANCE_UID, in_series)
            for in_class, group in _items(series, _CLASSES, in_series):
                sop_class_uid = _uid(group, _SOP_CLASS_UID, in_class)
                for place, item in _items(group, _INSTANCES, in_class):
                    yield Reference(sop_class_uid, _uid(item, _SOP_INSTANCE_UID, place), study_uid, series_uid)


_READERS = {REFERENCED_SOP_SEQUENCE: _flat, REFERENCED_STUDY_SEQUENCE: _nested}


def _items(item: Any, tag: str, within: str) -> Iterator[tuple[str, Any]]:
    """Each item of a sequence with where it is, for messages."""
    items = _value(item, tag)
    if not items:
        raise BadRequest(f"{within}expected {_NAMES[tag]} with at least one item")
    for number, each in enumerate(items, 1):
        yield f"{within}item {number} of {_NAMES[tag]}: ", each


def _uid(item: Any, tag: str, place: str) -> str:
    value = _value(item, tag)
    if len(value) != 1 or not isinstance(value[0], str) or not _UID.fullmatch(value[0]):
        raise BadRequest(f"{place}expected one UID as {_NAMES[tag]}")
    return value[0]


def _value(item: Any, tag: str) -> list[Any]:
    attribute = item.get(tag) if isinstance(item, dict) else None
    value = attribute.get("Value") if isinstance(attribute, dict) else None
    return value if isinstance(value, list) else []


def _only(verdicts: Sequence[Verdict], *, failed: bool) -> list[Verdict]:
    return [v for v in verdicts if (v.failure_reason is not None) == failed]


def _grouped(verdicts: Sequence[Verdict], levels: Sequence[tuple[str, str, Callable[[Reference], str]]]) -> _Items:
    """By study, series and SOP class, each with the sequence of what is below it."""
    if not levels:
        return [_instance(v) for v in verdicts]
    (tag, below, uid_of), *rest = levels
    groups: dict[str, list[Verdict]] = defaultdict(list)
    for v in verdicts:
        groups[uid_of(v.reference)].append(v)
    return [_ui(tag, uid) | {below: _sequence(_grouped(members, rest))} for uid, members in groups.items()]


def _of_class(verdict: Verdict) -> dict[str, Any]:
    return _ui(_SOP_CLASS_UID, verdict.reference.sop_class_uid)


def _instance(verdict: Verdict) -> dict[str, Any]:
    item = _ui(_SOP_INSTANCE_UID, verdict.reference.sop_instance_uid)
    if verdict.failure_reason is not None:
        item[FAILURE_REASON] = {"vr": "US", "Value": [verdict.failure_reason]}
    return item


def _ui(tag: str, uid: str) -> dict[str, Any]:
    return {tag: {"vr": "UI", "Value": [uid]}}


def _sequence(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": list(items)}
