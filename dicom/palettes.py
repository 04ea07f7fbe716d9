"""Palette Color lookup tables, for all values of an image or for some (PS3.3 C.7.6.3.1.5, C.7.6.19, C.7.9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom.lookup_tables import LookupTable, read_lookup_table

_COLOURS = ("Red", "Green", "Blue")
Draw = Callable[[NDArray[Any]], NDArray[numpy.uint8]]


def palette(header: Dataset, *, signed: bool) -> Draw:
    """From palette indices to RGB. Raises CannotDecode for tables that are missing or broken."""
    channels = _channels(header, signed=signed)

    def draw(indices: NDArray[Any]) -> NDArray[numpy.uint8]:
        return numpy.stack([(table.apply(indices) >> shift).astype(numpy.uint8) for table, shift in channels], axis=-1)

    return draw


def pseudo_colour(header: Dataset) -> Draw:
    """From display values, 0 to 255, to RGB: the whole table stands for the whole range (PS3.4 N.2.1)."""
    channels = _channels(header, signed=False)

    def draw(shades: NDArray[Any]) -> NDArray[numpy.uint8]:
        drawn = []
        for table, shift in channels:
            index = numpy.rint(shades * ((len(table.values) - 1) / 255)).astype(numpy.intp)
            drawn.append((table.values.take(index) >> shift).astype(numpy.uint8))
        return numpy.stack(drawn, axis=-1)

    return draw


def has_supplemental(header: Dataset) -> bool:
    """Whether the higher values of a grey image are colours (PS3.3 C.7.6.19)."""
    if "RedPaletteColorLookupTableDescriptor" not in header:
        return False
    return header.get("PixelPresentation") in ("COLOR", "MIXED")


def supplemental(header: Dataset, grey: NDArray[numpy.uint8], stored: NDArray[Any]) -> NDArray[numpy.uint8]:
    """A grey picture in RGB, with the colours of the stored values from the palette's first input on."""
    channels = _channels(header, signed=stored.dtype.kind == "i")
    coloured = stored >= channels[0][0].first
    picture = numpy.repeat(grey[..., None], 3, axis=-1)
    for number, (table, shift) in enumerate(channels):
        picture[coloured, number] = (table.apply(stored[coloured]) >> shift).astype(numpy.uint8)
    return picture


def _channels(header: Dataset, *, signed: bool) -> list[tuple[LookupTable, int]]:
    channels = []
    for colour in _COLOURS:
        prefix = f"{colour}PaletteColorLookupTable"
        table = read_lookup_table(header, prefix, signed=signed, segmented=f"{prefix}Data" not in header)
        # entries that fill the low byte of 16 bits are a frequent mistake, and black as they stand
        shift = table.bits - 8 if table.bits > 8 and int(table.values.max()) > 0xFF else 0
        channels.append((table, shift))
    return channels
