"""What a compressed frame says of itself, read from its first bytes before any codec sees it.

Every length here is a claim; nothing is allocated from it. JPEG and JPEG-LS: ITU-T T.81 B.2, T.87 C. JPEG 2000 and
HTJ2K: ITU-T T.800 Annex A, JP2 boxes I.4. JPEG XL: ISO/IEC 18181-1 Annex A and 18181-2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dicom.errors import CannotDecode
from dicom.limits import in_force
from dicom.precincts import Grid, check_precincts

# Samples times scans may be those of the largest frame that is decoded in this usual number of scans.
_USUAL_SCANS = 10

_SOF_MARKERS = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7})
_STANDALONE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})
_HUFFMAN_CODED = frozenset({0xC0, 0xC1, 0xC2, 0xC3})
_SOF_LOSSLESS, _SOS, _EOI, _APP0, _APP14 = 0xC3, 0xDA, b"\xff\xd9", 0xE0, 0xEE
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_JXL_SIGNATURE = b"\x00\x00\x00\x0cJXL "
_JXL_RATIOS = {
    1: (1, 1),
    2: (12, 10),
    3: (4, 3),
    4: (3, 2),
    5: (16, 9),
    6: (5, 4),
    7: (2, 1),
}


@dataclass(frozen=True, slots=True)
class CodestreamHeader:
    """Size and samples of one compressed frame.

    `components` and `precision` (bits a sample) are 0 where the header does not tell cheaply. `colour` is what the
    codestream itself says of three components ("" when it says nothing). `lossless` is JPEG's process 14.
    """

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool = False
    colour: Literal["", "RGB", "YBR"] = ""
    lossless: bool = False


def read_jpeg_header(codestream: bytes) -> CodestreamHeader:
    """The frame header of a JPEG or JPEG-LS codestream.

    Raises CannotDecode when it is none, has no end of image after its last scan or is too short for its size (a
    truncated JPEG decodes to grey without a word), or has more scans than an honest image.
    """
    if codestream[:2] != b"\xff\xd8":
        raise CannotDecode("the frame is no JPEG codestream: start of image expected")
    colour: Literal["", "RGB", "YBR"] = ""
    for marker, segment in _jpeg_segments(codestream):
        if marker == _APP0 and segment[:4] == b"JFIF" and not colour:
            colour = "YBR"
        elif marker == _APP14 and segment[:5] == b"Adobe" and len(segment) >= 12:
            colour = "YBR" if segment[11] else "RGB"
        elif marker in _SOF_MARKERS:
            if len(segment) < 6 or len(segment) < 6 + 3 * segment[5]:
                break
            components = segment[5]
            if bytes(segment[6 : 6 + 3 * components : 3]) in (b"RGB", b"rgb"):
                colour = "RGB"
            if codestream.find(_EOI, codestream.rfind(b"\xff\xda")) < 0:
                raise CannotDecode("the JPEG codestream is truncated: no end of image after the last scan")
            rows, columns = int.from_bytes(segment[1:3], "big"), int.from_bytes(segment[3:5], "big")
            scans = codestream.count(b"\xff\xda")
            limits = in_force()
            scanned = _USUAL_SCANS * limits.frame_samples
            if scans > limits.jpeg_scans or scans * rows * columns * components > scanned:
                raise CannotDecode(
                    f"the JPEG codestream has {scans} scans of {rows} rows, {columns} columns: more than "
                    f"{limits.jpeg_scans}, or than {scanned} samples in all"
                )
            # Huffman codes have a bit at least: one for each lossless sample, one for each block of 64 in a DCT
            bits = rows * columns * components if marker == _SOF_LOSSLESS else rows * columns // 64
            if marker not in _HUFFMAN_CODED:
                bits = 0
            if len(codestream) * 8 < bits:
                raise CannotDecode(
                    f"a JPEG codestream of {len(codestream)} bytes cannot hold {rows} rows, {columns} columns"
                )
            return CodestreamHeader(
                rows=rows,
                columns=columns,
                components=components,
                precision=segment[0],
                colour=colour,
                lossless=marker == _SOF_LOSSLESS,
            )
    raise CannotDecode("the JPEG codestream has no frame header")


def _jpeg_segments(codestream: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker code and parameters of the segments before the first scan."""
    position = 2
    while position + 4 <= len(codestream):
        if codestream[position] != 0xFF:
            return
        marker = codestream[position + 1]
        if marker == 0xFF:  # fill byte, T.81 B.1.1.2
            position += 1
        elif marker in _STANDALONE_MARKERS:
            position += 2
        elif marker == _SOS:
            return
        else:
            length = int.from_bytes(codestream[position + 2 : position + 4], "big")
            yield marker, codestream[position + 4 : position + 2 + length]
            position += 2 + max(length, 2)


def read_jpeg_2000_header(codestream: bytes) -> CodestreamHeader:
    """The SIZ segment of a JPEG 2000 or HTJ2K codestream, bare or (against PS3.5 A.4.4) in JP2 boxes.

    Raises CannotDecode when it is none, is cut off before its end of codestream, has too many tiles, or more
    precincts, code-blocks and packets than `dicom.precincts` allows.
    """
    start = _jpeg_2000_start(codestream) if codestream.startswith(_JP2_SIGNATURE) else 0
    if start < 0 or codestream[start : start + 4] != b"\xff\x4f\xff\x51":
        raise CannotDecode("the frame is no JPEG 2000 codestream: SOC and SIZ expected")
    end = start + 4 + int.from_bytes(codestream[start + 4 : start + 6], "big")
    size = codestream[start + 4 : end]
    if len(size) < 41:
        raise CannotDecode("the JPEG 2000 codestream is truncated in SIZ")
    right, bottom, left, top, tile_columns, tile_rows, tile_left, tile_top = (
        int.from_bytes(size[offset : offset + 4], "big") for offset in range(4, 36, 4)
    )
    if not (tile_columns and tile_rows and right > left and bottom > top):
        raise CannotDecode("the JPEG 2000 codestream declares an empty image or tile")
    components = int.from_bytes(size[36:38], "big")
    grid = Grid(left, top, right, bottom, tile_left, tile_top, tile_columns, tile_rows, components)
    if grid.across < 1 or grid.down < 1:
        raise CannotDecode("the tiles of the JPEG 2000 codestream lie outside its image")
    tiles = grid.across * grid.down
    limits = in_force()
    if tiles > limits.jpeg_2000_tiles:
        raise CannotDecode(f"the JPEG 2000 codestream has {tiles} tiles, at most {limits.jpeg_2000_tiles} are decoded")
    if _EOI not in codestream[-64:]:
        raise CannotDecode("the JPEG 2000 codestream is truncated: no end of codestream")
    check_precincts(codestream, end, grid)
    return CodestreamHeader(
        rows=bottom - top,
        columns=right - left,
        components=components,
        precision=(size[38] & 0x7F) + 1,
        signed=bool(size[38] & 0x80),
    )


def _jpeg_2000_start(boxes: bytes) -> int:
    """Where the first Contiguous Codestream box of a JP2 file has its contents (T.800 I.4, I.5.4); -1 if there is none.

    Boxes are walked as the decoder does: bytes that look like a codestream may lie in any other box.
    """
    position = 0
    while position + 8 <= len(boxes):
        length, body = int.from_bytes(boxes[position : position + 4], "big"), position + 8
        if length == 1:
            length, body = int.from_bytes(boxes[position + 8 : position + 16], "big"), position + 16
        if boxes[position + 4 : position + 8] == b"jp2c":
            return body
        if length < 8:
            break
        position += length
    return -1


def read_jpeg_xl_header(codestream: bytes) -> CodestreamHeader:
    """The SizeHeader of a JPEG XL codestream, bare or in its container."""
    bare = _jpeg_xl_codestream(codestream)
    if bare[:2] != b"\xff\x0a":
        raise CannotDecode("the frame is no JPEG XL codestream")
    bits = _Bits(bare[2:34])
    small = bits.take(1)
    rows = _jpeg_xl_extent(bits, small)
    ratio = bits.take(3)
    if ratio:
        numerator, denominator = _JXL_RATIOS[ratio]
        columns = rows * numerator // denominator
    else:
        columns = _jpeg_xl_extent(bits, small)
    return CodestreamHeader(rows=rows, columns=columns, components=0, precision=0)


def _jpeg_xl_extent(bits: _Bits, small: int) -> int:
    if small:
        return 8 * (bits.take(5) + 1)
    return bits.take((9, 13, 18, 30)[bits.take(2)]) + 1


def _jpeg_xl_codestream(data: bytes) -> bytes:
    """The first bytes of the codestream: the container's first jxlc or jxlp box, or the data as they are."""
    if not data.startswith(_JXL_SIGNATURE):
        return data
    position = 0
    while position + 8 <= len(data):
        length, kind = (
            int.from_bytes(data[position : position + 4], "big"),
            data[position + 4 : position + 8],
        )
        body = position + 8
        if length == 1:
            length, body = (
                int.from_bytes(data[position + 8 : position + 16], "big"),
                position + 16,
            )
        if kind == b"jxlc":
            return data[body : body + 64]
        if kind == b"jxlp":
            return data[body + 4 : body + 68]
        if length < 8:
            break
        position += length
    return b""


class _Bits:
    """Bits of a byte string, least significant first; zeros behind its end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        return taken
