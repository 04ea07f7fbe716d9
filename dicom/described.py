"""Frames in the colours that their data set names, so that whoever has only the data set reads them right.

Decoders are free to hand out JPEG colour as RGB. A client that asks for a decoded frame learns its photometric
interpretation from the metadata, which describe the stored frame; so the name that stands there is kept wherever whole
samples can have it (PS3.3 C.7.6.3.1.2, PS3.5 8.2). The other names tell of a codec's inside or of shared chrominance:
such frames are RGB by pixel, which is what clients take them for.
"""

from __future__ import annotations

from dataclasses import replace

import numpy

from dicom.codecs import DecodedFrame, decode_frame, encode_frame, native_bytes
from dicom.colour import to_rgb
from dicom.native import Samples
from dicom.pixels import PixelDescription
from dicom.transfer_syntaxes import BY_UID

_WHOLE_COLOURS = ("RGB", "YBR_FULL")
# Rows: Y, Cb, Cr from R, G, B (ITU-T T.871)
_TO_YBR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def described(pixels: PixelDescription) -> PixelDescription:
    """What a frame of `pixels` is once it is decoded: other colours, and their order, where need be."""
    name = pixels.photometric_interpretation
    if pixels.samples_per_pixel == 3 and name.startswith("YBR") and name not in _WHOLE_COLOURS:
        return replace(pixels, photometric_interpretation="RGB", planar_configuration=0)
    return pixels


def decode_described(codestream: bytes, transfer_syntax_uid: str, pixels: PixelDescription) -> DecodedFrame:
    """As `decode_frame`, in the photometric interpretation of `described(pixels)`; bits beyond Bits Stored are kept
    where samples are unsigned, for overlays may lie there. Raises `CannotDecode`.
    """
    wanted = described(pixels).photometric_interpretation
    frame = decode_frame(codestream, transfer_syntax_uid, _every_bit(pixels), keep_ybr=wanted == "YBR_FULL")
    found = frame.photometric_interpretation
    if pixels.samples_per_pixel != 3 or found == wanted:
        return frame
    if wanted == "YBR_FULL" and found == "RGB":
        return DecodedFrame(_to_ybr(frame.array), wanted)
    return DecodedFrame(to_rgb(frame.array, found), wanted) if wanted == "RGB" else frame


def described_bytes(frame: DecodedFrame, pixels: PixelDescription) -> bytes:
    """The frame as Explicit VR Little Endian holds it, colour by plane where `described(pixels)` says so."""
    if pixels.samples_per_pixel > 1 and described(pixels).planar_configuration == 1:
        frame = DecodedFrame(numpy.ascontiguousarray(frame.array.transpose(2, 0, 1)), frame.photometric_interpretation)
    return native_bytes(frame, pixels)


def _every_bit(pixels: PixelDescription) -> PixelDescription:
    # Samples that lie higher up in their cells stay there: High Bit still says so.
    lowest = pixels.high_bit == pixels.bits_stored - 1
    if (pixels.pixel_representation == 1 and lowest) or pixels.bits_allocated == 1:
        return pixels
    return replace(pixels, bits_stored=pixels.bits_allocated, high_bit=pixels.bits_allocated - 1)


def _to_ybr(array: Samples) -> Samples:
    white = int(numpy.iinfo(array.dtype).max)
    samples = array.astype(numpy.float32) @ numpy.array(_TO_YBR, numpy.float32).T
    samples += numpy.array((0, (white + 1) // 2, (white + 1) // 2), numpy.float32)
    numpy.rint(samples, out=samples)
    numpy.clip(samples, 0, white, out=samples)
    return samples.astype(array.dtype)


def recoded(codestream: bytes, stored_uid: str, pixels: PixelDescription, target_uid: str) -> bytes:
    """A stored frame in the transfer syntax `target_uid`: a bare codestream, or native samples by `described_bytes`.

    Raises `CannotDecode`.
    """
    frame = decode_described(codestream, stored_uid, pixels)
    if BY_UID[target_uid].encapsulated:
        return encode_frame(frame, target_uid, pixels)
    return described_bytes(frame, pixels)
