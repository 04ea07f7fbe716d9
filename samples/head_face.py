"""Everything outside the skull: skin, fat, muscles, eyes, nose and the air cells of the base of the skull."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .canvas import Ellipse, Ellipsoid, coverage
from .fields import Curve, Floats, smooth_minimum

if TYPE_CHECKING:
    from .head import HeadSection

FACE_WIDTH = Curve([(-70, 60), (-45, 64), (-20, 62), (0, 50), (14, 30)])
FACE_DEPTH = Curve([(-70, 62), (-40, 62), (-15, 58), (0, 46), (14, 26)])
NECK_WIDTH = Curve([(-70, 60), (-45, 60), (-25, 40)])
NOSE = Ellipsoid((0, -99, -50), (13, 20, 24))
EARS = (Ellipsoid((-81, 16, -30), (5, 15, 26), 0.94, 0.342), Ellipsoid((81, 16, -30), (5, 15, 26), 0.94, -0.342))
BACK = ((12, 88, 10, 6), (32, 82, 13, 7), (50, 62, 7, 12), (56, 42, 6, 11))
CHEEKS = (((44, -66), (66, -38)), ((66, -38), (68, -12)))


def paint_face(section: HeadSection) -> None:
    z, canvas, palette, box = section.z, section.canvas, section.palette, section.box
    texture = section.texture[box]
    outline = section.cavity - np.float32(12.8)
    if z < 14:
        outline = smooth_minimum(outline, canvas.distance(Ellipse(0, -34, FACE_WIDTH(z), FACE_DEPTH(z)), box), 22)
    if z < -25:
        outline = smooth_minimum(outline, canvas.distance(Ellipse(0, 30, NECK_WIDTH(z), 64), box), 20)
    nose = NOSE.at(z)
    if nose:
        outline = smooth_minimum(outline, canvas.distance(nose, box), 8)
    for ear in EARS:
        shape = ear.at(z)
        if shape:
            rim = np.abs(canvas.distance(shape, box) + np.float32(2.6)) - np.float32(1.9)
            canvas.paint(box, rim, palette.skin)
    canvas.paint(box, outline, palette.skin)
    canvas.paint(box, outline + np.float32(2.2), texture * np.float32(0.05 * abs(palette.fat)) + palette.fat, 1.2)
    inner = np.maximum(outline + np.float32(6.5), np.float32(4) - section.cavity)
    if z < 0:
        mixed = texture * np.float32(0.12) + np.float32(0.7)
        canvas.blend(box, coverage(inner, 2.0) * mixed * np.float32(min(-z / 20, 1.0)), palette.muscle)
    if z < -38:
        part = min((-38 - z) / 16, 1.0)
        for side in (-1, 1):
            for x, y, a, b in BACK:
                shape = Ellipse(side * x, y, a * part, b * part)
                distance = np.maximum(canvas.distance(shape, box), outline + np.float32(4))
                canvas.paint(box, distance - np.float32(1.4), palette.fat)
                canvas.paint(box, distance, palette.muscle)
    for side in (-1, 1):
        temple = Ellipsoid((side * 70, -28, -8), (9, 30, 46)).at(z)
        if temple:
            distance = np.maximum(canvas.distance(temple, box), outline + np.float32(5))
            canvas.paint(box, distance, palette.muscle, 1.6)
    if z < 8:
        _paint_bones(section, outline)
        _paint_orbits(section)


def _paint_bones(section: HeadSection, outline: Floats) -> None:
    z, canvas, palette, box = section.z, section.canvas, section.palette, section.box
    texture = section.texture[box]
    for side in (-1, 1):
        if -44 < z < -26:
            for (x1, y1), (x2, y2) in CHEEKS:
                canvas.line((side * x1, y1), (side * x2, y2), 3.2, palette.bone)
        if z < -40:
            canvas.line((side * 50, -24), (side * 52, 0), 4.0, palette.bone)
            canvas.line((side * 50, -24), (side * 52, 0), 1.6, palette.marrow)
            for x, y, a, b in ((60, -28, 7, 18), (40, -18, 8, 13)):
                canvas.fill(Ellipse(side * x, y, a, b), palette.muscle)
        petrous = Ellipsoid((side * 34, 10, -34), (34, 9, 12), 0.906, side * 0.423).at(z)
        mastoid = Ellipsoid((side * 55, 24, -44), (13, 16, 22)).at(z)
        for shape in (petrous, mastoid):
            if shape:
                canvas.fill(shape, palette.bone)
        if mastoid:
            cells = canvas.distance(mastoid, box) + np.float32(3)
            canvas.blend(box, coverage(cells) * np.clip(texture * 3 + np.float32(0.6), 0, 1), palette.air)
        canal = Ellipsoid((side * 66, 10, -36), (14, 3, 3)).at(z)
        if canal:
            canvas.fill(canal, palette.air)
        antrum = Ellipsoid((side * 29, -60, -56), (15, 17, 18)).at(z, 1.6)
        if antrum:
            canvas.fill(antrum, palette.bone)
            canvas.fill(Ellipse(antrum.x, antrum.y, antrum.a - 1.6, antrum.b - 1.6), palette.mucosa)
            canvas.fill(Ellipse(antrum.x, antrum.y, antrum.a - 2.6, antrum.b - 2.6), palette.air)
    sphenoid = Ellipsoid((0, -32, -36), (15, 14, 12)).at(z)
    if sphenoid:
        canvas.fill(Ellipse(0, sphenoid.y, sphenoid.a + 5, sphenoid.b + 4), palette.marrow)
        canvas.fill(Ellipse(0, sphenoid.y, sphenoid.a + 1.5, sphenoid.b + 1.5), palette.bone)
        canvas.fill(sphenoid, palette.air)
        canvas.line((2, sphenoid.y - sphenoid.b), (1, sphenoid.y + sphenoid.b), 0.6, palette.bone)
    if z < -52:
        canvas.fill(Ellipse(0, -8, 16, 12, square=0.3), palette.marrow)
    _paint_nose(section)
    frontal = Ellipsoid((0, -80, -4), (16, 5, 10)).at(z)
    if frontal:
        canvas.fill(Ellipse(0, frontal.y, frontal.a + 2, frontal.b + 2), palette.bone)
        canvas.fill(frontal, palette.air)


def _paint_nose(section: HeadSection) -> None:
    """Ethmoid cells above, the nasal cavity with its partition and shells below."""
    z, canvas, palette, box = section.z, section.canvas, section.palette, section.box
    texture = section.texture[box]
    cells = Ellipsoid((0, -62, -26), (12, 24, 14)).at(z)
    if cells:
        distance = canvas.distance(cells, box)
        canvas.paint(box, distance, palette.bone)
        canvas.blend(
            box, coverage(distance + np.float32(1.3)) * np.clip(texture * 4 + np.float32(2.2), 0, 1), palette.air
        )
    cavity = Ellipsoid((0, -66, -54), (14, 32, 20)).at(z)
    if not cavity:
        return
    canvas.fill(Ellipse(0, cavity.y, cavity.a + 1.5, cavity.b + 1), palette.bone)
    canvas.fill(cavity, palette.air)
    canvas.line((0, cavity.y - cavity.b), (1, cavity.y + cavity.b), 1.1, palette.mucosa)
    for side in (-1, 1):
        canvas.line((side * 7, cavity.y - cavity.b * 0.6), (side * 7.5, cavity.y + cavity.b * 0.6), 2.4, palette.mucosa)


def _paint_orbits(section: HeadSection) -> None:
    z, canvas, palette, box = section.z, section.canvas, section.palette, section.box
    for side in (-1, 1):
        orbit = Ellipsoid((side * 30, -64, -24), (18, 27, 18), 0.966, -side * 0.259).at(z)
        if not orbit:
            continue
        around = canvas.distance(orbit, box)
        canvas.paint(box, np.maximum(around - np.float32(2.2), np.float32(-70) - canvas.y[box]), palette.bone)
        canvas.paint(box, around, palette.fat)
        away = abs(z + 24)
        if away < 10:
            for start, end in (((19, -76), (16, -44)), ((42, -74), (22, -42))):
                rod = canvas.capsule((side * start[0], start[1]), (side * end[0], end[1]), 1.9, box)
                canvas.paint(box, np.maximum(rod, around), palette.muscle)
        if away < 3.5:
            canvas.line((side * 29, -66), (side * 16, -36), 2.2, palette.white)
        globe = Ellipsoid((side * 31, -78, -24), (12.2, 12.4, 12.2)).at(z)
        if globe:
            canvas.fill(globe, palette.skin)
            canvas.fill(Ellipse(globe.x, globe.y, globe.a - 1, globe.b - 1), palette.eye)
            if away < 5:
                canvas.fill(Ellipse(globe.x, globe.y - 8, 4.6, 2.2), palette.lens)
