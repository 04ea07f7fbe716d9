"""From samples to one compressed frame that loses nothing (PS3.5 8.2, Annex A), a function for each kind.

The photometric interpretation stays what it is: no codec here transforms colour. `precision` is the bits that hold
every sample. Nothing is ever written with loss.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import imagecodecs
import numpy
import openjpeg.utils

from dicom.native import Samples

_RLE_HEADER = struct.Struct("<16L")
# OpenJPEG halves five times, which pylibjpeg-openjpeg can't tell it to leave.
_SMALLEST_EDGE = 32
_LEVELS, _BASE_EDGE = 5, 64
_JPEG_LS_HEADER = 1024
_A_PART_FOR_EACH_RESOLUTION = 1
# JPEG XL's fastest: 1 ms for a CT slice, where the next takes 13 to save 6 % of its bytes.
_EFFORT = 1
# A frame of one group (ISO/IEC 18181-1) and more than 8 bits: for its fastest way libjxl 0.11 keeps room for 16 bits a
# sample, noise takes up to 24, and what is too much is written behind it. The next way is slower, but frames are small.
_GROUP_EDGE, _EFFORT_OF_ONE_GROUP = 256, 2

Encoder = Callable[[Samples, int], bytes]


def _pattern(array: Samples, precision: int) -> Samples:
    """Signed samples as the unsigned pattern of their low bits: JPEG and JPEG-LS know no sign."""
    if array.dtype.kind == "u":
        return array
    return array.view(f"u{array.dtype.itemsize}") & ((1 << precision) - 1)


def _in_words(array: Samples, precision: int) -> int:
    """`precision`, or 9 where 8 bits or fewer lie in words: libjpeg-turbo and libjxl take those from bytes alone."""
    return max(precision, 9) if array.dtype.itemsize == 2 else precision


def rle(array: Samples, precision: int) -> bytes:
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


def jpeg_lossless(array: Samples, precision: int) -> bytes:
    """Process 14, selection value 1 (ITU-T T.81 Annex H). Colours are called RGB, whatever they are: some decoders
    would turn what is called YCbCr into RGB, which the data set does not tell.
    """
    space, precision = "RGB" if array.ndim == 3 else None, _in_words(array, precision)
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


def jpeg_ls(array: Samples, precision: int) -> bytes:
    """JPEG-LS in the whole cell, NEAR 0."""
    # Left to itself, it takes the samples' own size for enough, and noise needs more.
    room = 2 * array.nbytes + _JPEG_LS_HEADER
    return bytes(imagecodecs.jpegls_encode(_pattern(array, array.dtype.itemsize * 8), level=0, out=room))


def jpeg_2000(array: Samples, precision: int) -> bytes:
    """JPEG 2000 Part 1 with the reversible wavelet; pylibjpeg-openjpeg and imagecodecs are the same OpenJPEG."""
    if min(array.shape[:2]) >= _SMALLEST_EDGE:
        return bytes(openjpeg.utils.encode_array(array, bits_stored=precision, use_mct=False))
    return bytes(
        imagecodecs.jpeg2k_encode(
            array, codecformat="J2K", reversible=True, mct=False, planar=False, bitspersample=precision, numthreads=1
        )
    )


def high_throughput(array: Samples, precision: int) -> bytes:
    """Part 15 in the whole cell: the encoder takes no smaller precision."""
    return bytes(imagecodecs.htj2k_encode(array, reversible=True, rgb=False, planar=False))


def high_throughput_rpcl(array: Samples, precision: int) -> bytes:
    """The same by resolution, each a tile-part that TLM tells the length of, down to 64 samples (PS3.5 10.18)."""
    levels = _LEVELS
    while -(-min(array.shape[:2]) >> levels) > _BASE_EDGE:
        levels += 1
    return bytes(
        imagecodecs.htj2k_encode(
            array,
            reversible=True,
            rgb=False,
            planar=False,
            resolutions=levels,
            tlm=True,
            tilepart=_A_PART_FOR_EACH_RESOLUTION,
        )
    )


def jpeg_xl(array: Samples, precision: int) -> bytes:
    """A bare JPEG XL codestream, modular."""
    precision = _in_words(array, precision)
    one_group = precision > 8 and max(array.shape[:2]) <= _GROUP_EDGE
    return bytes(
        imagecodecs.jpegxl_encode(
            _pattern(array, precision),
            lossless=True,
            effort=_EFFORT_OF_ONE_GROUP if one_group else _EFFORT,
            bitspersample=precision,
            usecontainer=False,
            numthreads=1,
        )
    )
