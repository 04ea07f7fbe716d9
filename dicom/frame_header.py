"""What the first bytes of a compressed frame say of it, read by range: no frame is loaded.

For the pixels of an object whose frames come from a client, where the description may be missing or wrong. JPEG and
JPEG-LS: ITU-T T.81 B.2, T.87 C. JPEG 2000 and HTJ2K: T.800 Annex A and I, T.814 Annex A.
"""

from __future__ import annotations

from dataclasses import dataclass

from dicom.codestream import read_jpeg_xl_header
from dicom.errors import CannotDecode
from dicom.source import ByteSource
from dicom.transfer_syntaxes import (
    HTJ2K,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_2000_MULTI_COMPONENT,
    JPEG_2000_MULTI_COMPONENT_LOSSLESS,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_EXTENDED_35,
    JPEG_FULL_PROGRESSION,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    JPEG_LS_NEAR_LOSSLESS,
    JPEG_SPECTRAL_SELECTION,
    JPEG_XL,
    JPEG_XL_JPEG_RECOMPRESSION,
    JPEG_XL_LOSSLESS,
    TransferSyntax,
)

MAX_SEGMENTS = 2000
MAX_BOXES = 1000
_TAIL = 64
_EOI = b"\xff\xd9"
_SOC_SIZ = b"\xff\x4f\xff\x51"
_JP2, _JXL = b"\x00\x00\x00\x0cjP  ", b"\x00\x00\x00\x0cJXL "
_STANDALONE = frozenset((0x01, *range(0xD0, 0xD9)))
_SOF_LOSSLESS, _SOF_LS, _SOS, _APP0, _APP14 = 0xC3, 0xF7, 0xDA, 0xE0, 0xEE
_COD, _CAP, _SOT = 0x52, 0x50, 0x90
_RPCL, _REVERSIBLE = 2, 1
# By start of frame; the first is what is assumed where the client names none
_DCT = {
    0xC0: (JPEG_BASELINE, JPEG_EXTENDED),
    0xC1: (JPEG_EXTENDED, JPEG_EXTENDED_35),
    0xC2: (JPEG_FULL_PROGRESSION, JPEG_SPECTRAL_SELECTION),
}


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """Size and samples of a frame, and the transfer syntaxes that it may be in, likeliest first.

    `samples` and `precision` (bits a sample) are 0 and `photometric` is "" where the codestream does not tell.
    """

    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool
    photometric: str
    transfer_syntaxes: tuple[TransferSyntax, ...]
    lossy: bool  # the process itself loses something


@dataclass(frozen=True, slots=True)
class Slice:
    """`size` bytes of another source, from `offset` on."""

    source: ByteSource
    offset: int
    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of the slice only."""
        return self.source.read_at(self.offset + offset, max(0, min(length, self.size - offset)))


def codestream_of(source: ByteSource) -> ByteSource:
    """The bare codestream of a JP2 or JPH file, which PS3.5 A.4.4 wants without its boxes; else the source itself."""
    if _head(source, 0, len(_JP2)) != _JP2:
        return source
    position = 0
    for _ in range(MAX_BOXES):
        head = _head(source, position, 16)
        if len(head) < 8:
            break
        length, start = int.from_bytes(head[:4], "big"), position + 8
        if length == 1:
            length, start = int.from_bytes(head[8:16], "big"), position + 16
        end = source.size if length == 0 else position + length
        if head[4:8] == b"jp2c" and start < end <= source.size:
            return Slice(source, start, end - start)
        if end < start:
            break
        position = end
    raise CannotDecode("the JP2 file has no contiguous codestream box")


def read_frame_header(source: ByteSource) -> FrameHeader:
    """The header of a JPEG, JPEG-LS, JPEG 2000, HTJ2K or JPEG XL codestream; raises `CannotDecode`."""
    start = _head(source, 0, 12)
    if start[:3] == b"\xff\xd8\xff":
        return _jpeg(source)
    if start[:4] == _SOC_SIZ:
        return _jpeg_2000(source)
    if start[:2] == b"\xff\x0a" or start == _JXL:
        header = read_jpeg_xl_header(_head(source, 0, 64 * 1024))
        syntaxes = (JPEG_XL, JPEG_XL_LOSSLESS, JPEG_XL_JPEG_RECOMPRESSION)
        return FrameHeader(header.rows, header.columns, 0, 0, False, "", syntaxes, False)
    raise CannotDecode("no JPEG, JPEG-LS, JPEG 2000 or JPEG XL codestream")


def _head(source: ByteSource, offset: int, length: int) -> bytes:
    return source.read_at(offset, max(0, min(length, source.size - offset)))


def _check_end(source: ByteSource, what: str) -> None:
    start = max(0, source.size - _TAIL)
    if _EOI not in source.read_at(start, source.size - start):
        raise CannotDecode(f"the {what} codestream is truncated: its end is missing")


def _jpeg(source: ByteSource) -> FrameHeader:
    frame, marker_of_frame, colour, position = b"", 0, "", 2
    for _ in range(MAX_SEGMENTS):
        head = _head(source, position, 4)
        if len(head) < 4 or head[0] != 0xFF:
            break
        marker, length = head[1], int.from_bytes(head[2:4], "big")
        if marker == 0xFF or marker in _STANDALONE:
            position += 1 if marker == 0xFF else 2
            continue
        body = _head(source, position + 4, min(max(length - 2, 0), 1024))
        if marker == _APP0 and body[:4] == b"JFIF" and not colour:
            colour = "YBR"
        elif marker == _APP14 and body[:5] == b"Adobe" and len(body) >= 12:
            colour = "YBR" if body[11] else "RGB"
        elif marker in _DCT or marker in (_SOF_LOSSLESS, _SOF_LS):
            frame, marker_of_frame = body, marker
        elif marker == _SOS:
            break
        position += 2 + max(length, 2)
    components = frame[5] if len(frame) >= 6 else 0
    if not components or len(frame) < 6 + 3 * components or head[1:2] != bytes((_SOS,)):
        raise CannotDecode("a JPEG codestream of a process that is not known, or without its headers")
    _check_end(source, "JPEG")
    scan = body[1 + 2 * body[0] :] if body else b""
    if len(scan) < 3:
        raise CannotDecode("the JPEG codestream is truncated in its scan header")
    syntaxes = _jpeg_syntaxes(marker_of_frame, scan[0])
    return FrameHeader(
        rows=int.from_bytes(frame[1:3], "big"),
        columns=int.from_bytes(frame[3:5], "big"),
        samples=components,
        precision=frame[0],
        signed=False,
        photometric=_jpeg_colour(frame, marker_of_frame, colour),
        transfer_syntaxes=syntaxes,
        lossy=not syntaxes[0].lossless,
    )


def _jpeg_syntaxes(marker: int, parameter: int) -> tuple[TransferSyntax, ...]:
    """`parameter` is the first of the scan: NEAR of JPEG-LS, the predictor of lossless JPEG."""
    if marker == _SOF_LS:
        return (JPEG_LS_NEAR_LOSSLESS,) if parameter else (JPEG_LS_LOSSLESS, JPEG_LS_NEAR_LOSSLESS)
    if marker == _SOF_LOSSLESS:
        return (JPEG_LOSSLESS_SV1, JPEG_LOSSLESS) if parameter == 1 else (JPEG_LOSSLESS,)
    return _DCT[marker]


def _jpeg_colour(frame: bytes, marker: int, colour: str) -> str:
    components = frame[5]
    if components == 1:
        return "MONOCHROME2"
    if components != 3:
        return ""
    identifiers = bytes(frame[6 : 6 + 9 : 3])
    if identifiers in (b"RGB", b"rgb"):
        colour = "RGB"
    if colour == "RGB" or (marker in (_SOF_LOSSLESS, _SOF_LS) and not colour):
        return "RGB"
    # PS3.5 8.2.1: half the chrominance samples a row, or all of them
    return "YBR_FULL_422" if frame[7] >> 4 == 2 * (frame[10] >> 4) else "YBR_FULL"


def _jpeg_2000(source: ByteSource) -> FrameHeader:
    size = cod = b""
    high_throughput, position = False, 2
    for _ in range(MAX_SEGMENTS):
        head = _head(source, position, 4)
        if len(head) < 4 or head[0] != 0xFF or head[1] == _SOT:
            break
        length = int.from_bytes(head[2:4], "big")
        body = _head(source, position + 4, min(max(length - 2, 0), 64))
        if head[1] == 0x51:
            size = body
        elif head[1] == _COD:
            cod = body
        elif head[1] == _CAP:
            # T.814 A.3.2: capabilities of part 15
            high_throughput = bool(int.from_bytes(body[:4], "big") & 1 << 17)
        position += 2 + max(length, 2)
    if len(size) < 37 or len(cod) < 10:
        raise CannotDecode("the JPEG 2000 codestream has no SIZ or COD segment")
    _check_end(source, "JPEG 2000")
    right, bottom, left, top = (int.from_bytes(size[place : place + 4], "big") for place in range(2, 18, 4))
    components, depth = int.from_bytes(size[34:36], "big"), size[36]
    reversible = cod[9] == _REVERSIBLE
    if high_throughput:
        rpcl = (HTJ2K_LOSSLESS_RPCL,) if cod[1] == _RPCL else ()
        syntaxes: tuple[TransferSyntax, ...] = (HTJ2K_LOSSLESS, *rpcl, HTJ2K) if reversible else (HTJ2K,)
    elif reversible:
        lossless = (JPEG_2000_LOSSLESS, JPEG_2000_MULTI_COMPONENT_LOSSLESS)
        syntaxes = (*lossless, JPEG_2000, JPEG_2000_MULTI_COMPONENT)
    else:
        syntaxes = (JPEG_2000, JPEG_2000_MULTI_COMPONENT)
    transformed = "YBR_RCT" if reversible else "YBR_ICT"
    colour = {1: "MONOCHROME2", 3: transformed if cod[4] else "RGB"}
    return FrameHeader(
        rows=bottom - top,
        columns=right - left,
        samples=components,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        photometric=colour.get(components, ""),
        transfer_syntaxes=syntaxes,
        lossy=not reversible,
    )
