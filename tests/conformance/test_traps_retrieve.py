"""Traps 5, 22, 23, 25 and 28: frames and pictures (PS3.18 10.4.1.1.3 to 10.4.1.1.6)."""

from __future__ import annotations

import http.client
import io
from concurrent.futures import ThreadPoolExecutor
from struct import pack
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.utils import pixel_array
from pydicom.uid import EncapsulatedPDFStorage, VideoEndoscopicImageStorage

from archive.block_crcs import BLOCK
from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, JPEG_2000, MPEG4_HIGH_41
from tests.conformance.site import NO_PIXELS
from tests.conformance.trap_server import OCTETS, VIEWER, TrapPacs, fresh, parts_of, problem_of, written
from tests.dicomweb.objects import make_data_set, make_object, to_bytes
from tests.dicomweb.pixels import encapsulated, packaged

CORNERSTONE = "multipart/related; type=application/octet-stream; transfer-syntax=*"
PLAIN = f"{OCTETS}; transfer-syntax={EXPLICIT_VR_LITTLE_ENDIAN.uid}"
FRAMES, MIDDLE = 120, 60


def test_trap_05_frames_are_bare_codestreams(site: TrapPacs) -> None:
    """PS3.5 A.4: fragments joined, found by Basic or Extended Offset Table or, without either, by the codestreams."""
    head = b"\xff\x4f\xff\x51" + bytes(range(60))
    single = [[head + bytes([n]) * 100] for n in range(4)]
    split = [[head, b"b" * 10, b"c" * 2], [head + b"d" * 64], [head, b"e" * 2000]]
    lengths = [len(frame[0]) for frame in single]
    offsets = [sum(lengths[:n]) + 8 * n for n in range(len(lengths))]
    extended = {
        "ExtendedOffsetTable": pack("<4Q", *offsets),
        "ExtendedOffsetTableLengths": pack("<4Q", *lengths),
    }
    objects = {
        "basic": (encapsulated(single, JPEG_2000.uid)[0], single),
        "extended": (encapsulated(single, JPEG_2000.uid, offsets=False, **extended)[0], single),
        "neither": (encapsulated(single, JPEG_2000.uid, offsets=False)[0], single),
        "split, basic": (encapsulated(split, JPEG_2000.uid)[0], split),
        "split, neither": (encapsulated(split, JPEG_2000.uid, offsets=False)[0], split),
        "one frame": (encapsulated(split[:1], JPEG_2000.uid, offsets=False)[0], split[:1]),
    }
    for name, (data, frames) in objects.items():
        path, bare = site.store(data), [b"".join(fragments) for fragments in frames]
        numbers = ",".join(str(n) for n in range(1, len(frames) + 1))
        assert [payload for _, payload in parts_of(site.get(f"{path}/frames/{numbers}", CORNERSTONE))] == bare, name
        assert [payload for _, payload in parts_of(site.get(f"{path}/pixeldata", CORNERSTONE))] == bare, name
        last = site.get(f"{path}/frames/{len(frames)}", f"{OCTETS}; transfer-syntax=*")
        assert last.content == bare[-1], name


def many_frames() -> tuple[bytes, bytes, bytes]:
    """An object of ``FRAMES`` RLE frames, one of them as stored, and the same decoded."""
    ds = fresh("MR_small_RLE.dcm", NumberOfFrames=FRAMES)
    decoded = np.ascontiguousarray(dcmread(io.BytesIO(packaged("MR_small_RLE.dcm"))).pixel_array).astype("<i2")
    codestream = next(generate_frames(ds.PixelData, number_of_frames=1))
    ds.PixelData = encapsulate([codestream] * FRAMES)
    return written(ds), codestream, decoded.tobytes()


def damage_all_but(site: TrapPacs, data: bytes, codestream: bytes, kept: int) -> None:
    """Overwrite in the object store what ``data`` has before and after frame number ``kept``, item headers included,
    but for the blocks that the frame and the header lie in: blocks are compared with their checksums as a whole."""
    first = data.index(codestream)
    step = len(codestream) + 8
    begin = first + (kept - 1) * step
    assert first < BLOCK
    file = site.object_file(data)
    with file.open("r+b") as opened:
        before, behind = begin // BLOCK * BLOCK, -(-(begin + len(codestream)) // BLOCK) * BLOCK
        for low, high in ((BLOCK, before), (behind, len(data))):
            assert low < high
            opened.seek(low)
            opened.write(b"\xaa" * (high - low))


def test_trap_22_one_frame_costs_one_frame(site: TrapPacs) -> None:
    """With what lies before and after it destroyed this one comes out whole, as stored and decoded."""
    data, codestream, decoded = many_frames()
    path = site.store(data)
    damage_all_but(site, data, codestream, MIDDLE)
    assert parts_of(site.get(f"{path}/frames/{MIDDLE}", CORNERSTONE))[0][1] == codestream
    assert site.get(f"{path}/frames/{MIDDLE}", PLAIN).content == decoded
    assert site.get(f"{path}/frames/{MIDDLE}/rendered", "image/jpeg").content[:2] == b"\xff\xd8"
    assert problem_of(site.get(f"{path}/frames/{FRAMES}", PLAIN), 500)["code"] == "object-damaged"


def test_trap_22_decoded_frames_are_kept(site: TrapPacs) -> None:
    """Once decoded, a frame needs the object no more; asked for by many at once it is decoded once a process."""
    data, _, decoded = many_frames()
    path = f"{site.store(data)}/frames/7"
    with ThreadPoolExecutor(24) as threads:
        assert {answer.content for answer in threads.map(lambda _: site.get(path, PLAIN), range(24))} == {decoded}
    file = site.object_file(data)
    aside = file.rename(file.with_suffix(".aside"))
    try:
        answers = [site.get(path, PLAIN) for _ in range(8)]
        assert problem_of(site.get(f"{path.removesuffix('7')}8", PLAIN), 503)["code"] == "unavailable"
    finally:
        aside.rename(file)
    # Each process has a cache of its own, and one of them may not have been asked before.
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert {answer.content for answer in answers if answer.status_code == 200} == {decoded}


def test_trap_22_clients_revalidate_frames(site: TrapPacs) -> None:
    """RFC 9110 13, 8.8: an entity tag for each frame and representation; 304 only to who may see."""
    path = site.store(many_frames()[0])
    tags = set()
    for number in (1, 2):
        for accept in (CORNERSTONE, PLAIN, "image/dicom-rle; transfer-syntax=*"):
            answer = site.get(f"{path}/frames/{number}", accept)
            assert answer.status_code == 200
            assert answer.headers["Cache-Control"] == "private, no-cache"
            assert "Accept" in answer.headers["Vary"]
            tag = answer.headers["ETag"]
            assert tag.startswith('W/"') == (accept == CORNERSTONE)
            tags.add(tag)
            unchanged = site.get(f"{path}/frames/{number}", accept, If_None_Match=tag, Origin=VIEWER)
            assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (304, b"", tag)
            assert "ETag" in unchanged.headers["Access-Control-Expose-Headers"]
            assert site.get(f"{path}/frames/{number}", accept, If_None_Match='"other"').content == answer.content or (
                accept == CORNERSTONE
            )
            stranger = site.raw("GET", f"/dicom-web/{path}/frames/{number}", [f"If-None-Match: {tag}"])
            assert stranger.status == 401
    assert len(tags) == 6


def test_trap_23_many_connections_and_kept_ones(site: TrapPacs) -> None:
    """HTTP/2 is the proxy's work; what it and browsers need: a length, a validator, connections that stay open."""
    data, codestream, _ = many_frames()
    path = f"/dicom-web/{site.store(data)}/frames"
    headers = {"Authorization": site.bearer, "Accept": CORNERSTONE}

    def take(start: int) -> int:
        """Ten frames over one connection that is kept."""
        connection = http.client.HTTPConnection("127.0.0.1", site.live.port, timeout=60)
        connection.connect()
        kept = connection.sock
        for number in range(start, start + 10):
            connection.request("GET", f"{path}/{number}", headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200
            assert int(answer.headers["Content-Length"]) == len(body)
            assert answer.headers["ETag"]
            assert answer.headers["Cache-Control"].startswith("private")
            assert body.count(codestream) == 1
            assert connection.sock is kept, "the connection was closed"
        connection.close()
        return 10

    with ThreadPoolExecutor(20) as threads:
        assert sum(threads.map(take, range(1, 101, 5))) == 200


def test_trap_25_thumbnails_are_plain_jpeg(site: TrapPacs) -> None:
    """PS3.18 10.4.1.1.4, 8.7.4: at every level, colour and grey, windowed by the VOI of the object."""
    slices = {"dark": make_data_set(WindowCenter=5000, WindowWidth=10), "light": make_data_set(WindowCenter=-5000)}
    means = {}
    for name, ds in slices.items():
        path = site.store(to_bytes(ds))
        study, series = path.partition("/series/")[0], path.partition("/instances/")[0]
        for level in (study, series, path, f"{path}/frames/1"):
            resource = f"{level}/thumbnail"
            for accept in ("image/jpeg", "image/jpeg, */*;q=0.1", "*/*", None):
                means[name] = brightness(site, resource, accept)
        for resource in (f"{path}/rendered", f"{path}/frames/1/rendered"):
            assert abs(brightness(site, resource, "image/jpeg") - means[name]) < 5
    assert means["dark"] < 10
    assert means["light"] > 245
    for name in ("examples_rgb_color.dcm", "MR_small_RLE.dcm", "examples_palette.dcm"):
        path = site.store(written(fresh(name)))
        assert 0 < brightness(site, f"{path}/thumbnail", "image/jpeg") < 255


def brightness(site: TrapPacs, resource: str, accept: str | None) -> float:
    """The mean of a JPEG that must come as the whole body."""
    answer = site.get(resource, accept)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg"), (resource, answer.text[:200])
    assert (answer.content[:2], answer.content[-2:]) == (b"\xff\xd8", b"\xff\xd9")
    return float(np.asarray(Image.open(io.BytesIO(answer.content)).convert("L")).mean())


def test_trap_25_what_has_no_picture_says_so(site: TrapPacs) -> None:
    """A PDF of no pages, a plan, a video: never a 500. Reports and waveforms are drawn."""
    pdf = {"SOPClassUID": EncapsulatedPDFStorage, "EncapsulatedDocument": b"%PDF-1.4 %%EOF"}
    pdf |= {"MIMETypeOfEncapsulatedDocument": "application/pdf", "Modality": "DOC"} | NO_PIXELS
    stream = b"\0\0\0\x18ftypmp42" + bytes(1000)
    video: dict[str, Any] = {"NumberOfFrames": 25, "SOPClassUID": VideoEndoscopicImageStorage}
    for drawn in ("reportsi.dcm", "waveform_ecg.dcm"):
        path = site.store(written(fresh(drawn)))
        for resource in ("thumbnail", "rendered"):
            answer = site.get(f"{path}/{resource}", "image/jpeg", Origin=VIEWER)
            assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg"), (drawn, answer.text)
            assert answer.headers["Access-Control-Allow-Origin"] == VIEWER
    for data in (
        make_object(**pdf),
        written(fresh("rtplan.dcm")),
        encapsulated([[stream]], MPEG4_HIGH_41.uid, **video)[0],
    ):
        path = site.store(data)
        study, series = path.partition("/series/")[0], path.partition("/instances/")[0]
        for level in (study, series, path):
            for resource in ("thumbnail", "rendered"):
                answer = site.get(f"{level}/{resource}", "image/jpeg", Origin=VIEWER)
                assert answer.status_code in (404, 406), (answer.status_code, answer.text)
                problem_of(answer, answer.status_code)
                assert answer.headers["Access-Control-Allow-Origin"] == VIEWER


COLOUR = [f"SC_rgb_dcmtk_+eb+{kind}.dcm" for kind in ("cy+s2", "cy+s4", "cy+n1", "cr")]


@pytest.mark.parametrize("name", [*COLOUR, "examples_ybr_color.dcm"])
def test_trap_28_samples_and_photometric_interpretation_fit(site: TrapPacs, name: str) -> None:
    """PS3.3 C.7.6.3.1.2: names with shared chrominance mean RGB once decoded, others what they say; see metadata."""
    ds = fresh(name)
    path = site.store(written(ds))
    [metadata] = site.get(f"{path}/metadata", "application/dicom+json").json()
    stated = metadata["00280004"]["Value"][0]
    assert stated == ds.PhotometricInterpretation
    shape = (ds.Rows, ds.Columns, 3)
    rgb, raw = (first_frame(pixel_array(ds, index=0, raw=raw)) for raw in (False, True))
    if stated == "RGB":
        rgb = raw
    expected = raw if stated == "YBR_FULL" else rgb
    alone = site.get(f"{path}/frames/1", PLAIN)
    assert alone.headers["Content-Type"] == PLAIN
    frame = np.frombuffer(alone.content[: int(np.prod(shape))], np.uint8).reshape(shape)
    assert apart(frame, expected) <= 6
    [(headers, payload)] = parts_of(site.get(f"{path}/frames/1", f"multipart/related; type={PLAIN}"))
    assert (headers["content-type"], payload) == (PLAIN, alone.content)
    plain = f"application/dicom; transfer-syntax={EXPLICIT_VR_LITTLE_ENDIAN.uid}"
    whole = dcmread(io.BytesIO(site.get(path, plain).content))
    assert whole.file_meta.TransferSyntaxUID == EXPLICIT_VR_LITTLE_ENDIAN.uid
    assert whole.PhotometricInterpretation == ("YBR_FULL" if stated == "YBR_FULL" else "RGB")
    assert (whole.PlanarConfiguration, whole.SamplesPerPixel) == (0, 3)
    assert apart(first_frame(pixel_array(whole, index=0, raw=False)), rgb) <= 6


def first_frame(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return array[0] if array.ndim == 4 else array


def apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    """The largest difference of two samples."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())
