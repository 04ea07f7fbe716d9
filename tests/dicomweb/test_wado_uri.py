"""WADO-URI (PS3.18 section 9)."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from pydicom.dataset import Dataset

from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, JPEG_BASELINE
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes


@pytest.fixture
def stored(technologist: Door) -> tuple[Dataset, bytes]:
    ds = make_data_set()
    data = to_bytes(ds)
    assert technologist.store([data]).status_code == 200
    return ds, data


def query(ds: Dataset, **more: str) -> str:
    words = {
        "requestType": "WADO",
        "studyUID": ds.StudyInstanceUID,
        "seriesUID": ds.SeriesInstanceUID,
        "objectUID": ds.SOPInstanceUID,
    } | more
    return "wado?" + "&".join(f"{name}={value}" for name, value in words.items())


def test_9_1_2_the_object_as_stored(technologist: Door, stored: tuple[Dataset, bytes]) -> None:
    ds, data = stored
    got = technologist.get(query(ds, contentType="application/dicom"))
    assert body_of(got) == data
    assert got["Content-Type"] == f"application/dicom; transfer-syntax={EXPLICIT_VR_LITTLE_ENDIAN.uid}"
    other = technologist.get(query(ds, contentType="application/dicom", transferSyntax=JPEG_BASELINE.uid))
    assert other.status_code == 406
    assert other["Content-Type"] == "application/problem+json"


def test_9_1_2_a_picture_with_window_and_size(technologist: Door, stored: tuple[Dataset, bytes]) -> None:
    ds, _ = stored
    plain = technologist.get(query(ds))
    assert plain["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(body_of(plain))).size == (16, 12)
    png = technologist.get(
        query(ds, contentType="image/png", columns="8", rows="6", windowCenter="50", windowWidth="10")
    )
    picture = Image.open(io.BytesIO(body_of(png)))
    assert (picture.format, picture.size) == ("PNG", (8, 6))
    assert picture.getpixel((7, 5)) == 255


@pytest.mark.parametrize(
    "more",
    [
        {"requestType": "QIDO"},
        {"studyUID": ""},
        {"objectUID": "1.2.x"},
        {"frameNumber": "0"},
        {"frameNumber": "x"},
        {"frameNumber": "2"},
        {"contentType": "application/dicom", "transferSyntax": "x"},
        {"contentType": "application/dicom", "windowCenter": "1", "windowWidth": "2"},
        {"rows": "0"},
        {"windowCenter": "1"},
        {"imageQuality": "101"},
        {"anonymize": "yes"},
    ],
)
def test_malformed_is_400(technologist: Door, stored: tuple[Dataset, bytes], more: dict[str, str]) -> None:
    response = technologist.get(query(stored[0], **more))
    assert response.status_code == 400, response.content
    assert response["Content-Type"] == "application/problem+json"


def test_what_is_not_there(technologist: Door, stored: tuple[Dataset, bytes]) -> None:
    ds, _ = stored
    assert technologist.get(query(ds, objectUID="1.2.3")).status_code == 404
    assert technologist.get(query(ds, contentType="video/mpeg")).status_code == 406
