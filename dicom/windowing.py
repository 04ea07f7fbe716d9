"""Stored grey values to 8 bits: modality LUT, VOI LUT, presentation (PS3.3 C.11.1, C.11.2, C.11.6)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom.errors import PROCESSING_FAILURE, CannotDecode, DicomError
from dicom.lookup_tables import LookupTable, read_lookup_table
from dicom.scopes import first_number, scopes

Grey = NDArray[numpy.float64]
Transform = Callable[[Grey], Grey]

# Of the values of a frame that has no window, the share at either end that may become plain black or white.
_OUTLIERS = 0.001
# Values looked at to find that share.
_SAMPLED = 1 << 16
# Values that are worked on at a time: what they need then stays in the processor's cache, and is no multiple of the
# frame.
_CACHED = 1 << 15
# Display values of all samples of 8 or 16 bits that were in use last, 64 KiB at the most each. A table is made for a
# range of samples that begins and ends at a multiple of _SPAN, so that the slices of a series share one.
_TABLES, _SPAN = 32, 1 << 12


class RenderingError(DicomError):
    """The frame cannot be drawn as asked; the message is safe to show."""

    failure_reason = PROCESSING_FAILURE


@dataclass(frozen=True, slots=True)
class Window:
    """WindowCenter, WindowWidth and VOILUTFunction, in units after the modality LUT (PS3.3 C.11.2.1.2).

    Raises RenderingError for a function or a width that the clause does not allow.
    """

    center: float
    width: float
    function: str = "LINEAR"

    def __post_init__(self) -> None:
        if self.function not in _FUNCTIONS:
            raise RenderingError(f"(0028,1056) VOILUTFunction: {', '.join(_FUNCTIONS)} expected")
        smallest = 1.0 if self.function == "LINEAR" else math.ulp(0.0)
        if not (math.isfinite(self.center) and math.isfinite(self.width) and self.width >= smallest):
            raise RenderingError(
                f"(0028,1051) WindowWidth: at least 1 (LINEAR) or above 0 expected, found {self.width:g}"
            )

    def __call__(self, values: Grey) -> Grey:
        """0 to 255 for each value."""
        return _FUNCTIONS[self.function](values, self.center, self.width)


def _linear(values: Grey, center: float, width: float) -> Grey:
    """PS3.3 C.11.2.1.2.1."""
    if width == 1:
        return numpy.where(values <= center - 0.5, 0.0, 255.0)
    return numpy.clip(((values - (center - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)


def _linear_exact(values: Grey, center: float, width: float) -> Grey:
    """PS3.3 C.11.2.1.3.2."""
    return numpy.clip(((values - center) / width + 0.5) * 255, 0, 255)


def _sigmoid(values: Grey, center: float, width: float) -> Grey:
    """PS3.3 C.11.2.1.3.1; beyond an exponent of 60 the curve is flat."""
    return 255 / (1 + numpy.exp(-numpy.clip(4 * (values - center) / width, -60, 60)))


_FUNCTIONS: Mapping[str, Callable[[Grey, float, float], Grey]] = {
    "LINEAR": _linear,
    "LINEAR_EXACT": _linear_exact,
    "SIGMOID": _sigmoid,
}


def grey_to_8_bits(
    array: NDArray[Any],
    header: Dataset,
    frame_number: int,
    window: Window | None,
    *,
    inverse: bool,
    step: int = 1,
) -> NDArray[numpy.uint8]:
    """Display values, 0 black and 255 white, of every `step`th row and column of one sample a pixel.

    `window` replaces whatever VOI LUT the data set has. Without either, the frame's own range is shown, less its
    padding and outliers; a 1-bit frame is black and white. `inverse` is MONOCHROME1 or the INVERSE presentation.
    """
    modality = _modality_transform(header, frame_number, signed=array.dtype.kind == "i")
    function = "LINEAR_EXACT" if array.dtype.kind == "f" else "LINEAR"
    voi = window or _voi_transform(header, frame_number, function) or _own_range(array, header, modality)
    drawing = _Drawing(modality, voi, _presentation_table(header), inverse)
    array = array[::step, ::step]
    if array.dtype.kind not in "iu":
        return by_bands(drawing, array)
    low, high = int(array.min()), int(array.max())
    if high - low > 0xFFFF:
        return by_bands(drawing, array)
    unsigned = array.view(f"u{array.dtype.itemsize}")
    if array.dtype.itemsize > 2:
        shown, first = drawing(numpy.arange(low, high + 1)), low % (1 << 8 * array.dtype.itemsize)
        return by_bands(partial(_take_from, unsigned.dtype.type(first), shown), unsigned)
    table = (_kept_table if drawing.is_formula else _table)(drawing, low // _SPAN, high // _SPAN + 1, array.dtype)
    return by_bands(partial(_take, table), unsigned)


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Stored values to display values, each for itself."""

    modality: Transform
    voi: Transform
    presentation: Transform | None
    inverse: bool

    @property
    def is_formula(self) -> bool:
        """Whether it holds a few numbers and no tables: another one with these numbers is equal."""
        return isinstance(self.modality, _Rescaling) and isinstance(self.voi, Window) and self.presentation is None

    def __call__(self, stored: NDArray[Any]) -> NDArray[numpy.uint8]:
        shown = self.voi(self.modality(stored.astype(numpy.float64)))
        shown = numpy.nan_to_num(shown)
        shown = self.presentation(shown) if self.presentation else shown
        return numpy.rint(255 - shown if self.inverse else shown).astype(numpy.uint8)


def _table(drawing: _Drawing, begin: int, end: int, dtype: numpy.dtype[Any]) -> NDArray[numpy.uint8]:
    """Display values by the bits of a sample, of which the negative ones are the upper half.

    They are right for samples from `begin` to before `end`, both in spans.
    """
    bounds = numpy.iinfo(dtype)
    samples = numpy.arange(max(begin * _SPAN, int(bounds.min)), min(end * _SPAN, int(bounds.max) + 1))
    table = numpy.zeros(1 << bounds.bits, numpy.uint8)
    table[samples % table.size] = drawing(samples)
    table.flags.writeable = False
    return table


# Invalidation: none is needed, an entry is known by all that it is made of.
_kept_table = lru_cache(_TABLES)(_table)


def by_bands(
    draw: Callable[[NDArray[Any]], NDArray[numpy.uint8]], array: NDArray[Any], *samples: int
) -> NDArray[numpy.uint8]:
    """What `draw` makes of the array, a few rows at a time; `samples` is how many it makes of one, if more."""
    rows = max(1, _CACHED // max(1, array.shape[1]))
    drawn = numpy.empty((*array.shape, *samples), numpy.uint8)
    for row in range(0, array.shape[0], rows):
        drawn[row : row + rows] = draw(array[row : row + rows])
    return drawn


def _take(table: NDArray[numpy.uint8], unsigned: NDArray[Any]) -> NDArray[numpy.uint8]:
    drawn: NDArray[numpy.uint8] = table.take(unsigned, mode="clip")
    return drawn


def _take_from(low: Any, table: NDArray[numpy.uint8], unsigned: NDArray[Any]) -> NDArray[numpy.uint8]:
    """The table begins at `low`. It wraps around on purpose: the difference of two int32 need not be one."""
    return _take(table, (unsigned - low).astype(numpy.intp))


def _modality_transform(header: Dataset, frame_number: int, *, signed: bool) -> Transform:
    """PS3.3 C.11.1: RescaleSlope and RescaleIntercept, else the Modality LUT, else nothing."""
    for scope in scopes(header, frame_number, "PixelValueTransformationSequence"):
        slope, intercept = first_number(scope, "RescaleSlope"), first_number(scope, "RescaleIntercept")
        if slope and intercept is not None:
            return _Rescaling(slope, intercept)
        table = _first_table(scope, "ModalityLUTSequence", signed=signed)
        if table:
            return partial(_look_up, table)
    return _Rescaling(1.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Rescaling:
    slope: float
    intercept: float

    def __call__(self, values: Grey) -> Grey:
        return values * self.slope + self.intercept


def _look_up(table: LookupTable, values: Grey) -> Grey:
    return table.apply(numpy.rint(numpy.nan_to_num(values))).astype(numpy.float64)


def _look_up_shown(table: LookupTable, values: Grey) -> Grey:
    return numpy.minimum(_look_up(table, values) * (255 / ((1 << table.bits) - 1)), 255)


def _voi_transform(header: Dataset, frame_number: int, function: str) -> Transform | None:
    """PS3.3 C.11.2: the first VOI LUT, else the first usable window, else None.

    `function` is what LINEAR or no VOILUTFunction means: LINEAR counts integers, so that its width of 1 would make
    a floating point map of 0 to 1 black and white.
    """
    for scope in scopes(header, frame_number, "FrameVOILUTSequence"):
        negative = header.get("PixelRepresentation") == 1 or (first_number(header, "RescaleIntercept") or 0) < 0
        table = _first_table(scope, "VOILUTSequence", signed=negative)
        if table:
            return partial(_look_up_shown, table)
        center, width = first_number(scope, "WindowCenter"), first_number(scope, "WindowWidth")
        if center is not None and width is not None:
            named = str(scope.get("VOILUTFunction") or "LINEAR")
            try:
                return Window(center, width, function if named == "LINEAR" else named)
            except RenderingError:  # a window of no width says nothing: as if it were absent
                continue
    return None


def _presentation_table(header: Dataset) -> Transform | None:
    """PS3.3 C.11.4: the Presentation LUT, whose inputs are the whole range that the VOI LUT gives."""
    table = _first_table(header, "PresentationLUTSequence", signed=False)
    if table is None:
        return None
    whole = (len(table.values) - 1) / 255
    return lambda shown: _look_up_shown(table, shown * whole + table.first)


def _first_table(scope: Dataset, keyword: str, *, signed: bool) -> LookupTable | None:
    """The first item's table; a broken one counts as absent, for the image is worth more than its table."""
    items = list(scope.get(keyword) or ())
    try:
        return read_lookup_table(items[0], signed=signed) if items else None
    except CannotDecode:
        return None


def _own_range(array: NDArray[Any], header: Dataset, modality: Transform) -> Window:
    """From the least to the greatest value of the frame, without padding (C.7.5.1.1.2) and outliers."""
    if header.get("BitsStored") == 1:
        return Window(0.5, 1, "LINEAR_EXACT")
    step = max(1, math.isqrt(array.size // _SAMPLED))
    values = array[::step, ::step].reshape(-1)
    values = values[numpy.isfinite(values)]
    padding = first_number(header, "PixelPaddingValue")
    if padding is not None:
        limit = first_number(header, "PixelPaddingRangeLimit")
        edges = [_as_stored(edge, array) for edge in (padding, padding if limit is None else limit)]
        kept = values[(values < min(edges)) | (values > max(edges))]
        values = kept if kept.size else values
    if not values.size:
        return Window(0.5, 1, "LINEAR_EXACT")
    low, high = numpy.quantile(values, (_OUTLIERS, 1 - _OUTLIERS), method="nearest").tolist()
    if low == high:
        low, high = values.min(), values.max()
    ends = modality(numpy.array([low, high], numpy.float64))
    width = float(abs(ends[1] - ends[0]))
    return Window(float(ends.mean()), width if width > 0 and math.isfinite(width) else 1.0, "LINEAR_EXACT")


def _as_stored(edge: float, array: NDArray[Any]) -> float:
    """PixelPaddingValue is often written as US over signed samples, or the other way round."""
    if array.dtype.kind not in "iu" or array.dtype.itemsize > 2:
        return edge
    return float(numpy.array(int(edge) & 0xFFFF, numpy.uint16).view(f"{array.dtype.kind}2"))
