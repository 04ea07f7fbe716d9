"""WADO-RS of whole studies and series: pixel data and pictures (PS3.18 10.4.1.1.3, 10.4.1.1.7)."""

from __future__ import annotations

import io
from typing import Any

import pydicom
import pytest
from django.conf import settings
from PIL import Image
from pydicom.uid import RLELossless, generate_uid

from audit.models import AccessEvent
from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, MPEG4_HIGH_41, RLE_LOSSLESS
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.pixels import encapsulated, native_frames
from tests.dicomweb.reading import parts_of, problem_of

OCTETS = "application/octet-stream"
_REPORT = {
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11",
    "Modality": "SR",
    **dict.fromkeys(("PixelData", "Rows", "Columns", "BitsAllocated", "WindowCenter", "WindowWidth")),
}

_GREY_OF_8_BITS: dict[str, Any] = {"Rows": 8, "Columns": 8, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}


@pytest.fixture
def study(technologist: Door) -> dict[str, Any]:
    """A native CT of two frames, an RLE CT of two frames, a report; the frames of the native and the RLE one."""
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    ds, frames = native_frames(2, **uids)
    other, _ = native_frames(2, **uids, InstanceNumber=2, SOPInstanceUID=generate_uid())
    native, packed = to_bytes(ds), pydicom.dcmread(io.BytesIO(to_bytes(other)))
    packed.compress(RLELossless, generate_instance_uid=False)
    report = make_data_set(**uids, InstanceNumber=3, SOPInstanceUID=generate_uid(), **_REPORT)
    objects = [native, to_bytes(packed, RLELossless), to_bytes(report)]
    assert technologist.store(objects).status_code == 200
    series = f"studies/{uids['StudyInstanceUID']}/series/{uids['SeriesInstanceUID']}"
    names = [f"{series}/instances/{each.SOPInstanceUID}" for each in (ds, packed, report)]
    return {"study": series.partition("/series")[0], "series": series, "instances": names, "frames": frames}


@pytest.mark.parametrize("level", ["study", "series"])
def test_pixel_data_as_stored(technologist: Door, study: dict[str, Any], level: str) -> None:
    parts = parts_of(technologist.get(f"{study[level]}/pixeldata"))
    native, packed, _ = (f"http://testserver/dicom-web/{path}" for path in study["instances"])
    assert [headers["content-location"] for headers, _ in parts] == [
        f"{native}/bulkdata/7FE00010",
        f"{packed}/frames/1",
        f"{packed}/frames/2",
    ]
    syntaxes = [EXPLICIT_VR_LITTLE_ENDIAN, RLE_LOSSLESS, RLE_LOSSLESS]
    assert [headers["content-type"] for headers, _ in parts] == [f"{OCTETS}; transfer-syntax={s.uid}" for s in syntaxes]
    assert parts[0][1] == b"".join(study["frames"])
    for number in (1, 2):
        alone = technologist.get(
            f"{study['instances'][1]}/frames/{number}", f"multipart/related; type={OCTETS}; transfer-syntax=*"
        )
        assert parts[number][1] == parts_of(alone)[0][1]
    event = AccessEvent.objects.filter(query="pixeldata").get()
    assert (event.instance_count, event.bytes > 0) == (2, True)


def test_pixel_data_decoded(technologist: Door, study: dict[str, Any]) -> None:
    parts = parts_of(technologist.get(f"{study['study']}/pixeldata", f'multipart/related; type="{OCTETS}"'))
    assert [payload for _, payload in parts] == [b"".join(study["frames"]), *study["frames"]]


def test_pixel_data_in_a_transfer_syntax_that_not_all_have(technologist: Door, study: dict[str, Any]) -> None:
    accept = f'multipart/related; type="{OCTETS}"; transfer-syntax={RLE_LOSSLESS.uid}'
    problem_of(technologist.get(f"{study['study']}/pixeldata", accept), 406)


def test_pixel_data_of_an_instance(technologist: Door, study: dict[str, Any]) -> None:
    native, packed, report = study["instances"]
    for path, value in ((native, "bulkdata/7FE00010"), (packed, "frames/1,2")):
        accept = f'multipart/related; type="{OCTETS}"; transfer-syntax=*'
        assert parts_of(technologist.get(f"{path}/pixeldata", accept)) == parts_of(
            technologist.get(f"{path}/{value}", accept)
        )
    response = technologist.get(f"{native}/pixeldata", OCTETS, range="bytes=2-9")
    assert (response.status_code, body_of(response)) == (206, b"".join(study["frames"])[2:10])
    problem_of(technologist.get(f"{report}/pixeldata"), 404)


def test_pixel_data_are_bounded(technologist: Door, study: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings.PACS.limits, "frames_per_request", 3)
    problem_of(technologist.get(f"{study['study']}/pixeldata"), 400)
    monkeypatch.setattr(settings.PACS.limits, "frames_per_request", 4)
    assert len(parts_of(technologist.get(f"{study['study']}/pixeldata"))) == 3


@pytest.mark.parametrize("level", ["study", "series"])
@pytest.mark.parametrize("name", ["image/jpeg", "image/png"])
def test_pictures(technologist: Door, study: dict[str, Any], level: str, name: str) -> None:
    """One an instance; the report has none and is left out."""
    response = technologist.get(f"{study[level]}/rendered?viewport=8,8", f'multipart/related; type="{name}"')
    parts = parts_of(response)
    assert [headers["content-location"] for headers, _ in parts] == [
        f"http://testserver/dicom-web/{path}/rendered" for path in study["instances"][:2]
    ]
    for (headers, payload), path in zip(parts, study["instances"], strict=False):
        image = Image.open(io.BytesIO(payload))
        assert (Image.MIME[image.format or ""], headers["content-type"], max(image.size)) == (name, name, 8)
        assert payload == body_of(technologist.get(f"{path}/rendered?viewport=8,8", name))
    assert AccessEvent.objects.filter(query="rendered", instance_uid="").get().kind


def test_nothing_to_draw(technologist: Door) -> None:
    """A report has no pixels, video no decoder."""
    report = make_data_set(**_REPORT)
    video, ds = encapsulated([[b"ab" * 50]], MPEG4_HIGH_41.uid)
    assert technologist.store([to_bytes(report), video]).status_code == 200
    for uid in (report.StudyInstanceUID, ds.StudyInstanceUID):
        problem_of(technologist.get(f"studies/{uid}/rendered"), 406)
    problem_of(technologist.get(f"studies/{report.StudyInstanceUID}/pixeldata"), 404)
    problem_of(technologist.get(f"studies/{generate_uid()}/rendered"), 404)


def test_pictures_are_bounded(technologist: Door, study: dict[str, Any], settings: Any) -> None:
    limits = settings.PACS.limits.model_copy(update={"pictures_per_request": 1})
    settings.PACS = settings.PACS.model_copy(update={"limits": limits})
    problem_of(technologist.get(f"{study['study']}/rendered"), 400)
    problem_of(technologist.get(f"{study['instances'][0]}/frames/1,2/rendered"), 400)


@pytest.mark.parametrize("name", ["image/jpeg", "image/png", "image/gif"])
def test_pictures_of_several_frames(technologist: Door, study: dict[str, Any], name: str) -> None:
    frames = f"{study['instances'][1]}/frames"
    parts = parts_of(technologist.get(f"{frames}/2,1,2/rendered?viewport=8,8", f'multipart/related; type="{name}"'))
    assert [headers["content-location"].rpartition("/dicom-web/")[2] for headers, _ in parts] == [
        f"{frames}/{number}/rendered" for number in (2, 1)
    ]
    for (headers, payload), number in zip(parts, (2, 1), strict=True):
        assert headers["content-type"] == name
        assert payload == body_of(technologist.get(f"{frames}/{number}/rendered?viewport=8,8", name))
    event = AccessEvent.objects.get(query="rendered 2,1")
    assert f"{study['instances'][1]}".endswith(event.instance_uid)


def test_what_lists_of_frames_are_refused_for(technologist: Door, study: dict[str, Any]) -> None:
    frames = f"{study['instances'][0]}/frames"
    problem_of(technologist.get(f"{frames}/1,3/rendered"), 404)
    problem_of(technologist.get(f"{frames}/1,2/rendered", "image/png"), 406)
    [(headers, _)] = parts_of(technologist.get(f"{frames}/2/rendered", 'multipart/related; type="image/png"'))
    assert headers["content-location"].endswith("/frames/2/rendered")
    problem_of(technologist.get(f"{study['instances'][2]}/frames/1,2/rendered"), 406)
    problem_of(technologist.get(f"{frames}/1,2/rendered?viewport=8,8,9999"), 400)
    problem_of(technologist.get(f"{frames}/1,2/thumbnail"), 400)
    for malformed in ("1,,2", "0,1", "1-2"):
        problem_of(technologist.get(f"{frames}/{malformed}/rendered"), 400)


def test_a_list_of_frames_leaves_out_what_is_damaged(technologist: Door) -> None:
    data, ds = encapsulated([[b"no JPEG at all"], [_jpeg()]], "1.2.840.10008.1.2.4.50", **_GREY_OF_8_BITS)
    assert technologist.store([data]).status_code in (200, 202)
    uids = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    [(headers, _)] = parts_of(technologist.get(f"{uids}/frames/1,2/rendered"))
    assert headers["content-location"].endswith("/frames/2/rendered")


def _jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), 90).save(file, "JPEG")
    return file.getvalue() + b"\0" * (file.tell() % 2)
