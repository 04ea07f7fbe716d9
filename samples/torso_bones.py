"""The skeleton of the trunk: spine, ribs with their cartilage, breastbone, collar bones and shoulder blades."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .canvas import Canvas, Ellipse, Ellipsoid, coverage
from .fields import Curve, Floats, arc_cosine, cosine, sine
from .tubes import chain

if TYPE_CHECKING:
    from .torso import Section

FIRST_HEIGHT, HEIGHT_GROWTH = 16.5, 0.6

SPINE_Y = Curve([(0, 32), (30, 35), (60, 40), (110, 49), (160, 55), (215, 57), (260, 50), (300, 40)])
BODY_WIDTH = Curve([(0, 22), (60, 19.5), (120, 16.5), (220, 14), (300, 13.5)])
BODY_DEPTH = Curve([(0, 16.5), (60, 15.5), (120, 14), (220, 11.5), (300, 9)])
RIB_DESCENT = Curve([(0, 50), (60, 58), (120, 74), (190, 74), (250, 52), (300, 30)])
STERNUM_WIDTH = Curve([(118, 5), (128, 9), (150, 16), (190, 14), (212, 13), (222, 22), (240, 27), (252, 24)])
SHOULDER_BLADE = (
    ((-84, 78), (-118, 62)),
    ((-118, 62), (-140, 34)),
)


class Bones:
    """Paints the skeleton; `top` is the height of the upper edge of the first thoracic vertebra in mm."""

    def __init__(self, top: float) -> None:
        self._top = top
        self.collar = [
            chain(
                [
                    (side * 15, -42, 262, 8.5),
                    (side * 45, -52, 270, 6.2),
                    (side * 85, -42, 280, 5.6),
                    (side * 120, -14, 288, 6.5),
                    (side * 142, 8, 290, 7.5),
                ]
            )
            for side in (-1, 1)
        ]

    def level(self, z: Floats) -> Floats:
        """Vertebrae counted from the top: 0 at the upper edge of T1, 12 at the upper edge of L1."""
        below = np.maximum(np.float32(self._top) - z, np.float32(-100))
        square = np.float32(FIRST_HEIGHT**2) + below * np.float32(2 * HEIGHT_GROWTH)
        level: Floats = (np.sqrt(square) - np.float32(FIRST_HEIGHT)) * np.float32(1 / HEIGHT_GROWTH)
        return level

    def rib(self, number: int, side: int, cage: Callable[[float], Ellipse]) -> list[tuple[float, float, float]]:
        """Points (x, y, z) in mm along the bony part of a rib, 0 being the first; `cage` is the shell at a height."""
        level = number + 0.28
        head = self._top - (FIRST_HEIGHT * level + HEIGHT_GROWTH * level * level / 2)
        last = {11: 0.33, 10: 0.5}.get(number, 0.755)
        points = []
        for step in range(8, int(last * 120) + 1):
            way = step / 120
            bend = min(way / 0.74, 1.0)
            down = bend * 0.5 + bend * bend * 0.5
            z = head
            for _ in range(6):
                z = head - down * RIB_DESCENT(z)
            shell = cage(z)
            s, c = sine(way * math.pi), cosine(way * math.pi)
            u, v = s * s, c * c
            norm = (1 - shell.square) + shell.square * math.sqrt(math.sqrt(u * u + v * v))
            points.append((side * s * (shell.a / norm + 4.6), shell.y + c * (shell.b / norm + 4.6), z))
        return points

    def paint(self, section: Section, fine: bool) -> None:
        if fine:
            self._paint_ribs(section)
            for collar in self.collar:
                _paint_rod(section.canvas, collar, section.z)
        self._paint_sternum(section)
        self._paint_shoulder(section)
        self._paint_spine(section)

    def _paint_ribs(self, section: Section) -> None:
        z, canvas, shape = section.z, section.canvas, section.cage_shape
        # Ribs lie on a thin shell, so only its samples are looked at: `where` are their flat indices.
        across = section.cage - np.float32(4.6)
        where = np.flatnonzero(np.abs(across) < 5.2)
        across = across.reshape(-1)[where]
        dx, dy = canvas.x.reshape(-1)[where], canvas.y.reshape(-1)[where] - np.float32(shape.y)
        u, v = dx * np.float32(1 / shape.a), dy * np.float32(1 / shape.b)
        length = np.maximum(np.sqrt(u * u + v * v), np.float32(0.05))
        # 0 at the spine, 1 at the breastbone.
        way = arc_cosine(np.clip(v / length, -1, 1)) * np.float32(1 / math.pi)
        bend = np.clip(way * np.float32(1 / 0.74), 0, 1)
        down = bend * np.float32(0.5) + bend * bend * np.float32(0.5)
        up = np.clip((way - np.float32(0.74)) * np.float32(1 / 0.26), 0, 1)
        height = down * np.float32(RIB_DESCENT(z)) - up * up * np.float32(34)
        level = self.level(np.float32(z) + height)
        place = level - np.float32(0.28)
        number = np.rint(place)
        off = (place - number) * (level * np.float32(HEIGHT_GROWTH) + np.float32(FIRST_HEIGHT))
        last = np.where(number >= 11, np.float32(0.33), np.where(number >= 10, np.float32(0.5), np.float32(2)))
        exists = (number >= 0) & (number <= 11) & (way < last) & (np.abs(dx) > np.float32(20))
        nearest = np.minimum(np.abs(off), np.float32(30)) * np.float32(1 / 6.4)
        thick = across * np.float32(1 / 3.7)
        distance = (np.sqrt(nearest * nearest + thick * thick) - 1) * np.float32(3.7)
        distance = np.where(exists, distance, np.float32(9))
        gristle = np.clip((way - np.float32(0.755)) * np.float32(60), 0, 1)
        values = canvas.values.reshape(-1)
        below = values[where]
        below += coverage(distance) * (gristle * np.float32(105 - 720) + np.float32(720) - below)
        marrow = section.texture.reshape(-1)[where] * 50 + 230
        marrow += gristle * (np.float32(95) - marrow)
        below += coverage(distance + np.float32(1.5), 1.3) * (marrow - below)
        values[where] = below

    def _paint_sternum(self, section: Section) -> None:
        z, canvas, shape = section.z, section.canvas, section.cage_shape
        if not 116 < z < 254:
            return
        ends = min((z - 116) / 6, (254 - z) / 5, 1.0)
        front = shape.y - shape.b - 5.5
        bone = Ellipse(0, front, STERNUM_WIDTH(z) * ends, 6.2 * (0.4 + 0.6 * ends), square=0.5)
        self._bone(canvas, bone, 560, 150, 1.4)

    def _paint_shoulder(self, section: Section) -> None:
        z, canvas = section.z, section.canvas
        if not 168 < z < 294:
            return
        # The blade thins out towards its tip and moves outwards as it rises.
        part = min((z - 168) / 40, 1.0)
        shift = (z - 220) * 0.10
        for side in (-1, 1):
            for (x1, y1), (x2, y2) in SHOULDER_BLADE:
                start = (side * (abs(x1) + shift * 0.4), y1 - shift * 0.5)
                middle = (side * (abs(x1) + (abs(x2) - abs(x1)) * part + shift), y1 + (y2 - y1) * part - shift * 0.6)
                radius = 2.3 if x1 == -84 else 2.6 + 2.4 * max(0.0, (z - 235) / 40)
                if x1 != -84 and z < 206:
                    continue
                canvas.line(start, middle, radius, 620)
                canvas.line(start, middle, radius - 1.2, 260)
            if z > 226:
                spine = min((z - 226) / 22, 1.0)
                start, end = (side * (104 + shift), 70 - shift), (side * (112 + 26 * spine), 76 - 4 * spine)
                canvas.line(start, end, 2.4, 600)
            head = Ellipsoid((side * 143, 24, 272), (17, 18, 21))
            for inset, value in ((0.0, 640.0), (-2.2, 230.0)):
                cut = head.at(z, inset)
                if cut:
                    canvas.fill(cut, value)

    def _paint_spine(self, section: Section) -> None:
        z, canvas = section.z, section.canvas
        level = float(self.level(np.array([z], np.float32))[0])
        part = round(level - int(level), 5)
        y, a, b = SPINE_Y(z), BODY_WIDTH(z), BODY_DEPTH(z)
        lumbar = min(max((110 - z) / 60, 0.0), 1.0)
        waist = 1 - 0.09 * (1 - ((part - 0.43) / 0.43) ** 2) if part < 0.86 else 1.0
        disc = min(max((part - 0.855) / 0.03, 0.0), 1.0) * min(max((1 - part) / 0.03, 0.0), 1.0)
        plate = max(0.0, 1 - abs(part - 0.83) / 0.035, 1 - part / 0.05)
        body = Ellipse(0, y, a * waist, b * waist, square=0.18)
        box = canvas.around(body)
        distance = canvas.distance(body, box)
        canal_y = y + b + 7.0
        dx, dy = canvas.x[box], canvas.y[box] - np.float32(canal_y + 2)
        hollow = np.float32(11.5) - np.sqrt(dx * dx * np.float32(0.6) + dy * dy)
        distance = np.maximum(distance, hollow)
        texture = section.texture[box]
        canvas.paint(box, distance - np.float32(1.0), 60.0)
        canvas.paint(box, distance, 600 * (1 - disc) + 95 * disc)
        marrow = (texture * 55 + 205) * (1 - plate) + np.float32(520 * plate)
        canvas.paint(box, distance + np.float32(1.5), marrow * (1 - disc) + (texture * 6 + 88) * disc, 1.6)
        canvas.fill(Ellipse(0, canal_y, 9.5, 8.2), -60.0)
        canvas.fill(Ellipse(0, canal_y, 8.4, 7.2), 18.0)
        canvas.fill(Ellipse(0, canal_y, 5.2, 4.0), 42.0)

        def grows(middle: float, width: float) -> float:
            return min(max((width - abs(part - middle)) / 0.1, 0.0), 1.0)

        pedicle, lamina, wing = grows(0.28, 0.27), grows(0.62, 0.36), grows(0.3, 0.24)
        spinous = 0.55 + 0.45 * grows(0.6, 0.4)
        back = canal_y + 10.5
        facet = max(grows(0.05, 0.16), grows(0.98, 0.14))
        rods: list[tuple[tuple[float, float], tuple[float, float], float]] = []
        for side in (-1, 1):
            rods.append(((side * 11, y + b - 2), (side * 12, canal_y + 4), (3.4 + 1.2 * lumbar) * pedicle))
            rods.append(((side * 11, canal_y + 5), (side * 1.5, back), 3.0 * max(lamina, 0.45)))
            reach = 31 + 6 * lumbar
            rods.append(((side * 12, canal_y + 3), (side * reach, canal_y + 9 - 5 * lumbar), (4.2 - lumbar) * wing))
            rods.append(((side * 13, canal_y + 2), (side * 14.5, canal_y + 8), (4.6 + lumbar) * facet))
        rods.append(((0, back), (0, back + (15 + 5 * lumbar) * spinous), (2.9 + 0.8 * lumbar) * (0.5 + 0.5 * spinous)))
        rods = [rod for rod in rods if rod[2] > 0.8]
        for start, end, radius in rods:
            canvas.line(start, end, radius, 640)
        for start, end, radius in rods:
            if radius > 2.2:
                canvas.line(start, end, radius - 1.7, 290)

    def _bone(self, canvas: Canvas, shape: Ellipse, shell: float, marrow: float, thickness: float) -> None:
        box = canvas.around(shape)
        distance = canvas.distance(shape, box)
        canvas.paint(box, distance, shell)
        canvas.paint(box, distance + np.float32(thickness), marrow, 1.4)


def _paint_rod(canvas: Canvas, spheres: Floats, z: float) -> None:
    """A long bone: a hard shell with marrow, cut at height z."""
    away = spheres[:, 2] - np.float32(z)
    near = spheres[np.abs(away) < spheres[:, 3] + 1]
    if not len(near):
        return
    reach = near[:, 3]
    box = canvas.box(
        float((near[:, 0] - reach).min()),
        float((near[:, 1] - reach).min()),
        float((near[:, 0] + reach).max()),
        float((near[:, 1] + reach).max()),
    )
    distance = np.full(canvas.x[box].shape, np.float32(50))
    for x, y, height, radius in near:
        dx, dy, dz = canvas.x[box] - x, canvas.y[box] - y, height - np.float32(z)
        distance = np.minimum(distance, np.sqrt(dx * dx + dy * dy + dz * dz) - radius)
    canvas.blend(box, coverage(distance), 760.0)
    canvas.blend(box, coverage(distance + np.float32(2.2), 1.4), 260.0)
