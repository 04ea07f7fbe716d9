"""THE table of indexed attributes: the index, QIDO-RS, C-FIND and the conformance page all read it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Level = Literal["patient", "study", "series", "instance"]
Matching = Literal["uid", "wildcard", "person_name", "date", "time", "single", "number", "none"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute that is stored in a column of its own."""

    keyword: str
    tag: str  # "00100020"
    vr: str
    level: Level
    matching: Matching  # PS3.4 C.2.2.2
    column: str  # the field on archive.models.<Level>
    default: bool  # returned without includefield (PS3.18 10.6.3.3)


def _column(keyword: str) -> str:
    # PatientID -> patient_id, TimezoneOffsetFromUTC -> timezone_offset_from_utc
    words = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", keyword)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words).lower()


def _attribute(level: Level, keyword: str, tag: str, vr: str, matching: Matching, default: bool) -> Attribute:
    return Attribute(keyword, tag, vr, level, matching, _column(keyword), default)


ATTRIBUTES: tuple[Attribute, ...] = (
    _attribute("patient", "PatientName", "00100010", "PN", "person_name", True),
    _attribute("patient", "PatientID", "00100020", "LO", "wildcard", True),
    _attribute("patient", "IssuerOfPatientID", "00100021", "LO", "wildcard", False),
    _attribute("patient", "PatientBirthDate", "00100030", "DA", "date", True),
    _attribute("patient", "PatientSex", "00100040", "CS", "wildcard", True),
    _attribute("study", "StudyInstanceUID", "0020000D", "UI", "uid", True),
    _attribute("study", "StudyDate", "00080020", "DA", "date", True),
    _attribute("study", "StudyTime", "00080030", "TM", "time", True),
    _attribute("study", "AccessionNumber", "00080050", "SH", "wildcard", True),
    _attribute("study", "StudyID", "00200010", "SH", "wildcard", True),
    _attribute("study", "StudyDescription", "00081030", "LO", "wildcard", False),
    _attribute("study", "ReferringPhysicianName", "00080090", "PN", "person_name", True),
    _attribute("study", "TimezoneOffsetFromUTC", "00080201", "SH", "single", True),
    _attribute("series", "SeriesInstanceUID", "0020000E", "UI", "uid", True),
    _attribute("series", "Modality", "00080060", "CS", "wildcard", True),
    _attribute("series", "SeriesNumber", "00200011", "IS", "number", True),
    _attribute("series", "SeriesDescription", "0008103E", "LO", "wildcard", True),
    _attribute("series", "PerformedProcedureStepStartDate", "00400244", "DA", "date", True),
    _attribute("series", "PerformedProcedureStepStartTime", "00400245", "TM", "time", True),
    _attribute("series", "BodyPartExamined", "00180015", "CS", "wildcard", False),
    _attribute("series", "ProtocolName", "00181030", "LO", "wildcard", False),
    _attribute("series", "StationName", "00081010", "SH", "wildcard", False),
    _attribute("instance", "SOPInstanceUID", "00080018", "UI", "uid", True),
    _attribute("instance", "SOPClassUID", "00080016", "UI", "uid", True),
    _attribute("instance", "InstanceNumber", "00200013", "IS", "number", True),
    _attribute("instance", "ContentDate", "00080023", "DA", "date", False),
    _attribute("instance", "ContentTime", "00080033", "TM", "time", False),
    _attribute("instance", "Rows", "00280010", "US", "number", True),
    _attribute("instance", "Columns", "00280011", "US", "number", True),
    _attribute("instance", "BitsAllocated", "00280100", "US", "number", True),
    _attribute("instance", "NumberOfFrames", "00280008", "IS", "number", True),
)
# What a study is kept with beside them, for who may see it; searches don't know of these columns.
PLACES: Mapping[str, str] = MappingProxyType({"InstitutionName": "00080080", "InstitutionalDepartmentName": "00081040"})
BY_KEYWORD: Mapping[str, Attribute] = MappingProxyType({attribute.keyword: attribute for attribute in ATTRIBUTES})
BY_TAG: Mapping[str, Attribute] = MappingProxyType({attribute.tag: attribute for attribute in ATTRIBUTES})
