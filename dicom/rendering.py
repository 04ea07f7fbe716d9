"""One decoded frame to a consumer-format image (PS3.18 8.7.4, 8.3.5.1): grey or colour, 8 bits, scaled, encoded."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from dicom.codecs import DecodedFrame
from dicom.colour import to_rgb
from dicom.errors import DicomError
from dicom.lookup_tables import read_lookup_table
from dicom.region import Region
from dicom.windowing import RenderingError, Window, by_bands, grey_to_8_bits

__all__ = ["RenderingError", "Window", "render_frame", "thumbnail"]

MAXIMUM_VIEWPORT = 8192
# No picture is scaled up beyond this edge, whatever the viewport: it would cost much and show nothing more.
MAXIMUM_ENLARGED = 2048
# Pixels of a picture that is made larger because its pixels are not square; a larger one shrinks on the other axis.
MAXIMUM_STRETCHED = 1 << 24
THUMBNAIL_SIZE = 200
# Pixels a side that Pillow's filter still gets for each pixel it makes, after most were left out.
_KEPT = 2
# Beyond this an aspect ratio is a mistake, not a detector.
_LONGEST_PIXEL = 16.0

_OPTIONS: Mapping[str, dict[str, Any]] = {
    # 4:4:4, because colour overlays and text in ultrasound lose their edges otherwise
    "image/jpeg": {"format": "JPEG", "subsampling": 0},
    "image/png": {"format": "PNG", "compress_level": 3},
    "image/gif": {"format": "GIF"},
}


def render_frame(
    frame: DecodedFrame,
    header: Dataset,
    *,
    frame_number: int = 1,
    window: Window | None = None,
    viewport: tuple[int, int] | None = None,
    region: Region | None = None,
    quality: int = 90,
    media_type: str = "image/jpeg",
) -> bytes:
    """The frame as an image/jpeg, image/png or image/gif of 8 bits a sample.

    `header` is the data set without its pixel data, `frame_number` counts from 1 and chooses the functional groups,
    `window` replaces the data set's VOI LUT (colour is not windowed). `viewport` is (width, height) in pixels: the
    image is scaled, up or down, to fit into it with its aspect kept (PS3.18 8.3.5.1.3), but never up beyond an edge of
    MAXIMUM_ENLARGED pixels; of the image only `region` is shown. `quality`, 1 to 100, is JPEG's. Raises RenderingError
    for what cannot be drawn.
    """
    if media_type not in _OPTIONS:
        raise RenderingError(f"images are rendered as {', '.join(_OPTIONS)}, not as {media_type[:64]!r}")
    if not 1 <= quality <= 100:
        raise RenderingError(f"quality: 1 to 100 expected, found {quality}")
    if viewport and not all(1 <= side <= MAXIMUM_VIEWPORT for side in viewport):
        raise RenderingError(f"viewport: 1 to {MAXIMUM_VIEWPORT} pixels a side expected, found {viewport}")
    if region:
        frame = replace(frame, array=region.cut(frame.array))
    rows, columns = frame.array.shape[:2]
    size = _displayed_size(rows, columns, header, viewport)
    step = max(1, min(columns // (size[0] * _KEPT), rows // (size[1] * _KEPT)))
    options = _OPTIONS[media_type] | ({"quality": quality} if media_type == "image/jpeg" else {})
    encoded = io.BytesIO()
    try:
        samples = _to_8_bits(frame, step, header, frame_number, window)
        image = Image.fromarray(numpy.ascontiguousarray(samples))
        if image.size != size:
            image = image.resize(size, Image.Resampling.BILINEAR)
        if media_type == "image/gif" and image.mode == "RGB":
            # left to itself, Pillow looks for the best 256 colours, which takes seconds for a few megapixels
            image = image.quantize(256, Image.Quantize.FASTOCTREE)
        image.save(encoded, **options)
    except RenderingError:
        raise
    except (DicomError, ArithmeticError, ValueError, TypeError, AttributeError, OSError, MemoryError) as failure:
        raise RenderingError(f"the frame cannot be drawn: {_reason(failure)}") from failure
    return encoded.getvalue()


def thumbnail(frame: DecodedFrame, header: Dataset, *, frame_number: int = 1, size: int = THUMBNAIL_SIZE) -> bytes:
    """The frame as a JPEG of at most `size` pixels a side (PS3.18 10.4.1.1.5)."""
    return render_frame(frame, header, frame_number=frame_number, viewport=(size, size), quality=80)


def _reason(failure: Exception) -> str:
    return str(failure) if isinstance(failure, DicomError) else type(failure).__name__


def _to_8_bits(
    frame: DecodedFrame, step: int, header: Dataset, frame_number: int, window: Window | None
) -> NDArray[numpy.uint8]:
    """(rows, columns) grey or (rows, columns, 3) RGB, every `step`th pixel of either axis."""
    array, photometric = frame.array, frame.photometric_interpretation
    if array.ndim == 2 and photometric == "PALETTE COLOR":
        return by_bands(_palette(array.dtype, header), array[::step, ::step], 3)
    if array.ndim == 2:
        inverse = photometric == "MONOCHROME1" or header.get("PresentationLUTShape") == "INVERSE"
        return grey_to_8_bits(array, header, frame_number, window, inverse=inverse, step=step)
    if array.shape[2] != 3 or array.dtype.kind != "u":
        raise RenderingError(f"{array.shape[2]} {array.dtype} samples a pixel cannot be drawn, 3 unsigned ones can")
    bits_stored = int(header.get("BitsStored") or 0)
    return by_bands(partial(_colour_to_8_bits, photometric, bits_stored), array[::step, ::step])


def _colour_to_8_bits(photometric: str, bits_stored: int, array: NDArray[Any]) -> NDArray[numpy.uint8]:
    width = array.dtype.itemsize * 8
    bits = bits_stored if 0 < bits_stored <= width else width
    if bits > 8:
        array = array >> (bits - 8)
    elif bits < 8:
        array = array.astype(numpy.uint16) * 255 // ((1 << bits) - 1)
    return to_rgb(numpy.minimum(array, 255).astype(numpy.uint8), photometric)


def _palette(inputs: numpy.dtype[Any], header: Dataset) -> Callable[[NDArray[Any]], NDArray[numpy.uint8]]:
    """From palette indices to RGB (PS3.3 C.7.6.3.1.5, C.7.9)."""
    channels = []
    for colour in ("Red", "Green", "Blue"):
        prefix = f"{colour}PaletteColorLookupTable"
        table = read_lookup_table(header, prefix, signed=inputs.kind == "i", segmented=f"{prefix}Data" not in header)
        # entries that fill the low byte of 16 bits are a frequent mistake, and black as they stand
        shift = table.bits - 8 if table.bits > 8 and int(table.values.max()) > 0xFF else 0
        channels.append((table, shift))

    def draw(indices: NDArray[Any]) -> NDArray[numpy.uint8]:
        return numpy.stack([(table.apply(indices) >> shift).astype(numpy.uint8) for table, shift in channels], axis=-1)

    return draw


def _displayed_size(rows: int, columns: int, header: Dataset, viewport: tuple[int, int] | None) -> tuple[int, int]:
    """(width, height) of the image with square pixels (PS3.3 C.7.6.3.1.7), fitted into the viewport."""
    width, height = float(columns), float(rows)
    ratio = _pixel_aspect_ratio(header)
    if ratio > 1:
        height *= ratio
    else:
        width /= ratio
    scale = min(1.0, math.sqrt(max(rows * columns, MAXIMUM_STRETCHED) / (width * height)))
    if viewport:
        fitted = min(viewport[0] / width, viewport[1] / height)
        scale = min(fitted, max(scale, MAXIMUM_ENLARGED / max(width, height)))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _pixel_aspect_ratio(header: Dataset) -> float:
    """Height of a pixel over its width, 1 where the data set says nothing believable."""
    try:
        vertical, horizontal = (float(value) for value in header.get("PixelAspectRatio") or (1, 1))
        ratio = vertical / horizontal
    except (TypeError, ValueError, ArithmeticError):
        return 1.0
    return ratio if 1 / _LONGEST_PIXEL <= ratio <= _LONGEST_PIXEL else 1.0
