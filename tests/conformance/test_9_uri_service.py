"""PS3.18 9: the URI Service."""

from __future__ import annotations

import io
from typing import Any

import pytest
import requests
from PIL import Image
from pydicom.uid import generate_uid

from tests.conformance.marks import clause
from tests.conformance.site import Corpus, Site, Stored
from tests.conformance.trap_server import problem_of

DICOM = {"contentType": "application/dicom"}


def ask(site: Site, of: Stored, accept: str | None = "*/*", **more: str) -> requests.Response:
    """A WADO-URI request; a parameter of "-" is left out."""
    words = {
        "requestType": "WADO",
        "studyUID": str(of.ds.StudyInstanceUID),
        "seriesUID": str(of.ds.SeriesInstanceUID),
        "objectUID": str(of.ds.SOPInstanceUID),
    } | more
    headers: Any = {"Accept": accept}  # None: no such field
    kept = {name: text for name, text in words.items() if text != "-"}
    return site.session.get(f"{site.root}/wado", params=kept, headers=headers, timeout=60)


def size(answer: requests.Response) -> tuple[int, int]:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content)).size


@clause("9.1.2.1.1")
def test_9_1_2_1_1_request_type(site: Site, stored: Corpus) -> None:
    assert ask(site, stored.slices[0]).status_code == 200
    for text in ("-", "QIDO", ""):
        problem_of(ask(site, stored.slices[0], requestType=text), 400)


@clause("9.1.2.1.2")
@pytest.mark.parametrize("name", ["studyUID", "seriesUID", "objectUID"])
def test_9_1_2_1_2_uids(site: Site, stored: Corpus, name: str) -> None:
    for text in ("-", "", "1.2.x"):
        problem_of(ask(site, stored.slices[0], **{name: text}), 400)


@clause("9.1.2.2.1")
def test_9_1_2_2_1_content_type(site: Site, stored: Corpus) -> None:
    for asked, given in (("image/png", "image/png"), ("text/csv,image/gif", "image/gif")):
        assert ask(site, stored.slices[0], contentType=asked).headers["Content-Type"] == given
    problem_of(ask(site, stored.slices[0], contentType="text/html"), 406)


@clause("9.1.2.2.1-parameters")
def test_9_1_2_2_1_parameters_of_a_media_type_are_400(site: Site, stored: Corpus) -> None:
    asked = "application/dicom;transfer-syntax=1.2.840.10008.1.2.1"
    problem_of(ask(site, stored.slices[0], contentType=asked), 400)


@clause("9.1.2.2.2")
def test_9_1_2_2_2_charset_does_not_matter(site: Site, stored: Corpus) -> None:
    assert ask(site, stored.slices[0], charset="utf-8").status_code == 200


@clause("9.4.2")
def test_9_4_2_the_object(site: Site, stored: Corpus) -> None:
    answer = ask(site, stored.slices[0], **DICOM)
    assert answer.content == stored.slices[0].data


@clause("9.4.2.3")
def test_9_4_2_3_anonymize_is_refused(site: Site, stored: Corpus) -> None:
    problem_of(ask(site, stored.slices[0], anonymize="yes", **DICOM), 400)


@clause("9.4.2.4")
def test_9_4_2_4_transfer_syntax(site: Site, stored: Corpus) -> None:
    stored_as = str(stored.jpeg.ds.file_meta.TransferSyntaxUID)
    assert ask(site, stored.jpeg, transferSyntax=stored_as, **DICOM).content == stored.jpeg.data
    problem_of(ask(site, stored.jpeg, transferSyntax="1.2.840.10008.1.2.4.100", **DICOM), 406)
    for text in ("x", "1.2,1.3"):
        problem_of(ask(site, stored.jpeg, transferSyntax=text, **DICOM), 400)


@clause("9.4.2.4-default")
def test_9_4_2_4_default_is_as_stored(site: Site, stored: Corpus) -> None:
    assert ask(site, stored.frames, **DICOM).content == stored.frames.data


@clause("9.4.3.1")
def test_9_4_3_1_not_found(site: Site, stored: Corpus) -> None:
    for name in ("studyUID", "seriesUID", "objectUID"):
        problem_of(ask(site, stored.slices[0], **{name: str(generate_uid())}, **DICOM), 404)


@clause("9.4.3.2")
def test_9_4_3_2_header_fields(site: Site, stored: Corpus) -> None:
    answer = ask(site, stored.slices[0], **DICOM)
    assert answer.headers["Content-Type"].startswith("application/dicom")
    assert int(answer.headers["Content-Length"]) == len(stored.slices[0].data)
    assert site.get(answer.headers["Content-Location"]).content == answer.content


@clause("9.5.1.2.2")
def test_9_5_1_2_2_annotation(site: Site, stored: Corpus) -> None:
    size_of = {"rows": "240", "columns": "320"}
    drawn = ask(site, stored.slices[0], annotation="patient", **size_of)
    assert drawn.status_code == 200
    assert drawn.content != ask(site, stored.slices[0], **size_of).content
    problem_of(ask(site, stored.slices[0], annotation="a b"), 400)
    problem_of(ask(site, stored.slices[0], annotation="patient", **DICOM), 400)


@clause("9.5.1.2.3")
def test_9_5_1_2_3_image_quality(site: Site, stored: Corpus) -> None:
    low, high = (ask(site, stored.slices[0], imageQuality=text).content for text in ("1", "100"))
    assert len(low) < len(high)
    for text in ("0", "101", "x"):
        problem_of(ask(site, stored.slices[0], imageQuality=text), 400)


@clause("9.5.1.2.4")
def test_9_5_1_2_4_rows_and_columns(site: Site, stored: Corpus) -> None:
    assert size(ask(site, stored.slices[0], rows="6", columns="8")) == (8, 6)
    assert size(ask(site, stored.slices[0], rows="6", columns="100")) == (8, 6), "the aspect is kept"
    assert size(ask(site, stored.slices[0])) == (16, 12)
    problem_of(ask(site, stored.slices[0], rows="0", columns="8"), 400)


@clause("9.5.1.2.5")
def test_9_5_1_2_5_region_is_ignored(site: Site, stored: Corpus) -> None:
    assert size(ask(site, stored.slices[0], region="0.0,0.0,0.5,0.5")) == (16, 12)


@clause("9.5.1.2.6")
def test_9_5_1_2_6_window(site: Site, stored: Corpus) -> None:
    png = {"contentType": "image/png"}
    answer = ask(site, stored.slices[0], windowCenter="96", windowWidth="2", **png)
    image = Image.open(io.BytesIO(answer.content))
    assert (image.getpixel((0, 0)), image.getpixel((15, 11))) == (0, 255)
    for more in ({"windowCenter": "96"}, {"windowWidth": "2"}, {"windowCenter": "a", "windowWidth": "b"}):
        problem_of(ask(site, stored.slices[0], **more), 400)
    problem_of(ask(site, stored.slices[0], windowCenter="96", windowWidth="2", **DICOM), 400)


@clause("9.5.1.2.7")
def test_9_5_1_2_7_presentation_states(site: Site, stored: Corpus) -> None:
    """How they are applied is in tests/dicomweb/test_presented.py; here what is no such state, and what excludes it."""
    image = stored.slices[0]
    state = {"presentationUID": "1.2.3", "presentationSeriesUID": "1.2.4"}
    problem_of(ask(site, image, **state), 404)
    itself = {"presentationUID": image.ds.SOPInstanceUID, "presentationSeriesUID": image.ds.SeriesInstanceUID}
    problem_of(ask(site, image, **itself), 400)
    problem_of(ask(site, image, presentationUID="1.2.3"), 400)
    problem_of(ask(site, image, presentationUID="x", presentationSeriesUID="1.2.4"), 400)
    for more in ({"windowCenter": "1", "windowWidth": "2"}, {"region": "0,0,1,1"}, DICOM):
        problem_of(ask(site, image, **state, **more), 400)


@clause("9.5.2")
def test_9_5_2_jpeg_by_default(site: Site, stored: Corpus) -> None:
    for accept in ("*/*", None, "image/jpeg"):
        assert ask(site, stored.slices[0], accept).headers["Content-Type"] == "image/jpeg"


@clause("9.5.2.1")
def test_9_5_2_1_frame_number(site: Site, stored: Corpus) -> None:
    one, three = (ask(site, stored.frames, frameNumber=text).content for text in ("1", "3"))
    assert one != three
    for of, text in ((stored.frames, "4"), (stored.frames, "0"), (stored.frames, "x"), (stored.slices[0], "2")):
        problem_of(ask(site, of, frameNumber=text), 400)
