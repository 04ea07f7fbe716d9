"""Instances as files of a medium: their names and the DICOMDIR that lists them (PS3.10 section 8, PS3.3 annex F)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from archive.locate import Located
from archive.models import Instance
from dicom.directory import Record, directory

# SOP class UID from its beginning, the longest first -> type of directory record (PS3.3 table F.4-1)
_CLASSES = "1.2.840.10008.5.1.4.1.1."
_KINDS = {
    "77.1.5.3": "STEREOMETRIC",
    "481.2": "RT DOSE",
    "481.3": "RT STRUCTURE SET",
    "481.5": "RT PLAN",
    "481.8": "RT PLAN",
    "481.4": "RT TREAT RECORD",
    "481.6": "RT TREAT RECORD",
    "481.7": "RT TREAT RECORD",
    "481.9": "RT TREAT RECORD",
    "88.59": "KEY OBJECT DOC",
    "66.1": "REGISTRATION",
    "66.3": "REGISTRATION",
    "66.2": "FIDUCIAL",
    "66.5": "SURFACE",
    "4.2": "SPECTROSCOPY",
    "104": "ENCAP DOC",
    "11": "PRESENTATION",
    "66": "RAW DATA",
    "67": "VALUE MAP",
    "88": "SR DOCUMENT",
    "9": "WAVEFORM",
}
# Tag -> VR and where the value stands in the index
_PATIENT = {
    0x00100010: ("PN", "series__study__patient__patient_name"),
    0x00100020: ("LO", "series__study__patient__patient_id"),
}
_STUDY = {
    0x00080020: ("DA", "series__study__study_date"),
    0x00080030: ("TM", "series__study__study_time"),
    0x00080050: ("SH", "series__study__accession_number"),
    0x00081030: ("LO", "series__study__study_description"),
    0x0020000D: ("UI", "series__study__study_instance_uid"),
    0x00200010: ("SH", "series__study__study_id"),
}
_SERIES = {
    0x00080060: ("CS", "series__modality"),
    0x0020000E: ("UI", "series__series_instance_uid"),
    0x00200011: ("IS", "series__series_number"),
}
_IMAGE = {0x00200013: ("IS", "instance_number")}
_CONTENT = {0x00080023: ("DA", "content_date"), 0x00080033: ("TM", "content_time"), **_IMAGE}
_COLUMNS = [column for table in (_PATIENT, _STUDY, _SERIES, _CONTENT) for _, column in table.values()]


@dataclass(frozen=True, slots=True)
class FileSet:
    """The content of the file ``DICOMDIR``, and the name of each instance's file, in their order."""

    directory: bytes
    names: Sequence[str]


def file_set(found: Sequence[Located]) -> FileSet:
    """Instances of one study, those of a series one after the other, as a file-set.

    What the objects leave empty stays empty in the directory: nothing is made up. Values are those of the index, so
    that no object is opened.
    """
    within = Instance.objects.filter(series__study__study_instance_uid=found[0].study_instance_uid)
    if len(found) == 1:
        within = within.filter(pk=found[0].pk)
    rows = {row["pk"]: row for row in within.values("pk", *_COLUMNS)}
    # A row that a Delete has just taken away is left with its UIDs alone.
    listed = [(located, rows.get(located.pk, {})) for located in found]
    names = [f"DICOM/{number:08}" for number in range(1, len(found) + 1)]
    leaves = [_leaf(located, row, name) for (located, row), name in zip(listed, names, strict=True)]
    series = []
    for _, numbers in groupby(range(len(found)), key=lambda at: found[at].series_pk):
        members = list(numbers)
        series.append(Record("SERIES", _elements(_SERIES, listed[members[0]][1]), [leaves[at] for at in members]))
    first = listed[0][1]
    study = Record("STUDY", _elements(_STUDY, first), series)
    return FileSet(directory([Record("PATIENT", _elements(_PATIENT, first), [study])]), names)


def _leaf(instance: Located, row: dict[str, Any], name: str) -> Record:
    kind = _kind(instance)
    elements = _elements(_IMAGE if kind == "IMAGE" else _CONTENT, row) | {
        0x00041500: ("CS", name.replace("/", "\\")),
        0x00041510: ("UI", instance.sop_class_uid),
        0x00041511: ("UI", instance.sop_instance_uid),
        0x00041512: ("UI", instance.transfer_syntax.uid),
    }
    if kind == "PRIVATE":
        elements[0x00041432] = ("UI", instance.sop_class_uid)
    return Record(kind, elements)


def _kind(instance: Located) -> str:
    """The type of record; private for what has no pixels and isn't in the table (PS3.3 F.6.1)."""
    named = instance.sop_class_uid.removeprefix(_CLASSES)
    for beginning, kind in _KINDS.items():
        if named == beginning or named.startswith(f"{beginning}."):
            # Segmentations and parametric maps stand beside raw data, but are images.
            return "IMAGE" if kind == "RAW DATA" and instance.pixels is not None else kind
    return "IMAGE" if instance.pixels is not None else "PRIVATE"


def _elements(table: dict[int, tuple[str, str]], row: dict[str, Any]) -> dict[int, tuple[str, str]]:
    return {tag: (vr, "" if row.get(column) is None else str(row[column])) for tag, (vr, column) in table.items()}
