"""Lines of text as pages: black letters on white, of the shape of A4 at 120 dots an inch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dicom.lettering import Colour, Lettering

WIDTH, HEIGHT = 992, 1403
MAXIMUM_PAGES = 100
_MARGIN = 64
_INDENT = 28
_DEEPEST = 12
_INK: Colour = (16, 16, 16)
_FAINT: Colour = (96, 96, 96)
_PAPER: Colour = (255, 255, 255)
_SIZES = {"title": 30, "heading": 22, "text": 17, "small": 14}


@dataclass(frozen=True, slots=True)
class Line:
    """A paragraph: how deep it is indented, what it says, and how it is written (a key of `_SIZES`)."""

    depth: int
    text: str
    style: str = "text"


@dataclass(frozen=True, slots=True)
class _Row:
    y: int
    x: int
    text: str
    style: str


def pages_of(lines: Sequence[Line], more_font: str = "") -> list[list[_Row]]:
    """The rows of each page, MAXIMUM_PAGES at the most; the last one then says that there is more."""
    pages: list[list[_Row]] = [[]]
    y = _MARGIN
    for line in lines:
        letters = Lettering(_SIZES[line.style], more_font)
        x = _MARGIN + min(line.depth, _DEEPEST) * _INDENT
        y += letters.height // 2 if line.style in ("heading", "title") and pages[-1] else 0
        for text in letters.wrapped(line.text, WIDTH - _MARGIN - x):
            if y + letters.height > HEIGHT - _MARGIN:
                if len(pages) == MAXIMUM_PAGES:
                    pages[-1].append(_Row(HEIGHT - _MARGIN, _MARGIN, "There is more than this picture shows.", "text"))
                    return pages
                pages.append([])
                y = _MARGIN
            pages[-1].append(_Row(y, x, text, line.style))
            y += letters.height
        y += 4
    return pages


def draw_page(pages: Sequence[Sequence[_Row]], number: int, more_font: str = "") -> NDArray[numpy.uint8]:
    """Page `number`, from 1, as (rows, columns, 3) RGB."""
    image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    draw = ImageDraw.Draw(image)
    for row in pages[number - 1]:
        letters = Lettering(_SIZES[row.style], more_font)
        letters.write(draw, (row.x, row.y), row.text, _FAINT if row.style == "small" else _INK)
    if len(pages) > 1:
        small = Lettering(_SIZES["small"], more_font)
        text = f"{number} / {len(pages)}"
        small.write(draw, (WIDTH - _MARGIN - small.width(text), HEIGHT - _MARGIN // 2 - 8), text, _FAINT)
    return numpy.asarray(image)
