"""What a JPEG 2000 or HTJ2K decoder must build before the first sample: precincts, code-blocks and packets.

They are claimed by a few bytes (ITU-T T.800 A.6.1, A.6.2, B.6, B.7), in the main header or again for a tile, and cost
several hundred bytes of memory each, so they are counted from the headers alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from dicom.errors import CannotDecode
from dicom.limits import in_force

# T.800 Table A.15
MAXIMUM_LEVELS = 32

_SOT, _SOD, _COD, _COC, _POC = 0x90, 0x93, 0x52, 0x53, 0x5F
_SOT_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Grid:
    """Image area, tiles and components of the SIZ segment (T.800 A.5.1, B.3), on the reference grid."""

    left: int
    top: int
    right: int
    bottom: int
    tile_left: int
    tile_top: int
    tile_columns: int
    tile_rows: int
    components: int

    @property
    def across(self) -> int:
        """Tiles in a row."""
        return -((self.tile_left - self.right) // self.tile_columns)

    @property
    def down(self) -> int:
        """Tiles in a column."""
        return -((self.tile_top - self.bottom) // self.tile_rows)

    def edges(self, tile: int | None) -> tuple[_Edges, _Edges]:
        """Where the tiles begin and end on either axis: of all of them, or of the one with this index."""
        rows, columns = (None, None) if tile is None else divmod(tile, self.across)
        across = _axis(self.left, self.right, self.tile_left, self.tile_columns, self.across, columns)
        return across, _axis(self.top, self.bottom, self.tile_top, self.tile_rows, self.down, rows)


_Edges = tuple[NDArray[Any], NDArray[Any]]


def _axis(low: int, high: int, origin: int, step: int, count: int, only: int | None) -> _Edges:
    numbers = numpy.arange(count, dtype=numpy.int64) if only is None else numpy.array([only], numpy.int64)
    begin = origin + numbers * step
    return numpy.maximum(begin, low), numpy.minimum(begin + step, high)


@dataclass(frozen=True, slots=True)
class _Coding:
    """The coding parameters of a COD or COC segment, exponents of two; `precincts` from the lowest resolution on."""

    levels: int
    block: tuple[int, int]
    precincts: tuple[tuple[int, int], ...]


def check_precincts(codestream: bytes, start: int, grid: Grid) -> None:
    """Count what the headers from the SIZ segment's end, at byte `start`, claim of the tiles of `grid`.

    The components are taken as not subsampled, and what a tile's own header says is counted on top of what it
    replaces, so that the count is never too low. Raises CannotDecode beyond the bounds of this module, without a COD
    segment, or for one that is cut off.
    """
    default: _Coding | None = None
    components: dict[int, _Coding] = {}
    layers, progressions = 1, 1
    place = start
    for marker, segment, place in _segments(codestream, start):  # noqa: B007 - where the header ends is needed
        if marker == _COD:
            default, layers = _coding(segment[5:], segment[:1]), int.from_bytes(segment[2:4], "big")
        elif marker == _COC:
            number, coding = _component(segment, grid)
            components[number] = coding
        elif marker == _POC:
            progressions += len(segment) // 7
    if default is None:
        raise CannotDecode("the JPEG 2000 codestream has no COD segment before its first tile")
    count = _Count(layers, progressions)
    count.add(grid, None, default, max(0, grid.components - len(components)))
    for coding in components.values():
        count.add(grid, None, coding, 1)
    _count_tile_parts(codestream, place, grid, count)


def _count_tile_parts(codestream: bytes, place: int, grid: Grid, count: _Count) -> None:
    """Hop from tile-part to tile-part (T.800 A.4.2), reading their headers alone."""
    while codestream[place : place + 2] == b"\xff\x90" and place + _SOT_LENGTH <= len(codestream):
        tile = int.from_bytes(codestream[place + 4 : place + 6], "big")
        length = int.from_bytes(codestream[place + 6 : place + 10], "big")
        for marker, segment, _ in _segments(codestream, place + _SOT_LENGTH):
            if marker == _COD:
                count.layers = max(count.layers, int.from_bytes(segment[2:4], "big"))
                count.add(grid, tile, _coding(segment[5:], segment[:1]), grid.components)
            elif marker == _COC:
                count.add(grid, tile, _component(segment, grid)[1], 1)
            elif marker == _POC:
                count.progressions += len(segment) // 7
        count.check(grid)
        if length < _SOT_LENGTH:  # 0: the last one, which reaches to the end
            return
        place += length


def _segments(codestream: bytes, place: int) -> Iterator[tuple[int, bytes, int]]:
    """Marker code, parameters and the place behind each segment of a header, up to SOT, SOD or what is no marker."""
    while place + 4 <= len(codestream) and codestream[place] == 0xFF and codestream[place + 1] not in (_SOT, _SOD):
        length = int.from_bytes(codestream[place + 2 : place + 4], "big")
        if length < 2:
            return
        marker, segment = codestream[place + 1], codestream[place + 4 : place + 2 + length]
        place += 2 + length
        yield marker, segment, place


def _component(segment: bytes, grid: Grid) -> tuple[int, _Coding]:
    width = 1 if grid.components < 257 else 2
    return int.from_bytes(segment[:width], "big"), _coding(segment[width + 1 :], segment[width : width + 1])


def _coding(parameters: bytes, style: bytes) -> _Coding:
    if len(parameters) < 5:
        raise CannotDecode("the JPEG 2000 codestream is truncated in COD or COC")
    levels, own_precincts = parameters[0], bool(style[0] & 1)
    if levels > MAXIMUM_LEVELS or len(parameters) < 5 + (levels + 1) * own_precincts:
        raise CannotDecode(f"the JPEG 2000 codestream has {levels} decomposition levels, or is truncated there")
    sizes = parameters[5 : 6 + levels] if own_precincts else b"\xff" * (levels + 1)
    block = (parameters[1] & 15) + 2, (parameters[2] & 15) + 2
    return _Coding(levels, block, tuple((size & 15, size >> 4) for size in sizes))


class _Count:
    """The sum so far; `check` compares it with the bounds."""

    def __init__(self, layers: int, progressions: int) -> None:
        self.layers, self.progressions = layers, progressions
        self.blocks = self.precincts = self.places = 0

    def add(self, grid: Grid, tile: int | None, coding: _Coding, components: int) -> None:
        """Count `components` of one tile or, with None, of all."""
        edges = grid.edges(tile)
        steps = [coding.levels * 2 + 32] * 2
        for resolution, precinct in enumerate(coding.precincts):
            down = coding.levels - resolution
            # the subbands of a resolution are half its size, and so are precincts in them (T.800 B.6, B.7)
            half = 1 if resolution else 0
            precincts = cells = 1
            for axis in (0, 1):
                block = max(0, min(coding.block[axis], precinct[axis] - half))
                precincts *= _cells(edges[axis], down, precinct[axis])
                cells *= _cells(edges[axis], down + half, block)
                steps[axis] = min(steps[axis], precinct[axis] + down)
            self.blocks += components * (3 if resolution else 1) * (precincts + cells)
            self.precincts += components * precincts
        places = _cells(edges[0], 0, steps[0]) * _cells(edges[1], 0, steps[1])
        self.places += places * components * (coding.levels + 1)
        self.check(grid)

    def check(self, grid: Grid) -> None:
        """Raise CannotDecode beyond a limit."""
        what = f"the JPEG 2000 codestream of {grid.bottom - grid.top} rows, {grid.right - grid.left} columns has more"
        limits = in_force()
        if self.blocks > limits.jpeg_2000_blocks:
            raise CannotDecode(f"{what} than {limits.jpeg_2000_blocks} precincts and code-blocks")
        if max(self.precincts * self.layers, self.places * self.progressions) > limits.jpeg_2000_packets:
            raise CannotDecode(f"{what} than {limits.jpeg_2000_packets} packets")


def _cells(edges: _Edges, down: int, size: int) -> int:
    """Cells of 2**size samples, aligned at 0, that tiles touch on one axis after `down` halvings."""
    down, size = min(down, 40), min(size, 40)
    first = edges[0] >> down >> size
    last = -(-edges[1] >> down >> size)
    return int(numpy.maximum(last - first, 1).sum())
