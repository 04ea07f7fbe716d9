"""One frame of any transfer syntax to samples (PS3.5 8.2, Annex A), and back to native bytes.

The codecs are those of imagecodecs, because they let other threads run while they work. They read strangers' bytes,
so what a codestream declares is compared with the data set, and both with what this module decodes at most, before one
is called.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

import imagecodecs
import numpy

from dicom import transfer_syntaxes as ts
from dicom.codestream import (
    CodestreamHeader,
    read_jpeg_2000_header,
    read_jpeg_header,
    read_jpeg_xl_header,
)
from dicom.colour import to_rgb
from dicom.errors import CannotDecode
from dicom.limits import in_force
from dicom.native import (
    Samples,
    clear_unused_bits,
    frame_shape,
    sample_type,
    unpack_frame,
)
from dicom.pixels import PixelDescription
from dicom.transfer_syntaxes import TransferSyntax

_RLE_HEADER = struct.Struct("<16L")


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """Samples of one frame, (rows, columns) or (rows, columns, samples), colour by pixel.

    The dtype is that of BitsAllocated and PixelRepresentation. `photometric_interpretation` is that of the samples
    as they are here, which need not be the data set's: JPEG and JPEG 2000 colour is RGB after decoding, and no
    chrominance is subsampled any more. The array may be read-only.
    """

    array: Samples
    photometric_interpretation: str


Decoder = Callable[[bytes, PixelDescription, TransferSyntax], DecodedFrame]


def decode_frame(
    codestream: bytes, transfer_syntax_uid: str, pixels: PixelDescription, *, keep_ybr: bool = False
) -> DecodedFrame:
    """Samples of one frame of pixel data.

    `codestream` is the frame as it lies in the object, its fragments joined, beginning on a byte (1-bit frames
    shifted); of a deflated data set, after inflating it. `keep_ybr` leaves JPEG's YBR as it is coded, as YBR_FULL.
    Raises CannotDecode, whatever is wrong with the frame; the message is safe to show.
    """
    transfer_syntax = ts.BY_UID.get(transfer_syntax_uid)
    if transfer_syntax is None:
        raise CannotDecode(f"(0002,0010) TransferSyntaxUID: {transfer_syntax_uid[:64]!r} is not known")
    decoder = DECODERS.get(transfer_syntax_uid)
    if decoder is _jpeg and keep_ybr:
        decoder = _jpeg_ybr
    if decoder is None:
        raise CannotDecode(f"{transfer_syntax.name}: frames of this transfer syntax are not decoded")
    _check_description(pixels)
    try:
        return decoder(codestream, pixels, transfer_syntax)
    except CannotDecode as refusal:
        raise CannotDecode(f"{transfer_syntax.name}: {refusal}") from refusal
    except Exception as failure:  # codecs raise their own kinds, MemoryError and ValueError among them
        raise CannotDecode(
            f"{transfer_syntax.name}: {type(failure).__name__} in a frame of {len(codestream)} bytes, "
            f"{pixels.rows} rows, {pixels.columns} columns"
        ) from failure


def native_bytes(frame: DecodedFrame, pixels: PixelDescription) -> bytes:
    """The frame as Explicit VR Little Endian holds it: colour by pixel, 1-bit samples packed, no padding byte."""
    if pixels.bits_allocated == 1:
        return numpy.packbits(frame.array.reshape(-1), bitorder="little").tobytes()
    return frame.array.astype(frame.array.dtype.newbyteorder("<"), copy=False).tobytes()


def _check_description(pixels: PixelDescription) -> None:
    if pixels.rows < 1 or pixels.columns < 1 or pixels.samples_per_pixel not in (1, 3, 4):
        raise CannotDecode(
            f"(0028,0010) Rows {pixels.rows}, (0028,0011) Columns {pixels.columns}, "
            f"(0028,0002) SamplesPerPixel {pixels.samples_per_pixel} describe no image"
        )
    samples = pixels.rows * pixels.columns * pixels.samples_per_pixel
    limits = in_force()
    if samples > limits.frame_samples:
        raise CannotDecode(f"a frame of {samples} samples is larger than the {limits.frame_samples} that are decoded")
    if samples * pixels.bits_allocated > limits.frame_bytes * 8:
        raise CannotDecode(
            f"a frame of {samples} samples of {pixels.bits_allocated} bits is larger than the {limits.frame_bytes} "
            "bytes that are decoded"
        )


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


def _native(frame: bytes, pixels: PixelDescription, _: TransferSyntax) -> DecodedFrame:
    return _full_range(*unpack_frame(frame, pixels))


def _native_big_endian(frame: bytes, pixels: PixelDescription, _: TransferSyntax) -> DecodedFrame:
    return _full_range(*unpack_frame(frame, pixels, big_endian=True))


def _full_range(array: Samples, photometric: str) -> DecodedFrame:
    """No photometric interpretation describes unsubsampled YBR_PARTIAL samples (PS3.3 C.7.6.3.1.2), so: RGB."""
    if photometric == "YBR_PARTIAL_422":
        return DecodedFrame(to_rgb(array, photometric), "RGB")
    return DecodedFrame(array, photometric)


def _deflated(codestream: bytes, pixels: PixelDescription, _: TransferSyntax) -> DecodedFrame:
    """PS3.5 A.4.13: RFC 1951 without a zlib header; not one byte more is inflated than the frame has."""
    bits = pixels.rows * pixels.columns * pixels.samples_per_pixel * pixels.bits_allocated
    frame = zlib.decompressobj(-zlib.MAX_WBITS).decompress(codestream, -(-bits // 8))
    return _full_range(*unpack_frame(frame, pixels))


def _rle(codestream: bytes, pixels: PixelDescription, _: TransferSyntax) -> DecodedFrame:
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


def _jpeg(codestream: bytes, pixels: PixelDescription, _: TransferSyntax) -> DecodedFrame:
    """JPEG of every process: DCT to RGB, lossless as it was stored."""
    return _jpeg_samples(codestream, pixels, keep_ybr=False)


def _jpeg_ybr(codestream: bytes, pixels: PixelDescription, _: TransferSyntax) -> DecodedFrame:
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


def _jpeg_ls(codestream: bytes, pixels: PixelDescription, _: TransferSyntax) -> DecodedFrame:
    header = read_jpeg_header(codestream)
    _check_header(header, pixels)
    photometric = pixels.photometric_interpretation.removesuffix("_422")
    return DecodedFrame(_fit(imagecodecs.jpegls_decode(codestream), header, pixels), photometric)


def _jpeg_2000(codestream: bytes, pixels: PixelDescription, _: TransferSyntax) -> DecodedFrame:
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


def _jpeg_xl(codestream: bytes, pixels: PixelDescription, _: TransferSyntax) -> DecodedFrame:
    header = read_jpeg_xl_header(codestream)
    _check_header(header, pixels)
    array = imagecodecs.jpegxl_decode(codestream, index=0, keeporientation=True, numthreads=1)
    photometric = "RGB" if pixels.samples_per_pixel == 3 else pixels.photometric_interpretation
    return DecodedFrame(_fit(array, header, pixels), photometric)


DECODERS: Mapping[str, Decoder] = MappingProxyType(
    {
        ts.IMPLICIT_VR_LITTLE_ENDIAN.uid: _native,
        ts.EXPLICIT_VR_LITTLE_ENDIAN.uid: _native,
        ts.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN.uid: _native,
        ts.EXPLICIT_VR_BIG_ENDIAN.uid: _native_big_endian,
        ts.ENCAPSULATED_UNCOMPRESSED.uid: _native,
        ts.DEFLATED_IMAGE_FRAME.uid: _deflated,
        ts.RLE_LOSSLESS.uid: _rle,
        ts.JPEG_BASELINE.uid: _jpeg,
        ts.JPEG_EXTENDED.uid: _jpeg,
        ts.JPEG_EXTENDED_35.uid: _jpeg,
        ts.JPEG_SPECTRAL_SELECTION.uid: _jpeg,
        ts.JPEG_FULL_PROGRESSION.uid: _jpeg,
        ts.JPEG_LOSSLESS.uid: _jpeg,
        ts.JPEG_LOSSLESS_SV1.uid: _jpeg,
        ts.JPEG_LS_LOSSLESS.uid: _jpeg_ls,
        ts.JPEG_LS_NEAR_LOSSLESS.uid: _jpeg_ls,
        ts.JPEG_2000_LOSSLESS.uid: _jpeg_2000,
        ts.JPEG_2000.uid: _jpeg_2000,
        ts.JPEG_XL_LOSSLESS.uid: _jpeg_xl,
        ts.JPEG_XL_JPEG_RECOMPRESSION.uid: _jpeg_xl,
        ts.JPEG_XL.uid: _jpeg_xl,
        ts.HTJ2K_LOSSLESS.uid: _jpeg_2000,
        ts.HTJ2K_LOSSLESS_RPCL.uid: _jpeg_2000,
        ts.HTJ2K.uid: _jpeg_2000,
    }
)
