"""Samples of one frame to a compressed frame that loses nothing (PS3.5 8.2, Annex A), for clients that ask for one.

The photometric interpretation stays what it is: no codec here transforms colour. Where samples use more than Bits
Stored (overlays in unused bits) the whole cell is coded, so that nothing is lost there either.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType

import imagecodecs
import numpy

from dicom import transfer_syntaxes as ts
from dicom.codecs import DecodedFrame
from dicom.errors import CannotDecode
from dicom.native import Samples
from dicom.pixels import PixelDescription

_RLE_HEADER = struct.Struct("<16L")
# Frame and codestream headers count rows and columns in 16 bits (JPEG); Rows and Columns are US themselves.
_INTEGERS, _WORDS = (8, 16, 32, 64), (8, 16)

Encoder = Callable[[Samples, int, str], bytes]


def cannot_encode(transfer_syntax_uid: str, pixels: PixelDescription) -> str:
    """Why frames of `pixels` can't be given in this transfer syntax; "" where they can."""
    if transfer_syntax_uid not in ENCODERS:
        return "there is no encoder for this transfer syntax"
    if pixels.keyword != "PixelData":
        return f"{pixels.keyword} has no compressed form"
    allowed = _INTEGERS if transfer_syntax_uid == ts.RLE_LOSSLESS.uid else _WORDS
    if pixels.bits_allocated not in allowed:
        return f"(0028,0100) BitsAllocated is {pixels.bits_allocated}, only {', '.join(map(str, allowed))} can be coded"
    if pixels.samples_per_pixel not in (1, 3):
        return f"(0028,0002) SamplesPerPixel is {pixels.samples_per_pixel}, only 1 and 3 can be coded"
    if transfer_syntax_uid == ts.RLE_LOSSLESS.uid and pixels.samples_per_pixel * pixels.bits_allocated > 15 * 8:
        return "more than 15 RLE segments"
    return ""


def encode_frame(frame: DecodedFrame, transfer_syntax_uid: str, pixels: PixelDescription) -> bytes:
    """One frame as a bare codestream, of even length (PS3.5 A.4). Raises `CannotDecode`."""
    if reason := cannot_encode(transfer_syntax_uid, pixels):
        raise CannotDecode(reason)
    try:
        array = numpy.ascontiguousarray(frame.array)
        codestream = ENCODERS[transfer_syntax_uid](
            array, _precision(array, pixels.bits_stored), frame.photometric_interpretation
        )
    except Exception as failure:  # codecs raise their own kinds
        name = ts.BY_UID[transfer_syntax_uid].name
        raise CannotDecode(
            f"{name}: {type(failure).__name__} in coding {pixels.rows} rows, {pixels.columns} columns"
        ) from failure
    return codestream + b"\0" * (len(codestream) % 2)


def _precision(array: Samples, bits_stored: int) -> int:
    """Bits that hold every sample: Bits Stored, or the whole cell where there is more in it."""
    width = array.dtype.itemsize * 8
    if not 2 <= bits_stored < width:
        return width
    signed = array.dtype.kind == "i"
    low, high = (-(1 << bits_stored - 1), (1 << bits_stored - 1) - 1) if signed else (0, (1 << bits_stored) - 1)
    return bits_stored if low <= int(array.min()) and int(array.max()) <= high else width


def _pattern(array: Samples, precision: int) -> Samples:
    """Signed samples as the unsigned pattern of their low bits: JPEG and JPEG-LS know no sign."""
    if array.dtype.kind == "u":
        return array
    return array.view(f"u{array.dtype.itemsize}") & ((1 << precision) - 1)


def _rle(array: Samples, precision: int, photometric: str) -> bytes:
    """PS3.5 Annex G: a segment for each byte of a sample, the most significant first; no run goes beyond its row."""
    planes = array[..., numpy.newaxis] if array.ndim == 2 else array
    rows, columns, samples = planes.shape
    cells = planes.astype(planes.dtype.newbyteorder(">"), copy=False).view(numpy.uint8)
    cells = cells.reshape(rows, columns, samples, array.dtype.itemsize)
    segments, offsets, position = [], [0] * 15, _RLE_HEADER.size
    for number in range(samples * array.dtype.itemsize):
        sample, byte = divmod(number, array.dtype.itemsize)
        # A copy: what numpy calls contiguous, a single pixel with whatever strides, the encoder does not.
        segment = imagecodecs.packbits_encode(cells[:, :, sample, byte].copy(), axis=-1)
        segments.append(segment + b"\0" * (len(segment) % 2))
        offsets[number] = position
        position += len(segments[-1])
    return _RLE_HEADER.pack(len(segments), *offsets) + b"".join(segments)


def _jpeg_lossless(array: Samples, precision: int, photometric: str) -> bytes:
    """Process 14, selection value 1 (ITU-T T.81 Annex H). Colours are called RGB, whatever they are: some decoders
    would turn what is called YCbCr into RGB, which the data set does not tell.
    """
    space = "RGB" if array.ndim == 3 else None
    return bytes(
        imagecodecs.jpeg8_encode(
            _pattern(array, precision),
            colorspace=space,
            outcolorspace=space,
            lossless=True,
            predictor=1,
            bitspersample=precision,
        )
    )


def _jpeg_ls(array: Samples, precision: int, photometric: str) -> bytes:
    return bytes(imagecodecs.jpegls_encode(_pattern(array, array.dtype.itemsize * 8), level=0))


def _jpeg_2000(array: Samples, precision: int, photometric: str) -> bytes:
    return bytes(
        imagecodecs.jpeg2k_encode(
            array, codecformat="J2K", reversible=True, mct=False, planar=False, bitspersample=precision, numthreads=1
        )
    )


def _high_throughput(array: Samples, precision: int, photometric: str) -> bytes:
    """Part 15 in the whole cell: the encoder takes no smaller precision."""
    return bytes(imagecodecs.htj2k_encode(array, reversible=True, rgb=False, planar=False))


ENCODERS: Mapping[str, Encoder] = MappingProxyType(
    {
        ts.RLE_LOSSLESS.uid: _rle,
        ts.JPEG_LOSSLESS_SV1.uid: _jpeg_lossless,
        ts.JPEG_LS_LOSSLESS.uid: _jpeg_ls,
        ts.JPEG_2000_LOSSLESS.uid: _jpeg_2000,
        ts.HTJ2K_LOSSLESS.uid: _high_throughput,
    }
)
