"""Frames and headers for tests of pictures, and a canvas in which single pixels can be told apart."""

from __future__ import annotations

from typing import Any

import numpy
from numpy.typing import NDArray
from pydicom import Dataset

from dicom.codecs import DecodedFrame
from dicom.rendering import picture_of


def dataset(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    made.set_original_encoding(False, True)
    return made


def grey(rows: int, columns: int, value: int = 100, photometric: str = "MONOCHROME2") -> DecodedFrame:
    return DecodedFrame(numpy.full((rows, columns), value, "u2"), photometric)


def plain(**values: Any) -> Dataset:
    """A header by which stored values 0 to 255 are shown as they are."""
    return dataset(WindowCenter="127.5", WindowWidth="255", VOILUTFunction="LINEAR_EXACT", **values)


def drawn(frame: DecodedFrame, header: Dataset, **options: Any) -> NDArray[Any]:
    return picture_of(frame, header, **options)


def packed(rows: list[str], *, frames: int = 1) -> bytes:
    """Rows of dots and marks as overlay data, the least significant bit first, repeated ``frames`` times."""
    bits = numpy.array([[mark != "." for mark in row] for row in rows] * frames)
    data = numpy.packbits(bits.reshape(-1), bitorder="little").tobytes()
    return data + b"\0" * (len(data) % 2)


def add_overlay(
    header: Dataset, rows: list[str], origin: tuple[int, int] = (1, 1), *, group: int = 0x6000, **more: Any
) -> Dataset:
    """``header`` with an overlay plane; ``origin`` is (row, column) from 1."""
    header.add_new((group, 0x0010), "US", len(rows) // more.get("frames", 1))
    header.add_new((group, 0x0011), "US", len(rows[0]))
    header.add_new((group, 0x0040), "CS", more.get("kind", "G"))
    header.add_new((group, 0x0050), "SS", list(origin))
    header.add_new((group, 0x0100), "US", 1)
    header.add_new((group, 0x0102), "US", 0)
    header.add_new((group, 0x3000), "OW", packed(rows))
    if "frames" in more:
        header.add_new((group, 0x0015), "IS", more["frames"])
    if "first_frame" in more:
        header.add_new((group, 0x0051), "US", more["first_frame"])
    if "layer" in more:
        header.add_new((group, 0x1001), "CS", more["layer"])
    return header


def marks(picture: NDArray[Any], background: int = 100) -> list[str]:
    """A grey picture with a dot for each pixel of the background, # for white, x for black and ? for any other."""
    signs = {background: ".", 255: "#", 0: "x"}
    return ["".join(signs.get(int(value), "?") for value in row) for row in picture]
