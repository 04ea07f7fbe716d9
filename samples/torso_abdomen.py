"""The belly: liver, spleen, kidneys, stomach, pancreas, gut, and the muscles behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .canvas import Box, Ellipse, Ellipsoid, coverage
from .fields import Floats, smooth_minimum, uniform
from .torso_bones import SPINE_Y
from .tubes import chain, paint_tube, stamp, tree, tube_distance

if TYPE_CHECKING:
    from .torso import Section

LIVER = (
    Ellipsoid((-66, 4, 94), (62, 76, 66), square=0.2, drift=(0.0, 0.12)),
    Ellipsoid((-34, -26, 106), (58, 42, 44)),
    Ellipsoid((8, -40, 112), (58, 28, 34), 0.98, -0.199),
)
SPLEEN = Ellipsoid((92, 40, 104), (27, 50, 46), 0.906, 0.423, (0.06, -0.08))
STOMACH = (
    Ellipsoid((66, -8, 115), (38, 40, 28)),
    Ellipsoid((56, -24, 96), (32, 32, 34), 0.9, 0.436, (0.35, 0.25)),
    Ellipsoid((24, -42, 72), (38, 18, 20), 0.94, 0.342),
)
GALLBLADDER = Ellipsoid((-40, -40, 58), (14, 17, 26), drift=(0.1, 0.25))
CAUDATE = Ellipsoid((-14, -6, 108), (14, 11, 20))
KIDNEYS = (
    (Ellipsoid((-58, 40, 40), (28, 23, 50), 0.766, -0.643, (0.14, 0.10)), -1.0),
    (Ellipsoid((60, 40, 52), (28, 23, 50), 0.766, 0.643, (-0.14, 0.10)), 1.0),
)
GLANDS = (((-26, 24), (-40, 40), 84.0), ((28, 24), (44, 38), 88.0))
PANCREAS = chain(
    [(-26, -12, 46, 12), (-18, -18, 58, 12), (4, -20, 68, 8.5), (32, -4, 78, 9), (62, 18, 92, 8), (76, 26, 98, 6)]
)
DUODENUM = chain(
    [(-22, -30, 68, 10), (-42, -20, 62, 11), (-46, -8, 44, 11), (-40, 0, 18, 11), (-14, 0, 6, 10), (24, 2, 8, 10)]
)
COLON = (
    chain([(-84, 6, -20, 23), (-88, 0, 2, 22), (-86, -10, 14, 20), (-78, -30, 18, 19), (-58, -48, 14, 18)], 0.3),
    chain(
        [
            (-58, -48, 14, 18),
            (-34, -56, 8, 17),
            (0, -60, 6, 17),
            (36, -56, 20, 17),
            (68, -40, 50, 17),
            (90, -8, 74, 16),
        ],
        0.3,
    ),
    chain([(90, -8, 74, 16), (98, 12, 62, 15), (100, 18, 40, 14), (98, 18, 0, 14), (96, 16, -20, 14)], 0.3),
)
PORTAL = (
    chain([(-6, -14, 56, 7), (-14, -14, 72, 7.5), (-26, -14, 88, 7), (-40, -12, 94, 6.5)], 0.3),
    chain([(-8, -15, 62, 5.5), (14, -12, 70, 5), (40, 4, 84, 4.6), (70, 26, 98, 4)], 0.3),
    chain([(-4, -14, 56, 6), (0, -16, 30, 5.5), (2, -18, 0, 5)], 0.3),
)
ARTERIES = (
    chain([(10, 14, 74, 4), (9, 2, 72, 3.6), (-6, -6, 76, 3), (-22, -10, 84, 2.5)], 0.3),
    chain([(10, 12, 62, 4), (9, -2, 52, 4), (9, -8, 30, 3.8), (8, -12, -4, 3.4)], 0.3),
    chain([(14, 20, 48, 3.6), (32, 28, 50, 3.2), (46, 34, 52, 2.8)], 0.3),
    chain([(8, 20, 44, 3.6), (-18, 30, 42, 3.2), (-44, 34, 40, 2.8)], 0.3),
    chain([(-16, 12, 44, 5), (-34, 26, 41, 5), (-46, 32, 40, 4.5)], 0.3),
    chain([(-14, 8, 52, 5), (8, 4, 54, 4.5), (30, 22, 52, 5), (46, 30, 52, 4.5)], 0.3),
)
LIVER_VALUE, SPLEEN_VALUE = 112.0, 124.0


def _loops() -> list[Floats]:
    """Small bowel: three tubes that wander about in front of the spine."""
    wander = uniform("torso/gut", 3, 16, 3)
    rows = []
    for row, (x, y) in enumerate(((-38, -26), (4, -40), (44, -18))):
        points = []
        for bend in range(16):
            dx, dy, dz = (float(value) for value in wander[row, bend])
            points.append((x + 34 * dx, y + 22 * dy, 10 + 34 * dz, 9.5 + 1.5 * dz))
        rows.append(chain(points, 0.35))
    return rows


def _liver_targets(name: str, count: int) -> Floats:
    raw = uniform(name, count * 3, 3)
    square = raw[:, 0] * raw[:, 0] + raw[:, 1] * raw[:, 1] + raw[:, 2] * raw[:, 2]
    right = raw[square < 0.85][:count] * np.array([56, 68, 60], np.float32) + np.array([-64, 0, 90], np.float32)
    left = raw[square < 0.85][: count // 4] * np.array([46, 22, 26], np.float32) + np.array([4, -38, 112], np.float32)
    return np.concatenate([right, left])


class Abdomen:
    """Paints what lies below the diaphragm; shapes give way to the lungs and stay inside the cage."""

    def __init__(self) -> None:
        self._loops = _loops()
        veins = tree(
            "torso/liver/v", (-24, 0, 138, 5.5), _liver_targets("torso/liver/v", 110).astype(np.float64), 0.7, 2.2
        )
        portal = tree(
            "torso/liver/p", (-40, -12, 94, 5.5), _liver_targets("torso/liver/p", 130).astype(np.float64), 0.7, 2.2
        )
        self._liver_vessels = np.concatenate([veins, portal])
        mesentery = uniform("torso/mesentery", 90, 3).astype(np.float64) * np.array([56, 26, 34]) + np.array(
            [0, -30, 14]
        )
        self._mesentery = tree("torso/mesentery", (4, -14, 34, 3.2), mesentery, 0.6, 2.6)

    def paint(self, section: Section) -> None:
        z = section.z
        self._paint_back(section)
        if z > 160:
            return
        self._paint_diaphragm(section)
        canvas = section.canvas
        if z < 60:
            part = stamp(canvas, self._mesentery, z)[section.box]
            canvas.blend(section.box, part * coverage(section.cage[section.box]), 120.0)
            for loop in self._loops:
                paint_tube(canvas, loop, z, 32, 2.2, 92)
        paint_tube(canvas, DUODENUM, z, 30, 2.2, 80)
        self._paint_kidneys(section)
        paint_tube(canvas, PANCREAS, z, 98)
        self._paint_stomach(section)
        self._paint_union(section, (SPLEEN,), SPLEEN_VALUE, 3)
        self._paint_liver(section)
        gallbladder = GALLBLADDER.at(z)
        if gallbladder:
            canvas.fill(Ellipse(gallbladder.x, gallbladder.y, gallbladder.a + 1.2, gallbladder.b + 1.2), 70.0)
            canvas.fill(gallbladder, 9.0)
        for vessel in (*PORTAL, *ARTERIES):
            paint_tube(canvas, vessel, z, 164)
        self._paint_colon(section)

    def _clip(self, section: Section, box: Box, distance: Floats, rim: float) -> Floats:
        """Keep a shape inside the cage and off the lungs, `rim` mm away from both."""
        walls = np.maximum(section.cage[box] + np.float32(rim), np.float32(rim) - section.lung[box])
        return -smooth_minimum(-distance, -walls, 3)

    def _paint_union(self, section: Section, parts: tuple[Ellipsoid, ...], value: float, rim: float) -> Floats | None:
        canvas, box = section.canvas, section.box
        total: Floats | None = None
        for part in parts:
            shape = part.at(section.z)
            if shape:
                distance = canvas.distance(shape, box)
                total = distance if total is None else smooth_minimum(total, distance, 12)
        if total is None:
            return None
        total = self._clip(section, box, total, rim)
        canvas.paint(box, total, section.texture[box] * 5 + value)
        return total

    def _paint_diaphragm(self, section: Section) -> None:
        """A thin muscle between the lung and what is under it."""
        box = section.box
        lung = section.lung[box]
        sheet = coverage(np.abs(lung - np.float32(1.4)) - np.float32(1.1)) * coverage(section.cage[box] + np.float32(1))
        section.canvas.blend(box, sheet, 62.0)

    def _paint_liver(self, section: Section) -> None:
        distance = self._paint_union(section, LIVER, LIVER_VALUE, 3.2)
        if distance is None:
            return
        canvas, box = section.canvas, section.box
        caudate = CAUDATE.at(section.z)
        if caudate:
            canvas.fill(caudate, LIVER_VALUE)
        vessels = stamp(canvas, self._liver_vessels, section.z, 1.6)[box] * coverage(distance + np.float32(4), 4.0)
        canvas.blend(box, vessels, 158.0)

    def _paint_stomach(self, section: Section) -> None:
        distance = self._paint_union(section, STOMACH, 88.0, 4)
        if distance is None:
            return
        canvas, box = section.canvas, section.box
        canvas.paint(box, distance + np.float32(3.6), section.texture[box] * 10 + 24)
        gas = np.maximum(distance + np.float32(4.2), canvas.straight_y[box[0]] + np.float32(22))
        canvas.paint(box, gas, -985.0)

    def _paint_kidneys(self, section: Section) -> None:
        z, canvas = section.z, section.canvas
        for kidney, side in KIDNEYS:
            capsule = kidney.at(z, 9)
            if capsule:
                box = canvas.around(capsule)
                canvas.paint(box, self._clip(section, box, canvas.distance(capsule, box), 3), -104.0)
            shape = kidney.at(z)
            if not shape:
                continue
            box = canvas.around(shape)
            hilum = Ellipsoid(
                (kidney.centre[0] - side * 20, kidney.centre[1] - 13, kidney.centre[2]),
                (15, 13, 20),
                drift=kidney.drift,
            ).at(z)
            distance = canvas.distance(shape, box)
            if hilum:
                distance = -smooth_minimum(-distance, canvas.distance(hilum, box), 4)
            distance = self._clip(section, box, distance, 4)
            canvas.paint(box, distance, section.texture[box] * 5 + 188)
            # Pyramids: wedges of medulla, darker than the cortex, in a ring.
            wedges = section.texture[box] * np.float32(2.4) + np.float32(0.55)
            canvas.blend(box, coverage(distance + np.float32(6.5), 2.0) * np.clip(wedges, 0.25, 1), 146.0)
            sinus = Ellipsoid(
                (kidney.centre[0] - side * 9, kidney.centre[1] - 5, kidney.centre[2]),
                (13, 8, 30),
                kidney.cosine,
                kidney.sine,
                kidney.drift,
            ).at(z)
            if sinus:
                canvas.fill(sinus, -70.0, 2.5)
                canvas.fill(Ellipse(sinus.x - side * 3, sinus.y - 2, sinus.a * 0.55, sinus.b * 0.5), 22.0, 2.0)
        for start, end, height in GLANDS:
            thick = 2.4 - abs(z - height) * 0.14
            if thick > 0.6:
                canvas.line(start, end, thick, 70)
                canvas.line(start, (end[0] * 1.05, end[1] - 12), thick * 0.8, 70)

    def _paint_colon(self, section: Section) -> None:
        """A thin wall, mottled contents below and gas above."""
        z, canvas = section.z, section.canvas
        for part, depth in zip(COLON, (1.0, 8.0, 2.0), strict=True):
            found = tube_distance(canvas, part, z, 1.8)
            if not found:
                continue
            box, distance = found
            canvas.paint(box, distance - np.float32(1.8), 70.0)
            canvas.paint(box, distance, section.texture[box] * 170 - 90)
            near = part[np.abs(part[:, 2] - z) < part[:, 3], 1].tolist()
            level = sum(near) / len(near) + depth
            gas = np.maximum(distance + np.float32(0.6), canvas.straight_y[box[0]] - np.float32(level))
            canvas.paint(box, gas, -980.0)

    def _paint_back(self, section: Section) -> None:
        """Muscles along the spine, and the ones of the loins and the front of the belly."""
        z = section.z
        y = SPINE_Y(z)
        lumbar = min(max((120 - z) / 100, 0.0), 1.0)
        for side in (-1, 1):
            muscle = Ellipse(side * 27, y + 36 - 2 * lumbar, 21 + 7 * lumbar, 11 + 6 * lumbar, square=0.3)
            self._muscle(section, muscle)
            if z < 75:
                size = min((75 - z) / 60, 1.0)
                self._muscle(section, Ellipse(side * (29 + 6 * size), y + 6, 8 + 9 * size, 9 + 9 * size))
            if z < 50:
                self._muscle(section, Ellipse(side * 66, y + 30, 20, 8, 0.94, -side * 0.342))

    def _muscle(self, section: Section, shape: Ellipse) -> None:
        canvas = section.canvas
        box = canvas.around(shape)
        distance = canvas.distance(shape, box)
        canvas.paint(box, distance - np.float32(1.5), -80.0, 2.0)
        canvas.paint(box, distance, section.texture[box] * 8 + 58, 1.6)
