"""A made-up beating heart seen by ultrasound from its tip: four chambers, two valves, and the flow through one.

Frames are pictures of a sector: echoes are worked out on beams (samples, beams), then spread over the picture.
"""

import math

import numpy as np
import numpy.typing as npt

from .canvas import Ellipse, capsule_distance, coverage, ellipse_distance
from .fields import Curve, Floats, blurred, cosine, gaussian, sine, smooth_minimum, smooth_plane
from .lettering import lettering

WIDTH, HEIGHT = 640, 480
PIXEL = 0.4
APEX = (316, 36)
BEAMS, SAMPLES, DEPTH, OPENING = 200, 430, 164.0, 40.0
BOX = (-13.0, 24.0, 72.0, 146.0)

# Over one beat: how far the heart has contracted, how far the inflow valves are open, the speed of the inflow and of
# the small leak back.
SQUEEZE = Curve(
    [(-0.1, 0), (0.02, 0), (0.3, 1), (0.38, 0.98), (0.5, 0.35), (0.6, 0.15), (0.8, 0.12), (0.9, 0), (1.02, 0)]
)
OPEN = Curve(
    [(0, 0.15), (0.04, 0), (0.38, 0), (0.47, 1), (0.6, 0.45), (0.75, 0.4), (0.85, 0.8), (0.95, 0.2), (1, 0.15)]
)
INFLOW = Curve([(0, 0), (0.38, 0), (0.46, 1), (0.56, 0.55), (0.66, 0.2), (0.78, 0.2), (0.86, 0.7), (0.94, 0.1), (1, 0)])
LEAK = Curve([(0, 0.2), (0.05, 0.8), (0.2, 1), (0.34, 0.6), (0.4, 0), (0.97, 0), (1, 0.2)])
TRACE = Curve(
    [
        (-0.06, 0),
        (0, 0),
        (0.02, -0.12),
        (0.035, 1),
        (0.055, -0.28),
        (0.075, 0),
        (0.22, 0.02),
        (0.3, 0.24),
        (0.38, 0),
        (0.82, 0),
        (0.87, 0.12),
        (0.92, 0),
        (1, 0),
    ]
)

Picture = npt.NDArray[np.uint8]


class EchoHeart:
    """Draws frames; everything that does not move is worked out once."""

    def __init__(self) -> None:
        angles = [math.radians(-OPENING + 2 * OPENING * beam / (BEAMS - 1)) for beam in range(BEAMS)]
        reach = np.arange(SAMPLES, dtype=np.float32)[:, None] * np.float32(DEPTH / (SAMPLES - 1))
        self._x = reach * np.array([sine(angle) for angle in angles], np.float32)
        self._y = reach * np.array([cosine(angle) for angle in angles], np.float32)
        self._reach = reach
        self._degrees = np.linspace(-OPENING, OPENING, BEAMS, dtype=np.float32)
        shape = (SAMPLES, BEAMS)
        self._speckles = [blurred(gaussian(f"echo/speckle/{index}", *shape)) for index in range(4)]
        for speckle in self._speckles:
            # Wider across the beams than along them.
            speckle[:, 1:-1] = (speckle[:, :-2] + speckle[:, 2:]) * np.float32(0.6) + speckle[:, 1:-1]
        self._grain = blurred(blurred(gaussian("echo/grain", SAMPLES + 90, BEAMS + 50))) * np.float32(2.5)
        self._haze = smooth_plane("echo/haze", *shape, 34) * np.float32(0.03) + np.float32(0.05)
        self._tones = np.array(
            [round(255 * min(max(1 + math.log10(max(step, 1) / 4096) / 2.55, 0), 1)) for step in range(4097)], np.uint8
        )
        self._lay_out()
        self._still = self._scale()
        low, high, top, bottom = BOX
        self._box = (self._degrees > low) & (self._degrees < high) & (self._reach > top) & (self._reach < bottom)
        edge = self._spread(self._box.astype(np.float32))
        self._edge = (edge > 0.1) & (edge < 0.9)

    def frame(self, phase: float) -> Picture:
        """The picture (480, 640, 3), RGB, at `phase` of the beat, 0 to 1."""
        echo, blood, base = self._tissue(phase)
        turn = 2 * math.pi * phase
        c, s = cosine(turn), sine(turn)
        real = self._speckles[0] * c + self._speckles[1] * s
        other = self._speckles[2] * c + self._speckles[3] * s
        loud = np.sqrt(real * real + other * other) * echo * np.float32(0.36)
        tones = self._tones[np.clip(loud * np.float32(4096), 0, 4096).astype(np.int32)].astype(np.float32)
        picture = self._still.copy()
        grey = self._spread(tones)
        picture[self._inside] = np.rint(grey).astype(np.uint8)[:, None]
        self._paint_flow(picture, phase, blood, base)
        self._paint_trace(picture, phase)
        return picture

    def _lay_out(self) -> None:
        """For each pixel of the sector the four beam samples round it, and how much of each."""
        x = (np.arange(WIDTH, dtype=np.float64) - APEX[0])[None, :] * PIXEL
        y = (np.arange(HEIGHT, dtype=np.float64) - APEX[1])[:, None] * PIXEL
        reach = np.sqrt(x * x + y * y)
        tangents = np.array(
            [round(math.tan(math.radians(-OPENING + 2 * OPENING * beam / (BEAMS - 1))), 12) for beam in range(BEAMS)]
        )
        slope = x / np.maximum(y, 0.5)
        self._inside = (y > 0.5) & (reach < DEPTH - 1) & (slope > tangents[0]) & (slope < tangents[-1])
        slope, reach = slope[self._inside], reach[self._inside]
        left = np.clip(np.searchsorted(tangents, slope) - 1, 0, BEAMS - 2)
        across = (slope - tangents[left]) / (tangents[left + 1] - tangents[left])
        down = reach * ((SAMPLES - 1) / DEPTH)
        upper = down.astype(np.int64)
        self._corner = upper * BEAMS + left
        self._across, self._down = across.astype(np.float32), (down - upper).astype(np.float32)

    def _spread(self, beams: Floats) -> Floats:
        """Values on beams -> values of the pixels inside the sector."""
        flat = beams.reshape(-1)
        a, b = flat[self._corner], flat[self._corner + 1]
        upper = a + (b - a) * self._across
        a, b = flat[self._corner + BEAMS], flat[self._corner + BEAMS + 1]
        lower = a + (b - a) * self._across
        values: Floats = upper + (lower - upper) * self._down
        return values

    def _tissue(self, phase: float) -> tuple[Floats, Floats, float]:
        """Strength of the echoes, how much is blood (both on beams), and the depth of the mitral ring in mm."""
        x, y = self._x, self._y
        squeeze, opened = SQUEEZE(phase), OPEN(phase)
        base = 106 - 13 * squeeze
        wall = 9.5 + 4 * squeeze

        def ellipse(cx: float, cy: float, a: float, b: float, tilt: float = 0.0, square: float = 0.0) -> Floats:
            return ellipse_distance(x, y, Ellipse(cx, cy, a, b, cosine(tilt), sine(tilt), square))

        left = ellipse(10, 67 - 2 * squeeze, 22 * (1 - 0.27 * squeeze), 45 - 7 * squeeze, -0.17, 0.15)
        left = np.maximum(left, y - np.float32(base))
        right = ellipse(-28, 76, 16.5 * (1 - 0.25 * squeeze), 36 - 6 * squeeze, 0.16)
        # The septum stays between them.
        right = np.maximum(np.maximum(right, y - np.float32(base - 3)), np.float32(8.5 + 2 * squeeze) - left)
        left_atrium = ellipse(17, base + 17, 21 + 3 * squeeze, 21 + 4 * squeeze, 0, 0.1)
        right_atrium = ellipse(-29, base + 13, 19 + 2 * squeeze, 19 + 3 * squeeze, 0, 0.1)
        ventricles = np.minimum(left - np.float32(wall), right - np.float32(5.5))
        muscle = smooth_minimum(ventricles, np.minimum(left_atrium, right_atrium) - np.float32(3.2), 5)
        chambers = np.minimum(np.minimum(left, right), np.minimum(left_atrium, right_atrium))
        echo = self._haze * np.clip(np.float32(1.6) - self._reach * np.float32(0.0065), 0.3, 2)
        echo += coverage(muscle, 2.5) * (np.float32(0.2) - echo)
        # The membrane round the heart and the inner surfaces shine where they face the beam.
        sac = coverage(np.abs(muscle - np.float32(0.8)) - np.float32(0.9), 1.6)
        echo += sac * np.float32(0.42)
        inner = coverage(np.abs(chambers - np.float32(0.7)) - np.float32(0.6), 1.4)
        echo += inner * np.float32(0.16)
        blood = coverage(chambers, 1.8)
        echo += blood * (np.float32(0.0065) - echo)
        for ring, width, lift in ((16.5, 16.0, 0.0), (-29.5, 15.5, 3.0)):
            top = base - lift
            for side in (-1, 1):
                hinge = (ring + side * width, top)
                shut = (ring - side * 0.2, top - 5)
                wide = (ring + side * width * 0.72, top - 19 + (side > 0) * 5)
                tip = tuple(a + (b - a) * opened for a, b in zip(shut, wide, strict=True))
                middle = ((hinge[0] + tip[0]) / 2, (hinge[1] + tip[1]) / 2 - 2.5 * (1 - opened))
                for start, end in ((hinge, middle), (middle, (tip[0], tip[1]))):
                    echo += coverage(capsule_distance(x, y, start, end, 0.8), 1.4) * np.float32(0.55)
        near = np.clip(np.float32(1) - self._reach * np.float32(1 / 13), 0, 1)
        echo += near * near * np.float32(0.7)
        shade = np.clip((np.float32(OPENING) - np.abs(self._degrees)) * np.float32(0.16), 0, 1) * np.float32(
            0.65
        ) + np.float32(0.35)
        fade = np.clip(np.float32(1.25) - self._reach * np.float32(0.0042), 0.4, 1.2)
        return echo * shade * fade, blood, base

    def _paint_flow(self, picture: Picture, phase: float, blood: Floats, base: float) -> None:
        """Colour Doppler: red and yellow towards the probe, blue away from it, in a box over the mitral valve."""
        x, y = self._x, self._y
        axis = np.abs(x - np.float32(15.5) - (y - np.float32(base)) * np.float32(0.04))
        spread = np.float32(9) + np.abs(y - np.float32(base)) * np.float32(0.12)
        core = np.clip(1 - (axis / spread) * (axis / spread), 0, 1)
        length = np.clip(1 - np.abs(y - np.float32(base - 12)) * np.float32(1 / 46), 0, 1)
        speed = core * np.sqrt(length) * np.float32(1.05 * INFLOW(phase))
        jet = np.clip(
            1 - np.abs(x - np.float32(17)) / (np.float32(3) + np.maximum(y - np.float32(base), 0) * np.float32(0.16)),
            0,
            1,
        )
        jet *= np.clip((y - np.float32(base - 6)) * np.float32(0.2), 0, 1) * np.clip(
            (np.float32(base + 26) - y) * np.float32(0.08), 0, 1
        )
        speed -= jet * np.float32(1.25 * LEAK(phase))
        shift = int(phase * 997)
        grain = self._grain[shift * 7 % 90 :, shift * 13 % 50 :][:SAMPLES, :BEAMS]
        speed += grain * (np.float32(0.05) + np.abs(speed) * np.float32(0.16))
        strength = coverage(np.float32(0.17) - np.abs(speed), 0.08) * np.clip(blood * 2 - 1, 0, 1) * self._box
        # Faster than the scale reaches wraps round to the other colour.
        speed = speed - 2 * np.rint(speed * np.float32(0.5))
        weight = self._spread(strength)[:, None]
        colour = _colours(np.clip(self._spread(speed), -1, 1))
        under = picture[self._inside].astype(np.float32)
        under += weight * (colour - under)
        under[self._edge] = 0.4 * under[self._edge] + np.float32(75)
        picture[self._inside] = np.rint(under).astype(np.uint8)

    def _paint_trace(self, picture: Picture, phase: float) -> None:
        """The electrocardiogram under the sector, with a mark at the present moment."""
        heights = [round(462 - 26 * TRACE(column / 440 * 2 % 1)) for column in range(441)]
        for column in range(440):
            low, high = sorted(heights[column : column + 2])
            picture[low : high + 2, 96 + column] = (40, 210, 90)
        at = 96 + round(220 * phase)
        picture[430:474, at : at + 2] = (230, 200, 60)

    def _scale(self) -> Picture:
        """Depth marks, colour and grey bars, and the edge of the colour box."""
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        for centimetre in range(17):
            row = APEX[1] + round(centimetre * 10 / PIXEL)
            if row < 448:
                long = centimetre % 5 == 0
                picture[row : row + 1 + long, 604 - (6 if long else 0) : 610] = 190
                if long and centimetre:
                    _write(picture, row - 3, 614, str(centimetre), (190, 190, 190))
        bar = np.linspace(1, -1, 120, dtype=np.float32)
        picture[60:180, 18:32] = np.rint(_colours(bar))[:, None, :].astype(np.uint8)
        picture[118:122, 18:32] = 0
        _write(picture, 48, 12, "+62", (230, 230, 230))
        _write(picture, 186, 12, "-62", (230, 230, 230))
        _write(picture, 198, 12, "cm/s", (170, 170, 170))
        picture[230:350, 18:32] = np.linspace(255, 0, 120).astype(np.uint8)[:, None, None]
        _write(picture, 14, 12, "FR 40 Hz", (200, 200, 200))
        _write(picture, 26, 12, "2.5 MHz", (200, 200, 200))
        _write(picture, 460, 560, "60 bpm", (40, 210, 90))
        picture[22:30, APEX[0] + 26 : APEX[0] + 34] = (60, 170, 230)
        return picture


def _colours(speed: Floats) -> Floats:
    """Speeds of -1 to 1 -> RGB (..., 3): dark red to yellow, dark blue to cyan."""
    fast = np.abs(speed)
    main = np.minimum(np.float32(90) + fast * 230, 255)
    second = np.clip((fast - np.float32(0.35)) * 340, 0, 235)
    towards = speed > 0
    zero = np.zeros_like(main)
    return np.stack([np.where(towards, main, zero), second, np.where(towards, zero, main)], axis=-1)


def _write(picture: Picture, row: int, column: int, text: str, colour: tuple[int, int, int]) -> None:
    ink = lettering(text)
    picture[row : row + ink.shape[0], column : column + ink.shape[1]][ink] = colour
