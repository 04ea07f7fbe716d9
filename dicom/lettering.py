"""Text in pictures. What no font here can write is shown as a box with its code point, never left out in silence."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path

from PIL import ImageDraw, ImageFont

_OWN = str(Path(__file__).with_name("fonts") / "DejaVuSans.ttf")
# No font has a glyph for this: what it is drawn as stands for all that are missing.
_NONE = "\U0010ffff"
_PROBE = 16
_LONGEST = 2000

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Lettering:
    """Letters of `size` pixels; `more` is the path of a font asked for what the own one lacks, "" for none."""

    size: int
    more: str = ""

    @property
    def height(self) -> int:
        """From one line to the next, in pixels."""
        return self.size * 4 // 3

    def width(self, text: str) -> int:
        """How wide `text` is, in pixels."""
        return sum(self._run_width(path, run) for path, run in self._runs(text))

    def write(self, draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, colour: Colour) -> int:
        """Draw one line with its upper left corner at (x, y); x behind it."""
        x, y = at
        for path, run in self._runs(text):
            if path is None:
                for letter in run:
                    self._box(draw, x, y, letter, colour)
                    x += self._box_width
            else:
                draw.text((x, y), run, fill=colour, font=_font(path, self.size))
                x += self._run_width(path, run)
        return x

    def wrapped(self, text: str, width: int) -> Iterator[str]:
        """`text` in lines of at most `width` pixels, broken at spaces where there are some, and where it says so."""
        for paragraph in _plain(text).split("\n"):
            line, used = "", 0
            for word in _words(paragraph):
                piece, wide = word, self.width(word)
                if line and used + wide > width:
                    yield line.rstrip()
                    line, used = "", 0
                    piece = word.lstrip()
                    wide = self.width(piece)
                while wide > width and len(piece) > 1:
                    fits = max(1, len(piece) * width // wide)
                    while fits > 1 and self.width(piece[:fits]) > width:
                        fits -= 1
                    yield piece[:fits]
                    piece = piece[fits:]
                    wide = self.width(piece)
                line, used = line + piece, used + wide
            yield line.rstrip()

    @property
    def _box_width(self) -> int:
        return max(8, self.size * 5 // 4)

    def _runs(self, text: str) -> Iterator[tuple[str | None, str]]:
        """Stretches of text, each with the path of the font that has all of it, or None."""
        letters = _plain(text).replace("\n", " ")[:_LONGEST]
        for path, run in groupby(letters, key=lambda letter: _path_for(letter, self.more)):
            yield path, "".join(run)

    def _run_width(self, path: str | None, run: str) -> int:
        if path is None:
            return self._box_width * len(run)
        return round(_font(path, self.size).getlength(run))

    def _box(self, draw: ImageDraw.ImageDraw, x: int, y: int, letter: str, colour: Colour) -> None:
        """A box with the code point in two rows of hexadecimal digits."""
        width, height = self._box_width - 2, self.size * 9 // 8
        draw.rectangle((x, y, x + width - 1, y + height), outline=colour)
        digits = f"{ord(letter):04X}"
        font = _font(_OWN, max(5, self.size * 3 // 8))
        middle = len(digits) // 2
        for row, part in enumerate((digits[:middle], digits[middle:])):
            draw.text((x + width // 2, y + height * (1 + 2 * row) // 4), part, fill=colour, font=font, anchor="mm")


def _plain(text: str) -> str:
    """`text` with its line ends as one character, and without marks that would turn the writing of what follows."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").replace("\t", "    ")
    return "".join(each for each in text if each == "\n" or unicodedata.category(each) not in ("Cc", "Cf", "Cs"))


def _words(paragraph: str) -> Iterator[str]:
    """Pieces that may stand on lines of their own, each with the spaces before it, if any."""
    start = 0
    for at in range(1, len(paragraph)):
        if (paragraph[at] == " " and paragraph[at - 1] != " ") or at - start >= _LONGEST // 10:
            yield paragraph[start:at]
            start = at
    if paragraph[start:]:
        yield paragraph[start:]


@lru_cache(maxsize=64)
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


@lru_cache(maxsize=1 << 14)
def _path_for(letter: str, more: str) -> str | None:
    """The first font that has a glyph for it."""
    if letter == " ":
        return _OWN
    return next((path for path in (_OWN, more) if path and _has(path, letter)), None)


def _has(path: str, letter: str) -> bool:
    return unicodedata.category(letter) == "Mn" or _shape(path, letter) != _shape(path, _NONE)


def _shape(path: str, letter: str) -> tuple[tuple[int, int], bytes]:
    font = _basic(path)
    mask = font.getmask(letter)
    return mask.size, bytes(mask)


@lru_cache(maxsize=8)
def _basic(path: str) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, _PROBE, layout_engine=ImageFont.Layout.BASIC)
