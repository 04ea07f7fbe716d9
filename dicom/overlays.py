"""Overlay planes: bits that lie over an image (PS3.3 C.9.2, C.9.3; PS3.5 8.1.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom.pixels import PixelDescription

GROUPS = range(0x6000, 0x6020, 2)
_GROUPS = frozenset(GROUPS)
# Of all planes together, a byte in memory for each; what would be more is left out.
_MOST_BITS = 1 << 28
# Of a repeating group
ROWS, COLUMNS, FRAMES, TYPE, ORIGIN, FRAME_ORIGIN = 0x0010, 0x0011, 0x0015, 0x0040, 0x0050, 0x0051
BITS_ALLOCATED, BIT_POSITION, LAYER, DATA = 0x0100, 0x0102, 0x1001, 0x3000
ELEMENTS = (ROWS, COLUMNS, FRAMES, TYPE, ORIGIN, FRAME_ORIGIN, BITS_ALLOCATED, BIT_POSITION, LAYER, DATA)

Bits = NDArray[numpy.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class OverlayPlane:
    """The bits of one plane for one frame, (rows, columns).

    The first of them lies over row ``top`` and column ``left`` of the image, counted from 0, perhaps outside of it.
    """

    group: int
    bits: Bits
    top: int
    left: int
    region_of_interest: bool = False
    layer: str = ""

    def over(self, rows: int, columns: int) -> Bits:
        """What of the plane lies over an image of this size: graphics as they are, of a region its outline.

        A filled region would hide what it points at.
        """
        placed = numpy.zeros((rows, columns), numpy.bool_)
        row, column = max(0, -self.top), max(0, -self.left)
        top, left = max(0, self.top), max(0, self.left)
        height, width = max(0, rows - top), max(0, columns - left)
        part = self.bits[row : row + height, column : column + width]
        if self.region_of_interest:
            # with the neighbours, where the plane has some: it may be far larger than the image
            up, before = min(row, 1), min(column, 1)
            around = self.bits[row - up : row + height + 1, column - before : column + width + 1]
            part = _outline(around)[up : up + part.shape[0], before : before + part.shape[1]]
        if part.size:
            placed[top : top + part.shape[0], left : left + part.shape[1]] = part
        return placed


def overlay_planes(header: Dataset, frame_number: int, cells: NDArray[Any] | None = None) -> tuple[OverlayPlane, ...]:
    """The planes of the data set that lie over frame ``frame_number``, counted from 1.

    ``cells`` are the frame's samples with all the bits of their cells, as ``whole_cells`` has them decoded: planes may
    lie in those that BitsStored leaves unused. A plane that is broken counts as absent, for the image is worth more.
    """
    planes: list[OverlayPlane] = []
    for group in _groups(header):
        planes += _plane(header, group, frame_number, cells)
        if sum(plane.bits.size for plane in planes) > _MOST_BITS:
            return tuple(planes[:-1])
    return tuple(planes)


def in_unused_bits(header: Dataset) -> bool:
    """Whether a plane lies in the cells of the pixel data (retired, PS3.3-2004 C.9.2)."""
    return any(_is_embedded(header, group) for group in _groups(header))


def whole_cells(pixels: PixelDescription) -> PixelDescription:
    """The description by which a frame decodes to ``cells``."""
    whole = pixels.bits_allocated
    return replace(pixels, bits_stored=whole, high_bit=whole - 1, pixel_representation=0)


def together(planes: Iterable[OverlayPlane], rows: int, columns: int) -> Bits | None:
    """Where any of the planes has a bit over an image of this size; None without planes."""
    found: Bits | None = None
    for plane in planes:
        placed = plane.over(rows, columns)
        found = placed if found is None else numpy.logical_or(found, placed, out=found)
    return found


def _groups(header: Dataset) -> list[int]:
    """The repeating groups that are there; nearly always none, which must cost nothing."""
    return sorted(_GROUPS.intersection(tag >> 16 for tag in header.keys()))  # noqa: SIM118 - the tags, not the elements


def _plane(header: Dataset, group: int, frame_number: int, cells: NDArray[Any] | None) -> Iterator[OverlayPlane]:
    try:
        rows, columns = _number(header, group, ROWS, 0), _number(header, group, COLUMNS, 0)
        if rows < 1 or columns < 1:
            return
        if _is_embedded(header, group):
            bits = None if cells is None else _embedded(header, group, cells)
        else:
            bits = _separate(header, group, frame_number, rows, columns)
        if bits is None:
            return
        top, left = (int(each) for each in _value(header, group, ORIGIN) or (1, 1))
        kind, layer = _value(header, group, TYPE), str(_value(header, group, LAYER) or "")
    except Exception:  # noqa: BLE001 - whatever pydicom raises for values that the archive keeps without reading them
        return
    yield OverlayPlane(group, bits[:rows, :columns], top - 1, left - 1, kind == "R", layer)


def _separate(header: Dataset, group: int, frame_number: int, rows: int, columns: int) -> Bits | None:
    """OverlayData: bit after bit, rows and frames without any padding, the least significant first."""
    frames, first = _number(header, group, FRAMES, 1), _number(header, group, FRAME_ORIGIN, 1)
    alone = frames <= 1 and _value(header, group, FRAME_ORIGIN) is None
    index = 0 if alone else frame_number - first
    if not 0 <= index < max(1, frames):
        return None
    data = _value(header, group, DATA)
    if not isinstance(data, bytes):
        return None
    count, element = rows * columns, header[group, DATA]
    start = index * count
    if len(data) * 8 < start + count:
        return None
    if element.VR == "OW" and header.original_encoding[1] is False:
        data = numpy.frombuffer(data, numpy.uint16, len(data) // 2).byteswap().tobytes()
    part = numpy.frombuffer(data[start // 8 : (start + count + 7) // 8], numpy.uint8)
    bits = numpy.unpackbits(part, bitorder="little")[start % 8 : start % 8 + count]
    return bits.reshape(rows, columns).view(numpy.bool_)


def _embedded(header: Dataset, group: int, cells: NDArray[Any]) -> Bits | None:
    position = _number(header, group, BIT_POSITION, 0)
    if cells.ndim != 2 or cells.dtype.kind != "u" or not 0 <= position < 8 * cells.dtype.itemsize:
        return None
    found: Bits = (cells >> cells.dtype.type(position) & cells.dtype.type(1)).astype(numpy.bool_)
    return found


def _is_embedded(header: Dataset, group: int) -> bool:
    """OverlayBitsAllocated is 1 where OverlayData is separate, and BitsAllocated where it is not."""
    if (group, DATA) in header:
        return False
    try:
        allocated = _value(header, group, BITS_ALLOCATED)
    except Exception:  # noqa: BLE001 - as in `_plane`
        return False
    return isinstance(allocated, int) and allocated > 1


def _outline(bits: Bits) -> Bits:
    """Bits with a neighbour that is not set; the rim of the plane is one."""
    padded = numpy.pad(bits, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    outline: Bits = bits & ~inner
    return outline


def _value(header: Dataset, group: int, element: int) -> Any:
    found = header.get((group, element))
    return None if found is None else found.value


def _number(header: Dataset, group: int, element: int, missing: int) -> int:
    value = _value(header, group, element)
    return missing if value is None or value == "" else int(value)
