"""Numbers that are the same on every machine.

Only operations that IEEE 754 rounds exactly are used on arrays (+ - * / sqrt, comparisons, integer sums), because the
vector exp, sin, log and matrix products of numpy differ in the last bit between processors, and one bit is another
SHA-256. Trigonometry is done on scalars and rounded. Random numbers are raw PCG64 words, a stream numpy guarantees.
"""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def _words(name: str, count: int) -> npt.NDArray[np.uint16]:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    raw = np.random.PCG64(seed).random_raw((count + 3) // 4)
    return raw.astype("<u8").view("<u2")[:count]


def uniform(name: str, *shape: int) -> Floats:
    """Evenly spread values in [-1, 1), fixed by `name`."""
    values = _words(name, math.prod(shape)).astype(np.float32)
    return (values * np.float32(1 / 32768) - np.float32(1)).reshape(shape)


def gaussian(name: str, *shape: int) -> Floats:
    """Nearly normal values of mean 0 and standard deviation 1, fixed by `name` (sum of four even ones)."""
    parts = uniform(name, 4, *shape)
    values: Floats = (parts[0] + parts[1] + parts[2] + parts[3]) * np.float32(0.8660254)
    return values


def spread(lattice: Floats, axis: int, count: int, spacing: float) -> Floats:
    """Smooth curve of `count` samples through a lattice along one axis: cubic B-spline, `spacing` samples a knot."""
    position = (np.arange(count, dtype=np.float32) + np.float32(0.5)) / np.float32(spacing)
    base = position.astype(np.int64)
    shape = [1] * lattice.ndim
    shape[axis] = count
    f = (position - base).astype(np.float32).reshape(shape)
    g = 1 - f
    weights = (g * g * g, 3 * f * f * f - 6 * f * f + 4, 3 * g * g * g - 6 * g * g + 4, f * f * f)
    total = weights[0] * np.take(lattice, base, axis)
    for step in (1, 2, 3):
        total = total + weights[step] * np.take(lattice, base + step, axis)
    return total * np.float32(1 / 6)


def smooth_plane(name: str, rows: int, columns: int, knot: float) -> Floats:
    """A smooth random plane of about [-1, 1]; `knot` is the size of its bumps in samples."""
    lattice = uniform(name, int(rows / knot) + 5, int(columns / knot) + 5)
    plane = spread(spread(lattice, 0, rows, knot), 1, columns, knot)
    return plane * np.float32(1.8)


def smooth_volume(name: str, shape: tuple[int, int, int], knot: tuple[float, float, float]) -> Floats:
    """A smooth random volume of about [-1, 1]; `knot` is the size of its bumps in samples on each axis."""
    size = [int(length / step) + 5 for length, step in zip(shape, knot, strict=True)]
    volume = uniform(name, *size)
    for axis in (0, 1, 2):
        volume = spread(volume, axis, shape[axis], knot[axis])
    return volume * np.float32(2.4)


def blurred(plane: Floats) -> Floats:
    """The plane after a 1-2-1 filter on both axes; the border keeps its values."""
    out = plane.copy()
    out[1:-1] = (plane[:-2] + plane[2:]) * np.float32(0.25) + plane[1:-1] * np.float32(0.5)
    once = out.copy()
    out[:, 1:-1] = (once[:, :-2] + once[:, 2:]) * np.float32(0.25) + once[:, 1:-1] * np.float32(0.5)
    return out


def arc_cosine(cosine: Floats) -> Floats:
    """Angle in radians of cosines in [-1, 1], error below 0.0001 (Abramowitz and Stegun 4.4.45)."""
    c = np.abs(cosine)
    series = ((np.float32(-0.0187293) * c + np.float32(0.0742610)) * c - np.float32(0.2121144)) * c + np.float32(
        1.5707288
    )
    angle = np.sqrt(1 - c) * series
    result: Floats = np.where(cosine < 0, np.float32(math.pi) - angle, angle)
    return result


def cosine(angle: float) -> float:
    return round(math.cos(angle), 9)


def sine(angle: float) -> float:
    return round(math.sin(angle), 9)


def smooth_minimum(a: Floats, b: Floats, width: float) -> Floats:
    """The smaller of two distances, with a fillet of about `width` where they meet."""
    overlap = a - b
    np.abs(overlap, out=overlap)
    np.subtract(np.float32(width), overlap, out=overlap)
    np.maximum(overlap, np.float32(0), out=overlap)
    overlap *= overlap
    overlap *= np.float32(-0.25 / width)
    overlap += np.minimum(a, b)
    return overlap


class Curve:
    """A smooth scalar function through (position, value) points, flat beyond the ends."""

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        self._points = sorted(points)

    def __call__(self, position: float) -> float:
        points = self._points
        if position <= points[0][0]:
            return points[0][1]
        for index in range(1, len(points)):
            if position < points[index][0]:
                break
        else:
            return points[-1][1]
        (p1, v1), (p2, v2) = points[index - 1], points[index]
        p0, v0 = points[max(index - 2, 0)]
        p3, v3 = points[min(index + 1, len(points) - 1)]
        t = (position - p1) / (p2 - p1)
        m1 = (v2 - v0) / (p2 - p0) * (p2 - p1)
        m2 = (v3 - v1) / (p3 - p1) * (p2 - p1)
        return v1 + t * (m1 + t * (3 * (v2 - v1) - 2 * m1 - m2 + t * (2 * (v1 - v2) + m1 + m2)))
