"""Rendered reports, documents, waveforms, segments, contours and video (PS3.18 10.4.1.1.3, 8.7.4)."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from access.models import CustomRole
from archive import drawings
from dicom.codecs import DecodedFrame
from dicom.segmentation import Segmentation
from tests.dicom.documents import (
    content,
    contours,
    encapsulated,
    packaged,
    pdf,
    report,
    square,
    waveform,
    without_pixels,
)
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.reading import problem_of

_SEG = "liver_1frame.dcm"


def stored(door: Door, data: bytes) -> str:
    response = door.store([data])
    assert response.status_code in (200, 202), response.content
    reference = response.json()["00081199"]["Value"][0]
    return str(reference["00081190"]["Value"][0].partition("/dicom-web/")[2])


def pixels(response: Any) -> NDArray[np.uint8]:
    assert response.status_code == 200, body_of(response)
    image = Image.open(io.BytesIO(body_of(response)))
    assert Image.MIME[image.format or ""] == response["Content-Type"]
    return np.asarray(image.convert("RGB"))


def kinds() -> dict[str, bytes]:
    samples = np.zeros(5000, "<i2").tobytes()
    return {
        "report": to_bytes(report([content("TEXT", "Finding", TextValue="None.")])),
        "packaged report": packaged("test-SR.dcm"),
        "key objects": to_bytes(report([content("TEXT", "Note", TextValue="Look.")], sop_class="88.59")),
        "pdf": encapsulated(pdf()),
        "long pdf": encapsulated(pdf() + b"%" * 200_000),
        "ecg": to_bytes(waveform(samples, 1)),
        "packaged ecg": packaged("waveform_ecg.dcm"),
        "contours": to_bytes(contours((1, square(0)))),
        "segments": packaged(_SEG),
        "segments, big endian": packaged("liver_expb_1frame.dcm"),
        "dose": packaged("rtdose.dcm"),
    }


@pytest.mark.parametrize("name", kinds())
def test_each_kind_has_a_picture_and_a_thumbnail(technologist: Door, name: str) -> None:
    instance = stored(technologist, kinds()[name])
    shown = pixels(technologist.get(f"{instance}/rendered", accept="image/png"))
    assert len(np.unique(shown)) > 1
    assert max(pixels(technologist.get(f"{instance}/rendered?viewport=300,300", accept="image/jpeg")).shape) == 300
    assert pixels(technologist.get(f"{instance}/frames/1/rendered", accept="image/png")).size
    problem_of(technologist.get(f"{instance}/frames/5000/rendered"), 404)
    for level in (instance, instance.rpartition("/instances")[0], instance.partition("/series")[0]):
        assert max(pixels(technologist.get(f"{level}/thumbnail")).shape) == 256
    part = technologist.get(f"{instance.partition('/series')[0]}/rendered")
    assert (part.status_code, body_of(part).count(b"Content-Type: image/jpeg")) == (200, 1)


@pytest.mark.parametrize(
    ("sop_class", "reason"),
    [
        ("481.5", "plans"),
        ("11.1", "presentation state"),
        ("104.2", "encapsulated"),
        ("66.1", "registrations"),
        ("67", "value mapping"),
        ("4.2", "no pixel data"),
    ],
)
def test_what_has_no_picture_says_why(technologist: Door, sop_class: str, reason: str) -> None:
    instance = stored(technologist, to_bytes(without_pixels(sop_class, Modality="OT")))
    problem = problem_of(technologist.get(f"{instance}/rendered"), 406)
    assert (problem["code"], reason in problem["detail"]) == ("no-picture", True)
    problem_of(technologist.get(f"{instance}/thumbnail"), 406)


@pytest.mark.parametrize(
    "data",
    [
        to_bytes(report([])),
        encapsulated(b"no PDF at all"),
        to_bytes(without_pixels("104.1", Modality="DOC")),
        to_bytes(without_pixels("9.1.1", Modality="ECG")),
        to_bytes(waveform(b"\0\0" * 10, 1, SamplingFrequency=0)),
        to_bytes(contours()),
        to_bytes(make_data_set(SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", Modality="SEG")),
        to_bytes(without_pixels("66.4", Modality="SEG")),
    ],
)
def test_what_is_damaged_is_406(technologist: Door, data: bytes) -> None:
    instance = stored(technologist, data)
    for path in ("rendered?accept=image/jpeg", "thumbnail", "frames/1/rendered", "frames/1,2/rendered"):
        problem_of(technologist.get(f"{instance}/{path}"), 406)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        ("text/plain, text/html;q=0.5", "text/plain; charset=utf-8"),
        ("image/*", "image/jpeg"),
        ("image/png", "image/png"),
    ],
)
def test_a_report_as_text_that_a_browser_may_show(technologist: Door, accept: str | None, media_type: str) -> None:
    evil = "<script>alert(1)</script>"
    instance = stored(technologist, to_bytes(report([content("TEXT", "Finding", TextValue=evil)])))
    response = technologist.get(f"{instance}/rendered", accept=accept)
    assert (response.status_code, response["Content-Type"]) == (200, media_type)
    assert "Content-Disposition" not in response
    assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert b"<script>" not in body_of(response) or media_type.startswith("text/plain")


def test_a_pdf_as_it_is(technologist: Door) -> None:
    document = pdf(2) + b"\n"
    instance = stored(technologist, encapsulated(document))
    for path in ("rendered?accept=application/pdf", "rendered"):
        response = technologist.get(f"{instance}/{path}")
        assert (response["Content-Type"], body_of(response)) == ("application/pdf", document)
    again = technologist.get(f"{instance}/rendered", **{"if-none-match": response["ETag"]})
    assert again.status_code == 304
    part = technologist.get(f"{instance}/rendered", range="bytes=0-7")
    assert (part.status_code, body_of(part)) == (206, document[:8])
    pages = technologist.get(f"{instance}/frames/1,2/rendered")
    assert body_of(pages).count(b"Content-Type: image/jpeg") == 2
    problem_of(technologist.get(f"{instance}/frames/2,3/rendered"), 404)
    problem_of(technologist.get(f"{instance}/rendered", accept="video/mp4"), 406)


def test_names_are_withheld_from_who_may_not_see_them(door_for: Any, technologist: Door) -> None:
    rights = {"search": "ALL", "retrieve": "ALL"}
    CustomRole.objects.create(name="teaching", title="Teaching", rights=rights, withheld=["identity"])
    reader = door_for("teaching")
    instance = stored(technologist, to_bytes(report([content("PNAME", "Reader", PersonName="Roe^Rita")])))
    assert b"Doe Jane" in body_of(technologist.get(f"{instance}/rendered", accept="text/plain"))
    text = body_of(reader.get(f"{instance}/rendered", accept="text/plain"))
    assert b"Doe" not in text
    assert b"Roe" not in text
    assert b"1970" not in text
    problem_of(reader.get(f"{instance}/thumbnail"), 406)
    document = stored(technologist, encapsulated(pdf()))
    for path in ("rendered", "frames/1/rendered", "thumbnail"):
        assert technologist.get(f"{document}/{path}").status_code == 200
        problem_of(reader.get(f"{document}/{path}"), 406)


def test_wado_uri_gives_the_same(technologist: Door) -> None:
    def asked(data: bytes, **more: str) -> Any:
        _, study, _, series, _, uid = stored(technologist, data).split("/")
        query = {"requestType": "WADO", "studyUID": study, "seriesUID": series, "objectUID": uid} | more
        return technologist.http.get("/dicom-web/wado", query)

    every = kinds()
    assert asked(every["report"])["Content-Type"] == "text/html; charset=utf-8"
    assert asked(every["report"], contentType="text/plain")["Content-Type"] == "text/plain; charset=utf-8"
    assert asked(every["pdf"])["Content-Type"] == "application/pdf"
    assert pixels(asked(every["pdf"], contentType="image/png", rows="200")).shape[0] == 200
    assert pixels(asked(every["packaged ecg"])).size
    assert pixels(asked(every["packaged ecg"], frameNumber="2")).size
    problem_of(asked(every["packaged ecg"], frameNumber="3"), 404)
    problem_of(asked(every["pdf"], contentType="text/html"), 406)


@pytest.mark.parametrize(
    ("uid", "codestream", "media_type"),
    [
        ("1.2.840.10008.1.2.4.102", b"\0\0\0\x14ftypisom" + b"\1" * 500, "video/mp4"),
        ("1.2.840.10008.1.2.4.100", b"\0\0\1\xba" + b"\1" * 500, "video/mpeg"),
        ("1.2.840.10008.1.2.4.102", b"\x47\x40\0\x10" + b"\1" * 500, None),
        ("1.2.840.10008.1.2.4.102", b"\0\0\0\1\x67" + b"\1" * 501, None),
    ],
)
def test_video_leaves_as_it_is_stored_if_players_take_it(
    technologist: Door, uid: str, codestream: bytes, media_type: str | None
) -> None:
    from pydicom.encaps import encapsulate
    from pydicom.uid import UID

    ds = make_data_set(NumberOfFrames=10, PixelData=encapsulate([codestream]))
    ds["PixelData"].VR = "OB"
    instance = stored(technologist, to_bytes(ds, UID(uid)))
    if media_type is None:
        assert "container" in problem_of(technologist.get(f"{instance}/rendered"), 406)["detail"]
        return
    response = technologist.get(f"{instance}/rendered?accept={media_type}")
    assert (response["Content-Type"], body_of(response)[: len(codestream)]) == (media_type, codestream)
    part = technologist.get(f"{instance}/rendered", range="bytes=4-11")
    assert (part.status_code, body_of(part)) == (206, codestream[4:12])
    problem_of(technologist.get(f"{instance}/rendered", accept="image/jpeg"), 406)


def test_of_segments_as_large_as_can_be_few_are_laid_over_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty-four of the largest frames would take minutes."""
    decoded: list[int] = []

    class Few:
        pixels, count = SimpleNamespace(rows=4, columns=5), 9

        def decode(self, number: int) -> DecodedFrame:
            decoded.append(number)
            return DecodedFrame(np.ones((4, 5), np.uint8), "MONOCHROME2")

    described = Segmentation("BINARY", 1, {}, list(range(1, 10)), [(0.0, 0.0, 0.0)] * 9)
    segments = drawings._Segments(Few(), described)  # type: ignore[arg-type]
    assert segments.draw(None, None).shape == (4, 5, 3)
    assert decoded == list(range(1, 10))
    decoded.clear()
    monkeypatch.setattr(drawings, "_MOST_LAID_OVER", 45)
    segments.draw(None, None)
    assert decoded == [1, 2]
