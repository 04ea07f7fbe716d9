"""Ready answers: the DICOM JSON object (PS3.18 F.2) that a search returns for a study, a series or an instance.

Written at ingest, joined at search. ``BULKDATA_ROOT`` stands in RetrieveURL for the public DICOMweb root.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

from dicom import json
from dicom.attributes import ATTRIBUTES, BY_KEYWORD, Attribute, Level
from dicom.charsets import character_set
from dicom.part10 import BULKDATA_ROOT

# Tag -> the attribute as JSON text, name and value: "00100020":{"vr":"LO","Value":["1"]}
Fragments = dict[str, str]

RETRIEVE_URL = "00081190"
INSTANCE_AVAILABILITY = "00080056"
SPECIFIC_CHARACTER_SET = "00080005"
MODALITIES_IN_STUDY = "00080061"
REQUEST_ATTRIBUTES_SEQUENCE = "00400275"
NUMBER_OF_STUDY_RELATED_SERIES = "00201206"
NUMBER_OF_STUDY_RELATED_INSTANCES = "00201208"
NUMBER_OF_SERIES_RELATED_INSTANCES = "00201209"
STUDY_INSTANCE_UID = "0020000D"
SERIES_INSTANCE_UID = "0020000E"

# No text within a string can look like this: its quotes would be escaped.
_RETRIEVE_URL_START = f'"{RETRIEVE_URL}":{{"vr":"UR","Value":["'
_PLACEHOLDER = _RETRIEVE_URL_START + BULKDATA_ROOT
_UTF8 = character_set(("ISO_IR 192",))
_OF_LEVEL: Mapping[Level, tuple[Attribute, ...]] = {
    level: tuple(a for a in ATTRIBUTES if a.level == level) for level in ("patient", "study", "series", "instance")
}
# What an answer leaves out when it has no value: most objects that are no image have no Rows, Columns or frames.
_OF_IMAGES = tuple(BY_KEYWORD[keyword].tag for keyword in ("Rows", "Columns", "BitsAllocated", "NumberOfFrames"))
# Attributes with shorter values are written once and remembered: they follow from nothing but the value.
_LONGEST_KNOWN = 64


def _fragment(tag: str, vr: str, text: str) -> str:
    return (_known if len(text) <= _LONGEST_KNOWN else _written)(tag, vr, text)


def _written(tag: str, vr: str, text: str) -> str:
    if vr == "US":
        return f'"{tag}":{{"vr":"US","Value":[{text}]}}' if text.isdigit() else f'"{tag}":{{"vr":"US"}}'
    return json.attribute(int(tag, 16), vr.encode(), text.encode(), _UTF8).decode()


_known = lru_cache(maxsize=4096)(_written)


def _attributes(levels: Iterable[Level], values: Mapping[str, str]) -> Fragments:
    return {a.tag: _fragment(a.tag, a.vr, values.get(a.keyword, "")) for level in levels for a in _OF_LEVEL[level]}


def _common(path: str) -> Fragments:
    return {
        SPECIFIC_CHARACTER_SET: _fragment(SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 192"),
        INSTANCE_AVAILABILITY: _fragment(INSTANCE_AVAILABILITY, "CS", "ONLINE"),
        RETRIEVE_URL: _fragment(RETRIEVE_URL, "UR", f"{BULKDATA_ROOT}{path}"),
    }


def _count(tag: str, number: int) -> Fragments:
    return {tag: _fragment(tag, "IS", str(number))}


def _study_counts(modalities: Sequence[str], series: int, instances: int) -> Fragments:
    return (
        {MODALITIES_IN_STUDY: _fragment(MODALITIES_IN_STUDY, "CS", "\\".join(modalities))}
        | _count(NUMBER_OF_STUDY_RELATED_SERIES, series)
        | _count(NUMBER_OF_STUDY_RELATED_INSTANCES, instances)
    )


def _object(fragments: Fragments) -> str:
    """The DICOM JSON object with ascending tags (PS3.18 F.2.2)."""
    return f"{{{','.join(fragments[tag] for tag in sorted(fragments))}}}"


def study_answer(values: Mapping[str, str], modalities: Sequence[str], series: int, instances: int) -> str:
    """The answer of one study with its counts (PS3.18 table 10.6.3-3)."""
    return _object(
        _attributes(("patient", "study"), values)
        | _common(f"/studies/{values['StudyInstanceUID']}")
        | _study_counts(modalities, series, instances)
    )


def study_counts(modalities: Sequence[str], series: int, instances: int) -> str:
    """What ``study_answer`` says of the series of a study."""
    return _object(_study_counts(modalities, series, instances))


def series_answer(values: Mapping[str, str], request_attributes: str, instances: int) -> str:
    """The answer of one series with its count and its study's UID (PS3.18 table 10.6.3-4).

    ``request_attributes`` is the ready attribute object of RequestAttributesSequence, or empty.
    """
    study, series = values["StudyInstanceUID"], values["SeriesInstanceUID"]
    fragments = _attributes(("series",), values) | _common(f"/studies/{study}/series/{series}")
    fragments[STUDY_INSTANCE_UID] = _fragment(STUDY_INSTANCE_UID, "UI", study)
    fragments |= _count(NUMBER_OF_SERIES_RELATED_INSTANCES, instances)
    if request_attributes:
        fragments[REQUEST_ATTRIBUTES_SEQUENCE] = f'"{REQUEST_ATTRIBUTES_SEQUENCE}":{request_attributes}'
    return _object(fragments)


def instance_answer(values: Mapping[str, str]) -> str:
    """The answer of one instance with its study's and series' UIDs (PS3.18 table 10.6.3-5)."""
    study, series, instance = values["StudyInstanceUID"], values["SeriesInstanceUID"], values["SOPInstanceUID"]
    fragments = _attributes(("instance",), values)
    fragments |= _common(f"/studies/{study}/series/{series}/instances/{instance}")
    fragments[STUDY_INSTANCE_UID] = _fragment(STUDY_INSTANCE_UID, "UI", study)
    fragments[SERIES_INSTANCE_UID] = _fragment(SERIES_INSTANCE_UID, "UI", series)
    return _object({tag: text for tag, text in fragments.items() if tag not in _OF_IMAGES or '"Value"' in text})


def merged(answers: Iterable[tuple[str, frozenset[str] | None]]) -> str:
    """Several levels' answers as one object, the later one's attributes winning.

    Beside each answer stand the tags that are taken of it; ``None`` takes it whole.
    """
    result: dict[str, Any] = {}
    for text, wanted in answers:
        answer = orjson.loads(text)
        result |= answer if wanted is None else {tag: value for tag, value in answer.items() if tag in wanted}
    # Tags are sorted here: orjson would sort inside of attributes as well, where with_root() knows the order.
    return orjson.dumps({tag: result[tag] for tag in sorted(result)}).decode()


def with_root(texts: Sequence[str], root: str) -> tuple[str, ...]:
    """``texts`` with their RetrieveURLs below ``root``. A value that only looks like the placeholder stays as it is."""
    return tuple([text.replace(_PLACEHOLDER, _RETRIEVE_URL_START + root, 1) for text in texts])
