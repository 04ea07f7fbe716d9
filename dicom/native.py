"""Uncompressed frames: the bytes of PS3.5 8.1 and 8.2 to samples."""

from __future__ import annotations

from typing import Any

import numpy
from numpy.typing import NDArray

from dicom.errors import CannotDecode
from dicom.pixels import PixelDescription

Samples = NDArray[Any]

_FLOATS = {"FloatPixelData": (32, "f4"), "DoubleFloatPixelData": (64, "f8")}
# Two samples a pixel are stored: one luminance each, the two chrominances shared by a pair of pixels.
_HALF_CHROMINANCE = {"YBR_FULL_422": "YBR_FULL", "YBR_PARTIAL_422": "YBR_PARTIAL_422"}


def sample_type(pixels: PixelDescription) -> numpy.dtype[Any]:
    """The dtype of one decoded sample, in this machine's byte order; 1-bit samples are 0 and 1 of uint8.

    Raises CannotDecode for a width other than 1, 8, 16, 32 or 64 bits.
    """
    if pixels.keyword in _FLOATS:
        bits, code = _FLOATS[pixels.keyword]
        if pixels.bits_allocated != bits:
            raise CannotDecode(
                f"(0028,0100) BitsAllocated: {bits} expected for {pixels.keyword}, found {pixels.bits_allocated}"
            )
        return numpy.dtype(code)
    if pixels.bits_allocated == 1:
        return numpy.dtype("u1")
    if pixels.bits_allocated not in (8, 16, 32, 64):
        raise CannotDecode(f"(0028,0100) BitsAllocated: 1, 8, 16, 32 or 64 expected, found {pixels.bits_allocated}")
    return numpy.dtype(f"{'i' if pixels.pixel_representation == 1 else 'u'}{pixels.bits_allocated // 8}")


def frame_shape(pixels: PixelDescription) -> tuple[int, ...]:
    """(rows, columns) of one sample a pixel, else (rows, columns, samples)."""
    if pixels.samples_per_pixel == 1:
        return (pixels.rows, pixels.columns)
    return (pixels.rows, pixels.columns, pixels.samples_per_pixel)


def unpack_frame(frame: bytes, pixels: PixelDescription, *, big_endian: bool = False) -> tuple[Samples, str]:
    """Samples of one native frame that starts on a byte, and the photometric interpretation they have now.

    Big-endian samples of 8 bits or less in OW were written as 16-bit words (PS3.5 A.3) and are swapped back.
    Colour by plane becomes colour by pixel, shared chrominance is repeated (PS3.3 C.7.6.3.1.2), unused bits are
    cleared or hold the sign. The array may be a read-only view of `frame`. Bytes behind the frame are ignored;
    CannotDecode when there are too few.
    """
    dtype = sample_type(pixels)
    photometric = pixels.photometric_interpretation
    count = pixels.rows * pixels.columns * pixels.samples_per_pixel
    halved = photometric in _HALF_CHROMINANCE and pixels.samples_per_pixel == 3
    if halved and len(frame) >= count * dtype.itemsize:
        # declared 4:2:2, stored in full: a frequent mistake
        halved, photometric = False, "YBR_FULL"
    stored = pixels.rows * pixels.columns * 2 if halved else count
    length = -(-stored // 8) if pixels.bits_allocated == 1 else stored * dtype.itemsize
    if big_endian and pixels.value_representation == "OW" and pixels.bits_allocated <= 8:
        frame = _swap_words(frame, length)
    if len(frame) < length:
        raise CannotDecode(f"(7FE0,0010) {pixels.keyword}: {length} bytes expected in a frame, found {len(frame)}")
    if pixels.bits_allocated == 1:
        bits = numpy.frombuffer(frame, numpy.uint8, length)
        array: Samples = numpy.unpackbits(bits, count=stored, bitorder="little")
    else:
        array = numpy.frombuffer(frame, dtype.newbyteorder(">" if big_endian else "<"), stored)
        array = array.astype(dtype, copy=False)
    if halved:
        array, photometric = (
            _repeat_chrominance(array, pixels),
            _HALF_CHROMINANCE[photometric],
        )
    elif pixels.samples_per_pixel > 1 and pixels.planar_configuration == 1:
        planes = array.reshape(pixels.samples_per_pixel, pixels.rows, pixels.columns)
        array = numpy.ascontiguousarray(planes.transpose(1, 2, 0))
    else:
        array = array.reshape(frame_shape(pixels))
    return clear_unused_bits(array, pixels.bits_stored, pixels.high_bit), photometric


def clear_unused_bits(array: Samples, bits_stored: int, high_bit: int) -> Samples:
    """Samples without what else lies in their cells: overlay bits, or a sign that was not extended (PS3.5 8.1.1)."""
    width = array.dtype.itemsize * 8
    if array.dtype.kind not in "iu" or not 0 < bits_stored < width or int(array.size) == 0:
        return array
    if not bits_stored - 1 <= high_bit < width:
        high_bit = bits_stored - 1
    if high_bit == bits_stored - 1:
        low, high = (-(1 << high_bit), (1 << high_bit) - 1) if array.dtype.kind == "i" else (0, (1 << bits_stored) - 1)
        if low <= int(array.min()) and int(array.max()) <= high:
            return array
    shifted: Samples = array << (width - 1 - high_bit)
    shifted >>= width - bits_stored
    return shifted


def _swap_words(frame: bytes, length: int) -> bytes:
    even = length + length % 2
    if len(frame) < even:
        raise CannotDecode(
            f"(7FE0,0010) PixelData: {even} bytes of 16-bit words expected in a frame, found {len(frame)}"
        )
    return numpy.frombuffer(frame, numpy.uint16, even // 2).byteswap().tobytes()


def _repeat_chrominance(array: Samples, pixels: PixelDescription) -> Samples:
    """Y1 Y2 B R for a pair of pixels to Y1 B R, Y2 B R."""
    if pixels.columns % 2:
        raise CannotDecode(
            f"(0028,0011) Columns: even number expected with {pixels.photometric_interpretation}, "
            f"found {pixels.columns}"
        )
    pairs = array.reshape(pixels.rows, pixels.columns // 2, 4)
    full = numpy.empty((pixels.rows, pixels.columns, 3), array.dtype)
    full[:, 0::2, 0], full[:, 1::2, 0] = pairs[..., 0], pairs[..., 1]
    full[:, 0::2, 1:] = full[:, 1::2, 1:] = pairs[..., 2:]
    return full
