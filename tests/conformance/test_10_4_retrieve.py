"""PS3.18 10.4: the Retrieve transaction, each row of its tables of resources."""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage, generate_uid

from tests.conformance.marks import clause
from tests.conformance.site import INSTANCES, JSON, NO_PIXELS, OCTETS, PDF, XML, Corpus, Site, data_set_of
from tests.conformance.trap_server import parts_of, problem_of, value
from tests.dicomweb.objects import make_data_set, to_bytes

EXPLICIT = "1.2.840.10008.1.2.1"
PICTURES = 'multipart/related; type="image/png"'


def uids_of(parts: list[tuple[dict[str, str], bytes]]) -> set[str]:
    return {str(data_set_of(payload).SOPInstanceUID) for _, payload in parts}


def image(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@clause("10.4.1.1.1-study", "10.4.3.1-200")
def test_10_4_1_1_1_study_by_the_foreign_client(site: Site, stored: Corpus) -> None:
    ds = stored.slices[0].ds
    found = site.client.retrieve_study(ds.StudyInstanceUID)
    assert {each.SOPInstanceUID for each in found} == {
        each.ds.SOPInstanceUID for each in (*stored.slices, stored.frames)
    }


@clause("10.4.1.1.1-series")
def test_10_4_1_1_1_series_by_the_foreign_client(site: Site, stored: Corpus) -> None:
    ds = stored.slices[0].ds
    found = site.client.retrieve_series(ds.StudyInstanceUID, ds.SeriesInstanceUID)
    assert sorted(found, key=lambda each: int(each.InstanceNumber)) == [each.ds for each in stored.slices]


@clause("10.4.1.1.1-instance")
def test_10_4_1_1_1_instance_alone_and_as_a_part(site: Site, stored: Corpus) -> None:
    for each in (stored.slices[1], stored.frames, stored.pdf, stored.report):
        [(_, payload)] = parts_of(site.get(each.path, f"{INSTANCES}; transfer-syntax=*"))
        assert payload == each.data
        assert site.get(each.path, "application/dicom; transfer-syntax=*").content == each.data


@clause("10.4.1.1.1-frames")
def test_10_4_1_1_1_frames_in_the_order_of_the_list(site: Site, stored: Corpus) -> None:
    parts = parts_of(site.get(f"{stored.frames.path}/frames/3,1", OCTETS))
    assert [payload for _, payload in parts] == [stored.arrays[2], stored.arrays[0]]
    assert [h["content-location"].rpartition("/")[2] for h, _ in parts] == ["3", "1"]
    ds = stored.frames.ds
    got = site.client.retrieve_instance_frames(
        ds.StudyInstanceUID,
        ds.SeriesInstanceUID,
        ds.SOPInstanceUID,
        frame_numbers=[2],
        media_types=(("application/octet-stream", EXPLICIT),),
    )
    assert got == [stored.arrays[1]]


@clause("10.4.1.1.2-study")
def test_10_4_1_1_2_study_metadata(site: Site, stored: Corpus) -> None:
    found = site.client.retrieve_study_metadata(stored.slices[0].ds.StudyInstanceUID)
    assert {value(each, "0020000E") for each in found} == {
        stored.slices[0].ds.SeriesInstanceUID,
        stored.frames.ds.SeriesInstanceUID,
    }
    assert len(found) == 4


@clause("10.4.1.1.2-series")
def test_10_4_1_1_2_series_metadata(site: Site, stored: Corpus) -> None:
    ds = stored.slices[0].ds
    found = site.client.retrieve_series_metadata(ds.StudyInstanceUID, ds.SeriesInstanceUID)
    assert {value(each, "00080018") for each in found} == {each.ds.SOPInstanceUID for each in stored.slices}


@clause("10.4.1.1.2-instance", "10.4.3.3.2")
def test_10_4_1_1_2_instance_metadata_are_what_pydicom_says(site: Site, stored: Corpus) -> None:
    for each in (stored.slices[0], stored.jpeg, stored.report):
        ds = each.ds
        found = site.client.retrieve_instance_metadata(ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
        got = Dataset.from_json(found, bulk_data_uri_handler=lambda uri: b"")
        for element in ds:
            if element.VR not in ("OB", "OW", "UN") and element.keyword != "SpecificCharacterSet":
                assert got[element.tag].value == element.value, element.tag
        extra = {element.keyword for element in got} - {element.keyword for element in ds}
        assert extra <= {"AvailableTransferSyntaxUID", "SpecificCharacterSet"}


@clause("10.4.1.1.3-study")
def test_10_4_1_1_3_study_rendered(site: Site, stored: Corpus) -> None:
    parts = parts_of(site.get(f"{stored.slices[0].study}/rendered", PICTURES))
    assert len(parts) == 4
    for headers, payload in parts:
        assert (headers["content-type"], image(payload).format) == ("image/png", "PNG")


@clause("10.4.1.1.3-series")
def test_10_4_1_1_3_series_rendered(site: Site, stored: Corpus) -> None:
    parts = parts_of(site.get(f"{stored.slices[0].series}/rendered", PICTURES))
    assert {h["content-location"] for h, _ in parts} == {f"{site.root}/{e.path}/rendered" for e in stored.slices}


@clause("10.4.1.1.3-instance")
def test_10_4_1_1_3_instance_rendered_by_the_foreign_client(site: Site, stored: Corpus) -> None:
    ds = stored.slices[0].ds
    data = site.client.retrieve_instance_rendered(
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID, media_types=("image/png",)
    )
    assert image(data).size == (16, 12)


@clause("10.4.1.1.3-frame")
def test_10_4_1_1_3_frame_rendered(site: Site, stored: Corpus) -> None:
    path = f"{stored.frames.path}/frames"
    window = "rendered?window=80,160,linear-exact"
    drawn = [np.asarray(image(site.get(f"{path}/{n}/{window}", "image/png").content)) for n in (1, 2, 3)]
    means = [float(each.mean()) for each in drawn]
    assert means == sorted(means)
    assert means[0] < means[1] < means[2]


@clause("10.4.1.1.3-frames")
def test_10_4_1_1_3_frames_rendered_in_the_order_of_the_list(site: Site, stored: Corpus) -> None:
    path = f"{stored.frames.path}/frames"
    parts = parts_of(site.get(f"{path}/3,1/rendered", PICTURES))
    assert [h["content-location"] for h, _ in parts] == [f"{site.root}/{path}/{n}/rendered" for n in (3, 1)]
    for (headers, payload), number in zip(parts, (3, 1), strict=True):
        assert headers["content-type"] == "image/png"
        assert payload == site.get(f"{path}/{number}/rendered", "image/png").content
    problem_of(site.get(f"{path}/1,2/rendered", "image/png"), 406)
    problem_of(site.get(f"{path}/1,4/rendered", PICTURES), 404)


@clause("10.4.1.1.4-frames")
def test_10_4_1_1_4_thumbnail_of_a_list_of_frames(site: Site, stored: Corpus) -> None:
    problem_of(site.get(f"{stored.frames.path}/frames/1,2/thumbnail", "image/jpeg"), 400)


@clause("10.4.1.1.4-study", "10.4.1.1.4-series", "10.4.1.1.4-instance", "10.4.1.1.4-frame")
def test_10_4_1_1_4_study_series_instance_and_frame_thumbnails(site: Site, stored: Corpus) -> None:
    for path in (
        stored.slices[0].study,
        stored.slices[0].series,
        stored.slices[0].path,
        f"{stored.frames.path}/frames/2",
    ):
        answer = site.get(f"{path}/thumbnail", "image/jpeg")
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert image(answer.content).format == "JPEG"


@clause("10.4.1.1.5", "10.4.3.3.5")
def test_10_4_1_1_5_bulk_data_at_the_uri_of_the_metadata(site: Site, stored: Corpus) -> None:
    [found] = site.get(f"{stored.pdf.path}/metadata", JSON).json()
    uri = found["00420011"]["BulkDataURI"]
    [(headers, payload)] = parts_of(site.get(uri, OCTETS))
    assert headers["content-location"] == uri
    assert payload == stored.pdf.ds.EncapsulatedDocument
    alone = site.get(uri, "application/pdf")
    assert alone.headers["Content-Type"] == "application/pdf"
    assert alone.content.startswith(PDF)
    assert site.client.retrieve_bulkdata(uri) == [payload]


@clause("10.4.1.1.5-study", "10.4.1.1.5-series", "10.4.1.1.5-instance")
def test_10_4_1_1_5_study_series_and_instance_bulk_data(site: Site, stored: Corpus) -> None:
    """Each value of the metadata that is bulk data, under the URI that it has there."""
    for path in (stored.slices[0].study, stored.slices[0].series, stored.slices[0].path, stored.pdf.path):
        found = site.get(f"{path}/metadata", JSON).json()
        uris = {a["BulkDataURI"] for each in found for a in each.values() if "BulkDataURI" in a}
        parts = parts_of(site.get(f"{path}/bulkdata", OCTETS))
        # the frames of encapsulated pixel data are parts of their own
        assert {re.sub(r"/frames/\d+$", "/bulkdata/7FE00010", h["content-location"]) for h, _ in parts} == uris
    [(_, payload)] = parts_of(site.get(f"{stored.pdf.path}/bulkdata", OCTETS))
    assert payload == stored.pdf.ds.EncapsulatedDocument


@clause("10.4.1.1.6-study", "10.4.1.1.6-series", "10.4.1.1.6-instance", "10.4.3.3.6")
def test_10_4_1_1_6_study_series_and_instance_pixel_data(site: Site, stored: Corpus) -> None:
    native = [bytes(each.ds.PixelData) for each in stored.slices]
    for path, wanted in (
        (stored.slices[0].study, [*native, *stored.arrays]),
        (stored.slices[0].series, native),
        (stored.slices[0].path, native[:1]),
        (stored.frames.path, stored.arrays),
    ):
        accept = f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.1"
        parts = parts_of(site.get(f"{path}/pixeldata", accept))
        assert sorted(payload for _, payload in parts) == sorted(wanted)
    [found] = site.get(f"{stored.slices[0].path}/metadata", JSON).json()
    [(headers, _)] = parts_of(site.get(f"{stored.slices[0].path}/pixeldata", OCTETS))
    assert headers["content-location"] == found["7FE00010"]["BulkDataURI"]
    problem_of(site.get(f"{stored.report.path}/pixeldata", OCTETS), 404)


@clause("10.4.3.1-206")
def test_10_4_3_1_206_for_what_cannot_all_be_given(site: Site) -> None:
    """RLE is for pictures: the report stays behind, which is said."""
    study = generate_uid()
    picture = make_data_set(StudyInstanceUID=study)
    report = make_data_set(StudyInstanceUID=study, SOPClassUID=BasicTextSRStorage, Modality="SR", **NO_PIXELS)
    site.store(to_bytes(picture), to_bytes(report))
    answer = site.get(f"studies/{study}", f"{INSTANCES}; transfer-syntax=1.2.840.10008.1.2.5")
    assert answer.status_code == 206
    assert uids_of(parts_of(answer)) == {picture.SOPInstanceUID}
    assert answer.headers["Warning"].startswith("299 ")


@clause("10.4.3.1-400")
@pytest.mark.parametrize("numbers", ["0", "x", "1,,2", "-1", "1-3"])
def test_10_4_3_1_400_for_frames_that_are_no_numbers(site: Site, stored: Corpus, numbers: str) -> None:
    problem_of(site.get(f"{stored.frames.path}/frames/{numbers}", OCTETS), 400)


@clause("10.4.3.1-413")
def test_10_4_3_1_413_is_400_for_too_many_frames(site: Site, stored: Corpus) -> None:
    """This installation gives 200 at a time."""
    listed = ",".join(str(n) for n in range(1, 202))
    problem_of(site.get(f"{stored.frames.path}/frames/{listed}", OCTETS), 400)


@clause("10.4.4")
def test_10_4_4_default_and_required_media_types(site: Site, stored: Corpus) -> None:
    path = stored.slices[0].path
    for resource, accept in (
        ("", "application/dicom"),
        ("", INSTANCES),
        ("/metadata", JSON),
        ("/metadata", XML),
        ("/bulkdata/7FE00010", OCTETS),
        ("/frames/1", OCTETS),
    ):
        assert site.get(path + resource, accept).status_code == 200


@clause("10.4.4-zip")
def test_10_4_4_zip_is_a_file_set(site: Site, stored: Corpus) -> None:
    answer = site.get(stored.slices[0].study, "application/zip")
    assert answer.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        directory = pydicom.dcmread(io.BytesIO(archive.read("DICOMDIR")))
        files = {archive.read(name) for name in names if name != "DICOMDIR"}
    assert files == {each.data for each in (*stored.slices, stored.frames)}
    types = [record.DirectoryRecordType for record in directory.DirectoryRecordSequence]
    assert [types.count(each) for each in ("PATIENT", "STUDY", "SERIES", "IMAGE")] == [1, 1, 2, 4]
