"""JPEG 2000 headers of a few bytes that would cost a decoder gigabytes (ITU-T T.800 A.6, B.6, B.7)."""

from __future__ import annotations

import resource
import struct
import time

import imagecodecs
import numpy
import pytest

from dicom import transfer_syntaxes as ts
from dicom.codecs import decode_frame
from dicom.codestream import read_jpeg_2000_header
from dicom.errors import CannotDecode
from dicom.limits import Limits
from dicom.pixels import PixelDescription

SYNTAXES = [
    ts.JPEG_2000_LOSSLESS.uid,
    ts.JPEG_2000.uid,
    ts.HTJ2K_LOSSLESS.uid,
    ts.HTJ2K_LOSSLESS_RPCL.uid,
    ts.HTJ2K.uid,
]


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def coding(levels: int, precincts: bytes, block: int) -> bytes:
    return bytes((levels, block - 2, block - 2, 0, 1)) + precincts


def cod(levels: int = 0, precincts: bytes = b"", layers: int = 1, block: int = 6, progression: int = 0) -> bytes:
    style = bytes((bool(precincts), progression)) + struct.pack(">HB", layers, 0)
    return segment(0x52, style + coding(levels, precincts, block))


def coc(component: int, levels: int = 0, precincts: bytes = b"", block: int = 6) -> bytes:
    return segment(0x53, bytes((component, bool(precincts))) + coding(levels, precincts, block))


def siz(rows: int, columns: int, components: int = 1, tile: int = 0) -> bytes:
    place = struct.pack(">IIII", columns, rows, 0, 0) + struct.pack(">IIII", tile or columns, tile or rows, 0, 0)
    return segment(0x51, b"\0\0" + place + struct.pack(">H", components) + b"\7\1\1" * components)


def codestream(size: bytes, main: bytes, parts: list[bytes] | None = None, tiles: list[int] | None = None) -> bytes:
    """A codestream whose tile-parts have these headers and next to no data."""
    made = b"\xff\x4f" + size + main + segment(0x5C, b"\x40" + b"\x40" * 97)
    for number, header in enumerate(parts or [b""]):
        body = header + b"\xff\x93" + bytes(20)
        made += segment(0x90, struct.pack(">HIBB", tiles[number] if tiles else number, 12 + len(body), 0, 1)) + body
    return made + b"\xff\xd9"


def pixels(rows: int, columns: int, samples: int = 1) -> PixelDescription:
    photometric = "RGB" if samples == 3 else "MONOCHROME2"
    return PixelDescription(rows, columns, samples, 8, 8, 7, 0, photometric, 0, 1, "PixelData")


def boxed(bare: bytes) -> bytes:
    """In JP2 boxes, behind a box whose contents look like a harmless codestream."""
    harmless = codestream(siz(8, 8), cod())
    decoy = struct.pack(">I", 8 + len(harmless)) + b"uuid" + harmless
    start = b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\x14ftypjp2 \0\0\0\0jp2 "
    return start + decoy + struct.pack(">I", 8 + len(bare)) + b"jp2c" + bare


SMALL = b"\x00"
BOMBS = {
    "precincts": codestream(siz(1600, 1600), cod(precincts=SMALL)),
    "precincts in JP2": boxed(codestream(siz(1600, 1600), cod(precincts=SMALL))),
    "code-blocks": codestream(siz(9000, 9000), cod(block=2)),
    "precincts of a component": codestream(siz(1600, 1600), cod() + coc(0, precincts=SMALL)),
    "precincts of a tile": codestream(siz(1600, 1600), cod(), [cod(precincts=SMALL)]),
    "precincts of a tile's component": codestream(siz(1600, 1600), cod(), [coc(0, precincts=SMALL)]),
    "precincts of the second tile-part": codestream(siz(1600, 1600), cod(), [b"", cod(precincts=SMALL)], [0, 0]),
    "precincts of a subband": codestream(siz(1600, 1600), cod(1, b"\xff\x11")),
    "layers": codestream(siz(1600, 1600), cod(precincts=b"\x55", layers=65535)),
    "positions": codestream(siz(9000, 9000), cod(1, b"\xf0\x0f", progression=2)),
    "no coding": codestream(siz(1600, 1600), b""),
    "coding cut off": codestream(siz(1600, 1600), cod(5, b"\xff")),
    "levels": codestream(siz(1600, 1600), cod(33)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_of_precincts_cost_nothing(name: str) -> None:
    side = 9000 if name in ("positions", "code-blocks") else 1600
    for uid in SYNTAXES:
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        with pytest.raises(CannotDecode, match=r"precincts|packets|COD|levels"):
            decode_frame(BOMBS[name], uid, pixels(side, side))
        assert time.process_time() - started < 5
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024  # KiB


def test_many_tiles_with_headers_of_their_own_are_read_in_time() -> None:
    made = codestream(siz(640, 640, tile=8), cod(32), [cod(32) + coc(0, 32)] * 6400)
    started = time.process_time()
    with pytest.raises(CannotDecode, match="precincts"):
        read_jpeg_2000_header(made)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("limits", "what"), [(Limits(jpeg_2000_blocks=9), "9 prec"), (Limits(jpeg_2000_packets=9), "9 pack")]
)
def test_bounds_are_those_of_the_installation(monkeypatch: pytest.MonkeyPatch, limits: Limits, what: str) -> None:
    made = codestream(siz(640, 640), cod(precincts=b"\x77"))
    assert read_jpeg_2000_header(made).rows == 640
    monkeypatch.setattr("dicom.limits._in_force", limits)
    with pytest.raises(CannotDecode, match=what):
        read_jpeg_2000_header(made)


HONEST = {
    "largest in colour": codestream(siz(6600, 6600, 3), cod(5, b"\x77" * 6, layers=20, block=5)),
    "largest in tiles": codestream(siz(11500, 11500, tile=256), cod(5)),
    "largest in one tile": codestream(siz(11500, 11500), cod(6)),
    "mammogram by position": codestream(siz(5928, 4728), cod(5, b"\x77" + b"\x88" * 5, progression=2)),
    "small tiles": codestream(siz(1024, 1024, 3, tile=64), cod(5, layers=12)),
}


@pytest.mark.parametrize("name", HONEST)
def test_what_encoders_make_is_within_the_bounds(name: str) -> None:
    assert read_jpeg_2000_header(HONEST[name]).rows > 0


@pytest.mark.parametrize("levels", [0, 1, 5])
def test_real_codestreams_are_within_the_bounds(levels: int) -> None:
    image = numpy.add.outer(numpy.arange(700), numpy.arange(500)).astype("u1")
    bare = bytes(imagecodecs.jpeg2k_encode(image, codecformat="j2k", level=0, resolutions=levels + 1))
    assert numpy.array_equal(decode_frame(bare, ts.JPEG_2000_LOSSLESS.uid, pixels(700, 500)).array, image)
    boxes = bytes(imagecodecs.jpeg2k_encode(image, codecformat="jp2", level=0))
    assert numpy.array_equal(decode_frame(boxes, ts.JPEG_2000_LOSSLESS.uid, pixels(700, 500)).array, image)


@pytest.mark.parametrize("boxes", [b"", b"\0\0\0\1jp2c", b"\0\0\0\4free", b"\xff\xff\xff\xffuuid" + bytes(40)])
def test_boxes_without_a_codestream_are_refused(boxes: bytes) -> None:
    with pytest.raises(CannotDecode, match="no JPEG 2000"):
        read_jpeg_2000_header(b"\0\0\0\x0cjP  \r\n\x87\n" + boxes)
