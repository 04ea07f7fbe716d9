"""Every documented kind of search, each with an example that fits the archive of ``tests.archive.scale``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from dicom.attributes import ATTRIBUTES, Attribute, Level, Matching
from tests.archive.scale import STUDY_UID

# What the values of every matching type are asked for with; each attribute's own are below.
_TYPES: Mapping[Matching, tuple[str, ...]] = {
    "uid": ("one", "several"),
    "wildcard": ("one", "beginning", "part", "empty"),
    "person_name": ("one", "beginning", "part", "fuzzy", "empty"),
    "date": ("one", "range", "from", "until", "empty"),
    "time": ("one", "range", "from", "until", "empty"),
    "single": ("one", "empty"),
    "number": ("one", "empty"),
    "none": (),
}
_DATES = ("20191105", "20191101-20191107", "20251220-", "-20160201")
_TIMES = ("101530", "1015-1016", "1955-", "-0705")
_VALUES: Mapping[str, tuple[str, ...]] = {
    "PatientName": ("Mueller^Yuki K", "Mueller^Y*", "*uki K", "fat had"),
    "PatientID": ("P0000777", "P00007*", "*00123"),
    "IssuerOfPatientID": ("CLINIC", "CLI*", "*INI*"),
    "PatientBirthDate": ("19640229", "19640201-19640207", "20170801-", "-19300105"),
    "PatientSex": ("O", "O*", "?"),
    "StudyInstanceUID": (f"{STUDY_UID}.777", f"{STUDY_UID}.777,{STUDY_UID}.778"),
    "StudyDate": _DATES,
    "StudyTime": _TIMES,
    "AccessionNumber": ("A006153063", "A0061*", "*153063"),
    "StudyID": ("777", "777*", "*777*"),
    "StudyDescription": ("US Kidneys", "NM*", "*oronar*"),
    "ReferringPhysicianName": ("Tanaka^Yuki", "Tanaka^Y*", "*ka^Yuk*", "yuk tan"),
    "TimezoneOffsetFromUTC": ("-0500",),
    "SeriesInstanceUID": (f"{STUDY_UID}.777.1", f"{STUDY_UID}.777.1,{STUDY_UID}.778.1"),
    "Modality": ("NM", "N*", "?M"),
    "SeriesNumber": ("3",),
    "SeriesDescription": ("T2 FLAIR", "DWI*", "*kernel*"),
    "PerformedProcedureStepStartDate": _DATES,
    "PerformedProcedureStepStartTime": _TIMES,
    "BodyPartExamined": ("PROSTATE", "PRO*", "*ROSTA*"),
    "ProtocolName": ("Protocol 42", "Protocol 7*", "*col 42"),
    "StationName": ("STATION42", "STATION4*", "*ION42"),
    "SOPInstanceUID": (f"{STUDY_UID}.777.1.1", f"{STUDY_UID}.777.1.1,{STUDY_UID}.778.1.1"),
    "SOPClassUID": ("1.2.840.10008.5.1.4.1.1.20", "1.2.840.10008.5.1.4.1.1.20,1.2.840.10008.5.1.4.1.1.4"),
    "InstanceNumber": ("2",),
    "ContentDate": _DATES,
    "ContentTime": _TIMES,
    "Rows": ("512",),
    "Columns": ("2001",),
    "BitsAllocated": ("8",),
    "NumberOfFrames": ("22",),
}
_LEVELS: Mapping[Level, Sequence[Level]] = {
    "study": ("patient", "study"),
    "series": ("patient", "study", "series"),
    "instance": ("patient", "study", "series", "instance"),
}
PATHS: Mapping[Level, str] = {"study": "studies", "series": "series", "instance": "instances"}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of search with an example: ``path`` below the root and the pairs of its query string."""

    name: str
    level: Level
    pairs: tuple[tuple[str, str], ...] = ()
    study: str | None = None
    series: str | None = None
    scoped: bool = False  # by somebody who has leave for some studies only

    @property
    def url(self) -> str:
        """Path and query string below the DICOMweb root."""
        above = f"studies/{self.study}/" if self.study else ""
        above += f"series/{self.series}/" if self.series else ""
        return f"{above}{PATHS[self.level]}?{urlencode(self.pairs)}"


def kinds(limit: int) -> Iterator[Kind]:
    """All of them, each with ``limit`` answers at the most."""
    end = ("limit", str(limit))
    for level, above in _LEVELS.items():
        path = f"/{PATHS[level]}"
        for attribute in ATTRIBUTES:
            if attribute.level in above:
                yield from (Kind(f"{path} {name}", level, (*pairs, end)) for name, pairs in _of(attribute))
        for name, pairs in (*_GENERAL, *(_OF_ITEMS if level != "study" else ())):
            yield Kind(f"{path} {name}", level, (*pairs, end))
            yield Kind(f"{path} {name}, some studies only", level, (*pairs, end), scoped=True)
    study, series = f"{STUDY_UID}.777", f"{STUDY_UID}.777.1"
    yield Kind("series of a study", "series", (end,), study)
    yield Kind("series of a study Modality", "series", (("Modality", "CT"), end), study)
    yield Kind("instances of a study", "instance", (end,), study)
    yield Kind("instances of a study orderby", "instance", (("orderby", "-ContentTime"), end), study)
    yield Kind("instances of a series", "instance", (end,), study, series)
    yield Kind("instances of a series InstanceNumber", "instance", (("InstanceNumber", "2"), end), study, series)


def _of(attribute: Attribute) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    keyword = attribute.keyword
    types = _TYPES[attribute.matching]
    for kind, value in zip((kind for kind in types if kind != "empty"), _VALUES[keyword], strict=True):
        more = (("fuzzymatching", "true"),) if kind == "fuzzy" else ()
        yield f"{keyword} {kind}", ((keyword, value), *more)
    if "empty" in types:
        yield f"{keyword} empty", ((keyword, '""'), ("emptyvaluematching", "true"))
    yield f"orderby={keyword}", (("orderby", keyword),)
    yield f"orderby=-{keyword}", (("orderby", f"-{keyword}"),)


_REQUESTED = "RequestAttributesSequence"
_GENERAL: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("everything", ()),
    ("offset", (("offset", "5000"),)),
    ("ModalitiesInStudy one", (("ModalitiesInStudy", "NM"),)),
    ("ModalitiesInStudy common", (("ModalitiesInStudy", "CT"),)),
    ("ModalitiesInStudy several", (("ModalitiesInStudy", "NM,DX"),)),
    ("ModalitiesInStudy wild card", (("ModalitiesInStudy", "N*"),)),
    ("ModalitiesInStudy empty", (("ModalitiesInStudy", '""'), ("emptyvaluematching", "true"))),
    ("multiplevaluematching", (("ModalitiesInStudy", "CT,NM"), ("multiplevaluematching", "true"))),
    ("PatientName ideographic", (("PatientName", "*=山田^太郎*"),)),
    ("PatientName common", (("PatientName", "Smith*"),)),
    ("date and time", (("StudyDate", "20191105-20191106"), ("StudyTime", "1200-1000"))),
    ("time zone", (("StudyDate", "20191105"), ("StudyTime", "0800-1000"), ("TimezoneOffsetFromUTC", "+0900"))),
    ("time zone, years", (("StudyDate", "20170101-20241231"), ("TimezoneOffsetFromUTC", "+0900"))),
    ("two keys", (("PatientName", "Smith*"), ("StudyDate", "20240101-20240301"))),
    ("two keys orderby", (("StudyDate", "20240101-20240107"), ("orderby", "PatientName,-StudyTime"))),
    (
        "study list",
        (("ModalitiesInStudy", "CT"), ("StudyDate", "20240101-"), ("includefield", "PatientID,StudyDescription")),
    ),
    ("count of few", (("PatientID", "P0000777"), ("count", "true"))),
    ("count of a week", (("StudyDate", "20240101-20240107"), ("count", "true"))),
)
_OF_ITEMS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (f"{_REQUESTED}.AccessionNumber one", ((f"{_REQUESTED}.AccessionNumber", "A006153063"),)),
    (f"{_REQUESTED}.AccessionNumber beginning", ((f"{_REQUESTED}.AccessionNumber", "A0061*"),)),
    (f"{_REQUESTED}.AccessionNumber part", ((f"{_REQUESTED}.AccessionNumber", "*153063"),)),
    (
        f"{_REQUESTED}.AccessionNumber empty",
        ((f"{_REQUESTED}.AccessionNumber", '""'), ("emptyvaluematching", "true")),
    ),
    (f"{_REQUESTED}.RequestedProcedureID one", ((f"{_REQUESTED}.RequestedProcedureID", "RP00000777"),)),
    (f"{_REQUESTED}.ScheduledProcedureStepID part", ((f"{_REQUESTED}.ScheduledProcedureStepID", "*002332"),)),
    (
        f"{_REQUESTED} several in one item",
        ((f"{_REQUESTED}.RequestedProcedureID", "RP0000*"), (f"{_REQUESTED}.ScheduledProcedureStepID", "SP00002332")),
    ),
)
