"""WADO-RS frames (PS3.18 10.4.1.1.6): byte for byte as stored, or decoded, and never something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.filebase import DicomBytesIO
from pydicom.uid import ExplicitVRBigEndian

from archive.located_rows import SHORT_TABLE
from archive.models import Instance
from archive.object_store import object_store
from dicom.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    MPEG4_HIGH_41,
)
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.pixels import big_endian, bits, deflated, encapsulated, native_frames, packaged
from tests.dicomweb.reading import parts_of, problem_of

ELE = EXPLICIT_VR_LITTLE_ENDIAN.uid
OCTETS = "application/octet-stream"
CORNERSTONE = "multipart/related; type=application/octet-stream; transfer-syntax=*"


def stored(door: Door, data: bytes) -> str:
    """Store one object; the path of its frames."""
    response = door.store([data])
    assert response.status_code in (200, 202), response.content
    [reference] = response.json()["00081199"]["Value"]
    return str(reference["00081190"]["Value"][0].partition("/dicom-web/")[2]) + "/frames"


def payloads(response: Any) -> list[bytes]:
    assert response.status_code == 200, response.content
    return [payload for _, payload in parts_of(response)]


def as_object(made: tuple[Dataset, list[bytes]]) -> tuple[bytes, list[bytes]]:
    return to_bytes(made[0]), made[1]


ENCODINGS: dict[str, Callable[[], tuple[bytes, list[bytes]]]] = {
    "16 bit": lambda: as_object(native_frames()),
    "8 bit": lambda: as_object(native_frames(dtype="u1")),
    "32 bit": lambda: as_object(native_frames(dtype="<u4")),
    "1 bit": lambda: as_object(bits()),
    "big endian": lambda: big_endian(3),
    "deflated": lambda: deflated(3),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_native_frames_leave_as_explicit_little_endian(technologist: Door, encoding: str) -> None:
    """PS3.18 8.7.3.5.2, table 8.7.3-2; trap 2: the part names the transfer syntax it really has."""
    data, frames = ENCODINGS[encoding]()
    path = stored(technologist, data)
    for accept in (None, CORNERSTONE, f'multipart/related; type="{OCTETS}"', f"{OCTETS}; transfer-syntax={ELE}"):
        response = technologist.get(f"{path}/2", accept=accept)
        if accept is not None and accept.startswith(OCTETS):
            assert body_of(response) == frames[1]
            assert response["Content-Type"] == f"{OCTETS}; transfer-syntax={ELE}"
            assert int(response["Content-Length"]) == len(frames[1])
            continue
        [(headers, payload)] = parts_of(response)
        assert payload == frames[1]
        assert headers["content-type"] == f"{OCTETS}; transfer-syntax={ELE}"
        assert headers["content-location"] == f"http://testserver/dicom-web/{path}/2"
        assert "Content-Length" in response
    assert payloads(technologist.get(f"{path}/1,2,3")) == frames


def test_lists_keep_their_order_and_give_each_frame_once(technologist: Door) -> None:
    ds, frames = native_frames(5)
    path = stored(technologist, to_bytes(ds))
    assert payloads(technologist.get(f"{path}/4,2,5")) == [frames[3], frames[1], frames[4]]
    assert payloads(technologist.get(f"{path}/3,3,1,3")) == [frames[2], frames[0]]
    assert payloads(technologist.get(f"{path}/1%2C2")) == frames[:2]
    assert payloads(technologist.get(f"{path}/0002")) == [frames[1]]


@pytest.mark.parametrize(
    ("numbers", "status"),
    [
        ("0", 400),
        ("1,0", 400),
        ("-1", 400),
        ("x", 400),
        ("1,", 400),
        ("1,,2", 400),
        ("1-2", 400),
        ("%C2%B2", 400),
        ("%D9%A1", 400),
        ("1%00", 400),
        ("9999999999", 400),
        ("4", 404),
        ("1,4", 404),
        ("999999999", 404),
    ],
)
def test_frames_that_cannot_be_are_refused_whole(technologist: Door, numbers: str, status: int) -> None:
    ds, _ = native_frames(3)
    path = stored(technologist, to_bytes(ds))
    problem_of(technologist.get(f"{path}/{numbers}"), status)


def test_no_more_frames_in_a_request_than_the_limit(technologist: Door, settings: Any) -> None:
    limits = settings.PACS.limits.model_copy(update={"frames_per_request": 2})
    settings.PACS = settings.PACS.model_copy(update={"limits": limits})
    ds, frames = native_frames(3)
    path = stored(technologist, to_bytes(ds))
    assert payloads(technologist.get(f"{path}/1,2")) == frames[:2]
    problem_of(technologist.get(f"{path}/1,2,3"), 400)


def test_an_instance_without_pixels_has_no_frames(technologist: Door) -> None:
    path = stored(technologist, packaged("rtplan.dcm"))
    problem_of(technologist.get(f"{path}/1"), 404)
    problem_of(technologist.get(path.removesuffix("/frames") + "/bulkdata/7FE00010"), 404)


def test_pixel_data_too_short_for_a_frame_is_no_frame(technologist: Door) -> None:
    ds = make_data_set(PixelData=b"\1\2\3\4")
    path = stored(technologist, to_bytes(ds))
    problem_of(technologist.get(f"{path}/1"), 404)
    response = technologist.get(path.removesuffix("/frames") + "/bulkdata/7FE00010")
    assert response.status_code in (200, 404)
    problem_of(technologist.get(path.removesuffix("/frames") + "/rendered"), 406)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("JPEG2000.dcm", "image/jp2"),
        ("SC_rgb_jpeg_dcmtk.dcm", "image/jpeg"),
        ("SC_rgb_rle_2frame.dcm", "image/dicom-rle"),
        ("JPGExtended.dcm", "image/jpeg"),
        ("JPEG2000-embedded-sequence-delimiter.dcm", "image/jp2"),
    ],
)
def test_encapsulated_frames_are_the_bare_codestream(technologist: Door, name: str, media_type: str) -> None:
    """Trap 5: no item tag, no offset table. Traps 1 and 2: what Cornerstone asks for, named as what it is."""
    data = packaged(name)
    ds = dcmread(DicomBytesIO(data))
    uid = str(ds.file_meta.TransferSyntaxUID)
    expected = list(generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames", 1))))
    path = stored(technologist, data)
    for number, codestream in enumerate(expected, 1):
        for accept, named in (
            (None, OCTETS),
            (CORNERSTONE, OCTETS),
            ("*/*", OCTETS),
            (f'multipart/related; type="{media_type}"; transfer-syntax=*', media_type),
            (f'multipart/related; type="{media_type}"', media_type),
            (f'multipart/related; type="{OCTETS}"; transfer-syntax={uid}', OCTETS),
        ):
            [(headers, payload)] = parts_of(technologist.get(f"{path}/{number}", accept=accept))
            assert payload == codestream, accept
            assert headers["content-type"] == f"{named}; transfer-syntax={uid}"
        single = technologist.get(f"{path}/{number}", accept=f"{media_type}; transfer-syntax={uid}")
        assert body_of(single) == codestream


@pytest.mark.parametrize("name", ["JPEG2000.dcm", "SC_rgb_rle_2frame.dcm"])
def test_lossless_frames_decode_to_what_pydicom_decodes(technologist: Door, name: str) -> None:
    data = packaged(name)
    ds = dcmread(DicomBytesIO(data))
    path = stored(technologist, data)
    arrays = ds.pixel_array if int(ds.get("NumberOfFrames", 1)) > 1 else [ds.pixel_array]
    for number, array in enumerate(arrays, 1):
        for accept in (
            f'multipart/related; type="{OCTETS}"; transfer-syntax={ELE}',
            f'multipart/related; type="{OCTETS}"',
        ):
            [(headers, payload)] = parts_of(technologist.get(f"{path}/{number}", accept=accept))
            assert headers["content-type"] == f"{OCTETS}; transfer-syntax={ELE}"
            assert payload == np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
    both = technologist.get(
        f"{path}/{','.join(map(str, range(1, len(arrays) + 1)))}", accept=f'multipart/related; type="{OCTETS}"'
    )
    assert len(parts_of(both)) == len(arrays)


@pytest.mark.parametrize(
    "accept",
    [
        'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.4.81',
        "image/png",
        "application/dicom+json",
        'multipart/related; type="application/dicom"',
    ],
)
def test_what_there_is_not_is_406_with_the_choice(technologist: Door, accept: str) -> None:
    ds, _ = native_frames(1)
    path = stored(technologist, to_bytes(ds))
    problem = problem_of(technologist.get(f"{path}/1", accept=accept), 406)
    assert OCTETS in problem["detail"]


def test_several_frames_never_come_as_a_single_part(technologist: Door) -> None:
    ds, frames = native_frames(2)
    path = stored(technologist, to_bytes(ds))
    problem_of(technologist.get(f"{path}/1,2", accept=OCTETS), 406)
    assert body_of(technologist.get(f"{path}/2,2", accept=OCTETS)) == frames[1]


@pytest.mark.parametrize("offsets", [True, False])
@pytest.mark.parametrize("length", [64, 20 << 20])
def test_fragments_of_a_frame_are_joined(technologist: Door, offsets: bool, length: int) -> None:
    """Trap 5; frames of many fragments near each other and of few far apart."""
    head = b"\xff\x4f\xff\x51" + bytes(range(60))
    frames = [[head, b"b" * 10, b"c" * 2], [head + b"d" * (length - 64)], [head, b"e" * length]]
    data, _ = encapsulated(frames, JPEG_2000.uid, offsets=offsets)
    path = stored(technologist, data)
    assert payloads(technologist.get(f"{path}/1,2,3", accept=CORNERSTONE)) == [b"".join(parts) for parts in frames]


def test_a_codestream_that_cannot_be_decoded_is_given_as_stored_only(technologist: Door) -> None:
    data, _ = encapsulated([[b"\xff\xd8\xff" + b"no jpeg at all." * 3]], JPEG_BASELINE.uid)
    path = stored(technologist, data)
    assert len(payloads(technologist.get(f"{path}/1", accept=CORNERSTONE))) == 1
    problem_of(technologist.get(f"{path}/1", accept=f"{OCTETS}; transfer-syntax={ELE}"), 406)


def test_video_passes_through_and_nothing_decodes_it(technologist: Door) -> None:
    """Traps 14 and 25: one codestream for all frames, whatever is asked for; no picture of it."""
    stream = b"\0\0\0\x18ftypmp42" + bytes(1000)
    data, _ = encapsulated([[stream[:500], stream[500:]]], MPEG4_HIGH_41.uid, NumberOfFrames=25)
    path = stored(technologist, data)
    for accept in (None, CORNERSTONE, f'multipart/related; type="{OCTETS}"', 'multipart/related; type="video/mp4"'):
        assert payloads(technologist.get(f"{path}/1", accept=accept)) == [stream], accept
    assert body_of(technologist.get(f"{path}/1", accept="video/mp4")) == stream
    problem_of(technologist.get(f"{path}/1", accept=f"{OCTETS}; transfer-syntax={ELE}"), 406)
    problem_of(technologist.get(f"{path}/2"), 404)
    instance = path.removesuffix("/frames")
    assert payloads(technologist.get(f"{instance}/bulkdata/7FE00010")) == [stream]
    answer = technologist.get(f"{instance}/rendered")
    assert (answer.status_code, answer["Content-Type"], body_of(answer)) == (200, "video/mp4", stream)
    problem_of(technologist.get(f"{instance}/rendered", accept="image/jpeg"), 406)
    problem_of(technologist.get(f"{instance}/thumbnail"), 406)


def test_big_endian_words_of_8_bits_and_planes_keep_their_order(technologist: Door) -> None:
    """PS3.5 A.3: swapped pairs, also of frames that begin in the middle of one; colour by plane stays by plane."""
    rng = np.random.default_rng(5)
    frames = [rng.integers(0, 255, (3, 5, 5), np.uint8).tobytes() for _ in range(2)]
    whole = b"".join(frames)
    ds = make_data_set(
        Rows=5,
        Columns=5,
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=1,
        NumberOfFrames=2,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        WindowCenter=None,
        WindowWidth=None,
    )
    ds.PixelData = np.frombuffer(whole, "<u2").byteswap().tobytes()
    ds["PixelData"].VR = "OW"
    path = stored(technologist, to_bytes(ds, ExplicitVRBigEndian))
    assert payloads(technologist.get(f"{path}/1,2")) == frames


@pytest.mark.parametrize("damage", ["gone", "cut", "empty"])
@pytest.mark.parametrize("encoding", ["16 bit", "deflated", "encapsulated"])
def test_a_damaged_object_is_a_problem_and_never_wrong_bytes(technologist: Door, damage: str, encoding: str) -> None:
    if encoding == "encapsulated":
        data, _ = encapsulated([[b"\xff\x4f\xff\x51" + bytes(60), bytes(64)]], JPEG_2000_LOSSLESS.uid)
    else:
        data, _ = ENCODINGS[encoding]()
    path = stored(technologist, data)
    key = Instance.objects.get().object_key
    object_store().delete(key)
    if damage != "gone":
        object_store().put(key, data[:-40] if damage == "cut" else b"")
    number = 1 if encoding == "encapsulated" else 3
    instance = path.removesuffix("/frames")
    for url in (f"{path}/{number}", instance, f"{path}/{number}/rendered", f"{instance}/bulkdata/7FE00010"):
        if damage == "cut" and encoding != "deflated" and url.endswith("bulkdata/7FE00010") and number == 3:
            continue  # its first frame is whole; the third breaks the connection off
        response = technologist.get(url)
        assert response.status_code in (500, 503, 406), (url, response.status_code)
        assert response["Content-Type"] == "application/problem+json"


def test_queries_do_not_grow_with_frames(technologist: Door) -> None:
    ds, _ = native_frames(40)
    path = stored(technologist, to_bytes(ds))
    body_of(technologist.get(f"{path}/1"))
    counts = []
    for numbers in ("1", ",".join(map(str, range(1, 41)))):
        with CaptureQueriesContext(connection) as queries:
            body_of(technologist.get(f"{path}/{numbers}"))
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 5


def test_a_frame_table_too_long_for_its_row_is_looked_up_once(technologist: Door) -> None:
    codestreams = [number.to_bytes(4, "big") for number in range(SHORT_TABLE // 12 + 1)]
    data, _ = encapsulated([[one] for one in codestreams], JPEG_2000_LOSSLESS.uid)
    path = stored(technologist, data)
    look_ups = []
    for number in (1, len(codestreams)):
        with CaptureQueriesContext(connection) as queries:
            assert payloads(technologist.get(f"{path}/{number}", CORNERSTONE)) == [codestreams[number - 1]]
        look_ups.append(sum("object_key, frame_table FROM" in query["sql"] for query in queries.captured_queries))
    assert look_ups == [1, 0]
    assert technologist.get(f"{path}/{len(codestreams) + 1}", CORNERSTONE).status_code == 404
    Instance.objects.get().delete()
    assert technologist.get(f"{path}/1", CORNERSTONE).status_code == 404


def test_head_sends_no_frame(technologist: Door) -> None:
    ds, frames = native_frames(1)
    path = stored(technologist, to_bytes(ds))
    response = technologist.http.head(f"/dicom-web/{path}/1", headers={"accept": OCTETS})
    assert (response.status_code, body_of(response)) == (200, b"")
    assert int(response["Content-Length"]) == len(frames[0])
