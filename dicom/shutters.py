"""Display shutters: what of an image is covered (PS3.3 C.7.6.11, C.7.6.15)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset

from dicom.colour import Colour, cielab_to_rgb
from dicom.overlays import Bits
from dicom.scopes import first_number

Covers = Callable[[Dataset, int, int, float], Bits]
_MOST_VERTICES = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Shutter:
    """The pixels of an image that are covered, (rows, columns), and what is seen in their place."""

    covered: Bits
    colour: Colour


def shutter_of(scope: Dataset, rows: int, columns: int, aspect: float = 1.0) -> Shutter | None:
    """The shutter that a data set or an item describes: what any of its shapes covers; None if it describes none.

    ``aspect`` is the height of a pixel over its width. A shape that is broken covers nothing.
    """
    try:
        shapes = scope.get("ShutterShape") or ()
    except Exception:  # noqa: BLE001 - whatever pydicom raises for values that the archive keeps without reading them
        return None
    named = (shapes,) if isinstance(shapes, str) else tuple(shapes)
    covered = [bits for shape in named for bits in _covered(scope, str(shape), rows, columns, aspect)]
    if not covered:
        return None
    return Shutter(numpy.logical_or.reduce(covered), presentation_colour(scope))


def presentation_colour(scope: Dataset) -> Colour:
    """ShutterPresentationColorCIELabValue, else ShutterPresentationValue (a P-Value of 16 bits), else black."""
    try:
        lab = cielab_to_rgb(scope.get("ShutterPresentationColorCIELabValue"))
        if lab is not None:
            return lab
        shade = min(255, max(0, round((first_number(scope, "ShutterPresentationValue") or 0) / 257)))
    except Exception:  # noqa: BLE001 - as in `shutter_of`
        shade = 0
    return (shade, shade, shade)


def _covered(scope: Dataset, shape: str, rows: int, columns: int, aspect: float) -> Iterator[Bits]:
    covers = _SHAPES.get(shape)
    if covers is None:
        return
    try:
        yield covers(scope, rows, columns, aspect)
    except Exception:  # noqa: BLE001 - as in `shutter_of`
        return


def _rectangular(scope: Dataset, rows: int, columns: int, _: float) -> Bits:
    """The edges are rows and columns, counted from 1, that are still seen."""
    row, column = _grid(rows, columns)
    left, right = float(scope.ShutterLeftVerticalEdge), float(scope.ShutterRightVerticalEdge)
    upper, lower = float(scope.ShutterUpperHorizontalEdge), float(scope.ShutterLowerHorizontalEdge)
    return (row < upper) | (row > lower) | (column < left) | (column > right)


def _circular(scope: Dataset, rows: int, columns: int, aspect: float) -> Bits:
    """The radius counts pixels along a row, so that the circle is round where the pixels are not square."""
    row, column = _grid(rows, columns)
    center_row, center_column = (float(each) for each in scope.CenterOfCircularShutter)
    radius = float(scope.RadiusOfCircularShutter)
    covered = numpy.empty((rows, columns), numpy.bool_)
    across = (column[0] - center_column) ** 2
    for at, down in enumerate(((row[:, 0] - center_row) * aspect) ** 2):
        covered[at] = down + across > radius**2
    return covered


def _polygonal(scope: Dataset, rows: int, columns: int, _: float) -> Bits:
    """Vertices are (row, column), counted from 1; the last is joined to the first."""
    vertices = numpy.array([float(each) for each in scope.VerticesOfThePolygonalShutter][: 2 * _MOST_VERTICES])
    points = vertices.reshape(-1, 2)[:, ::-1] - 1
    if len(points) < 3:
        raise ValueError
    image = Image.new("L", (columns, rows), 1)
    ImageDraw.Draw(image).polygon([(x, y) for x, y in points.clip(-1e6, 1e6).tolist()], fill=0)
    return numpy.asarray(image).astype(numpy.bool_)


def _grid(rows: int, columns: int) -> tuple[NDArray[Any], NDArray[Any]]:
    return numpy.arange(1, rows + 1)[:, None], numpy.arange(1, columns + 1)[None, :]


_SHAPES: Mapping[str, Covers] = {"RECTANGULAR": _rectangular, "CIRCULAR": _circular, "POLYGONAL": _polygonal}
