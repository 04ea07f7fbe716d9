"""The JavaScript dicomweb-client from another origin: every transaction it has, and what it gets of it."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

from tests.conformance.javascript.foreign import Bytes, Foreign, Refused
from tests.conformance.javascript.installation import Installation, address_of, path_of
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.pixels import encapsulated, native_frames

pytestmark = [pytest.mark.browser, pytest.mark.slow]

OCTETS = "application/octet-stream"
PDF = b"%PDF-1.4\n" + b"%nothing to see here\n" * 1000 + b"%%EOF"  # large enough to stay out of the metadata


@dataclass(frozen=True, slots=True)
class Stored:
    """One study: two slices, an image of three native frames, one of three JPEG frames, and a PDF."""

    slices: tuple[Dataset, Dataset]
    native: Dataset
    native_frames: list[bytes]
    jpeg: Dataset
    jpeg_frames: list[bytes]
    pdf: Dataset

    @property
    def study(self) -> str:
        return str(self.slices[0].StudyInstanceUID)

    @property
    def series(self) -> str:
        return str(self.slices[0].SeriesInstanceUID)


@pytest.fixture(scope="module")
def stored(installation: Installation) -> Stored:
    shared: dict[str, Any] = {
        "StudyInstanceUID": generate_uid(),
        "PatientID": "JS-1",
        "PatientName": "Müller^Jörg",
        "SpecificCharacterSet": "ISO_IR 192",
        "AccessionNumber": "JS-ACC-1",
    }
    series = generate_uid()
    first, second = (make_data_set(SeriesInstanceUID=series, InstanceNumber=number, **shared) for number in (1, 2))
    native, frames = native_frames(**shared, SeriesNumber=2)
    jpegs = [jpeg_frame(grey) for grey in (40, 120, 200)]
    jpeg_object, jpeg = encapsulated(
        [[frame] for frame in jpegs],
        JPEGBaseline8Bit,
        **shared,
        SeriesNumber=3,
        Modality="US",
        Rows=32,
        Columns=32,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        WindowCenter=128,
        WindowWidth=256,
    )
    pdf = encapsulated_pdf(shared)
    installation.store(*(to_bytes(ds) for ds in (first, second, native, pdf)), jpeg_object)
    return Stored((first, second), native, frames, jpeg, jpegs, pdf)


def jpeg_frame(grey: int) -> bytes:
    """A plain picture; of even length, as a fragment has to be."""
    file = io.BytesIO()
    Image.new("L", (32, 32), grey).save(file, "JPEG", quality=95)
    data = file.getvalue()
    return data + b"\0" * (len(data) % 2)


def encapsulated_pdf(shared: dict[str, Any]) -> Dataset:
    pixels = ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored")
    more = ("HighBit", "PixelRepresentation", "WindowCenter", "WindowWidth", "PixelData")
    return make_data_set(
        **shared,
        **dict.fromkeys((*pixels, *more)),
        SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1",
        Modality="DOC",
        SeriesNumber=4,
        MIMETypeOfEncapsulatedDocument="application/pdf",
        EncapsulatedDocument=PDF + b"\0" * (len(PDF) % 2),
        EncapsulatedDocumentLength=len(PDF),
    )


def value(attributes: dict[str, Any], tag: str) -> Any:
    return attributes[tag]["Value"][0]


def picture(part: Bytes) -> Image.Image:
    return Image.open(io.BytesIO(part.data))


def test_search_for_studies(dicomweb: Foreign, stored: Stored) -> None:
    found = dicomweb.request("searchForStudies", queryParams={"PatientName": "müll*", "AccessionNumber": "JS-ACC-1"})
    assert [value(study, "0020000D") for study in found] == [stored.study]
    assert value(found[0], "00100010") == {"Alphabetic": "Müller^Jörg"}
    assert value(found[0], "00201206") == 4
    assert value(found[0], "00201208") == 5
    assert sorted(found[0]["00080061"]["Value"]) == ["CT", "DOC", "US"]


def test_search_for_studies_that_are_not_there(dicomweb: Foreign, stored: Stored) -> None:
    assert dicomweb.request("searchForStudies", queryParams={"PatientID": "nobody-has-this"}) == []


def test_search_for_series(dicomweb: Foreign, stored: Stored) -> None:
    found = dicomweb.request("searchForSeries", studyInstanceUID=stored.study, queryParams={"Modality": "CT"})
    assert {value(series, "0020000E") for series in found} == {stored.series, str(stored.native.SeriesInstanceUID)}
    assert {value(series, "0020000D") for series in found} == {stored.study}


def test_search_for_instances(dicomweb: Foreign, stored: Stored) -> None:
    address = {"studyInstanceUID": stored.study, "seriesInstanceUID": stored.series}
    found = dicomweb.request("searchForInstances", **address, queryParams={"InstanceNumber": "2"})
    assert [value(instance, "00080018") for instance in found] == [str(stored.slices[1].SOPInstanceUID)]
    everywhere = dicomweb.request("searchForInstances", queryParams={"StudyInstanceUID": stored.study, "limit": "3"})
    assert len(everywhere) == 3


@pytest.mark.parametrize(
    ("method", "levels", "count"),
    [
        ("retrieveStudyMetadata", ("studyInstanceUID",), 5),
        ("retrieveSeriesMetadata", ("studyInstanceUID", "seriesInstanceUID"), 2),
        ("retrieveInstanceMetadata", ("studyInstanceUID", "seriesInstanceUID", "sopInstanceUID"), 1),
    ],
)
def test_retrieve_metadata(
    dicomweb: Foreign, installation: Installation, stored: Stored, method: str, levels: tuple[str, ...], count: int
) -> None:
    address = address_of(stored.slices[0])
    found = dicomweb.request(method, **{level: address[level] for level in levels})
    assert len(found) == count
    one = next(each for each in found if value(each, "00080018") == address["sopInstanceUID"])
    assert value(one, "00280010") == 12
    assert value(one, "00281050") == 500
    assert one["7FE00010"]["BulkDataURI"].startswith(f"{installation.root}/{path_of(stored.slices[0])}/")


def test_retrieve_instance(dicomweb: Foreign, stored: Stored) -> None:
    """Default media type: Explicit VR Little Endian, as it was stored."""
    got = dicomweb.request("retrieveInstance", **address_of(stored.slices[0]))
    assert got.data == to_bytes(stored.slices[0])
    assert got.content_type == "application/dicom"


def test_retrieve_instance_of_a_jpeg(dicomweb: Foreign, stored: Stored) -> None:
    """The client names no transfer syntax, and can't: its own check refuses all `mediaTypes`. So it is as stored."""
    got = dicomweb.request("retrieveInstance", **address_of(stored.jpeg))
    ds = pydicom.dcmread(io.BytesIO(got.data))
    assert ds.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert ds.SOPInstanceUID == stored.jpeg.SOPInstanceUID
    assert list(generate_frames(ds.PixelData, number_of_frames=3)) == stored.jpeg_frames


def test_retrieve_series_and_study(dicomweb: Foreign, stored: Stored) -> None:
    address = address_of(stored.slices[0])
    series = dicomweb.request(
        "retrieveSeries", studyInstanceUID=stored.study, seriesInstanceUID=address["seriesInstanceUID"]
    )
    assert sorted(each.data for each in series) == sorted(to_bytes(ds) for ds in stored.slices)
    study = dicomweb.request("retrieveStudy", studyInstanceUID=stored.study)
    uids = {str(pydicom.dcmread(io.BytesIO(each.data)).SOPInstanceUID) for each in study}
    instances = (*stored.slices, stored.native, stored.jpeg, stored.pdf)
    assert uids == {str(ds.SOPInstanceUID) for ds in instances}


def test_retrieve_several_frames(dicomweb: Foreign, stored: Stored) -> None:
    """Parts come in the order in which the frames are named (PS3.18 10.4.1.1.6)."""
    got = dicomweb.request("retrieveInstanceFrames", **address_of(stored.native), frameNumbers=[3, 1])
    assert [part.data for part in got] == [stored.native_frames[2], stored.native_frames[0]]
    assert {(part.content_type, part.transfer_syntax_uid) for part in got} == {(OCTETS, str(ExplicitVRLittleEndian))}


def test_retrieve_jpeg_frames_by_default(dicomweb: Foreign, stored: Stored) -> None:
    """Octet streams without a transfer syntax are decoded (PS3.18 8.7.3.5.2)."""
    got = dicomweb.request("retrieveInstanceFrames", **address_of(stored.jpeg), frameNumbers=[1, 2, 3])
    assert [len(part.data) for part in got] == [32 * 32] * 3
    for part, frame in zip(got, stored.jpeg_frames, strict=True):
        expected = np.asarray(Image.open(io.BytesIO(frame)), int).ravel()
        assert np.abs(np.frombuffer(part.data, np.uint8) - expected).max() <= 1
    assert {part.transfer_syntax_uid for part in got} == {str(ExplicitVRLittleEndian)}


@pytest.mark.parametrize(
    "media_type",
    [
        {"mediaType": "image/jpeg", "transferSyntaxUID": str(JPEGBaseline8Bit)},
        {"mediaType": "image/jpeg"},
        {"mediaType": OCTETS, "transferSyntaxUID": "*"},
    ],
    ids=["image-jpeg-uid", "image-jpeg", "octets-any"],
)
def test_retrieve_jpeg_frames_as_stored(dicomweb: Foreign, stored: Stored, media_type: dict[str, str]) -> None:
    got = dicomweb.request(
        "retrieveInstanceFrames", **address_of(stored.jpeg), frameNumbers=[2, 3], mediaTypes=[media_type]
    )
    assert [part.data for part in got] == stored.jpeg_frames[1:]
    assert {part.transfer_syntax_uid for part in got} == {str(JPEGBaseline8Bit)}


@pytest.mark.parametrize(("media_type", "format"), [("image/jpeg", "JPEG"), ("image/png", "PNG"), (None, "JPEG")])
def test_retrieve_instance_rendered(dicomweb: Foreign, stored: Stored, media_type: str | None, format: str) -> None:
    wanted = {"mediaTypes": [{"mediaType": media_type}]} if media_type else {}
    [got] = dicomweb.request("retrieveInstanceRendered", **address_of(stored.slices[0]), **wanted)
    shown = picture(got)
    assert (shown.format, shown.size) == (format, (16, 12))
    # A ramp of 0 to 191 in a window of 0 to 1000.
    pixels = np.asarray(shown.convert("L"), int)
    assert abs(pixels[0, 0]) <= 6
    assert abs(pixels[-1, -1] - round(191 / 1000 * 255)) <= 6


def test_retrieve_frames_rendered(dicomweb: Foreign, stored: Stored) -> None:
    for number, grey in ((1, 40), (3, 200)):
        [got] = dicomweb.request(
            "retrieveInstanceFramesRendered",
            **address_of(stored.jpeg),
            frameNumbers=[number],
            mediaTypes=[{"mediaType": "image/png"}],
        )
        pixels = np.asarray(picture(got).convert("L"), int)
        assert np.abs(pixels - grey).max() <= 2


def test_retrieve_thumbnail(dicomweb: Foreign, stored: Stored) -> None:
    [got] = dicomweb.request(
        "retrieveInstanceThumbnail", **address_of(stored.jpeg), mediaTypes=[{"mediaType": "image/jpeg"}]
    )
    shown = picture(got)
    assert shown.format == "JPEG"
    assert max(shown.size) <= 256
    [frame] = dicomweb.request("retrieveInstanceFramesThumbnail", **address_of(stored.jpeg), frameNumbers=[3])
    assert abs(np.asarray(picture(frame).convert("L"), int).mean() - 200) <= 3


def test_retrieve_bulk_data(dicomweb: Foreign, stored: Stored) -> None:
    [metadata] = dicomweb.request("retrieveInstanceMetadata", **address_of(stored.native))
    [got] = dicomweb.request("retrieveBulkData", BulkDataURI=metadata["7FE00010"]["BulkDataURI"])
    assert got.data == stored.native.PixelData
    assert got.content_type == OCTETS


def test_retrieve_bulk_data_of_a_document(dicomweb: Foreign, installation: Installation, stored: Stored) -> None:
    """Multipart by default; a single part of its own type for a client set to `singlepart`."""
    [metadata] = dicomweb.request("retrieveInstanceMetadata", **address_of(stored.pdf))
    uri = metadata["00420011"]["BulkDataURI"]
    [got] = dicomweb.request("retrieveBulkData", BulkDataURI=uri)
    assert got.data.rstrip(b"\0") == PDF
    [got] = dicomweb.request("retrieveBulkData", BulkDataURI=uri, mediaTypes=[{"mediaType": "application/pdf"}])
    assert got.data.rstrip(b"\0") == PDF
    assert got.content_type == "application/pdf"
    try:
        dicomweb("connect", installation.connection | {"singlepart": "bulkdata"})
        [got] = dicomweb.request("retrieveBulkData", BulkDataURI=uri, headers={"Accept": "application/pdf"})
    finally:
        dicomweb("connect", installation.connection)
    assert got.data.rstrip(b"\0") == PDF
    assert got.content_type == "application/pdf"


def test_store_instances(dicomweb: Foreign, installation: Installation) -> None:
    """Two objects in one request, with the browser's progress events for the upload."""
    study = generate_uid()
    sent = [make_data_set(StudyInstanceUID=study, Rows=512, PixelData=bytes(512 * 16 * 2)) for _ in range(2)]
    objects = [to_bytes(ds) for ds in sent]
    stored = dicomweb("upload", {"datasets": objects})
    assert stored["status"] == 200
    total = stored["sent"][-1][1]
    assert stored["sent"][-1][0] == total > sum(len(each) for each in objects)
    assert [installation.part10(ds) for ds in sent] == objects


def test_store_instances_of_another_study(dicomweb: Foreign) -> None:
    """PS3.18 10.5.3: all failed is 409; the browser may read why."""
    with pytest.raises(Refused) as refused:
        dicomweb("upload", {"datasets": [to_bytes(make_data_set())], "studyInstanceUID": generate_uid()})
    assert refused.value.status == 409
    body = refused.value.body
    answer = json.loads(body) if isinstance(body, str) else body
    assert "00081198" in answer


def test_store_something_else(dicomweb: Foreign) -> None:
    with pytest.raises(Refused) as refused:
        dicomweb("upload", {"datasets": [b"this is no DICOM object"]})
    assert 400 <= refused.value.status < 500


def test_errors_are_readable_from_another_origin(dicomweb: Foreign, installation: Installation, stored: Stored) -> None:
    """404, 406, 400 and 401 as such, with problem details, instead of the status 0 of a missing CORS header."""
    with pytest.raises(Refused) as missing:
        dicomweb.request("retrieveStudyMetadata", studyInstanceUID=generate_uid())
    assert missing.value.status == 404
    assert missing.value.headers["content-type"] == "application/problem+json"
    assert missing.value.body["status"] == 404
    assert missing.value.body["code"]
    assert missing.value.headers["x-request-id"]

    with pytest.raises(Refused) as impossible:
        dicomweb.request(
            "retrieveInstanceRendered", **address_of(stored.slices[0]), mediaTypes=[{"mediaType": "image/jp2"}]
        )
    assert impossible.value.status == 406

    with pytest.raises(Refused) as nonsense:
        dicomweb.request("searchForStudies", queryParams={"StudyDate": "the day before yesterday"})
    assert nonsense.value.status == 400

    with pytest.raises(Refused) as beyond:
        dicomweb.request("retrieveInstanceFrames", **address_of(stored.native), frameNumbers=[4])
    assert beyond.value.status in (400, 404)

    try:
        dicomweb("connect", {"url": installation.root, "headers": {"Authorization": "Bearer wrong"}})
        with pytest.raises(Refused) as stranger:
            dicomweb.request("searchForStudies")
    finally:
        dicomweb("connect", installation.connection)
    assert stranger.value.status == 401
