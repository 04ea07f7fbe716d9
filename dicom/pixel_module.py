"""The description of pixel data that comes from a client, held against the pixel data (PS3.3 C.7.6.3, PS3.5 8).

What is missing and the frames tell is filled in, what contradicts them is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dicom.bulk_parts import DoesNotMatch, PixelPart
from dicom.frame_header import FrameHeader
from dicom.json_values import text_values
from dicom.transfer_syntaxes import (
    JPEG_LS_NEAR_LOSSLESS,
    RLE_LOSSLESS,
)
from dicom.vrs import describe

SAMPLES_PER_PIXEL = 0x00280002
PHOTOMETRIC_INTERPRETATION = 0x00280004
PLANAR_CONFIGURATION = 0x00280006
NUMBER_OF_FRAMES = 0x00280008
ROWS, COLUMNS = 0x00280010, 0x00280011
BITS_ALLOCATED, BITS_STORED, HIGH_BIT, PIXEL_REPRESENTATION = 0x00280100, 0x00280101, 0x00280102, 0x00280103
LOSSY_IMAGE_COMPRESSION, LOSSY_METHOD = 0x00282110, 0x00282114
PIXEL_DATA = 0x7FE00010

_REQUIRED = (SAMPLES_PER_PIXEL, PHOTOMETRIC_INTERPRETATION, ROWS, COLUMNS, BITS_ALLOCATED)
_REQUIRED_INTEGERS = (BITS_STORED, HIGH_BIT, PIXEL_REPRESENTATION)
_NUMBERS = frozenset(
    (
        SAMPLES_PER_PIXEL,
        PLANAR_CONFIGURATION,
        ROWS,
        COLUMNS,
        BITS_ALLOCATED,
        BITS_STORED,
        HIGH_BIT,
        PIXEL_REPRESENTATION,
    )
)
_VRS: Mapping[int, str] = {**dict.fromkeys(_NUMBERS, "US"), NUMBER_OF_FRAMES: "IS", PHOTOMETRIC_INTERPRETATION: "CS"}
# PS3.3 C.7.6.1.1.5.1; JPEG and JPEG 2000 by media type
_LOSSY_METHODS = {"image/jpeg": "ISO_10918_1", "image/jp2": "ISO_15444_1", "image/jphc": "ISO_15444_15"}
_ONE_SAMPLE = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")

Attributes = Mapping[int, Mapping[str, Any]]
Fill = Callable[[int, str, Any], None]  # tag, VR, value


def describe_pixels(attributes: Attributes, tag: int, part: PixelPart, fill: Fill) -> None:
    """Check the description of the pixel data in `tag`, and fill what is missing of it by calling `fill`.

    `attributes` must show what was filled. Raises `DoesNotMatch` with the tag, what was expected and found.
    """
    for known, vr in _VRS.items():
        attribute = attributes.get(known)
        if attribute is not None and attribute.get("vr") != vr:
            raise DoesNotMatch(f"{describe(known)}: VR {vr} expected")
    if part.syntax.encapsulated and tag != PIXEL_DATA:
        raise DoesNotMatch(f"{describe(tag)} cannot be compressed")
    _number_of_frames(attributes, tag, part, fill)
    if part.headers:
        _fill_from(attributes, part.headers[0], part, fill)
    required = (*_REQUIRED, *(_REQUIRED_INTEGERS if tag == PIXEL_DATA else ()))
    for known in required:
        if not text_values(known, attributes.get(known)):
            told = "and the pixel data does not tell it" if not part.headers else "and the frames do not tell it"
            raise DoesNotMatch(f"{describe(known)} is missing, {told}")
    for number, header in enumerate(part.headers, 1):
        _check_header(attributes, header, number)
    _check_bits(attributes, tag)
    if not part.syntax.encapsulated:
        _check_native_length(attributes, tag, part)
    elif part.syntax is RLE_LOSSLESS:
        _check_segments(attributes, part)


def number_of(attributes: Attributes, tag: int) -> int | None:
    """A whole number from 0 on, None if there is none; raises `DoesNotMatch` for anything else."""
    values = text_values(tag, attributes.get(tag))
    if not values:
        return None
    if len(values) > 1 or not (values[0].isascii() and values[0].isdigit() and len(values[0]) <= 10):
        raise DoesNotMatch(f"{describe(tag)}: one whole number was expected")
    return int(values[0])


def _number_of_frames(attributes: Attributes, tag: int, part: PixelPart, fill: Fill) -> None:
    declared = number_of(attributes, NUMBER_OF_FRAMES)
    found = len(part.sources)
    if declared == 0:
        raise DoesNotMatch(f"{describe(NUMBER_OF_FRAMES)}: a number from 1 on was expected, found 0")
    if part.is_video or not part.syntax.encapsulated:
        if found != 1:
            raise DoesNotMatch(f"{describe(tag)}: {part.syntax.name} was expected in one part, found {found}")
    elif declared is None and found > 1:
        fill(NUMBER_OF_FRAMES, "IS", found)
    elif (declared or 1) != found:
        raise DoesNotMatch(f"{describe(NUMBER_OF_FRAMES)}: {found} expected as there are frames, found {declared or 1}")


def _fill_from(attributes: Attributes, header: FrameHeader, part: PixelPart, fill: Fill) -> None:
    for tag, vr, value in list(_told(attributes, header, part)):
        if not text_values(tag, attributes.get(tag)):
            fill(tag, vr, value)
    stored = number_of(attributes, BITS_STORED)
    if stored and not text_values(HIGH_BIT, attributes.get(HIGH_BIT)):
        fill(HIGH_BIT, "US", stored - 1)


def _told(attributes: Attributes, header: FrameHeader, part: PixelPart) -> Iterator[tuple[int, str, Any]]:
    """What a frame says of all of them."""
    if header.samples:
        yield SAMPLES_PER_PIXEL, "US", header.samples
    if header.photometric:
        yield PHOTOMETRIC_INTERPRETATION, "CS", header.photometric
    if header.samples > 1:
        yield PLANAR_CONFIGURATION, "US", 0
    if header.rows and header.columns:
        yield ROWS, "US", header.rows
        yield COLUMNS, "US", header.columns
    if header.precision:
        yield BITS_ALLOCATED, "US", 8 if header.precision <= 8 else 16 if header.precision <= 16 else 32
        yield BITS_STORED, "US", header.precision
        yield PIXEL_REPRESENTATION, "US", int(header.signed)
    if header.lossy and not text_values(LOSSY_IMAGE_COMPRESSION, attributes.get(LOSSY_IMAGE_COMPRESSION)):
        yield LOSSY_IMAGE_COMPRESSION, "CS", "01"
        method = "ISO_14495_1" if part.syntax is JPEG_LS_NEAR_LOSSLESS else _LOSSY_METHODS.get(part.syntax.media_type)
        if method:
            yield LOSSY_METHOD, "CS", method


def _check_header(attributes: Attributes, header: FrameHeader, number: int) -> None:
    for tag, found in ((ROWS, header.rows), (COLUMNS, header.columns), (SAMPLES_PER_PIXEL, header.samples)):
        declared = number_of(attributes, tag)
        if found and declared != found:
            raise DoesNotMatch(f"{describe(tag)}: {found} expected as in the codestream of frame {number}")
    allocated = number_of(attributes, BITS_ALLOCATED) or 0
    if header.precision > allocated:
        raise DoesNotMatch(
            f"{describe(BITS_ALLOCATED)}: at least {header.precision} expected as in the codestream of frame {number}"
        )


def _check_bits(attributes: Attributes, tag: int) -> None:
    allocated, stored = number_of(attributes, BITS_ALLOCATED) or 0, number_of(attributes, BITS_STORED)
    if stored is not None and not 1 <= stored <= allocated:
        raise DoesNotMatch(f"{describe(BITS_STORED)}: 1 to {allocated} expected as allocated")
    samples = number_of(attributes, SAMPLES_PER_PIXEL)
    photometric = text_values(PHOTOMETRIC_INTERPRETATION, attributes.get(PHOTOMETRIC_INTERPRETATION))[0]
    if (photometric in _ONE_SAMPLE) != (samples == 1):
        raise DoesNotMatch(f"{describe(PHOTOMETRIC_INTERPRETATION)} is not one for {samples} sample(s) a pixel")
    if tag != PIXEL_DATA and samples != 1:
        raise DoesNotMatch(f"{describe(SAMPLES_PER_PIXEL)}: 1 expected with {describe(tag)}")


def _check_native_length(attributes: Attributes, tag: int, part: PixelPart) -> None:
    rows, columns, samples, allocated = (
        number_of(attributes, known) or 0 for known in (ROWS, COLUMNS, SAMPLES_PER_PIXEL, BITS_ALLOCATED)
    )
    frames = number_of(attributes, NUMBER_OF_FRAMES) or 1
    bits = rows * columns * samples * allocated
    photometric = text_values(PHOTOMETRIC_INTERPRETATION, attributes.get(PHOTOMETRIC_INTERPRETATION))[0]
    lengths = [(bits * frames + 7) // 8]
    if photometric == "YBR_FULL_422" and samples == 3:
        # chrominance at every other pixel (PS3.3 C.7.6.3.1.2); writers that store it in full are known
        lengths.append((bits // 3 * 2 * frames + 7) // 8)
    found = part.sources[0].size
    if not any(length and found in (length, length + length % 2) for length in lengths):
        raise DoesNotMatch(f"{describe(tag)}: {lengths[-1]} bytes expected as described, found {found}")


def _check_segments(attributes: Attributes, part: PixelPart) -> None:
    """One segment for each byte of each sample (PS3.5 G.2)."""
    allocated, samples = number_of(attributes, BITS_ALLOCATED) or 0, number_of(attributes, SAMPLES_PER_PIXEL) or 0
    expected = (allocated + 7) // 8 * samples
    for number, source in enumerate(part.sources, 1):
        found = int.from_bytes(source.read_at(0, min(4, source.size)), "little")
        if source.size < 64 or found != expected:
            raise DoesNotMatch(f"{describe(PIXEL_DATA)}: frame {number} has no RLE header of {expected} segment(s)")
