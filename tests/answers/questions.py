"""Some hundreds of requests of every documented kind, by templates: (path) x (what is acceptable)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pydicom
from pydicom.filebase import DicomBytesIO

from tests.answers.studies import CT, FILES, MULTI, PDF, ROOT, SR
from tests.archive.scale import STUDY_UID
from tests.archive.search_kinds import kinds
from tests.dicomweb.pixels import packaged

Headers = Mapping[str, str]
JSON = "application/dicom+json"
_XML = 'multipart/related; type="application/dicom+xml"'
_ANY_SYNTAX = "; transfer-syntax=*"
_OBJECTS = 'multipart/related; type="application/dicom"'
_OCTETS = 'multipart/related; type="application/octet-stream"'


@dataclass(frozen=True, slots=True)
class Question:
    """One request: ``path`` from the root of the server."""

    path: str
    method: str = "GET"
    headers: Headers = field(default_factory=dict)
    body: bytes = b""

    @property
    def name(self) -> str:
        """How it is called in the list of differences."""
        told = "; ".join(f"{name}: {value}" for name, value in sorted(self.headers.items()))
        return f"{self.method} {self.path}" + (f"  [{told}]" if told else "")


def of(path: str, *accepts: str, **more: str) -> Iterator[Question]:
    """GET below the DICOMweb root, once for each of ``accepts``; further header fields by keyword."""
    named = {name.replace("_", "-"): value for name, value in more.items()}
    for accept in accepts or ("",):
        yield Question(f"/dicom-web/{path}", headers=({"Accept": accept} if accept else {}) | named)


def reading() -> Iterator[Question]:
    """All that changes nothing."""
    yield from _searches()
    for study, series, instance in (*_generated(), *_packaged()):
        yield from _of_instance(f"studies/{study}/series/{series}/instances/{instance}")
        yield from _of_set(f"studies/{study}/series/{series}")
    for study in (CT, MULTI, PDF, SR):
        yield from _of_set(f"studies/{study}")
    yield from _conditions()
    yield from _methods()
    yield from _wrong()
    yield from _elsewhere()


def _generated() -> Iterator[tuple[str, str, str]]:
    for study in (CT, MULTI, PDF, SR):
        yield study, f"{study}.1", f"{study}.1.1"


def _packaged() -> Iterator[tuple[str, str, str]]:
    for name in FILES:
        ds = pydicom.dcmread(DicomBytesIO(packaged(name)), stop_before_pixels=True)
        yield str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID)


def _searches() -> Iterator[Question]:
    for kind in kinds(limit=100):
        if not kind.scoped:
            yield from of(kind.url, JSON)
    for path in ("studies", "series", "instances", f"studies/{CT}/series", f"studies/{CT}/instances"):
        yield from of(path, JSON, _XML, "*/*", "application/json", "text/html")
        yield from of(f"{path}?limit=2", JSON, Accept_Encoding="gzip")
        for query in (
            "includefield=all",
            "includefield=00091010,PatientComments",
            "limit=2&offset=1",
            "limit=0",
            "count=true",
            "PatientName=M%C3%BCller*",
            "PatientName=muller&fuzzymatching=true",
            "PatientID=ANSWERS-1&includefield=SeriesDescription",
            "00100020=ANSWERS-1",
            "StudyDate=20240305-",
            "StudyDate=not-a-date",
            "limit=-1",
            "NoSuchAttribute=1",
            "PatientID=A&PatientID=B",
            "orderby=-StudyDate,PatientName",
            "ModalitiesInStudy=CT,MR",
            "PatientName=%00",
        ):
            yield from of(f"{path}?{query}", JSON)
    yield from of(f"studies/{CT}/series/{CT}.1/instances", JSON, "")
    yield from of(f"studies/{CT}/series/{CT}.1/instances?includefield=all", JSON)
    yield from of(f"studies?StudyInstanceUID={CT},{MULTI}", JSON)
    yield from of(f"studies/{STUDY_UID}.777/series?Modality=NM", JSON)


def _of_set(path: str) -> Iterator[Question]:
    """A study or a series."""
    yield from of(path, "", f"{_OBJECTS}{_ANY_SYNTAX}", "application/zip", "application/dicom", JSON)
    yield from of(f"{path}/metadata", "", JSON, _XML, "application/json", "image/png")
    yield from of(f"{path}/metadata", JSON, Accept_Encoding="gzip")
    yield from of(f"{path}/metadata?includefield=all", JSON)
    yield from of(f"{path}/thumbnail", "", "image/jpeg", "image/png")
    yield from of(f"{path}/rendered", "", "multipart/related; type=image/png")
    yield from of(f"{path}/pixeldata", "", f"{_OCTETS}{_ANY_SYNTAX}")
    yield from of(f"{path}/bulkdata", "")


def _of_instance(path: str) -> Iterator[Question]:
    syntaxes = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.50")
    yield from of(path, "", "application/dicom", f"{_OBJECTS}{_ANY_SYNTAX}", "application/zip", "text/plain")
    yield from of(path, *(f"application/dicom; transfer-syntax={uid}" for uid in syntaxes))
    yield from of(f"{path}/metadata", "", JSON, _XML)
    yield from of(f"{path}/metadata", JSON, Accept_Encoding="gzip")
    for numbers in ("1", "2", "1,2", "0", "x"):
        yield from of(f"{path}/frames/{numbers}", "", f"{_OCTETS}{_ANY_SYNTAX}", "application/octet-stream")
    yield from of(f"{path}/frames/1", *(f"{_OCTETS}; transfer-syntax={uid}" for uid in syntaxes))
    yield from of(f"{path}/frames/1", "multipart/related; type=image/jpeg", "image/jp2", "image/jls", "image/jpeg")
    yield from of(f"{path}/rendered", "", "image/jpeg", "image/png", "image/gif", "image/webp", "text/html")
    for query in (
        "viewport=32,32",
        "viewport=32,32,1,1,8,8",
        "window=100,200,linear",
        "window=1,0,linear",
        "quality=10",
        "quality=101",
        "annotation=patient,technique",
        "iccprofile=srgb",
        "charset=utf-8",
        "charset=latin1",
        "accept=image/png",
    ):
        yield from of(f"{path}/rendered?{query}")
    yield from of(f"{path}/frames/1/rendered", "", "image/png")
    for level in ("", "/frames/1", "/frames/99"):
        yield from of(f"{path}{level}/thumbnail", "", "image/png")
        yield from of(f"{path}{level}/thumbnail?viewport=20,30")
    yield from of(f"{path}/pixeldata", "", f"{_OCTETS}{_ANY_SYNTAX}")
    yield from of(f"{path}/bulkdata", "")
    for tag in ("7FE00010", "00091010", "00420011", "00100010", "zzz"):
        yield from of(f"{path}/bulkdata/{tag}", "", "application/octet-stream")
    study, series, instance = path.split("/")[1::2]
    uri = f"wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}"
    for more in (
        "",
        "&contentType=application/dicom",
        "&contentType=image/png",
        "&contentType=image/jpeg&rows=20&columns=20",
        "&frameNumber=2",
        "&transferSyntax=1.2.840.10008.1.2.4.90&contentType=application/dicom",
        "&anonymize=yes",
    ):
        yield from of(f"{uri}{more}")


def _conditions() -> Iterator[Question]:
    """Validators and ranges; entity tags of stored bytes are the same in every version."""
    path = f"studies/{CT}/series/{CT}.1/instances/{CT}.1.2"
    for what, accept in (
        (path, "application/dicom"),
        (f"{path}/frames/1", "application/octet-stream"),
        (f"{path}/frames/1", _OCTETS),
        (f"{path}/thumbnail", ""),
        (f"{path}/bulkdata/00091010", "application/octet-stream"),
        (f"{path}/metadata", JSON),
        (f"studies/{CT}/series/{CT}.1/metadata", JSON),
        (f"studies/{PDF}/series/{PDF}.1/instances/{PDF}.1.1/rendered", "application/pdf"),
    ):
        for ranges in ("bytes=0-9", "bytes=5-", "bytes=-7", "bytes=99999999-", "bytes=9-5", "bytes=0-1,4-5", "lines=1"):
            yield from of(what, accept, Range=ranges)
        yield from of(what, accept, If_None_Match="*")
        yield from of(what, accept, If_None_Match='"another"')
        yield from of(what, accept, If_Modified_Since="Fri, 01 Jan 2100 00:00:00 GMT")
        yield from of(what, accept, Range="bytes=0-9", If_Range='"another"')


def _methods() -> Iterator[Question]:
    series = f"studies/{CT}/series/{CT}.1"
    instance = f"{series}/instances/{CT}.1.1"
    for path in ("", "studies", f"studies/{CT}", f"{series}/metadata", instance, f"{instance}/frames/1"):
        for method in ("HEAD", "OPTIONS", "PUT", "PATCH", "POST"):
            yield Question(f"/dicom-web/{path}", method)
    for path in (f"{instance}/rendered", f"{instance}/thumbnail", "series", "changefeed"):
        yield Question(f"/dicom-web/{path}", "HEAD")
        yield Question(f"/dicom-web/{path}", "OPTIONS", {"Origin": "https://viewer.example"})
    yield from of("", "application/json", "application/vnd.sun.wadl+xml", "text/html", "")


def _wrong() -> Iterator[Question]:
    """What is not there, or not understood."""
    gone, series = f"{ROOT}.404", f"studies/{CT}/series/{CT}.1"
    for path in (
        f"studies/{gone}",
        f"studies/{gone}/metadata",
        f"studies/{gone}/series",
        f"studies/{CT}/series/{gone}",
        f"{series}/instances/{gone}",
        f"{series}/instances/{gone}/frames/1",
        f"{series}/instances/{gone}/rendered",
        f"{series}/instances/{gone}/thumbnail",
        f"studies/{MULTI}/series/{CT}.1",
        "studies/not-a-uid",
        f"studies/{'1' * 65}",
        f"{series}/instances/{CT}.1.1/frames/1,2,999999999",
        f"{series}/instances/{CT}.1.1/frames/{'1,' * 500}1",
        f"{series}/instances/{CT}.1.1/nothing",
        "wado?requestType=WADO",
        "wado",
    ):
        yield from of(path)


def _elsewhere() -> Iterator[Question]:
    for path in ("changefeed", "changefeed?limit=3&includemetadata=true", "changefeed?limit=0", "changefeed/latest"):
        yield from of(path, JSON, "application/json")
    for path in (
        "extendedquerytags",
        "extendedquerytags/KVP",
        "operations/" + "0" * 32,
        f"commitment-requests/{ROOT}.9",
    ):
        yield from of(path)
    for path in ("/livez", "/api/whoami", "/api/schema", "/api/nothing", "/nothing", "/viewer/"):
        yield Question(path)
        yield Question(path, headers={"Accept": "text/html"})
