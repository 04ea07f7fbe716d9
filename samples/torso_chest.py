"""Lungs with their vessels and airways, the heart in four chambers, and the great vessels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .canvas import Ellipse, Ellipsoid, coverage
from .fields import Curve, Floats, smooth_minimum, uniform
from .torso_bones import SPINE_Y
from .tubes import Point, chain, paint_tube, stamp, tree

if TYPE_CHECKING:
    from .torso import Section

TURN = {"cosine": 0.766, "sine": 0.643}
# The heart lies obliquely: its parts turn 40 degrees to the left and drift to the left as they go down.
SAC = (
    Ellipsoid((24, -27, 146), (60, 41, 41), 0.87, 0.493, (-0.3, 0.14)),
    Ellipsoid((-14, -22, 168), (36, 36, 36)),
    Ellipsoid((6, 0, 172), (40, 26, 28)),
)
LEFT_VENTRICLE = Ellipsoid((42, -24, 140), (44, 31, 37), 0.77, 0.638, (-0.35, 0.16))
LEFT_CAVITY = Ellipsoid((39, -22, 143), (31, 18.5, 27), 0.77, 0.638, (-0.35, 0.16))
PAPILLARY = (Ellipsoid((46, -9, 138), (5, 4, 12)), Ellipsoid((55, -26, 138), (4.5, 4.5, 12)))
RIGHT_VENTRICLE = Ellipsoid((6, -42, 142), (42, 22, 36), 0.94, 0.342, (-0.2, 0.1))
RIGHT_CAVITY = Ellipsoid((5, -42, 142), (38.5, 18.5, 33), 0.94, 0.342, (-0.2, 0.1))
OUTFLOW = Ellipsoid((16, -42, 172), (19, 14, 26))
RIGHT_ATRIUM = Ellipsoid((-30, -20, 158), (25, 29, 33))
LEFT_ATRIUM = Ellipsoid((4, 2, 174), (35, 19, 20), square=0.2)

BLOOD, MUSCLE, WALL = 172.0, 96.0, 52.0

AORTA = chain(
    [
        (10, -14, 168, 16),
        (-8, -22, 186, 16.5),
        (-15, -20, 208, 15.5),
        (-10, -12, 226, 14.5),
        (4, 2, 237, 13.5),
        (18, 20, 233, 13),
        (25, 34, 215, 12.5),
        (26, 40, 190, 12),
        (24, 40, 150, 11.5),
        (18, 35, 110, 11),
        (11, 25, 70, 10),
        (10, 17, 30, 9.3),
        (9, 13, -5, 9),
    ],
    0.25,
)
VEINS: tuple[Floats, ...] = (
    chain([(-30, -16, 160, 12), (-27, -18, 190, 10), (-25, -16, 225, 9.5), (-26, -18, 245, 9)], 0.3),
    chain([(-26, -18, 243, 8.5), (-36, -22, 262, 7.5), (-46, -18, 285, 7), (-44, -12, 303, 7)], 0.3),
    chain([(-26, -19, 243, 8), (-6, -28, 252, 7.5), (18, -28, 260, 7), (38, -20, 275, 7), (42, -10, 303, 6.5)], 0.3),
    chain([(-28, -14, 152, 13), (-24, 4, 130, 12.5), (-22, 14, 105, 12), (-22, 16, 60, 11.5), (-21, 11, 0, 11)], 0.3),
)
BRANCHES: tuple[Floats, ...] = (
    chain([(-9, -12, 232, 6.5), (-16, -10, 252, 6), (-26, -4, 275, 5), (-34, 2, 303, 4.5)], 0.3),
    chain([(2, -2, 240, 4.5), (10, -6, 260, 4), (20, -2, 285, 3.8), (26, 2, 303, 3.6)], 0.3),
    chain([(14, 12, 240, 5.5), (22, 16, 258, 5), (32, 14, 280, 4.8), (48, 8, 303, 4.5)], 0.3),
)
LUNG_ARTERIES: tuple[Floats, ...] = (
    chain([(16, -42, 180, 14), (17, -34, 196, 14), (22, -20, 208, 14)], 0.25),
    chain([(20, -18, 206, 11), (2, -4, 205, 11), (-18, -2, 202, 11), (-36, 2, 198, 10), (-46, 6, 188, 8)], 0.25),
    chain([(22, -18, 208, 12), (34, -4, 212, 11), (44, 10, 208, 10), (50, 16, 195, 8.5), (52, 18, 182, 7)], 0.25),
)
LUNG_VEINS: tuple[Floats, ...] = (
    chain([(-22, 2, 178, 8), (-38, 2, 182, 7), (-52, -4, 190, 5.5)], 0.3),
    chain([(-22, 8, 170, 8), (-38, 14, 166, 7), (-50, 22, 158, 5)], 0.3),
    chain([(32, 0, 178, 8), (44, -2, 184, 7), (56, -10, 192, 5.5)], 0.3),
    chain([(32, 8, 170, 8), (46, 16, 165, 7), (56, 24, 156, 5)], 0.3),
)
GULLET = chain(
    [(4, 24, 305, 7), (6, 30, 260, 7), (6, 30, 215, 7.5), (8, 26, 180, 7.5), (14, 22, 150, 8), (24, 10, 128, 9)], 0.3
)
AIRWAYS: tuple[Floats, ...] = (
    chain([(0, 2, 306, 8.2), (0, 10, 260, 8.2), (-1, 14, 225, 8.8), (-2, 15, 212, 9)], 0.25),
    chain([(-4, 15, 212, 7.5), (-20, 16, 200, 7), (-34, 15, 193, 6), (-44, 18, 178, 4.6), (-52, 26, 160, 3.4)], 0.25),
    chain([(1, 15, 212, 7.2), (18, 17, 198, 6.4), (38, 18, 186, 5.8), (48, 24, 172, 4.4), (54, 32, 156, 3.2)], 0.25),
    chain([(-30, 15, 196, 4.6), (-42, 12, 208, 4), (-52, 8, 222, 2.8)], 0.25),
    chain([(36, 17, 188, 4.6), (48, 8, 200, 4), (56, 2, 214, 2.8)], 0.25),
    chain([(-44, 17, 180, 3.6), (-54, 2, 172, 3), (-62, -14, 164, 2.2)], 0.25),
)

DOMES = ((-62.0, -12.0, 152.0), (64.0, -12.0, 141.0), (6.0, -40.0, 142.0))
COLUMN_WIDTH = Curve([(60, 26), (130, 20), (185, 24), (215, 27), (250, 31), (300, 34)])
COLUMN_DEPTH = Curve([(60, 60), (130, 68), (215, 62), (245, 44), (270, 36), (300, 32)])
ROOTS: tuple[tuple[str, Point, float], ...] = (("right", (-42, 10, 190, 5.2), -1), ("left", (46, 14, 192, 5.2), 1))


def _targets(name: str, side: float, count: int) -> npt.NDArray[np.float64]:
    """Points spread evenly over a lung, roughly: an ellipsoid without what the diaphragm and the heart take."""
    raw = uniform(name, count * 6, 3).astype(np.float64)
    square = raw[:, 0] * raw[:, 0] + raw[:, 1] * raw[:, 1] + raw[:, 2] * raw[:, 2]
    points = raw[square < 1] * np.array([60.0, 78.0, 118.0]) + np.array([side * 68.0, 2.0, 182.0])
    outside = np.abs(points[:, 0]) > 22 + np.maximum(0, (190 - points[:, 2]) * 0.1)
    kept: npt.NDArray[np.float64] = points[outside][:count]
    return kept


class Chest:
    """Paints what the rib cage holds; the branching vessels are grown once."""

    def __init__(self) -> None:
        arteries = [
            tree(f"torso/artery/{name}", root, _targets(f"torso/a/{name}", side, 900), 0.72, 2.3)
            for name, root, side in ROOTS
        ]
        veins = [
            tree(
                f"torso/vein/{name}",
                (root[0] - side * 4, root[1] - 12, root[2] - 20, 4.6),
                _targets(f"torso/v/{name}", side, 620),
                0.66,
                2.3,
            )
            for name, root, side in ROOTS
        ]
        self.vessels = np.concatenate(arteries + veins)

    def lung_distance(self, section: Section) -> Floats:
        """Distance to the nearer lung on the box of the section: the cage less the middle, the heart and the domes."""
        z, canvas, box = section.z, section.canvas, section.box
        if z < 58:
            return np.full_like(section.cage[box], 99)
        middle = canvas.distance(Ellipse(1, -4, COLUMN_WIDTH(z), COLUMN_DEPTH(z)), box)
        spine = canvas.distance(Ellipse(0, SPINE_Y(z) + 6, 23, 27), box)
        middle = smooth_minimum(middle, spine, 10)
        parts = [part.at(z, 3.5) for part in SAC]
        parts += [_descending(z), _arch(z), _hilum(z, -1), _hilum(z, 1)]
        for shape in parts:
            if shape:
                near = canvas.within(box, shape, 12)
                local = tuple(slice(n.start - b.start, n.stop - b.start) for n, b in zip(near, box, strict=True))
                middle[local] = smooth_minimum(middle[local], canvas.distance(shape, near), 9)
        distance = -smooth_minimum(-(section.cage[box] + np.float32(2.6)), middle, 7)
        for x, y, top in DOMES:
            if z < top:
                scale = round(((top - z) / 78) ** 0.5, 6)
                dome = canvas.distance(Ellipse(x, y + 0.05 * (152 - z), 74 * scale, 88 * scale), box)
                distance = -smooth_minimum(-distance, dome, 5)
        return distance

    def paint_lungs(self, section: Section, fine: bool) -> None:
        z, canvas, box = section.z, section.canvas, section.box
        lung = section.lung[box]
        if float(lung.min()) > 0:
            return
        inside = coverage(lung, 1.2)
        weight = canvas.y[box] * np.float32(0.45)
        canvas.blend(box, inside, section.texture[box] * 20 + weight - 872)
        if not fine:
            return
        vessels = stamp(canvas, self.vessels, z)[box] * coverage(lung + np.float32(2.5), 3.0)
        # The fissures: thin slanting sheets.
        for side, slope, start in ((-1, 0.95, 176.0), (1, 0.90, 182.0)):
            off = (canvas.y[box] * np.float32(slope) + np.float32(z - start)) * np.float32(0.74)
            sheet = coverage(np.abs(off) - np.float32(0.35), 1.2) * inside
            sheet *= np.clip(canvas.x[box] * np.float32(side) * 9, 0, 1)
            canvas.blend(box, sheet * np.float32(0.28), -500.0)
        canvas.blend(box, vessels, 60.0)
        for airway in AIRWAYS[1:]:
            paint_tube(canvas, airway, z, -985, 1.3, 20)

    def paint_mediastinum(self, section: Section) -> None:
        z, canvas = section.z, section.canvas
        for tube in VEINS:
            paint_tube(canvas, tube, z, BLOOD - 12, 1.0, WALL)
        self._paint_heart(section)
        for tube in LUNG_VEINS:
            paint_tube(canvas, tube, z, BLOOD - 4)
        for tube in LUNG_ARTERIES:
            paint_tube(canvas, tube, z, BLOOD - 8, 0.8, WALL)
        for tube in BRANCHES:
            paint_tube(canvas, tube, z, BLOOD, 1.0, WALL)
        paint_tube(canvas, AORTA, z, BLOOD, 1.3, 60)
        paint_tube(canvas, GULLET, z, 45)
        if 150 < z < 300:
            paint_tube(canvas, GULLET - np.array([1.5, 2.5, 0, 5.4], np.float32), z, -600)
        paint_tube(canvas, AIRWAYS[0], z, -990, 1.6, 65)
        if z > 268:
            for side in (-1, 1):
                canvas.fill(Ellipse(side * 15, 0, 9, 12), 130.0)

    def _paint_heart(self, section: Section) -> None:
        z, canvas = section.z, section.canvas

        def paint(part: Ellipsoid, value: float, softness: float = 1.6) -> None:
            shape = part.at(z)
            if shape:
                canvas.fill(shape, section.texture[canvas.around(shape)] * 5 + value, softness)

        for part in SAC:
            shape = part.at(z, 1.8)
            if shape:
                canvas.fill(shape, 30.0)
        for part in SAC:
            shape = part.at(z)
            if shape:
                canvas.fill(shape, -92.0)
        paint(RIGHT_ATRIUM, BLOOD - 14)
        paint(LEFT_ATRIUM, BLOOD - 2)
        paint(RIGHT_VENTRICLE, MUSCLE)
        paint(OUTFLOW, BLOOD - 10)
        paint(RIGHT_CAVITY, BLOOD - 12)
        paint(LEFT_VENTRICLE, MUSCLE + 6)
        paint(LEFT_CAVITY, BLOOD)
        for part in PAPILLARY:
            paint(part, MUSCLE + 12)


def _descending(z: float) -> Ellipse | None:
    return Ellipsoid((25, 38, 110), (15.5, 15.5, 126)).at(z)


def _arch(z: float) -> Ellipse | None:
    return Ellipsoid((6, 4, 232), (30, 42, 22), 0.6, 0.8).at(z)


def _hilum(z: float, side: float) -> Ellipse | None:
    return Ellipsoid((side * 38, 8, 190), (20, 24, 26)).at(z)
