"""PS3.18 8.7: media types, transfer syntaxes, and which of them is given."""

from __future__ import annotations

import io
import struct
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import generate_frames

from tests.conformance.marks import clause
from tests.conformance.site import INSTANCES, JSON, OCTETS, XML, Corpus, Site, data_set_of
from tests.conformance.trap_server import parts_of, problem_of, value

EXPLICIT = "1.2.840.10008.1.2.1"
RLE = "1.2.840.10008.1.2.5"
JPEG = "1.2.840.10008.1.2.4.50"
JPEG_2000 = "1.2.840.10008.1.2.4.90"


@clause("8.7.1", "8.7.3.5.1")
@pytest.mark.parametrize("accept", [INSTANCES, "multipart/related; type=application/dicom", "multipart/*", "*/*"])
def test_8_7_1_multipart_types_have_type_and_boundary(site: Site, stored: Corpus, accept: str) -> None:
    kind, *parameters = site.ask(stored.slices[0].study, f"Accept: {accept}").header("Content-Type").split("; ")
    named = dict(each.split("=", 1) for each in parameters)
    assert (kind, named["type"]) == ("multipart/related", '"application/dicom"')
    assert named["boundary"]


@clause("8.7.3.1")
def test_8_7_3_1_instances_are_in_the_dicom_file_format(site: Site, stored: Corpus) -> None:
    data = site.get(stored.slices[0].path, "application/dicom").content
    assert data[128:132] == b"DICM"
    assert data_set_of(data) == stored.slices[0].ds
    ds = stored.slices[0].ds
    assert site.client.retrieve_instance(ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID) == ds


@clause("8.7.3.1-default")
def test_8_7_3_1_default_is_as_stored(site: Site, stored: Corpus) -> None:
    answer = site.get(stored.frames.path, "application/dicom")
    assert answer.headers["Content-Type"] == f"application/dicom; transfer-syntax={RLE}"
    assert answer.content == stored.frames.data


@clause("8.7.3.2")
def test_8_7_3_2_metadata_as_dicom_json(site: Site, stored: Corpus) -> None:
    for accept in (JSON, "application/json", "*/*"):
        answer = site.get(f"{stored.slices[0].path}/metadata", accept)
        assert answer.headers["Content-Type"] == JSON
        assert value(answer.json()[0], "00080018") == stored.slices[0].ds.SOPInstanceUID


@clause("8.7.3.2-xml")
def test_8_7_3_2_xml_metadata_as_native_dicom_model(site: Site, stored: Corpus) -> None:
    parts = parts_of(site.get(f"{stored.slices[0].series}/metadata", XML))
    assert [headers["content-type"] for headers, _ in parts] == ["application/dicom+xml"] * 3
    for _, document in parts:
        root = ElementTree.fromstring(document)  # noqa: S314
        assert root.tag.endswith("NativeDicomModel")
        [uid] = [each for each in root if each.get("tag") == "00080018"]
        assert uid.get("keyword") == "SOPInstanceUID"


@clause("8.7.3.3.1")
def test_8_7_3_3_1_uncompressed_bulk_data_are_little_endian_octets(site: Site, stored: Corpus) -> None:
    [found] = site.get(f"{stored.slices[0].path}/metadata", JSON).json()
    [(headers, payload)] = parts_of(site.get(found["7FE00010"]["BulkDataURI"], OCTETS))
    assert headers["content-type"].startswith("application/octet-stream")
    assert payload == np.arange(192, dtype="<u2").tobytes()


@clause("8.7.3.3.2")
def test_8_7_3_3_2_compressed_frames_are_bare_codestreams(site: Site, stored: Corpus) -> None:
    for stored_as, media_type, syntax, magic in (
        (stored.jpeg, "image/jpeg", JPEG, b"\xff\xd8\xff"),
        (stored.jpeg_2000, "image/jp2", JPEG_2000, b"\xff\x4f\xff\x51"),
        (stored.frames, "image/dicom-rle", RLE, struct.pack("<I", 2)),
    ):
        count = int(stored_as.ds.get("NumberOfFrames") or 1)
        wanted = list(generate_frames(stored_as.ds.PixelData, number_of_frames=count))
        numbers = ",".join(str(n + 1) for n in range(count))
        accept = f'multipart/related; type="{media_type}"; transfer-syntax={syntax}'
        parts = parts_of(site.get(f"{stored_as.path}/frames/{numbers}", accept))
        assert [payload.rstrip(b"\0") for _, payload in parts] == [each.rstrip(b"\0") for each in wanted]
        for headers, payload in parts:
            assert headers["content-type"] == f"{media_type}; transfer-syntax={syntax}"
            assert payload.startswith(magic)


@clause("8.7.3.4")
def test_8_7_3_4_frames_are_explicit_vr_little_endian_by_default(site: Site, stored: Corpus) -> None:
    parts = parts_of(site.get(f"{stored.frames.path}/frames/1,2,3", OCTETS))
    assert [payload for _, payload in parts] == stored.arrays
    assert {h["content-type"] for h, _ in parts} == {f"application/octet-stream; transfer-syntax={EXPLICIT}"}


@clause("8.7.3.5.2", "8.7.8.2")
def test_8_7_3_5_2_transfer_syntax_of_frames(site: Site, stored: Corpus) -> None:
    path = f"{stored.frames.path}/frames/2"
    for asked, given in ((EXPLICIT, EXPLICIT), (RLE, RLE), ("*", RLE), (f'"{RLE}"', RLE)):
        [(headers, payload)] = parts_of(site.get(path, f"{OCTETS}; transfer-syntax={asked}"))
        assert headers["content-type"] == f"application/octet-stream; transfer-syntax={given}"
        assert (payload == stored.arrays[1]) == (given == EXPLICIT)
    both = f"{OCTETS}; transfer-syntax={RLE}; q=0.5, {OCTETS}; transfer-syntax={EXPLICIT}"
    [(headers, _)] = parts_of(site.get(path, both))
    assert headers["content-type"].endswith(EXPLICIT)
    problem_of(site.get(path, f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.4.100"), 406)


@clause("8.7.3.5.2-instance")
def test_8_7_3_5_2_instance_in_the_transfer_syntax_that_is_named(site: Site, stored: Corpus) -> None:
    for asked in ("*", JPEG):
        assert site.get(stored.jpeg.path, f"application/dicom; transfer-syntax={asked}").content == stored.jpeg.data
    for each, asked in ((stored.frames, EXPLICIT), (stored.slices[0], RLE), (stored.implicit, EXPLICIT)):
        answer = site.get(each.path, f"application/dicom; transfer-syntax={asked}")
        assert answer.headers["Content-Type"] == f"application/dicom; transfer-syntax={asked}"
        got = data_set_of(answer.content)
        assert got.file_meta.TransferSyntaxUID == asked
        assert got.SOPInstanceUID == each.ds.SOPInstanceUID
        assert np.array_equal(got.pixel_array, data_set_of(each.data).pixel_array)
    problem_of(site.get(stored.slices[0].path, "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.100"), 406)


@clause("8.7.3.5.3")
def test_8_7_3_5_3_charset_parameter_of_a_media_type(site: Site, stored: Corpus) -> None:
    answer = site.get(f"{stored.slices[0].path}/metadata", f"{JSON}; charset=utf-8")
    assert answer.content.decode("utf-8").count("Müller^Jürgen") == 1


@clause("8.7.4")
@pytest.mark.parametrize(("media_type", "kind"), [("image/jpeg", "JPEG"), ("image/png", "PNG"), ("image/gif", "GIF")])
def test_8_7_4_pictures_of_8_bits(site: Site, stored: Corpus, media_type: str, kind: str) -> None:
    for each, modes in ((stored.slices[0], ("L", "P")), (stored.jpeg, ("RGB", "P"))):
        answer = site.get(f"{each.path}/rendered", media_type)
        assert answer.headers["Content-Type"] == media_type
        image = Image.open(io.BytesIO(answer.content))
        assert image.format == kind
        assert image.mode in modes
        if kind == "JPEG":
            assert b"\xff\xc0" in answer.content, "baseline"
            assert b"\xff\xc2" not in answer.content, "progressive"


@clause("8.7.4-text")
@pytest.mark.parametrize(
    ("accept", "given"), [("text/html", "text/html"), ("text/plain", "text/plain"), ("*/*", "text/html")]
)
def test_8_7_4_reports_are_text(site: Site, stored: Corpus, accept: str, given: str) -> None:
    answer = site.get(f"{stored.report.path}/rendered", accept)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, f"{given}; charset=utf-8")
    assert "No fracture." in answer.text


@clause("8.7.4-video")
def test_8_7_4_video_is_not_made_of_frames(site: Site, stored: Corpus) -> None:
    problem_of(site.get(f"{stored.frames.path}/rendered", "video/mp4"), 406)


@clause("8.7.5")
def test_8_7_5_no_accept_gets_the_default(site: Site, stored: Corpus) -> None:
    for resource, given in (("", "multipart/related"), ("/metadata", JSON), ("/rendered", "image/jpeg")):
        answer = site.ask(stored.slices[0].path + resource)
        assert (answer.status, answer.header("Content-Type").partition(";")[0]) == (200, given)


@clause("8.7.5-mixed")
def test_8_7_5_mixed_kinds_get_the_best_of_them(site: Site, stored: Corpus) -> None:
    answer = site.get(f"{stored.slices[0].path}/rendered", "application/dicom, image/png")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")


@clause("8.7.7")
def test_8_7_7_wild_cards_and_what_is_invalid(site: Site, stored: Corpus) -> None:
    path = f"{stored.slices[0].path}/rendered"
    for accept, given in (("*/*", "image/jpeg"), ("image/*", "image/jpeg"), ("nonsense, ;;, image/png", "image/png")):
        assert site.get(path, accept).headers["Content-Type"] == given


@clause("8.7.8.1")
def test_8_7_8_1_greatest_weight_and_most_specific_range(site: Site, stored: Corpus) -> None:
    path = f"{stored.slices[0].path}/rendered"
    assert site.get(path, "image/*;q=0.9, image/jpeg;q=0.1").headers["Content-Type"] == "image/png"
    assert site.get(path, "image/*;q=0.5, image/gif").headers["Content-Type"] == "image/gif"
    assert site.get(f"{path}?accept=text/csv", "image/gif").headers["Content-Type"] == "image/gif"
    problem_of(site.get(path, "image/*;q=0"), 406)


@clause("8.7.9")
def test_8_7_9_content_type_names_the_transfer_syntax_and_is_only_where_there_is_a_payload(
    site: Site, stored: Corpus
) -> None:
    for each, syntax in ((stored.slices[0], EXPLICIT), (stored.jpeg, JPEG), (stored.frames, RLE)):
        [(headers, payload)] = parts_of(site.get(each.path, f"{INSTANCES}; transfer-syntax=*"))
        assert headers["content-type"] == f"application/dicom; transfer-syntax={syntax}"
        assert data_set_of(payload).file_meta.TransferSyntaxUID == syntax
    nothing = site.ask("studies?PatientID=nobody", f"Accept: {XML}")
    assert (nothing.status, nothing.header("Content-Type")) == (204, "")
