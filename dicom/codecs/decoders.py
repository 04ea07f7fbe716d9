"""From one frame of each transfer syntax to samples (PS3.5 8.2, Annex A): a function for each kind of codestream.

They read strangers' bytes, so what a codestream declares is compared with the data set, and both with what is decoded
at most, before a codec is called. The product calls them in a process of their own (`dicom.codec_child`).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import imagecodecs
import numpy

from dicom.codecs.decoded import DecodedFrame
from dicom.codestream import CodestreamHeader, read_jpeg_2000_header, read_jpeg_header, read_jpeg_xl_header
from dicom.colour import to_rgb
from dicom.errors import CannotDecode
from dicom.native import Samples, clear_unused_bits, frame_shape, sample_type, unpack_frame
from dicom.pixels import PixelDescription

_RLE_HEADER = struct.Struct("<16L")

Decoder = Callable[[bytes, PixelDescription], DecodedFrame]


def _check_header(header: CodestreamHeader, pixels: PixelDescription) -> None:
    """PS3.5 8.2: the data set and the codestream shall agree; a codec must not allocate from either alone."""
    if (header.rows, header.columns) != (pixels.rows, pixels.columns):
        raise CannotDecode(
            f"the codestream holds {header.rows} rows, {header.columns} columns, "
            f"the data set says {pixels.rows} rows, {pixels.columns} columns"
        )
    if header.components and header.components != pixels.samples_per_pixel:
        raise CannotDecode(
            f"the codestream holds {header.components} components, "
            f"the data set says {pixels.samples_per_pixel} samples per pixel"
        )
    if header.precision > max(8, pixels.bits_allocated):
        raise CannotDecode(
            f"the codestream holds {header.precision} bits a sample, the data set allocates {pixels.bits_allocated}"
        )


def _fit(array: Samples, header: CodestreamHeader, pixels: PixelDescription) -> Samples:
    """The codec's samples in the data set's type.

    JPEG, JPEG-LS and JPEG XL know no negative samples, and the sign of JPEG 2000 may contradict
    PixelRepresentation; the bits are right in either case, so they are read again, the sign bit where BitsStored or
    the codestream's smaller precision puts it (PS3.5 8.2.1, 8.2.4).
    """
    dtype = sample_type(pixels)
    if array.shape != frame_shape(pixels) or array.dtype.kind not in "iu":
        raise CannotDecode(f"{array.dtype} samples of shape {array.shape} decoded, {frame_shape(pixels)} expected")
    width = array.dtype.itemsize * 8
    if dtype.kind == "f" or (header.precision or width) > dtype.itemsize * 8:
        raise CannotDecode(f"{array.dtype} samples decoded, {dtype} expected")
    precision = header.precision or pixels.bits_stored
    unused = width - min(precision, pixels.bits_stored, width)
    if array.dtype.kind != dtype.kind:
        array = array.view(f"{dtype.kind}{array.dtype.itemsize}")
        if unused:
            array = array << unused >> unused
    return numpy.ascontiguousarray(array, dtype)


def native(frame: bytes, pixels: PixelDescription) -> DecodedFrame:
    """Uncompressed samples, little endian."""
    return _full_range(*unpack_frame(frame, pixels))


def native_big_endian(frame: bytes, pixels: PixelDescription) -> DecodedFrame:
    """Uncompressed samples, big endian."""
    return _full_range(*unpack_frame(frame, pixels, big_endian=True))


def _full_range(array: Samples, photometric: str) -> DecodedFrame:
    """No photometric interpretation describes unsubsampled YBR_PARTIAL samples (PS3.3 C.7.6.3.1.2), so: RGB."""
    if photometric == "YBR_PARTIAL_422":
        return DecodedFrame(to_rgb(array, photometric), "RGB")
    return DecodedFrame(array, photometric)


def deflated(codestream: bytes, pixels: PixelDescription) -> DecodedFrame:
    """PS3.5 A.4.13: RFC 1951 without a zlib header; not one byte more is inflated than the frame has."""
    bits = pixels.rows * pixels.columns * pixels.samples_per_pixel * pixels.bits_allocated
    frame = zlib.decompressobj(-zlib.MAX_WBITS).decompress(codestream, -(-bits // 8))
    return _full_range(*unpack_frame(frame, pixels))


def rle(codestream: bytes, pixels: PixelDescription) -> DecodedFrame:
    """PS3.5 Annex G: a PackBits segment for each byte of a sample, the most significant first, plane after plane."""
    itemsize = sample_type(pixels).itemsize
    count = itemsize * pixels.samples_per_pixel
    if len(codestream) < _RLE_HEADER.size:
        raise CannotDecode(f"an RLE header of {_RLE_HEADER.size} bytes expected, found {len(codestream)}")
    found, *offsets = _RLE_HEADER.unpack_from(codestream)
    if found != count or count > len(offsets):
        raise CannotDecode(f"{count} RLE segments expected, found {found}")
    bits = 1 if pixels.bits_allocated == 1 else 8
    length = -(-pixels.rows * pixels.columns * bits // 8)
    planes = numpy.empty((pixels.samples_per_pixel, length, itemsize), numpy.uint8)
    for number, (begin, end) in enumerate(pairwise((*offsets[:count], len(codestream)))):
        if not _RLE_HEADER.size <= begin <= end <= len(codestream):
            raise CannotDecode(f"RLE segment {number + 1} lies outside the frame")
        # some encoders let the last run, of at most 128 bytes, reach beyond the last sample
        segment = imagecodecs.packbits_decode(codestream[begin:end], out=length + 128)
        if len(segment) < length:
            raise CannotDecode(f"RLE segment {number + 1}: {length} bytes expected, found {len(segment)}")
        sample, byte = divmod(number, itemsize)
        planes[sample, :, itemsize - 1 - byte] = numpy.frombuffer(segment, numpy.uint8, length)
    return _full_range(*unpack_frame(planes.tobytes(), replace(pixels, planar_configuration=1)))


def jpeg(codestream: bytes, pixels: PixelDescription) -> DecodedFrame:
    """JPEG of every process: DCT to RGB, lossless as it was stored."""
    return _jpeg_samples(codestream, pixels, keep_ybr=False)


def jpeg_ybr(codestream: bytes, pixels: PixelDescription) -> DecodedFrame:
    """The same, but YBR is left as it is coded."""
    return _jpeg_samples(codestream, pixels, keep_ybr=True)


def _jpeg_samples(codestream: bytes, pixels: PixelDescription, *, keep_ybr: bool) -> DecodedFrame:
    """The codestream's own word on its colour (component names, Adobe, JFIF) goes before the data set's, because
    RGB is often written over JFIF's YCbCr.
    """
    header = read_jpeg_header(codestream)
    _check_header(header, pixels)
    photometric = pixels.photometric_interpretation
    if pixels.samples_per_pixel != 3:
        array = imagecodecs.jpeg8_decode(codestream)
    elif header.lossless:
        array = imagecodecs.jpeg8_decode(codestream, colorspace="RGB", outcolorspace="RGB")
        photometric = photometric.removesuffix("_422")
    else:
        colour = header.colour or ("YBR" if photometric.startswith("YBR") else "RGB")
        stored, kept = {"RGB": "RGB", "YBR": "YCBCR"}[colour], keep_ybr and colour == "YBR"
        array = imagecodecs.jpeg8_decode(codestream, colorspace=stored, outcolorspace=stored if kept else "RGB")
        photometric = "YBR_FULL" if kept else "RGB"
    array = _fit(array, header, pixels)
    if header.lossless:
        array = clear_unused_bits(array, pixels.bits_stored, pixels.bits_stored - 1)
    return DecodedFrame(array, photometric)


def jpeg_ls(codestream: bytes, pixels: PixelDescription) -> DecodedFrame:
    """JPEG-LS, lossless and near-lossless."""
    header = read_jpeg_header(codestream)
    _check_header(header, pixels)
    photometric = pixels.photometric_interpretation.removesuffix("_422")
    return DecodedFrame(_fit(imagecodecs.jpegls_decode(codestream), header, pixels), photometric)


def jpeg_2000(codestream: bytes, pixels: PixelDescription) -> DecodedFrame:
    """JPEG 2000 and HTJ2K, both through OpenJPEG.

    OpenJPH is hardly faster here, wraps lossy samples beyond white round to black, and hands out what it has where a
    damaged codestream ends its work.
    """
    header = read_jpeg_2000_header(codestream)
    _check_header(header, pixels)
    array = imagecodecs.jpeg2k_decode(codestream, planar=False, verbose=0, numthreads=1)
    photometric = pixels.photometric_interpretation.removesuffix("_422")
    if photometric in ("YBR_ICT", "YBR_RCT"):  # PS3.3 C.7.6.3.1.2: they name what the codec has undone
        photometric = "RGB"
    return DecodedFrame(_fit(array, header, pixels), photometric)


def jpeg_xl(codestream: bytes, pixels: PixelDescription) -> DecodedFrame:
    """JPEG XL that may have lost something: colour is RGB after decoding."""
    header = read_jpeg_xl_header(codestream)
    _check_header(header, pixels)
    array = imagecodecs.jpegxl_decode(codestream, index=0, keeporientation=True, numthreads=1)
    photometric = "RGB" if pixels.samples_per_pixel == 3 else pixels.photometric_interpretation
    return DecodedFrame(_fit(array, header, pixels), photometric)


def jpeg_xl_lossless(codestream: bytes, pixels: PixelDescription) -> DecodedFrame:
    """JPEG XL that lost nothing: YBR_FULL is coded sample by sample, which only the data set tells."""
    frame = jpeg_xl(codestream, pixels)
    return replace(frame, photometric_interpretation="YBR_FULL") if _is_whole_ybr(pixels) else frame


def _is_whole_ybr(pixels: PixelDescription) -> bool:
    return pixels.samples_per_pixel == 3 and pixels.photometric_interpretation == "YBR_FULL"
