"""WADO-RS rendered and thumbnail (PS3.18 10.4.1.1.3, 10.4.1.1.4, 8.3.5)."""

from __future__ import annotations

import io
import struct
import threading
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from archive.decoding import decoding, places
from archive.models import Instance
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.pixels import native_frames, packaged
from tests.dicomweb.reading import problem_of

_REPORT = {
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11",
    "Modality": "SR",
    **dict.fromkeys(("PixelData", "Rows", "Columns", "BitsAllocated", "WindowCenter", "WindowWidth")),
}


def stored(door: Door, **values: Any) -> str:
    response = door.store([to_bytes(make_data_set(**values))])
    assert response.status_code in (200, 202), response.content
    reference = response.json()["00081199"]["Value"][0]
    return str(reference["00081190"]["Value"][0].partition("/dicom-web/")[2])


def picture(response: Any) -> Image.Image:
    assert response.status_code == 200, body_of(response)
    image = Image.open(io.BytesIO(body_of(response)))
    assert Image.MIME[image.format or ""] == response["Content-Type"]
    image.load()
    return image


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "JPEG"),
        ("*/*", "JPEG"),
        ("image/*", "JPEG"),
        ("image/jpeg", "JPEG"),
        ("image/png", "PNG"),
        ("image/gif", "GIF"),
        ("image/webp, image/png;q=0.5", "WEBP"),
    ],
)
def test_a_picture_of_the_kind_asked_for(technologist: Door, accept: str | None, kind: str) -> None:
    instance = stored(technologist)
    for path in ("rendered", "frames/1/rendered"):
        image = picture(technologist.get(f"{instance}/{path}", accept=accept))
        assert (image.format, image.size) == (kind, (16, 12))
    from_query = technologist.get(f"{instance}/rendered?accept=image/png")
    assert picture(from_query).format == "PNG"


def test_window_viewport_and_quality_count(technologist: Door) -> None:
    """PS3.18 8.3.5.1.2 to 8.3.5.1.4."""
    instance = stored(technologist)
    plain = np.asarray(picture(technologist.get(f"{instance}/rendered", accept="image/png")))
    bright = np.asarray(picture(technologist.get(f"{instance}/rendered?window=50,100,linear", accept="image/png")))
    assert bright[-1, -1] == 255 > plain[-1, -1]
    for window in ("50,100", "50.5,100.25,LINEAR_EXACT", "-50,1,sigmoid", "0,0.5,linear-exact"):
        picture(technologist.get(f"{instance}/rendered?window={window}", accept="image/png"))
    assert picture(technologist.get(f"{instance}/rendered?viewport=8,8")).size == (8, 6)
    assert picture(technologist.get(f"{instance}/rendered?viewport=160,9999".replace("9999", "999"))).size == (160, 120)
    sizes = [len(body_of(technologist.get(f"{instance}/rendered?quality={q}"))) for q in (1, 100)]
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize(
    "query",
    [
        "window=1",
        "window=a,b",
        "window=1,0",
        "window=1,2,3",
        "window=1,2,linear,4",
        "window=,",
        "window=1e9,2",
        "window=nan,inf",
        "window=1,-5,sigmoid",
        "window=%D9%A1,2%C2%B2",
        "viewport=0,5",
        "viewport=5",
        "viewport=-1,5",
        "viewport=9000,10",
        "viewport=1,2,3,4,0,6",
        "viewport=1,2,3,x",
        "viewport=1,2,3,4,5,6,7",
        "viewport=%C2%B2,5",
        "viewport=1.5,2",
        "viewport=99999999999999,1",
        "quality=0",
        "quality=101",
        "quality=high",
        "quality=%C2%B2",
        "quality=99999",
    ],
)
def test_malformed_parameters_are_400(technologist: Door, query: str) -> None:
    problem_of(technologist.get(f"{stored(technologist)}/rendered?{query}"), 400)


def test_frames_of_a_picture(technologist: Door) -> None:
    ds, _ = native_frames(3)
    assert technologist.store([to_bytes(ds)]).status_code == 200
    instance = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    picture(technologist.get(f"{instance}/frames/3/rendered"))
    for resource in ("rendered", "thumbnail"):
        problem_of(technologist.get(f"{instance}/frames/4/{resource}"), 404)
        problem_of(technologist.get(f"{instance}/frames/0/{resource}"), 400)
    problem_of(technologist.get(f"{instance}/frames/1,2/thumbnail"), 400)


@pytest.mark.parametrize("level", ["instance", "series", "study"])
def test_what_has_no_pixels_has_no_picture(technologist: Door, level: str) -> None:
    """Trap 25: cleanly, for reports and plans."""
    instance = stored(technologist, **_REPORT)
    series, study = instance.rpartition("/instances")[0], instance.partition("/series")[0]
    path = {"instance": instance, "series": series, "study": study}[level]
    assert problem_of(technologist.get(f"{path}/thumbnail"), 406)["code"] == "no-picture"
    if level == "instance":
        problem_of(technologist.get(f"{path}/rendered"), 406)
        problem_of(technologist.get(f"{path}/frames/1/rendered"), 406)


def test_no_picture_but_jpeg_is_a_thumbnail(technologist: Door) -> None:
    problem_of(technologist.get(f"{stored(technologist)}/thumbnail", accept="image/png"), 406)
    problem_of(technologist.get(f"{stored(technologist)}/rendered", accept="video/mp4"), 406)


@pytest.mark.parametrize(
    "name",
    [
        "examples_palette.dcm",
        "examples_ybr_color.dcm",
        "MR_small_bigendian.dcm",
        "image_dfl.dcm",
        "liver_1frame.dcm",
        "SC_rgb_rle_2frame.dcm",
        "JPGExtended.dcm",
    ],
)
def test_pictures_of_every_encoding(technologist: Door, name: str) -> None:
    response = technologist.store([packaged(name)])
    path = response.json()["00081199"]["Value"][0]["00081190"]["Value"][0].partition("/dicom-web/")[2]
    assert max(picture(technologist.get(f"{path}/thumbnail")).size) == 256
    picture(technologist.get(f"{path}/rendered"))


def with_limits(settings: Any, **limits: float) -> None:
    changed = settings.PACS.limits.model_copy(update=limits)
    settings.PACS = settings.PACS.model_copy(update={"limits": changed})


def test_a_header_that_is_not_read_has_no_picture(technologist: Door, settings: Any) -> None:
    instance = stored(technologist)
    with_limits(settings, picture_header_bytes=100)
    problem_of(technologist.get(f"{instance}/rendered"), 406)
    assert Instance.objects.get().header_length > 100


def stored_raw(door: Door, data: bytes) -> str:
    response = door.store([data])
    assert response.status_code in (200, 202), response.content
    reference = response.json()["00081199"]["Value"][0]
    return str(reference["00081190"]["Value"][0].partition("/dicom-web/")[2])


def test_a_header_of_half_a_million_items_is_drawn_in_time(technologist: Door) -> None:
    """pydicom took 25 seconds to read them, for a picture of which none counts."""
    data = to_bytes(make_data_set())
    groups = b"\x00\x52\x30\x92SQ\0\0" + struct.pack("<I", 8 * 480_000) + b"\xfe\xff\x00\xe0\0\0\0\0" * 480_000
    place = data.rindex(b"\xe0\x7f\x10\x00")
    instance = stored_raw(technologist, data[:place] + groups + data[place:])
    started = time.process_time()
    assert picture(technologist.get(f"{instance}/rendered")).size == (16, 12)
    assert time.process_time() - started < 1.5


def test_functional_groups_of_the_frame_that_is_asked_for_count(technologist: Door) -> None:
    def group(center: int) -> Dataset:
        window, made = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = center, 2
        made.FrameVOILUTSequence = [window]
        return made

    ds, _ = native_frames(3)
    ds.PerFrameFunctionalGroupsSequence = [group(-100_000), group(100_000), group(-100_000)]
    instance = stored_raw(technologist, to_bytes(ds))
    shades = [
        np.asarray(picture(technologist.get(f"{instance}/frames/{number}/rendered", accept="image/png"))).mean()
        for number in (1, 2, 3)
    ]
    assert shades == [255, 0, 255]


def test_a_viewport_larger_than_the_picture_enlarges_it_to_2048_at_the_most(technologist: Door) -> None:
    instance = stored(technologist)
    for accept in ("image/jpeg", "image/png", "image/gif"):
        response = technologist.get(f"{instance}/rendered?viewport=8192,8192", accept=accept)
        assert picture(response).size == (2048, 1536)


def test_no_more_than_a_few_frames_are_decoded_at_a_time(technologist: Door, settings: Any) -> None:
    """Others wait, and after a while are told to come again (503)."""
    with_limits(settings, decoding_wait_seconds=0.05)
    at_a_time = places()
    instance = stored_raw(technologist, packaged("MR_small_RLE.dcm"))
    native = 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'
    asked = [("rendered", None), ("thumbnail", None), ("frames/1", native)]
    taken, enough = threading.Semaphore(0), threading.Event()

    def hold() -> None:
        with decoding():
            taken.release()
            enough.wait(120)

    holders = [threading.Thread(target=hold) for _ in range(at_a_time)]
    try:
        for each in holders:
            each.start()
        assert all(taken.acquire(timeout=60) for _ in holders)
        for path, accept in asked:
            problem_of(technologist.get(f"{instance}/{path}", accept=accept), 503)
    finally:
        enough.set()
        for each in holders:
            each.join()
    for path, accept in asked * at_a_time * 2:
        assert technologist.get(f"{instance}/{path}", accept=accept).status_code == 200


def test_a_picture_that_fails_gives_its_place_back(technologist: Door, settings: Any) -> None:
    with_limits(settings, decoding_wait_seconds=0.05)
    broken = stored(technologist, PhotometricInterpretation="PALETTE COLOR")
    for _ in range(places() + 1):
        problem_of(technologist.get(f"{broken}/rendered"), 406)
    picture(technologist.get(f"{stored(technologist)}/rendered"))


@pytest.mark.parametrize("uid", ["..", ".", "1..2", "1.", ".1", "." * 64, "1" * 65])
def test_what_is_no_uid_is_found_nowhere(technologist: Door, uid: str) -> None:
    path = f"studies/{uid}/series/1.2/instances/1.3/rendered"
    assert technologist.http.get(f"/dicom-web/{path}").status_code == 404
    response = technologist.http.get(
        "/dicom-web/wado", {"requestType": "WADO", "studyUID": uid, "seriesUID": "1.2", "objectUID": "1.3"}
    )
    assert response.status_code == 400


def test_head(technologist: Door) -> None:
    for resource in ("rendered", "thumbnail"):
        response = technologist.http.head(f"/dicom-web/{stored(technologist)}/{resource}")
        assert (response.status_code, body_of(response)) == (200, b"")
