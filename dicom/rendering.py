"""One decoded frame to a consumer-format image (PS3.18 8.7.4, 8.3.5.1): grey or colour, 8 bits, scaled, encoded."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from dicom.codecs import DecodedFrame
from dicom.colour import is_rgb, to_rgb
from dicom.errors import DicomError
from dicom.graphics import WHITE, veiled, with_layer
from dicom.overlays import OverlayPlane, overlay_planes, together
from dicom.palettes import has_supplemental, palette, pseudo_colour, supplemental
from dicom.placement import MAXIMUM_ENLARGED, Placement, displayed_size, pixel_aspect
from dicom.presentation_states import PSEUDO_COLOR, PresentationState
from dicom.region import Region
from dicom.scopes import scopes
from dicom.shutters import presentation_colour, shutter_of
from dicom.windowing import RenderingError, Window, by_bands, grey_to_8_bits

__all__ = [
    "MAXIMUM_ENLARGED",
    "RenderingError",
    "Window",
    "encode_picture",
    "picture_of",
    "render_frame",
    "thumbnail",
]

MAXIMUM_VIEWPORT = 8192
THUMBNAIL_SIZE = 200
# Pixels a side that Pillow's filter still gets for each pixel it makes, after most were left out.
_KEPT = 2

_OPTIONS: Mapping[str, dict[str, Any]] = {
    # 4:4:4, because colour overlays and text in ultrasound lose their edges otherwise
    "image/jpeg": {"format": "JPEG", "subsampling": 0},
    "image/png": {"format": "PNG", "compress_level": 3},
    "image/gif": {"format": "GIF"},
    "image/webp": {"format": "WEBP", "method": 2},
    "image/avif": {"format": "AVIF", "speed": 8, "subsampling": "4:4:4", "max_threads": 1},
}
_LOSSY = frozenset(("image/jpeg", "image/webp", "image/avif"))
_FAILURES = (DicomError, ArithmeticError, ValueError, TypeError, AttributeError, OSError, MemoryError, KeyError)

Picture = NDArray[numpy.uint8]


def render_frame(
    frame: DecodedFrame, header: Dataset, *, quality: int = 90, media_type: str = "image/jpeg", **options: Any
) -> bytes:
    """The frame as an image/jpeg, image/png or image/gif: `encode_picture` of `picture_of` with its `options`."""
    _check_encoding(media_type, quality)
    return encode_picture(picture_of(frame, header, **options), media_type, quality)


def thumbnail(frame: DecodedFrame, header: Dataset, *, frame_number: int = 1, size: int = THUMBNAIL_SIZE) -> bytes:
    """The frame as a JPEG of at most `size` pixels a side (PS3.18 10.4.1.1.5)."""
    return render_frame(frame, header, frame_number=frame_number, viewport=(size, size), quality=80)


def picture_of(
    frame: DecodedFrame,
    header: Dataset,
    *,
    frame_number: int = 1,
    window: Window | None = None,
    viewport: tuple[int, int] | None = None,
    region: Region | None = None,
    planes: Sequence[OverlayPlane] | None = None,
    presentation: PresentationState | None = None,
) -> Picture:
    """The frame as it is shown: (rows, columns) grey, or (rows, columns, 3) RGB, of 8 bits a sample.

    `header` is the data set without its pixel data, `frame_number` counts from 1 and chooses the functional groups,
    `window` replaces the data set's VOI LUT (colour is not windowed). `viewport` is (width, height) in pixels: the
    image is scaled, up or down, to fit into it with its aspect kept (PS3.18 8.3.5.1.3), but never up beyond an edge of
    MAXIMUM_ENLARGED pixels; of the image only `region` is shown. `planes` are the overlays that lie over it, by
    default those of the data set whose bits are apart from the pixels. `presentation` replaces the data set's own
    transformations, overlays and shutters, and excludes `region`. Raises RenderingError for what cannot be drawn.
    """
    if viewport and not all(1 <= side <= MAXIMUM_VIEWPORT for side in viewport):
        raise RenderingError(f"viewport: 1 to {MAXIMUM_VIEWPORT} pixels a side expected, found {viewport}")
    try:
        if presentation:
            return _presented(frame, header, frame_number, presentation, window, viewport, planes)
        placement = _placement(frame, header, frame_number, region, viewport)
        picture = _placed(frame, header, frame_number, window, placement)
        picture = _shuttered(picture, header, frame_number, placement, frame.array.shape)
        planes = overlay_planes(header, frame_number) if planes is None else planes
        return _overlaid(picture, planes, placement, frame.array.shape)
    except RenderingError:
        raise
    except _FAILURES as failure:
        raise RenderingError(f"the frame cannot be drawn: {_reason(failure)}") from failure


def encode_picture(
    picture: Picture, media_type: str = "image/jpeg", quality: int = 90, *, icc_profile: bytes = b""
) -> bytes:
    """A picture of `picture_of` in one of the media types of `_OPTIONS`.

    `quality`, 1 to 100, is that of the lossy ones; a WebP of 100 is lossless, since others have fewer levels of grey
    than the screen. `icc_profile`, where there is one, is what the colours mean; GIF has no place for it. Raises
    RenderingError.
    """
    _check_encoding(media_type, quality)
    options = _OPTIONS[media_type] | ({"quality": quality} if media_type in _LOSSY else {})
    if media_type == "image/webp" and quality == 100:
        options["lossless"] = True
    if icc_profile and media_type != "image/gif":
        options["icc_profile"] = icc_profile
    image = Image.fromarray(numpy.ascontiguousarray(picture))
    encoded = io.BytesIO()
    try:
        if media_type == "image/gif" and image.mode == "RGB":
            # left to itself, Pillow looks for the best 256 colours, which takes seconds for a few megapixels
            image = image.quantize(256, Image.Quantize.FASTOCTREE)
        image.save(encoded, **options)
    except _FAILURES as failure:
        raise RenderingError(f"the picture cannot be encoded: {_reason(failure)}") from failure
    return encoded.getvalue()


def _check_encoding(media_type: str, quality: int) -> None:
    if media_type not in _OPTIONS:
        raise RenderingError(f"images are rendered as {', '.join(_OPTIONS)}, not as {media_type[:64]!r}")
    if not 1 <= quality <= 100:
        raise RenderingError(f"quality: 1 to 100 expected, found {quality}")


def _reason(failure: Exception) -> str:
    return str(failure) if isinstance(failure, DicomError) else type(failure).__name__


def _placement(
    frame: DecodedFrame, header: Dataset, number: int, region: Region | None, viewport: tuple[int, int] | None
) -> Placement:
    rows, columns = frame.array.shape[:2]
    whole = Placement(0, 0, columns, rows, (columns, rows))
    placement = region.of(rows, columns) if region else whole
    width, height = placement.right - placement.left, placement.bottom - placement.top
    return replace(placement, size=displayed_size(height, width, pixel_aspect(header, number), viewport))


def _presented(
    frame: DecodedFrame,
    header: Dataset,
    number: int,
    state: PresentationState,
    window: Window | None,
    viewport: tuple[int, int] | None,
    planes: Sequence[OverlayPlane] | None,
) -> Picture:
    """PS3.4 N.2: transformations, shutters, then layer after layer of overlays and graphics."""
    shown = state.applied_to(header)
    if frame.photometric_interpretation == "MONOCHROME1":
        # the state's own presentation LUT says which end is bright
        frame = replace(frame, photometric_interpretation="MONOCHROME2")
    placement = _displayed(frame, header, number, state, viewport)
    picture = _placed(frame, shown, number, window, placement)
    if state.sop_class_uid == PSEUDO_COLOR and picture.ndim == 2:
        picture = by_bands(pseudo_colour(shown), picture, 3)
    picture = _shuttered(picture, state.data_set, number, placement, frame.array.shape)
    bitmap = state.bitmap_shutter()
    if bitmap:
        colour = presentation_colour(state.data_set)
        picture = _overlaid(picture, [bitmap], placement, frame.array.shape, colour)
    active = state.planes(header, number) if planes is None else planes

    def place(points: NDArray[numpy.float64], display: bool) -> NDArray[numpy.float64]:
        return points * numpy.array(placement.size, numpy.float64) if display else placement.shown(points)

    for layer in state.layers:
        on_layer = [plane for plane in active if plane.layer == layer.name]
        picture = _overlaid(picture, on_layer, placement, frame.array.shape, layer.colour)
        picture = with_layer(picture, layer, place)
    if viewport and (picture.shape[1] > viewport[0] or picture.shape[0] > viewport[1]):
        top, left = max(0, picture.shape[0] - viewport[1]) // 2, max(0, picture.shape[1] - viewport[0]) // 2
        picture = picture[top : top + viewport[1], left : left + viewport[0]]
    return picture


def _displayed(
    frame: DecodedFrame, header: Dataset, number: int, state: PresentationState, viewport: tuple[int, int] | None
) -> Placement:
    """Magnified, the area is not fitted into the viewport but cut to it (PS3.18 8.3.5.1.3, 9.5.2.3)."""
    rows, columns = frame.array.shape[:2]
    area = state.area
    edges = (area.left, area.top, area.right, area.bottom) if area else (0, 0, columns, rows)
    aspect = (area.aspect if area else None) or pixel_aspect(header, number)
    width, height = edges[2] - edges[0], edges[3] - edges[1]
    if state.turns % 2:
        width, height, aspect = height, width, 1 / aspect
    magnified = area.magnified if area else None
    fitted = viewport if magnified is None else None
    size = displayed_size(height, width, aspect, fitted, magnified=magnified or 1.0)
    left, top, right, bottom = edges
    return Placement(left, top, right, bottom, size, state.turns, state.flipped)


def _placed(frame: DecodedFrame, header: Dataset, number: int, window: Window | None, placement: Placement) -> Picture:
    """The part of the frame that is shown, its values as display values, in its place in the picture."""
    rows, columns = frame.array.shape[:2]
    part = replace(frame, array=placement.cut(frame.array))
    across, down = (
        part.array.shape[1] // (placement.size[0] * _KEPT),
        part.array.shape[0] // (placement.size[1] * _KEPT),
    )
    step = max(1, min(across, down))
    return placement.fill(_to_8_bits(part, step, header, number, window), rows, columns)


def _shuttered(
    picture: Picture, described: Dataset, number: int, placement: Placement, shape: tuple[int, ...]
) -> Picture:
    for scope in scopes(described, number, "FrameDisplayShutterSequence"):
        shutter = shutter_of(scope, shape[0], shape[1], pixel_aspect(described, number))
        if shutter:
            return veiled(picture, _as_shown(shutter.covered, placement, outside=True), shutter.colour)
    return picture


def _overlaid(
    picture: Picture,
    planes: Sequence[OverlayPlane],
    placement: Placement,
    shape: tuple[int, ...],
    colour: tuple[int, int, int] = WHITE,
) -> Picture:
    bits = together(planes, shape[0], shape[1])
    return picture if bits is None else veiled(picture, _as_shown(bits, placement), colour)


def _as_shown(bits: NDArray[numpy.bool_], placement: Placement, *, outside: bool = False) -> Picture:
    """How dense the bits are over each pixel of the picture, 0 to 255; what is outside of the image has them or not."""
    rows, columns = bits.shape
    inside = placement.cut(bits).astype(numpy.uint8) * numpy.uint8(255)
    if not outside:
        return placement.fill(inside, rows, columns)
    return ~placement.fill(~inside, rows, columns)


def _to_8_bits(frame: DecodedFrame, step: int, header: Dataset, frame_number: int, window: Window | None) -> Picture:
    """(rows, columns) grey or (rows, columns, 3) RGB, every `step`th pixel of either axis; perhaps the frame's own."""
    array, photometric = frame.array, frame.photometric_interpretation
    if array.ndim == 2 and photometric == "PALETTE COLOR":
        return by_bands(palette(header, signed=array.dtype.kind == "i"), array[::step, ::step], 3)
    if array.ndim == 2:
        inverse = photometric == "MONOCHROME1" or header.get("PresentationLUTShape") == "INVERSE"
        grey = grey_to_8_bits(array, header, frame_number, window, inverse=inverse, step=step)
        if array.dtype.kind in "iu" and has_supplemental(header):
            return supplemental(header, grey, array[::step, ::step])
        return grey
    if array.shape[2] != 3 or array.dtype.kind != "u":
        raise RenderingError(f"{array.shape[2]} {array.dtype} samples a pixel cannot be drawn, 3 unsigned ones can")
    bits_stored = int(header.get("BitsStored") or 0)
    if array.dtype == numpy.uint8 and is_rgb(photometric) and not 0 < bits_stored < 8:
        return array[::step, ::step]
    return by_bands(partial(_colour_to_8_bits, photometric, bits_stored), array[::step, ::step])


def _colour_to_8_bits(photometric: str, bits_stored: int, array: NDArray[Any]) -> Picture:
    width = array.dtype.itemsize * 8
    bits = bits_stored if 0 < bits_stored <= width else width
    if bits > 8:
        array = array >> (bits - 8)
    elif bits < 8:
        array = array.astype(numpy.uint16) * 255 // ((1 << bits) - 1)
    if array.dtype != numpy.uint8:
        array = numpy.minimum(array, 255).astype(numpy.uint8)
    return to_rgb(array, photometric)
