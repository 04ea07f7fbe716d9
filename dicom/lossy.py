"""Frames that lose something on purpose, for labelled copies only (PS3.3 C.7.6.1.1.5)."""

from __future__ import annotations

import numpy
from openjpeg.utils import encode_array

from dicom.codecs import DecodedFrame
from dicom.errors import CannotDecode
from dicom.pixels import PixelDescription

# What openjpeg calls the colours of its input.
_UNSPECIFIED, _RGB = 0, 1


def encode_jpeg_2000(frame: DecodedFrame, pixels: PixelDescription, ratio: float) -> bytes:
    """One frame as an irreversible JPEG 2000 codestream about `ratio` times smaller than the native frame, of even
    length (PS3.5 A.4.4).

    RGB becomes YBR_ICT inside of it. Raises `CannotDecode`.
    """
    colours = _RGB if frame.photometric_interpretation == "RGB" else _UNSPECIFIED
    precision = _precision(frame, pixels)
    # The codec counts the bits that it is told of, not those of the cells they lie in.
    of_precision = max(1.0, ratio * precision / (frame.array.dtype.itemsize * 8))
    try:
        codestream = encode_array(
            numpy.ascontiguousarray(frame.array),
            bits_stored=precision,
            photometric_interpretation=colours,
            use_mct=colours == _RGB,
            compression_ratios=[of_precision],
        )
    except Exception as failure:  # the codec raises whatever it likes
        raise CannotDecode(f"JPEG 2000: {type(failure).__name__} in coding a frame") from failure
    return bytes(codestream) + b"\0" * (len(codestream) % 2)


def _precision(frame: DecodedFrame, pixels: PixelDescription) -> int:
    """Bits Stored, or the whole cell where a sample needs more."""
    width, signed = frame.array.dtype.itemsize * 8, frame.array.dtype.kind == "i"
    top = 1 << (pixels.bits_stored - signed)
    low = -top if signed else 0
    fits = 1 < pixels.bits_stored <= width and low <= int(frame.array.min()) and int(frame.array.max()) < top
    return pixels.bits_stored if fits else width
