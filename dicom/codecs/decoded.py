"""Samples of one frame, as decoders hand them out and encoders take them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from dicom.native import Samples
from dicom.pixels import PixelDescription


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """Samples of one frame, (rows, columns) or (rows, columns, samples), colour by pixel.

    The dtype is that of BitsAllocated and PixelRepresentation. `photometric_interpretation` is that of the samples
    as they are here, which need not be the data set's: JPEG and JPEG 2000 colour is RGB after decoding, and no
    chrominance is subsampled any more. The array may be read-only.
    """

    array: Samples
    photometric_interpretation: str


def native_bytes(frame: DecodedFrame, pixels: PixelDescription) -> bytes:
    """The frame as Explicit VR Little Endian holds it: colour by pixel, 1-bit samples packed, no padding byte."""
    if pixels.bits_allocated == 1:
        return numpy.packbits(frame.array.reshape(-1), bitorder="little").tobytes()
    return frame.array.astype(frame.array.dtype.newbyteorder("<"), copy=False).tobytes()
