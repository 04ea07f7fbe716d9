"""RT structure sets as contours, a slice a picture, in their colours and with their names (PS3.3 C.8.8.5, C.8.8.6)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy
import orjson
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dicom.json_items import Item, items, numbers, text, values, whole
from dicom.lettering import Colour, Lettering
from dicom.segmentation import own_colour
from dicom.windowing import RenderingError

MAXIMUM_POINTS = 4_000_000
MAXIMUM_SLICES = 1 << 14
_EDGE, _MARGIN, _NAMES = 900, 40, 320
_MOST_NAMES = 40
_PER_POINT = 3
# Contours this close together, in mm, lie in one slice
_SAME_SLICE = 0.1
# How far from flat, in mm, a contour in a slice may be
_FLAT = 0.5
_INK: Colour = (235, 235, 235)
_FAINT: Colour = (150, 150, 150)
# The axis across the slice -> the axes to the right and down in the picture, and what lies to the left, right, top and
# bottom of the patient, seen from the feet, from the front, and from the left (PS3.3 C.7.6.2.1.1)
_VIEWS: Mapping[int, tuple[int, int, tuple[str, ...]]] = {
    2: (0, 1, ("R", "L", "A", "P")),
    1: (0, 2, ("R", "L", "H", "F")),
    0: (1, 2, ("A", "P", "H", "F")),
}
_AXES = "xyz"


@dataclass(frozen=True, slots=True)
class Contour:
    """A line through `points`, (n, 3) in mm of the patient, of the region with this number."""

    roi: int
    closed: bool
    points: NDArray[numpy.float64]


@dataclass(frozen=True, slots=True)
class Structures:
    """`slices` are in order of their place along `axis`, each its place in mm and its contours."""

    names: Mapping[int, str]
    colours: Mapping[int, Colour]
    axis: int
    slices: Sequence[tuple[float, Sequence[Contour]]]
    lowest: NDArray[numpy.float64]
    highest: NDArray[numpy.float64]

    @property
    def fullest(self) -> int:
        """The slice, from 1, with the most regions, of these the one with the most points."""

        def weight(at: int) -> tuple[int, int]:
            contours = self.slices[at][1]
            return len({each.roi for each in contours}), sum(len(each.points) for each in contours)

        return 1 + max(range(len(self.slices)), key=weight)


def read_structures(document: Item) -> Structures:
    """The contours by slices. Raises RenderingError where there is none that can be drawn."""
    names = {whole(roi, "30060022"): text(roi, "30060026") for roi in items(document, "30060020")}
    colours: dict[int, Colour] = {}
    contours: list[Contour] = []
    points = 0
    for at, roi in enumerate(items(document, "30060039"), 1):
        number = whole(roi, "30060084", at)
        colours[number] = _colour(roi) or own_colour(at)
        for item in items(roi, "30060040"):
            points += len(values(item, "30060050")) // _PER_POINT
            if points > MAXIMUM_POINTS:
                raise RenderingError(f"contours of more than {MAXIMUM_POINTS} points are not drawn")
            contour = _contour(number, item)
            if contour is not None:
                contours.append(contour)
    if not contours:
        raise RenderingError("there is no contour that can be drawn")
    axis = _axis(contours)
    lowest = numpy.min([each.points.min(axis=0) for each in contours], axis=0)
    highest = numpy.max([each.points.max(axis=0) for each in contours], axis=0)
    by_place: dict[int, list[Contour]] = defaultdict(list)
    for contour in contours:
        across = contour.points[:, axis]
        if float(numpy.ptp(across)) <= _FLAT:
            by_place[round(float(across.mean()) / _SAME_SLICE)].append(contour)
    if not by_place or len(by_place) > MAXIMUM_SLICES:
        raise RenderingError("the contours do not lie in slices")
    slices = [(place * _SAME_SLICE, by_place[place]) for place in sorted(by_place)]
    return Structures(names, colours, axis, slices, lowest, highest)


def draw_structure_set(text: bytes, number: int, more_font: str = "") -> tuple[int, NDArray[numpy.uint8]]:
    """How many slices there are, and slice `number`, from 1, by default (0) the fullest, as (rows, columns, 3) RGB.

    `text` is the data set as DICOM JSON; the picture of a slice that is not there is empty. Raises RenderingError.
    """
    structures = read_structures(orjson.loads(text))
    count, number = len(structures.slices), number or structures.fullest
    if not 1 <= number <= count:
        return count, numpy.zeros((0, 0, 3), numpy.uint8)
    return count, draw_slice(structures, number, more_font)


def draw_slice(structures: Structures, number: int, more_font: str = "") -> NDArray[numpy.uint8]:
    """Slice `number`, from 1, as (rows, columns, 3) RGB; every slice has the same scale and place."""
    right, down, sides = _VIEWS[structures.axis]
    span = structures.highest - structures.lowest
    scale = _EDGE / max(float(span[right]), float(span[down]), 10.0)
    width, height = (max(120, round(float(span[axis]) * scale)) + 2 * _MARGIN for axis in (right, down))
    upwards = down == 2  # towards the head is up
    place, contours = structures.slices[number - 1]
    shown = list(dict.fromkeys(contour.roi for contour in contours))
    letters, small = Lettering(18, more_font), Lettering(14, more_font)
    height = max(height, _MARGIN * 3 + min(len(shown), _MOST_NAMES + 1) * letters.height)
    image = Image.new("RGB", (width + _NAMES, height))
    draw = ImageDraw.Draw(image)
    for contour in contours:
        x = _MARGIN + (contour.points[:, right] - structures.lowest[right]) * scale
        y = _MARGIN + (contour.points[:, down] - structures.lowest[down]) * scale
        if upwards:
            y = _MARGIN + (structures.highest[down] - contour.points[:, down]) * scale
        _draw(draw, list(zip(x.tolist(), y.tolist(), strict=True)), contour.closed, structures.colours[contour.roi])
    edges = ((8, height // 2), (width - 20, height // 2), (width // 2, 4), (width // 2, height - 24))
    for side, edge in zip(sides, edges, strict=True):
        small.write(draw, edge, side, _FAINT)
    _scale_bar(draw, scale, height, small)
    title = f"{_AXES[structures.axis]} = {place:.1f} mm   {number} / {len(structures.slices)}"
    small.write(draw, (width, 12), title, _FAINT)
    for at, roi in enumerate(shown[:_MOST_NAMES]):
        y = _MARGIN + at * letters.height
        draw.rectangle((width, y + 4, width + 14, y + 18), fill=structures.colours[roi])
        letters.write(draw, (width + 22, y), (structures.names.get(roi) or f"ROI {roi}")[:32], _INK)
    if len(shown) > _MOST_NAMES:
        more = f"and {len(shown) - _MOST_NAMES} more"
        letters.write(draw, (width + 22, _MARGIN + _MOST_NAMES * letters.height), more, _FAINT)
    return numpy.asarray(image)


def _draw(draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], closed: bool, colour: Colour) -> None:
    if len(points) == 1:
        x, y = points[0]
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), outline=colour, width=2)
    else:
        draw.line([*points, points[0]] if closed else points, fill=colour, width=2)


def _scale_bar(draw: ImageDraw.ImageDraw, scale: float, height: int, letters: Lettering) -> None:
    """A tenth to a quarter of the picture, in a round number of millimetres."""
    length = next(mm for mm in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, math.inf) if mm * scale >= _EDGE / 10)
    if math.isfinite(length):
        x, y = _MARGIN, height - 14
        draw.line((x, y, x + length * scale, y), fill=_FAINT, width=2)
        letters.write(draw, (x, y - 20), f"{length} mm", _FAINT)


def _contour(roi: int, item: Item) -> Contour | None:
    kind, flat = text(item, "30060042"), numbers(item, "30060050")
    if not flat or len(flat) % _PER_POINT:
        return None
    points = numpy.array(flat, dtype=numpy.float64).reshape(-1, _PER_POINT)
    # a patient lies within some metres of the origin
    if float(numpy.abs(points).max()) > 1e5:
        return None
    return Contour(roi, kind.startswith("CLOSED"), points)


def _axis(contours: Sequence[Contour]) -> int:
    """Across which axis most contours are flat; the long one of the patient if they do not tell."""
    flat = [0, 0, 0]
    for contour in contours:
        if len(contour.points) > 1:
            spread = numpy.ptp(contour.points, axis=0)
            for axis in range(3):
                flat[axis] += float(spread[axis]) <= _FLAT
    return max((2, 1, 0), key=lambda axis: flat[axis])


def _colour(roi: Item) -> Colour | None:
    given = numbers(roi, "3006002A")
    if not given or len(given) != 3:
        return None
    red, green, blue = (int(min(max(each, 0), 255)) for each in given)
    return red, green, blue
