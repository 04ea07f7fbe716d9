"""Frames that are made to hurt a decoder, asked for through every door: 4xx, in bounded memory, and all goes on.

What each codec's own bounds refuse is in tests/dicom (codecs, precincts), what a crash does in tests/archive.
"""

from __future__ import annotations

import os
import resource
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import generate_uid

from dicom import transfer_syntaxes as ts
from tests.dicom import hostile_codecs
from tests.dicom.test_codecs import GOOD, SIZED, with_size
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.pixels import encapsulated
from tests.dicomweb.reading import parts_of, problem_of

ELE = ts.EXPLICIT_VR_LITTLE_ENDIAN
J2K, HTJ2K = ts.JPEG_2000_LOSSLESS, ts.HTJ2K_LOSSLESS
SIDE = 60_000
MIB = 1 << 20


def decoded(syntax: ts.TransferSyntax) -> str:
    return f"application/octet-stream; transfer-syntax={syntax.uid}"


def stored(door: Door, *objects: bytes) -> str:
    answer = door.store(list(objects))
    assert answer.status_code in (200, 202), answer.content
    return str(answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0].partition("/dicom-web/")[2])


def shape(side: int, uid: str) -> dict[str, Any]:
    pixels = GOOD[uid][1]
    return {
        "Rows": side,
        "Columns": side,
        "SamplesPerPixel": pixels.samples_per_pixel,
        "PhotometricInterpretation": pixels.photometric_interpretation,
        "BitsAllocated": pixels.bits_allocated,
        "BitsStored": pixels.bits_stored,
        "HighBit": pixels.high_bit,
    }


def tiles(codestream: bytes) -> bytes:
    """A million tiles of one sample each."""
    changed = bytearray(codestream)
    changed[8:16] = struct.pack(">LL", 1000, 1000)
    changed[24:32] = struct.pack(">LL", 1, 1)
    return bytes(changed)


def scans(codestream: bytes) -> bytes:
    place = codestream.index(b"\xff\xda")
    return codestream[:place] + b"\xff\xda\0\2" * 100_000 + codestream[place:]


def deflate_bomb() -> bytes:
    stream = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return stream.compress(bytes(256 * MIB)) + stream.flush()


BOMBS: dict[str, tuple[str, dict[str, Any], bytes]] = {
    **{f"60k x 60k {ts.BY_UID[uid].keyword}": (uid, shape(SIDE, uid), with_size(uid, SIDE, SIDE)) for uid in SIZED},
    "60k x 60k RLE": (ts.RLE_LOSSLESS.uid, shape(SIDE, ts.RLE_LOSSLESS.uid), GOOD[ts.RLE_LOSSLESS.uid][0]),
    "60k x 60k deflated": (ts.DEFLATED_IMAGE_FRAME.uid, shape(SIDE, ts.DEFLATED_IMAGE_FRAME.uid), deflate_bomb()),
    "a million tiles": (J2K.uid, shape(1000, J2K.uid), tiles(GOOD[J2K.uid][0])),
    "100,000 scans": (ts.JPEG_BASELINE.uid, shape(64, ts.JPEG_BASELINE.uid), scans(GOOD[ts.JPEG_BASELINE.uid][0])),
    "no codestream": (J2K.uid, shape(64, J2K.uid), os.urandom(1000)),
}


def image_of(codestream: bytes, uid: str, claimed: dict[str, Any]) -> bytes:
    """pydicom's writer doesn't know the newest transfer syntaxes, so the one that it writes is overwritten."""
    data, _ = encapsulated([[codestream + b"\0" * (len(codestream) % 2)]], HTJ2K.uid, **claimed)
    written = HTJ2K.uid.encode() + b"\0"
    assert data.count(written) == 1
    return data.replace(written, uid.encode().ljust(len(written), b"\0"))


def in_children() -> int:
    """Bytes that the largest process below this one ever had."""
    peak = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
            command = status.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if b"codec_child" in command and str(os.getpid()).encode() in command.split(b"\0"):
            peak = max(peak, int(lines.get("VmHWM", "0").split()[0]) * 1024)
    return peak


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_406_and_cost_little(technologist: Door, name: str) -> None:
    uid, claimed, codestream = BOMBS[name]
    path = stored(technologist, image_of(codestream, uid, claimed))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for target in (ELE, J2K, HTJ2K):
        if target.uid != uid:
            problem_of(technologist.get(f"{path}/frames/1", accept=decoded(target)), 406)
            problem_of(technologist.get(path, accept=f"application/dicom; transfer-syntax={target.uid}"), 406)
    assert technologist.get(f"{path}/rendered", accept="image/jpeg").status_code == 406
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 256 * MIB
    assert in_children() < 512 * MIB


def test_a_crash_in_the_codec_is_406_for_that_frame_alone(technologist: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored(technologist, to_bytes(make_data_set()))
    with monkeypatch.context() as patch:
        patch.setattr("archive.frames.recoded", hostile_codecs.crash_over_a_frame)
        problem = problem_of(technologist.get(f"{path}/frames/1", accept=decoded(J2K)), 406)
        assert "crashed (SIGSEGV)" in problem["detail"]
    assert technologist.get(f"{path}/frames/1", accept=decoded(J2K)).status_code == 200


def test_only_native_frames_like_most_are_coded_where_requests_are_answered(
    technologist: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    jls = ts.JPEG_LS_LOSSLESS

    def here(rows: int, columns: int, target: ts.TransferSyntax) -> bool:
        shape = {"Rows": rows, "Columns": columns, "PixelData": bytes(2 * rows * columns)}
        path = stored(technologist, to_bytes(make_data_set(**shape)))
        answer = technologist.get(f"{path}/frames/1", accept=decoded(target))
        return body_of(answer) == str(os.getpid()).encode()

    monkeypatch.setattr("archive.frames.recoded", hostile_codecs.where_a_frame_is_made)
    assert here(64, 32, HTJ2K)
    assert here(64, 32, jls)
    assert not here(64, 32, J2K), "it keeps other threads from running"
    assert not here(64, 32, ts.JPEG_XL_LOSSLESS), "it has written behind its memory"
    assert not here(64, 31, HTJ2K)
    assert not here(1, 9000, jls)
    compressed, _ = encapsulated(
        [[GOOD[J2K.uid][0]]], J2K.uid, Rows=GOOD[J2K.uid][1].rows, Columns=GOOD[J2K.uid][1].columns
    )
    answer = technologist.get(f"{stored(technologist, compressed)}/frames/1", accept=decoded(HTJ2K))
    assert body_of(answer) != str(os.getpid()).encode(), "a stranger's codestream has to be read first"


@pytest.mark.parametrize("query", ["viewport=100000,100000", "viewport=100000,1", "viewport=1e9,1e9", "quality=1e9"])
def test_pictures_beyond_all_reason_are_refused(technologist: Door, query: str) -> None:
    path = stored(technologist, to_bytes(make_data_set()))
    assert technologist.get(f"{path}/rendered?{query}", accept="image/jpeg").status_code == 400


def several() -> tuple[str, list[bytes]]:
    """A series of a sound slice, one of three frames of which the second is damaged, and another sound one."""
    study, series = generate_uid(), generate_uid()
    sound, pixels = GOOD[J2K.uid]
    middle = len(sound) // 2
    damaged = sound[:middle] + b"\xff\x4f\xff\x51" + bytes(100)
    frames = [[frame + b"\0" * (len(frame) % 2)] for frame in (sound, damaged, sound)]
    like: dict[str, Any] = {"Rows": pixels.rows, "Columns": pixels.columns}
    like |= {"StudyInstanceUID": study, "SeriesInstanceUID": series}
    objects = [
        encapsulated([frames[0]], J2K.uid, InstanceNumber=1, **like)[0],
        encapsulated(frames, J2K.uid, InstanceNumber=2, NumberOfFrames=3, **like)[0],
        encapsulated([frames[0]], J2K.uid, InstanceNumber=3, **like)[0],
    ]
    return f"studies/{study}/series/{series}", objects


def test_a_damaged_frame_among_several_objects_leaves_the_answer_whole(technologist: Door) -> None:
    """Its object comes as stored, and says so; nobody is left with half an answer, or with wrong samples."""
    path, objects = several()
    stored(technologist, *objects)
    for target in (ELE, ts.JPEG_LS_LOSSLESS):
        accept = f'multipart/related; type="application/dicom"; transfer-syntax={target.uid}'
        parts = parts_of(technologist.get(path, accept=accept))
        kinds = [headers["content-type"] for headers, _ in parts]
        assert sorted(kinds) == sorted(
            [f"application/dicom; transfer-syntax={uid}" for uid in (target.uid, J2K.uid, target.uid)]
        )
        [as_stored] = [payload for headers, payload in parts if headers["content-type"].endswith(J2K.uid)]
        assert as_stored in objects


def test_a_damaged_frame_in_a_list_is_never_left_out_in_silence(technologist: Door) -> None:
    """Clients count the parts. What is small enough to be in hand by then is 406, else the body breaks off."""
    _, objects = several()
    instance = stored(technologist, objects[1])
    accept = f'multipart/related; type="application/octet-stream"; transfer-syntax={ELE.uid}'
    for numbers in ("1,2,3", "2,3", "3,1,2"):
        problem_of(technologist.get(f"{instance}/frames/{numbers}", accept=accept), 406)
    found = [payload for _, payload in parts_of(technologist.get(f"{instance}/frames/3,1", accept=accept))]
    assert found[0] == found[1]
    assert np.frombuffer(found[0], "<u2").std() > 0
