"""Waveforms as they are drawn on paper: ECG leads at 25 mm/s and 10 mm/mV on a millimetre grid, others to their range.

A sample column wider than a pixel is drawn from its lowest to its highest value, so that no spike gets lost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dicom.lettering import Colour, Lettering
from dicom.waveforms import SECONDS, Strip, lead, samples_of

# Pixels of a millimetre: 10 s are 250 mm
_MM = 5
_MM_PER_SECOND, _MM_PER_MILLIVOLT = 25, 10
_ROW_MM = {12: 17}
_USUAL_ROW_MM = 22
_MOST_ROWS = 24
_LEFT_MM, _RIGHT_MM, _TOP_MM, _BOTTOM_MM = 22, 5, 14, 9
_PAPER: Colour = (255, 252, 250)
_FINE: Colour = (250, 222, 218)
_BOLD: Colour = (238, 178, 172)
_INK: Colour = (12, 12, 24)
_FAINT: Colour = (90, 90, 90)
_LINE: Colour = (225, 225, 225)
# UCUM codes of a voltage, in millivolts
_MILLIVOLTS: Mapping[str, float] = MappingProxyType({"nV": 1e-6, "uV": 1e-3, "mV": 1.0, "V": 1e3})


def draw_strip(
    strip: Strip, data: bytes, on_millimetres: bool, title: str = "", more_font: str = ""
) -> NDArray[numpy.uint8]:
    """One strip as (rows, columns, 3) RGB; `data` are its samples, `title` is written above them.

    `on_millimetres` is for ECG: channels that are voltages are then drawn to scale. Raises RenderingError.
    """
    group = strip.group
    traces = samples_of(strip, data)[:_MOST_ROWS]
    channels = group.channels[:_MOST_ROWS]
    row = _ROW_MM.get(len(channels), _USUAL_ROW_MM) * _MM
    width = (_LEFT_MM + round(SECONDS * _MM_PER_SECOND) + _RIGHT_MM) * _MM
    height = (_TOP_MM + _BOTTOM_MM) * _MM + row * len(channels)
    image = Image.new("RGB", (width, height), _PAPER if on_millimetres else (255, 255, 255))
    draw = ImageDraw.Draw(image)
    if on_millimetres:
        _grid(draw, width, height)
    letters, small = Lettering(18, more_font), Lettering(14, more_font)
    to_scale = False
    for at, (channel, trace) in enumerate(zip(channels, traces, strict=True)):
        middle = _TOP_MM * _MM + at * row + row // 2
        unit = _MILLIVOLTS.get(channel.unit) if on_millimetres else None
        if unit is not None:
            to_scale = True
            lifted = (trace - _resting(trace)) * (unit * _MM_PER_MILLIVOLT * _MM)
            _calibration(draw, middle)
        else:
            lifted = _fitted(draw, trace, middle, row, channel.unit, small)
        label = lead(channel.label)[:24]
        letters.write(draw, (_MM, middle - row // 3 - 9), label, _INK)
        _trace(draw, lifted, middle, group.frequency, height)
    letters.write(draw, (_MM, _MM), title[:120], _INK)
    _legend(draw, strip, to_scale, height, small)
    if len(group.channels) > _MOST_ROWS:
        text = f"{len(group.channels) - _MOST_ROWS} more channels are not shown"
        small.write(draw, (width - small.width(text) - _MM, _MM), text, _FAINT)
    return numpy.asarray(image)


def _grid(draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    for colour, step in ((_FINE, _MM), (_BOLD, _MM * 5)):
        for x in range(0, width, step):
            draw.line((x, 0, x, height), fill=colour)
        for y in range(0, height, step):
            draw.line((0, y, width, y), fill=colour)


def _resting(trace: NDArray[numpy.float64]) -> float:
    """Where the trace mostly lies: an offset of the electrodes is no signal, and filtered out on paper."""
    known = trace[numpy.isfinite(trace)]
    return float(numpy.median(known)) if known.size else 0.0


def _calibration(draw: ImageDraw.ImageDraw, middle: int) -> None:
    """The pulse of 1 mV and 0.2 s that shows the scale."""
    left, high = (_LEFT_MM - 8) * _MM, middle - _MM_PER_MILLIVOLT * _MM
    right = left + 5 * _MM
    points = [(left - _MM, middle), (left, middle), (left, high), (right, high), (right, middle), (right + _MM, middle)]
    draw.line(points, fill=_INK, width=1)


def _fitted(
    draw: ImageDraw.ImageDraw, trace: NDArray[numpy.float64], middle: int, row: int, unit: str, letters: Lettering
) -> NDArray[numpy.float64]:
    """The trace to its own range, whose ends are written beside it."""
    known = trace[numpy.isfinite(trace)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    half = row * 2 // 5
    for y, value in ((middle - half, high), (middle + half, low)):
        draw.line((_LEFT_MM * _MM, y, (_LEFT_MM + SECONDS * _MM_PER_SECOND) * _MM, y), fill=_LINE)
        text = f"{value:.4g} {unit}".strip()[:24]
        letters.write(draw, (max(0, _LEFT_MM * _MM - 4 - letters.width(text)), y - letters.size // 2), text, _FAINT)
    spread = high - low
    if not math.isfinite(spread) or spread <= 0:
        return numpy.where(numpy.isfinite(trace), 0.0, numpy.nan)
    return (trace - low) / spread * (2 * half) - half


def _trace(
    draw: ImageDraw.ImageDraw, lifted: NDArray[numpy.float64], middle: int, frequency: float, height: int
) -> None:
    """`lifted` is in pixels above `middle`; a gap where it is NaN."""
    left, pixels = _LEFT_MM * _MM, _MM_PER_SECOND * _MM / frequency
    ends = numpy.clip(middle - lifted, -height, 2 * height)
    columns = (left + numpy.arange(len(ends)) * pixels).astype(numpy.int64)
    if pixels >= 1:
        points: list[tuple[float, float]] = []
        for at, y in enumerate(ends):
            if math.isfinite(y):
                points.append((left + at * pixels, float(y)))
                continue
            _line(draw, points)
            points = []
        _line(draw, points)
        return
    starts = numpy.flatnonzero(numpy.diff(columns, prepend=columns[0] - 1)) if len(columns) else columns
    if not len(starts):
        return
    lows, highs = numpy.fmin.reduceat(ends, starts), numpy.fmax.reduceat(ends, starts)
    lasts = ends[numpy.append(starts[1:], len(ends)) - 1]
    before = math.nan
    for x, low, high, last in zip(columns[starts], lows, highs, lasts, strict=True):
        if math.isfinite(low):
            # joined to where the column before ended
            top, bottom = (min(low, before), max(high, before)) if math.isfinite(before) else (low, high)
            draw.line((int(x), round(top), int(x), round(bottom)), fill=_INK)
        before = float(last)


def _line(draw: ImageDraw.ImageDraw, points: list[tuple[float, float]]) -> None:
    if len(points) > 1:
        draw.line(points, fill=_INK, width=1)
    elif points:
        draw.point(points, fill=_INK)


def _legend(draw: ImageDraw.ImageDraw, strip: Strip, to_scale: bool, height: int, letters: Lettering) -> None:
    group = strip.group
    begin = strip.start / group.frequency
    told = [f"{_MM_PER_SECOND} mm/s", f"{_MM_PER_MILLIVOLT} mm/mV"] if to_scale else []
    told += [f"{group.frequency:g} Hz", f"{begin:g} s to {begin + strip.count / group.frequency:g} s"]
    letters.write(draw, (_MM, height - (_BOTTOM_MM - 2) * _MM), "    ".join([*told, group.label[:64]]), _FAINT)
