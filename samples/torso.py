"""A made-up human trunk: HU of any axial section from the third lumbar vertebra (z = 0) to the neck (z = 300 mm).

The shapes are ours, drawn after textbook anatomy. Nothing was measured on a person.
"""

from dataclasses import dataclass

import numpy as np

from .canvas import Box, Canvas, Ellipse, coverage
from .fields import Curve, Floats, blurred, gaussian, smooth_minimum, smooth_plane
from .torso_abdomen import Abdomen
from .torso_bones import Bones
from .torso_chest import Chest

TOP = 300.0
WARP_KNOT = 24.0
TEXTURE_KNOT = 4.0

BODY_WIDTH = Curve([(0, 148), (60, 149), (110, 152), (170, 156), (225, 161), (265, 166), (300, 158)])
BODY_DEPTH = Curve([(0, 99), (60, 102), (120, 106), (180, 106), (230, 100), (265, 90), (300, 76)])
BODY_BACK = Curve([(0, -2), (120, 0), (200, 2), (300, 10)])
FAT = Curve([(0, 21), (60, 19), (120, 14), (200, 11), (300, 9)])
CAGE_WIDTH = Curve(
    [(0, 120), (60, 122), (100, 125), (150, 124), (200, 117), (240, 102), (265, 82), (285, 58), (300, 36)]
)
CAGE_DEPTH = Curve([(0, 72), (60, 77), (100, 81), (150, 81), (200, 76), (240, 65), (270, 52), (285, 40), (300, 28)])
CAGE_BACK = Curve([(0, -10), (60, -6), (150, 0), (200, 4), (250, 12), (300, 26)])

# Of the armpit: shift from its middle and radius in mm, HU.
VESSELS = ((-4, -12, 4.2, 150.0), (5, -3, 3.4, 165.0), (8, 8, 2.6, 70.0), (-9, 6, 3.4, 45.0))


@dataclass(frozen=True, slots=True)
class Section:
    """What the parts of the trunk share when they paint one height.

    `cage` and `lung` are distances in mm, negative inside, true on `box` and large elsewhere; `texture` is about
    -1 to 1.
    """

    z: float
    canvas: Canvas
    box: Box
    cage: Floats
    lung: Floats
    texture: Floats
    cage_shape: Ellipse


class Torso:
    """Sections of `size` x `size` samples, `spacing` mm apart, centred on the patient."""

    def __init__(self, size: int = 512, spacing: float = 0.703125) -> None:
        self.size, self.spacing = size, spacing
        axis = (np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)) * np.float32(spacing)
        self._x, self._y = axis[None, :], axis[:, None]
        knots = int(TOP / WARP_KNOT) + 4
        knot = 34 / spacing
        self._bends = [
            [smooth_plane(f"torso/warp/{way}/{index}", size, size, knot) * np.float32(2.6) for index in range(knots)]
            for way in "xy"
        ]
        self._textures = [smooth_plane(f"torso/texture/{index}", size, size, 4 / spacing) for index in range(7)]
        self._noise = [blurred(gaussian(f"torso/noise/{index}", size + 160, size + 160)) for index in range(2)]
        self._table = self._paint_table()
        distance = np.sqrt(self._x * self._x + self._y * self._y)
        self._noise_level = np.clip(np.float32(1.25) - distance * np.float32(0.004), 0.55, 1.25) * np.float32(16)
        self.bones = Bones(TOP)
        self.chest = Chest()
        self._abdomen = Abdomen()

    def section(self, z: float, fine: bool = True) -> Floats:
        """Noise-free HU (rows, columns), float32, at z mm above the third lumbar vertebra.

        Without `fine` the ribs, collar bones and the branches of the lung vessels are left out.
        """
        canvas = Canvas(self._x, self._y, self._warp(z), -1000)
        canvas.values[:] = self._table
        texture = self._texture(z)
        self._paint_wall(canvas, texture, z)
        cage_shape = Ellipse(0, CAGE_BACK(z), CAGE_WIDTH(z), CAGE_DEPTH(z), square=0.35)
        box = canvas.box(-CAGE_WIDTH(z) - 40, CAGE_BACK(z) - CAGE_DEPTH(z) - 34, CAGE_WIDTH(z) + 40, 104)
        cage, lung = np.full(canvas.shape, np.float32(99)), np.full(canvas.shape, np.float32(99))
        cage[box] = canvas.distance(cage_shape, box)
        section = Section(z, canvas, box, cage, lung, texture, cage_shape)
        lung[box] = self.chest.lung_distance(section)
        canvas.paint(box, cage[box] + 1, texture[box] * 9 - 98)
        self._abdomen.paint(section)
        self.chest.paint_mediastinum(section)
        self.chest.paint_lungs(section, fine)
        self.bones.paint(section, fine)
        return blurred(canvas.values)

    def scanned(self, z: float, number: int) -> Floats:
        """The section as a scanner would give it: with its own noise for each slice `number`."""
        oy, ox = number * 37 % 160, number * 61 % 160
        py, px = number * 83 % 160, number * 29 % 160
        a = self._noise[0][oy : oy + self.size, ox : ox + self.size]
        b = self._noise[1][py : py + self.size, px : px + self.size]
        noisy: Floats = self.section(z) + (a + b) * self._noise_level
        return noisy

    def _warp(self, z: float) -> tuple[Floats, Floats]:
        at = max(z, 0.0) / WARP_KNOT
        base = int(at)
        f = at - base
        weights = (0.5 * (1 - f) ** 2, 0.5 + f * (1 - f), 0.5 * f * f)
        x, y = (
            bends[base] * weights[0] + bends[base + 1] * weights[1] + bends[base + 2] * weights[2]
            for bends in self._bends
        )
        return x, y

    def _texture(self, z: float) -> Floats:
        at = (z + TEXTURE_KNOT * 100) / TEXTURE_KNOT
        base = int(at)
        f = at - base
        count = len(self._textures)
        return self._textures[base % count] * (1 - f) + self._textures[(base + 1) % count] * f

    def _paint_table(self) -> Floats:
        plane = np.full((self.size, self.size), -1000, np.float32)
        x = self._x
        upper = np.float32(118) - x * x * np.float32(0.00085)
        depth = self._y - upper
        wide = np.abs(x) - np.float32(196)
        for inset, value in ((0.0, -20.0), (1.4, -930.0)):
            inside = np.maximum(np.maximum(-depth + np.float32(inset), depth - np.float32(26 - inset)), wide)
            plane += coverage(inside, 1.0) * (np.float32(value) - plane)
        pad = np.maximum(np.abs(depth + np.float32(4)) - np.float32(3.5), np.abs(x) - np.float32(150))
        plane += coverage(pad, 1.5) * (np.float32(-955) - plane)
        return plane

    def _paint_wall(self, canvas: Canvas, texture: Floats, z: float) -> None:
        fat = FAT(z)
        body = Ellipse(0, BODY_BACK(z), BODY_WIDTH(z), BODY_DEPTH(z), square=0.42)
        box = canvas.around(body)
        outline = canvas.distance(body, box)
        # The groove over the spinous processes.
        low = (slice(box[0].start + (box[0].stop - box[0].start) * 3 // 4, box[0].stop), box[1])
        dx, dy = canvas.x[low], canvas.y[low] - np.float32(body.y + body.b + 11)
        groove = np.sqrt(dx * dx * np.float32(0.5) + dy * dy) - np.float32(17)
        back = outline[low[0].start - box[0].start :]
        back[:] = -smooth_minimum(-back, groove, 14)
        local = texture[box]
        canvas.paint(box, outline, 15.0, 1.2)
        canvas.paint(box, outline + np.float32(1.8), local * 7 - 106)
        muscle = Ellipse(0, BODY_BACK(z) + 1, BODY_WIDTH(z) - fat * 1.05, BODY_DEPTH(z) - fat * 0.85, square=0.3)
        inside = np.maximum(canvas.distance(muscle, box), outline + np.float32(4))
        canvas.paint(box, inside, local * 7 + 58, 1.6)
        # Fat between the muscles: thin sheets that run round the trunk, broken up.
        layer = inside + np.float32(7.5)
        sheet = coverage(np.abs(layer) - np.float32(0.9), 1.4) * np.clip(local * 2 + np.float32(0.9), 0, 1)
        canvas.blend(box, sheet, -70.0)
        reach = min(max((z - 205) / 50, 0.0), 1.0)
        if reach:
            self._paint_armpit(canvas, texture, reach, z)

    def _paint_armpit(self, canvas: Canvas, texture: Floats, reach: float, z: float) -> None:
        """Fat with vessels between the muscles of the chest and of the shoulder."""
        for side in (-1, 1):
            shape = Ellipse(side * 112, -6, 26 * reach, 34 * reach, 0.87, -side * 0.493)
            box = canvas.around(shape)
            canvas.paint(box, canvas.distance(shape, box) + texture[box] * np.float32(5), -98.0, 3.0)
            shape = Ellipse(side * 76, -44, 44, 18 * reach + 6, 0.9, -side * 0.436)
            box = canvas.around(shape)
            sheet = coverage(np.abs(canvas.distance(shape, box)) - np.float32(0.8), 1.6)
            canvas.blend(box, sheet * np.clip(texture[box] + np.float32(0.9), 0, 1) * np.float32(reach), -80.0)
            for dx, dy, radius, value in VESSELS:
                canvas.fill(
                    Ellipse(side * (112 + dx), -6 + dy + (z - 250) * 0.1, radius * reach, radius * reach), value
                )
