"""A made-up head: axial sections from the upper jaw (z = -64) to the crown (z = 88 mm), in any tissue palette."""

import itertools
from dataclasses import dataclass

import numpy as np

from .canvas import Box, Canvas, Ellipse, Ellipsoid, coverage
from .fields import Floats, smooth_minimum, smooth_plane, smooth_volume
from .head_deep import paint_deep
from .head_face import paint_face


@dataclass(frozen=True, slots=True)
class Palette:
    """The value of each tissue: HU for CT, signal for MR."""

    air: float
    skin: float
    fat: float
    muscle: float
    bone: float
    marrow: float
    fluid: float
    grey: float
    white: float
    nuclei: float
    eye: float
    lens: float
    blood: float
    dura: float
    mucosa: float


@dataclass(frozen=True, slots=True)
class HeadSection:
    """What the painters of one height share: distances in mm on `box`, negative inside."""

    z: float
    canvas: Canvas
    palette: Palette
    box: Box
    cavity: Floats
    texture: Floats


UPPER = Ellipsoid((0, 3, 8), (66, 84, 66), square=0.12)
LOWER = Ellipsoid((0, 3, 8), (66, 84, 40), square=0.12)
FOSSAE = (
    Ellipsoid((-40, -6, -20), (27, 36, 26)),
    Ellipsoid((40, -6, -20), (27, 36, 26)),
    Ellipsoid((0, 44, -30), (54, 43, 32)),
)
# Where the cerebellum takes the place of the back of the brain.
TENT = Ellipsoid((0, 49, -31), (56, 38, 25))
SULCUS_STEP = 2.0
SULCUS_REACH = 82.0


class Head:
    """Sections of `size` x `size` samples, `spacing` mm apart."""

    def __init__(self, size: int, spacing: float) -> None:
        self.size, self.spacing = size, spacing
        axis = (np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)) * np.float32(spacing)
        self._x, self._y = axis[None, :], axis[:, None] - np.float32(6)
        self._bends = [
            [smooth_plane(f"head/warp/{way}/{index}", size, size, 40 / spacing) * np.float32(1.8) for index in range(6)]
            for way in "xy"
        ]
        self._textures = [smooth_plane(f"head/texture/{index}", size, size, 3.2 / spacing) for index in range(5)]
        count = int(2 * SULCUS_REACH / SULCUS_STEP)
        self._folds = smooth_volume("head/folds", (count, count, count), (4.0, 4.0, 4.0))

    def section(self, z: float, palette: Palette) -> Floats:
        """Noise-free values (rows, columns), float32."""
        canvas = Canvas(self._x, self._y, self._warp(z), palette.air)
        box = canvas.box(-90, -122, 90, 108)
        cavity = self._cavity(canvas, box, z)
        section = HeadSection(z, canvas, palette, box, cavity, self._texture(z))
        paint_face(section)
        self._paint_skull(section)
        self._paint_brain(section)
        paint_deep(section)
        return canvas.values

    def _warp(self, z: float) -> tuple[Floats, Floats]:
        at = (z + 80) / 55
        base = int(at)
        f = at - base
        weights = (0.5 * (1 - f) ** 2, 0.5 + f * (1 - f), 0.5 * f * f)
        x, y = (b[base] * weights[0] + b[base + 1] * weights[1] + b[base + 2] * weights[2] for b in self._bends)
        return x, y

    def _texture(self, z: float) -> Floats:
        at = (z + 400) / 3.2
        base = int(at)
        f = at - base
        return self._textures[base % 5] * (1 - f) + self._textures[(base + 1) % 5] * f

    def _cavity(self, canvas: Canvas, box: Box, z: float) -> Floats:
        """Distance to the inside of the skull."""
        total: Floats | None = None
        for part in (UPPER if z > 8 else LOWER, *FOSSAE):
            # The bone goes on where the cavity ends, so each shape is followed a while beyond its end.
            beyond = 18 if part in (UPPER, LOWER) else 9
            shape = part.at(z, beyond)
            if not shape:
                continue
            distance = canvas.distance(shape, box) + np.float32(beyond * min(1.0, shape.b / part.axes[1]))
            total = distance if total is None else smooth_minimum(total, distance, 8)
        if total is None:
            return np.full(canvas.x[box].shape, np.float32(60))
        return total

    def _paint_skull(self, section: HeadSection) -> None:
        canvas, box, palette, cavity = section.canvas, section.box, section.palette, section.cavity
        texture = section.texture[box]
        # Thicker at the forehead and the back of the head.
        thick = np.float32(5.4) + np.abs(canvas.y[box]) * np.float32(0.022)
        canvas.paint(box, cavity - thick, palette.bone)
        diploe = np.abs(cavity - thick * np.float32(0.5)) - (thick * np.float32(0.5) - np.float32(1.9))
        canvas.paint(box, diploe, texture * np.float32((palette.marrow - palette.bone) * 0.22) + palette.marrow, 1.4)
        canvas.paint(box, cavity, palette.dura)
        canvas.paint(box, cavity + np.float32(0.8), palette.fluid)

    def _paint_brain(self, section: HeadSection) -> None:
        z, canvas, box, palette = section.z, section.canvas, section.box, section.palette
        x, y = canvas.x[box], canvas.y[box]
        depth = -(section.cavity + np.float32(2.2))
        if float(depth.max()) < 0.2:
            return
        fold = self._fold(canvas.spacing, x, y, z, depth)
        side = np.abs(x)
        if -24 < z < 34:
            fold = np.minimum(fold, self._sylvian(canvas, box, z))
        # The halves of the brain are parted, but not where the white bridge joins them.
        bridge = Ellipsoid((0, 0, 6), (60, 34, 22)).at(z)
        gap = side - np.float32(0.7) - np.maximum(np.abs(y - 3) - np.float32(60), 0) * np.float32(0.06)
        if bridge:
            gap = np.maximum(gap, (np.float32(bridge.b) - np.abs(y)) * np.float32(0.8))
        fold = np.minimum(fold, gap)
        under = TENT.at(z)
        if under:
            fold = np.minimum(fold, canvas.distance(under, box) + np.float32(2))
        if z < -38:
            fold = np.minimum(fold, np.float32(13) - y)
        brain = coverage(-np.minimum(depth, fold), 1.0)
        canvas.blend(box, brain, palette.grey)
        core = coverage(np.float32(2.7) - np.minimum(depth, fold), 1.3)
        canvas.blend(box, core, section.texture[box] * np.float32(0.02 * palette.white) + palette.white)
        if z > -6:
            falx = np.maximum(side - np.float32(0.5), -(depth + np.float32(1.6)))
            if bridge:
                falx = np.maximum(falx, -(np.abs(y) - np.float32(bridge.b + 4)))
            canvas.paint(box, falx, palette.dura, 1.0)
            crown = canvas.distance(Ellipse(0, 3 + self._back(section), 5, 4.5), box)
            canvas.paint(box, crown, palette.blood)

    def _back(self, section: HeadSection) -> float:
        """How far back the inside of the skull reaches on the midline."""
        middle = section.cavity[:, section.cavity.shape[1] // 2]
        inside = np.flatnonzero(middle < 0)
        return float(section.canvas.straight_y[section.box[0]][inside[-1], 0]) - 5.5 if len(inside) else 200.0

    def _fold(self, spacing: float, x: Floats, y: Floats, z: float, depth: Floats) -> Floats:
        """Distance to the nearest sulcus: sheets where a random field is zero, running inwards from the surface."""
        side = np.abs(x) + x * np.float32(0.04)
        height = np.float32(z - 4)
        length = np.sqrt(side * side + y * y + height * height) + np.float32(1)
        pull = (np.float32(46) / length + np.float32(0.36)) * np.float32(1 / SULCUS_STEP)
        middle = np.float32(SULCUS_REACH / SULCUS_STEP)
        field = _sample(self._folds, height * pull + middle, y * pull + middle, side * pull + middle)
        slope: Floats = np.full(field.shape, 0.01, np.float32)
        for way in (0, 1):
            step = np.gradient(field, axis=way).astype(np.float32) * np.float32(1 / spacing)
            slope += step * step
        fold: Floats = np.divide(np.abs(field), np.sqrt(slope), dtype=np.float32) - np.float32(0.6)
        if z > 8:
            # Near the crown the surface lies above, not beside.
            height = np.float32((z - UPPER.centre[2]) / UPPER.axes[2])
            u, v = x * np.float32(1 / UPPER.axes[0]), (y - np.float32(3)) * np.float32(1 / UPPER.axes[1])
            depth = np.minimum(
                depth, (np.float32(1) - np.sqrt(u * u + v * v + height * height)) * np.float32(UPPER.axes[0])
            )
        deep: Floats = np.maximum(depth - np.float32(17) - field * np.float32(6), np.float32(0))
        fold += deep * np.float32(0.9)
        return fold

    def _sylvian(self, canvas: Canvas, box: Box, z: float) -> Floats:
        """The cleft above the temporal lobe and the island of cortex at its end."""
        rise = (z + 8) * 0.35
        total = np.full(canvas.x[box].shape, np.float32(99))
        for side in (-1, 1):
            way = ((70, -18), (58, -15), (48, -9), (43.5, 2), (43, 12), (46, 20))
            points = [(side * px, py + rise) for px, py in way]
            for start, end in itertools.pairwise(points):
                total = np.minimum(total, canvas.capsule(start, end, 0.7, box))
        fade = max(0.0, abs(z - 4) - 20) * 1.2
        return total + np.float32(fade)


def _sample(volume: Floats, i: Floats, j: Floats, k: Floats) -> Floats:
    """Trilinear values at fractional indices of the three axes, held at the border."""
    last = np.float32(volume.shape[0] - 1.01)
    positions = [np.clip(axis, 0, last) for axis in (i, j, k)]
    bases = [axis.astype(np.int32) for axis in positions]
    parts = [(axis - base).astype(np.float32) for axis, base in zip(positions, bases, strict=True)]
    rows, columns = volume.shape[1], volume.shape[2]
    flat = volume.reshape(-1)
    start = (bases[0] * rows + bases[1]) * columns + bases[2]
    planes = []
    for plane in (0, rows * columns):
        lines = []
        for line in (plane, plane + columns):
            low, high = flat[start + line], flat[start + (line + 1)]
            lines.append(low + (high - low) * parts[2])
        planes.append(lines[0] + (lines[1] - lines[0]) * parts[1])
    values: Floats = planes[0] + (planes[1] - planes[0]) * parts[0]
    return values
