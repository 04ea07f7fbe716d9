"""One cross-section being painted: distances to shapes in millimetres, soft edges, later paint covers earlier paint.

Axes follow the patient (PS3.3 C.7.6.2.1.1): x grows to the left, y to the back. Distances are negative inside.
"""

from dataclasses import dataclass

import numpy as np

from .fields import Floats

Box = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Ellipse:
    """Centre and half axes in mm; cosine and sine of the turn; `square` from 0 (ellipse) to 1 (rounded box)."""

    x: float
    y: float
    a: float
    b: float
    cosine: float = 1.0
    sine: float = 0.0
    square: float = 0.0


class Canvas:
    """A plane of `values` (rows, columns) with the position of each sample in `x` and `y`, bent by a smooth `warp`."""

    def __init__(self, x: Floats, y: Floats, warp: tuple[Floats, Floats] | None, background: float) -> None:
        """`x` is (1, columns) and `y` (rows, 1), evenly spaced; `warp` holds two (rows, columns) shifts in mm."""
        self.spacing = float(x[0, 1] - x[0, 0])
        self.left, self.top = float(x[0, 0]), float(y[0, 0])
        self.straight_x, self.straight_y = x, y
        self.shape = (y.shape[0], x.shape[1])
        self.x = x + warp[0] if warp else np.broadcast_to(x, self.shape)
        self.y = y + warp[1] if warp else np.broadcast_to(y, self.shape)
        self.values = np.full(self.shape, background, np.float32)

    def box(self, left: float, top: float, right: float, bottom: float, margin: float = 5.0) -> Box:
        """The samples that may fall into a rectangle in mm; `margin` covers the warp and the soft edge."""
        rows, columns = self.shape

        def cut(low: float, high: float, origin: float, count: int) -> slice:
            start = int((low - margin - origin) / self.spacing)
            stop = int((high + margin - origin) / self.spacing) + 2
            return slice(min(max(start, 0), count), min(max(stop, 0), count))

        return cut(top, bottom, self.top, rows), cut(left, right, self.left, columns)

    def around(self, shape: Ellipse) -> Box:
        reach = max(shape.a, shape.b) if shape.sine else 0.0
        a, b = reach or shape.a, reach or shape.b
        return self.box(shape.x - a, shape.y - b, shape.x + a, shape.y + b)

    def within(self, box: Box, shape: Ellipse, margin: float) -> Box:
        """The part of a box that lies round a shape, at most `margin` mm away from it."""
        reach = max(shape.a, shape.b) if shape.sine else 0.0
        a, b = reach or shape.a, reach or shape.b
        rows, columns = self.box(shape.x - a, shape.y - b, shape.x + a, shape.y + b, margin)

        def both(one: slice, other: slice) -> slice:
            start = min(max(one.start, other.start), other.stop)
            return slice(start, max(min(one.stop, other.stop), start))

        return both(rows, box[0]), both(columns, box[1])

    def distance(self, shape: Ellipse, box: Box) -> Floats:
        return ellipse_distance(self.x[box], self.y[box], shape)

    def capsule(self, start: tuple[float, float], end: tuple[float, float], radius: float, box: Box) -> Floats:
        return capsule_distance(self.x[box], self.y[box], start, end, radius)

    def paint(self, box: Box, distance: Floats, value: float | Floats, softness: float = 0.9) -> None:
        """Cover what lies inside; the edge is `softness` mm wide."""
        self.blend(box, coverage(distance, softness), value)

    def blend(self, box: Box, part: Floats, value: float | Floats) -> None:
        patch = self.values[box]
        step = np.subtract(value, patch, dtype=np.float32)
        step *= part
        patch += step

    def fill(self, shape: Ellipse, value: float | Floats, softness: float = 0.9) -> None:
        box = self.around(shape)
        if box[0].start < box[0].stop and box[1].start < box[1].stop:
            self.paint(box, self.distance(shape, box), value, softness)

    def line(self, start: tuple[float, float], end: tuple[float, float], radius: float, value: float) -> None:
        box = self.box(
            min(start[0], end[0]) - radius,
            min(start[1], end[1]) - radius,
            max(start[0], end[0]) + radius,
            max(start[1], end[1]) + radius,
        )
        self.paint(box, self.capsule(start, end, radius, box), value)


def ellipse_distance(x: Floats, y: Floats, shape: Ellipse) -> Floats:
    """About the distance to an ellipse in mm, true near its edge along the shorter axis."""
    u, v = x - np.float32(shape.x), y - np.float32(shape.y)
    if shape.sine:
        u, v = u * shape.cosine + v * shape.sine, v * shape.cosine - u * shape.sine
    u *= np.float32(1 / shape.a)
    v *= np.float32(1 / shape.b)
    u *= u
    v *= v
    norm = np.sqrt(u + v)
    if shape.square:
        norm *= np.float32(1 - shape.square)
        u *= u
        v *= v
        u += v
        norm += np.sqrt(np.sqrt(u, out=u), out=u) * np.float32(shape.square)
    norm -= np.float32(1)
    norm *= np.float32(min(shape.a, shape.b))
    return norm


def capsule_distance(
    x: Floats, y: Floats, start: tuple[float, float], end: tuple[float, float], radius: float
) -> Floats:
    """Distance to a thick line in mm."""
    ex, ey = end[0] - start[0], end[1] - start[1]
    dx, dy = x - np.float32(start[0]), y - np.float32(start[1])
    along = np.clip((dx * ex + dy * ey) * np.float32(1 / (ex * ex + ey * ey)), 0, 1)
    dx -= along * np.float32(ex)
    dy -= along * np.float32(ey)
    distance: Floats = np.sqrt(dx * dx + dy * dy) - np.float32(radius)
    return distance


def coverage(distance: Floats, softness: float = 0.9) -> Floats:
    """How much of a sample is inside, 0 to 1."""
    part = distance * np.float32(-1 / softness)
    part += np.float32(0.5)
    return np.clip(part, 0, 1, out=part)


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """Centre, half axes in mm, turn about the long axis of the body, and how the centre drifts as z grows."""

    centre: tuple[float, float, float]
    axes: tuple[float, float, float]
    cosine: float = 1.0
    sine: float = 0.0
    drift: tuple[float, float] = (0.0, 0.0)
    square: float = 0.0

    def at(self, z: float, grow: float = 0.0) -> Ellipse | None:
        """The cross-section at a height, all half axes longer by `grow`; None above and below."""
        away = z - self.centre[2]
        rest = 1 - (away / (self.axes[2] + grow)) ** 2
        if rest <= 0.002:
            return None
        scale = round(rest**0.5, 6)
        return Ellipse(
            self.centre[0] + self.drift[0] * away,
            self.centre[1] + self.drift[1] * away,
            (self.axes[0] + grow) * scale,
            (self.axes[1] + grow) * scale,
            self.cosine,
            self.sine,
            self.square,
        )
