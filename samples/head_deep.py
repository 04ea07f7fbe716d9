"""What lies deep in the brain: ventricles, nuclei, brain stem and cerebellum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .canvas import Ellipse, Ellipsoid, coverage
from .fields import Floats, smooth_minimum
from .tubes import Point, chain, paint_tube

if TYPE_CHECKING:
    from .head import HeadSection

HORNS: tuple[tuple[Point, ...], ...] = (
    (
        (6, -36, 8, 3),
        (9, -28, 14, 6),
        (10, -12, 23, 6.5),
        (12, 8, 25, 6.5),
        (18, 24, 20, 7),
        (25, 36, 12, 7.5),
        (22, 54, 7, 3),
    ),
    ((25, 34, 10, 6), (32, 24, -2, 4), (35, 8, -14, 3), (33, -4, -20, 2)),
)
VENTRICLES: tuple[Floats, ...] = tuple(
    chain([(side * x, y, z, r) for x, y, z, r in horn], 0.3) for side in (-1, 1) for horn in HORNS
)
PLEXUS: tuple[Floats, ...] = tuple(
    chain([(side * 14, 14, 21, 1.5), (side * 23, 31, 13, 2.6), (side * 25, 34, 8, 1.8)], 0.3) for side in (-1, 1)
)
CAUDATE: tuple[Floats, ...] = tuple(
    chain([(side * 12, -30, 6, 5), (side * 15, -22, 15, 6.5), (side * 18, -6, 24, 4), (side * 20, 12, 26, 2.6)], 0.3)
    for side in (-1, 1)
)
THIRD = Ellipsoid((0, -2, 2), (2.2, 15, 12))
FOURTH = Ellipsoid((0, 33, -34), (8, 5.5, 10))
CISTERNS = (
    Ellipsoid((0, -12, -20), (15, 11, 7)),
    Ellipsoid((0, 23, -6), (10, 4, 7)),
    Ellipsoid((0, 62, -52), (12, 12, 10)),
)
STEM = tuple(
    chain(
        [
            (s * 8, 4, 0, 8),
            (s * 8, 5, -10, 9),
            (s * 6, 8, -20, 12),
            (s * 5, 10, -32, 12),
            (s * 3, 21, -46, 8),
            (s * 1, 26, -70, 7),
        ],
        0.3,
    )
    for s in (-1, 0, 1)
)
CEREBELLUM = (
    Ellipsoid((-23, 49, -33), (33, 37, 25)),
    Ellipsoid((23, 49, -33), (33, 37, 25)),
    Ellipsoid((0, 48, -28), (18, 30, 22)),
)


def paint_deep(section: HeadSection) -> None:
    z, canvas, palette = section.z, section.canvas, section.palette
    if z < 0:
        _paint_back(section)
    for nucleus in CAUDATE:
        paint_tube(canvas, nucleus, z, palette.nuclei)
    for side in (-1, 1):
        for part, value in (
            (Ellipsoid((side * 27, -6, 6), (6.5, 18, 13), 0.966, side * 0.259), palette.nuclei),
            (Ellipsoid((side * 20.5, -3, 4), (5, 10, 8), 0.94, side * 0.342), (palette.nuclei + palette.white) / 2),
            (Ellipsoid((side * 10.5, 11, 8), (9, 14, 10.5), 0.94, -side * 0.342), palette.nuclei),
        ):
            shape = part.at(z)
            if shape:
                canvas.fill(shape, value, 1.8)
    for ventricle in VENTRICLES:
        paint_tube(canvas, ventricle, z, palette.fluid)
    for plexus in PLEXUS:
        paint_tube(canvas, plexus, z, palette.blood)
    shape = THIRD.at(z)
    if shape:
        canvas.fill(shape, palette.fluid)


def _paint_back(section: HeadSection) -> None:
    """Below the tentorium: cerebellum with its leaves, brain stem, and the fluid round them."""
    z, canvas, palette, box = section.z, section.canvas, section.palette, section.box
    total: Floats | None = None
    for part in CEREBELLUM:
        shape = part.at(z)
        if shape:
            distance = canvas.distance(shape, box)
            total = distance if total is None else smooth_minimum(total, distance, 12)
    for part in CISTERNS:
        shape = part.at(z)
        if shape:
            canvas.fill(shape, palette.fluid, 2.0)
    if total is not None:
        total = np.maximum(total, section.cavity + np.float32(2))
        canvas.paint(box, total - np.float32(1.4), palette.fluid, 1.4)
        canvas.paint(box, total, palette.grey)
        # Leaves: a triangle wave of the distance from the brain stem, bent by the texture.
        dx, dy = canvas.x[box], canvas.y[box] - np.float32(18)
        reach = (
            np.sqrt(dx * dx * np.float32(0.6) + dy * dy) + section.texture[box] * np.float32(1.6) + np.float32(z * 0.7)
        )
        wave = reach * np.float32(1 / 4.6)
        wave = np.abs(wave - np.rint(wave)) * np.float32(2)
        leaves = coverage(np.float32(0.62) - wave, 0.5) * coverage(total + np.float32(1.6), 1.5)
        canvas.blend(box, leaves * np.float32(0.75), palette.white)
        core = coverage(total + np.float32(13), 8.0)
        canvas.blend(box, core, palette.white)
        gaps = coverage(wave - np.float32(0.12), 0.2) * coverage(-total - np.float32(5), 3.0) * coverage(total, 1.0)
        canvas.blend(box, gaps * np.float32(0.45), palette.fluid)
    if z < -4:
        for stem in STEM:
            paint_tube(canvas, stem, z, palette.fluid, 1.5, palette.fluid)
    for stem in STEM:
        paint_tube(canvas, stem, z, palette.white * 0.75 + palette.grey * 0.25)
    shape = FOURTH.at(z)
    if shape:
        canvas.fill(shape, palette.fluid)
    if -30 < z < -6:
        canvas.fill(Ellipse(0, -9, 2.2, 2.2), palette.blood)
