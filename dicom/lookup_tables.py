"""Modality, VOI and Palette Color lookup tables (PS3.3 C.11.1, C.11.2, C.7.6.3.1.5, C.7.9.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom.errors import CannotDecode

_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2
# Words of an indirect one, or of a discrete one of two values: what is behind as many for each entry is never used.
_LONGEST_SEGMENT = 4


@dataclass(frozen=True, slots=True, eq=False)
class LookupTable:
    """`values[0]` stands for every input up to `first`, the last one for every input from there on."""

    first: int
    values: NDArray[numpy.uint16]
    bits: int  # of an entry: the output is 0 to 2**bits - 1

    def apply(self, inputs: NDArray[Any]) -> NDArray[numpy.uint16]:
        """Outputs for integral inputs of any shape and dtype."""
        index = inputs.astype(numpy.int64) - self.first
        outputs: NDArray[numpy.uint16] = self.values.take(index, mode="clip")
        return outputs


def read_lookup_table(item: Dataset, prefix: str = "LUT", *, signed: bool, segmented: bool = False) -> LookupTable:
    """The table of `item`: `prefix` is LUT, or for instance RedPaletteColorLookupTable.

    `signed` says whether the inputs can be negative: the first input is then read as signed whatever its VR says
    (PS3.3 C.11.1.1.1). Entries of 8 bits may fill a 16-bit word each or half of one. Raises CannotDecode when the
    descriptor or the data are missing, contradict each other or expand beyond the descriptor.
    """
    data_keyword = ("Segmented" if segmented else "") + prefix + "Data"
    try:
        entries, first, bits = (int(value) for value in item[prefix + "Descriptor"].value)
    except (KeyError, TypeError, ValueError) as failure:
        raise CannotDecode(f"{prefix}Descriptor: three numbers expected") from failure
    entries = entries & 0xFFFF or 0x10000
    first = ((first & 0xFFFF) ^ 0x8000) - 0x8000 if signed else first & 0xFFFF
    if not 1 <= bits <= 16:
        raise CannotDecode(f"{prefix}Descriptor: 8 to 16 bits an entry expected, found {bits}")
    words = _read_words(item, data_keyword, entries, bits, segmented)
    values = _expand_segments(words, entries, data_keyword) if segmented else words[:entries]
    if len(values) < entries:
        raise CannotDecode(f"{data_keyword}: {entries} entries expected, found {len(values)}")
    return LookupTable(first, values, bits)


def _read_words(item: Dataset, keyword: str, entries: int, bits: int, segmented: bool) -> NDArray[numpy.uint16]:
    """Data of US, SS or OW as unsigned numbers."""
    value = item[keyword].value if keyword in item else None
    if value is None or (not isinstance(value, int) and len(value) == 0):
        raise CannotDecode(f"{keyword}: missing")
    if not isinstance(value, bytes):
        numbers = numpy.atleast_1d(numpy.asarray(value, numpy.int64))
        return (numbers & 0xFFFF).astype(numpy.uint16)
    if bits <= 8 and (segmented or len(value) < 2 * entries):
        return numpy.frombuffer(value, numpy.uint8).astype(numpy.uint16)
    order = ">" if item.original_encoding[1] is False else "<"
    return numpy.frombuffer(value, order + "u2", len(value) // 2).astype(numpy.uint16)


def _expand_segments(words: NDArray[numpy.uint16], entries: int, keyword: str) -> NDArray[numpy.uint16]:
    """PS3.3 C.7.9.2: discrete, linear and indirect segments, never more than `entries` values of them.

    A segment without a value is refused, so that `entries` bounds their number too, however they are written.
    """
    codes: list[int] = words[: _LONGEST_SEGMENT * (entries + 1)].tolist()
    values: list[int] = []
    numbers: dict[int, int] = {}  # of the segments, by where they start
    starts: list[int] = []
    position = 0
    while position + 1 < len(codes) and len(values) < entries:
        before = len(values)
        if codes[position] == _INDIRECT:
            if position + 3 >= len(codes):
                raise CannotDecode(f"{keyword}: an indirect segment is cut off")
            begin = numbers.get(codes[position + 2] | codes[position + 3] << 16)
            if begin is None:
                raise CannotDecode(f"{keyword}: an indirect segment points at no segment before it")
            for number in range(begin, min(begin + codes[position + 1], len(starts))):
                _expand_one(codes, starts[number], values, entries, keyword)
                if len(values) >= entries:
                    break
            behind = position + 4
        else:
            behind = _expand_one(codes, position, values, entries, keyword)
        if len(values) == before:
            raise CannotDecode(f"{keyword}: the segment at word {position} has no value")
        numbers[position] = len(starts)
        starts.append(position)
        position = behind
    return numpy.array(values[:entries], numpy.uint16)


def _expand_one(codes: list[int], start: int, values: list[int], entries: int, keyword: str) -> int:
    """Append what the discrete or linear segment at `start` stands for; the place behind it."""
    kind, length = codes[start], codes[start + 1]
    if kind == _DISCRETE:
        values.extend(codes[start + 2 : start + 2 + length])
        return start + 2 + length
    if kind != _LINEAR or not values or start + 2 >= len(codes):
        raise CannotDecode(f"{keyword}: segment of type {kind} is not possible here")
    previous, last = values[-1], codes[start + 2]
    values.extend(round(previous + (last - previous) * step / length) for step in range(1, min(length, entries) + 1))
    return start + 3
