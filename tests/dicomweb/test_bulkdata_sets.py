"""WADO-RS: all bulk data of a study, a series, an instance (PS3.18 10.4.1.1.5)."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.uid import ExplicitVRBigEndian, generate_uid

from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, JPEG_2000_LOSSLESS
from tests.dicomweb.conftest import Door
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.pixels import encapsulated
from tests.dicomweb.reading import parts_of, problem_of

OCTETS = "application/octet-stream"
J2K = b"\xff\x4f\xff\x51" + bytes(60)


@pytest.fixture
def study(technologist: Door) -> dict[str, Any]:
    """A document of a private value and pixels, two JPEG 2000 frames, and an instance without any bulk data."""
    uid, series = generate_uid(), generate_uid()
    both: dict[str, Any] = {"StudyInstanceUID": uid, "SeriesInstanceUID": series}
    first = make_data_set(**both)
    first.add_new(0x00090010, "LO", "LIGHTBOX TEST")
    first.add_new(0x00091001, "OW", bytes(range(256)) * 8)
    second, _ = encapsulated([[J2K], [J2K + b"\1\1"]], JPEG_2000_LOSSLESS.uid, **both, InstanceNumber=2)
    third = make_data_set(**both, SOPInstanceUID=generate_uid(), InstanceNumber=3)
    third.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    del third.PixelData, third.Rows, third.Columns
    answer = technologist.store([to_bytes(first, ExplicitVRBigEndian), second, to_bytes(third)])
    assert answer.status_code in (200, 202)
    base = f"studies/{uid}/series/{series}"
    return {
        "study": f"studies/{uid}",
        "series": base,
        "first": f"{base}/instances/{first.SOPInstanceUID}",
        "third": f"{base}/instances/{third.SOPInstanceUID}",
        "pixels": bytes(first.PixelData),
    }


@pytest.mark.parametrize("level", ["study", "series"])
def test_every_value_under_its_uri(technologist: Door, study: dict[str, Any], level: str) -> None:
    answer = technologist.get(f"{study[level]}/bulkdata")
    assert answer["Content-Type"].startswith(f'multipart/related; type="{OCTETS}"; boundary=')
    parts = parts_of(answer)
    places = [headers["content-location"].rpartition("/instances/")[2].partition("/")[2] for headers, _ in parts]
    assert places == ["bulkdata/00091001", "bulkdata/7FE00010", "frames/1", "frames/2"]
    assert [headers["content-type"].partition("transfer-syntax=")[2] for headers, _ in parts] == [
        "",
        EXPLICIT_VR_LITTLE_ENDIAN.uid,
        JPEG_2000_LOSSLESS.uid,
        JPEG_2000_LOSSLESS.uid,
    ]
    for headers, payload in parts:
        path = headers["content-location"].partition("/dicom-web/")[2]
        [(_, alone)] = parts_of(technologist.get(path))
        assert alone == payload, path


def test_of_one_instance(technologist: Door, study: dict[str, Any]) -> None:
    assert len(parts_of(technologist.get(f"{study['first']}/bulkdata"))) == 2
    assert problem_of(technologist.get(f"{study['third']}/bulkdata"), 404)["code"] == "not-found"
    problem_of(technologist.get(f"studies/{generate_uid()}/bulkdata"), 404)


def test_no_more_than_the_limit(technologist: Door, study: dict[str, Any], settings: Any) -> None:
    limits = settings.PACS.limits.model_copy(update={"frames_per_request": 3})
    settings.PACS = settings.PACS.model_copy(update={"limits": limits})
    assert "more than 3" in problem_of(technologist.get(f"{study['study']}/bulkdata"), 400)["detail"]


def test_what_there_is_not_is_406(technologist: Door, study: dict[str, Any]) -> None:
    problem_of(technologist.get(f"{study['study']}/bulkdata", accept="image/png"), 406)
