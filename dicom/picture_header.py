"""What drawing a frame needs of its header, found by hopping over everything else (PS3.5 7).

Headers may hold half a million elements, or a group for each of many thousand frames, which take seconds to load as a
data set. Here every element that is not needed costs one look at its header, of a sequence only the item that counts
is read, and values larger than any picture needs are left out.

What drawing needs is the same for most slices of a series, so what was found is kept as a data set: the last _KEPT
different ones of at most _KEPT_BYTES each. Invalidation: none is needed, an entry is known by all that was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Union

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dicom import overlays, vrs
from dicom.coding import DELIMITERS, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Coding
from dicom.errors import Truncated
from dicom.hopping import hop
from dicom.known import PIXEL_REPRESENTATION
from dicom.limits import in_force
from dicom.preamble import scan_meta
from dicom.source import ByteSource, Window
from dicom.transfer_syntaxes import TransferSyntax
from dicom.vrs import UNDEFINED

# A lookup table of 65,536 entries of 16 bits takes 128 KiB, as segments perhaps more, a colour profile up to that; an
# overlay has a bit for each pixel of each frame; the rest are a few numbers
MAX_TABLE = 512 * 1024
MAX_OVERLAY = 16 << 20
MAX_VALUE = 4 * 1024
# Two bytes of a DS may become a number of 400: what is kept takes 50 MB at the worst.
_KEPT, _KEPT_BYTES = 64, 4 * 1024

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_FIRST_PIXELS, _FIRST_DELIMITER = 0x7FE00008, DELIMITERS << 16
_FRAME_TIME_VECTOR = 0x00181065  # a number for each frame
_TABLE_VRS = frozenset((b"OB", b"OW", b"US", b"SS", vrs.SIGNED_OR_NOT))
_PER_FRAME_FUNCTIONAL_GROUPS = 0x52009230

# By tag: a value that is kept (None), or a sequence and what is kept of the one item that counts
Wanted = Mapping[int, Union["Wanted", None]]
_TABLE: Wanted = {0x00283002: None, 0x00283006: None}  # LUTDescriptor, LUTData
_TRANSFORMATION: Wanted = {0x00281052: None, 0x00281053: None, 0x00283000: _TABLE}  # rescaling, Modality LUT
_VOI: Wanted = {0x00281050: None, 0x00281051: None, 0x00281056: None, 0x00283010: _TABLE}  # window, VOI LUT
_SHUTTER: Wanted = dict.fromkeys((*range(0x00181600, 0x00181625),))  # shapes, where they are, and their colour
_GROUPS: Wanted = {
    0x00189472: _SHUTTER,  # FrameDisplayShutterSequence
    0x00289110: {0x00280030: None},  # PixelMeasuresSequence: PixelSpacing
    0x00289132: _VOI,
    0x00289145: _TRANSFORMATION,
}
_OVERLAY_DATA = frozenset(group << 16 | overlays.DATA for group in overlays.GROUPS)
WANTED: Wanted = {
    0x00089205: None,  # PixelPresentation
    **_SHUTTER,
    0x00181164: None,  # ImagerPixelSpacing
    0x00182010: None,  # NominalScannedPixelSpacing
    0x00280030: None,  # PixelSpacing
    0x00280034: None,  # PixelAspectRatio
    0x00280101: None,  # BitsStored
    0x00280103: None,  # PixelRepresentation
    0x00280120: None,  # PixelPaddingValue
    0x00280121: None,  # PixelPaddingRangeLimit
    **_TRANSFORMATION,
    **_VOI,
    **dict.fromkeys(range(0x00281101, 0x00281104)),  # palettes: descriptors,
    **dict.fromkeys(range(0x00281201, 0x00281204)),  # data,
    **dict.fromkeys(range(0x00281221, 0x00281224)),  # segmented data
    0x00282000: None,  # ICCProfile
    0x00480105: {0x00282000: None},  # OpticalPathSequence
    0x20500010: _TABLE,  # PresentationLUTSequence
    0x20500020: None,  # PresentationLUTShape
    **dict.fromkeys(group << 16 | element for group in overlays.GROUPS for element in overlays.ELEMENTS),
    0x52009229: _GROUPS,  # SharedFunctionalGroupsSequence
    _PER_FRAME_FUNCTIONAL_GROUPS: _GROUPS,
}


def read_picture_header(
    source: ByteSource, syntax: TransferSyntax, frame_number: int, wanted: Wanted = WANTED
) -> Dataset:
    """The elements of `wanted` that lie before the pixel data.

    `source` is the object, which may end with its header, or the inflated data set of a deflated one.
    PerFrameFunctionalGroupsSequence has one item at the most, that of `frame_number`: the frame is drawn as the first.
    Where the data set cannot be followed it ends, for the picture is worth more than what is missing. Nobody may change
    what is returned, for others have it too. Raises `DicomError` for what is no object at all.
    """
    window = Window(source)
    start = 0 if syntax.deflated else scan_meta(window).data_set_offset
    explicit = EXPLICIT_LITTLE if syntax.little_endian else EXPLICIT_BIG
    top = _Place(0, source.size, IMPLICIT_LITTLE if syntax.implicit_vr else explicit)
    walk = _Walk(window, frame_number)
    with suppress(_Lost, Truncated):
        walk.data_set(start, top, wanted, walk.found)
    keep = wanted is WANTED and walk.bytes_found <= _KEPT_BYTES
    return (_kept if keep else _data_set)(_item(top.coding, walk.found))


class _Lost(Exception):
    """What follows is no data set."""


@dataclass(frozen=True, slots=True)
class _Place:
    """How deep a data set, item or sequence lies, where it must be over, and how it is encoded."""

    depth: int
    end: int
    coding: Coding


# A data set as it was found: whether it is implicit, whether little endian, and its elements. An element: its tag, VR
# and value, which of a sequence is the one item that counts, and whether the value is implicit, and little endian.
_Item = tuple[bool, bool, tuple["_Element", ...]]
_Element = tuple[int, str, bytes | _Item, bool, bool]
_Found = dict[int, _Element]


@dataclass(frozen=True, slots=True)
class _Only:
    """The one item of a sequence that counts, what is wanted of it, and whether the others have to be walked."""

    index: int
    wanted: Wanted
    item: _Found
    to_the_end: bool


def _item(coding: Coding, found: _Found) -> _Item:
    return coding.implicit, coding.little_endian, tuple(found.values())


def _data_set(item: _Item) -> Dataset:
    implicit, little_endian, elements = item
    found = Dataset()
    found.set_original_encoding(implicit, little_endian)
    for tag, vr, value, implicit, little_endian in elements:
        if isinstance(value, bytes):
            found[tag] = RawDataElement(BaseTag(tag), vr, len(value), value, 0, implicit, little_endian)
        else:
            found.add_new(tag, vr, [_data_set(value)])
    return found


_kept = lru_cache(_KEPT)(_data_set)


class _Walk:
    def __init__(self, window: Window, frame_number: int) -> None:
        self._window, self._frame_number = window, frame_number
        self.found: _Found = {}
        self.bytes_found = 0

    def data_set(self, position: int, place: _Place, wanted: Wanted, found: _Found) -> int:
        """Walk a data set or item, and keep what is wanted of it; the position behind it and its delimiter."""
        window, header, end = self._window, place.coding.header, place.end
        below = _FIRST_DELIMITER if place.depth else _FIRST_PIXELS
        while end - position >= 8:
            if window.base <= position:
                base = window.base
                position = base + hop(window.data, position - base, end - base, place.coding, wanted, below)
            tag, vr, length, size = header(window.read(position, min(end - position, 12)))
            position += size
            if tag >> 16 == DELIMITERS:
                if tag == _ITEM_END:
                    return position
                position += length
                continue
            if vr is None or (tag >= _FIRST_PIXELS and not place.depth):
                raise _Lost
            if length != UNDEFINED and length > end - position:
                raise _Lost
            if tag in wanted and tag not in found:
                position = self._keep(tag, vr, position, length, place, wanted[tag], found)
            elif length == UNDEFINED:
                position = self._items(position, _inside(place, vr, end))
            else:
                position += length
        return end

    def _keep(
        self, tag: int, vr: bytes, start: int, length: int, place: _Place, inside: Wanted | None, found: _Found
    ) -> int:
        """Read a wanted element into `found`; the position behind it."""
        undefined = length == UNDEFINED
        stop = place.end if undefined else start + length
        coding = place.coding
        if inside is not None:
            item = _Found()
            only = self._frame_number - 1 if tag == _PER_FRAME_FUNCTIONAL_GROUPS else 0
            behind = self._items(start, _inside(place, vr, stop), _Only(only, inside, item, undefined))
            found[tag] = tag, "SQ", _item(coding, item), coding.implicit, coding.little_endian
            return behind if undefined else stop
        if undefined:
            return self._items(start, _inside(place, vr, stop))
        known = vrs.implicit_vr(tag) if vr == b"UN" else vr
        table = known in _TABLE_VRS or tag == _FRAME_TIME_VECTOR
        most = MAX_OVERLAY if tag in _OVERLAY_DATA else MAX_TABLE if table else MAX_VALUE
        if length <= most:
            coding = IMPLICIT_LITTLE if vr == b"UN" else coding
            if known == vrs.SIGNED_OR_NOT:
                known = b"SS" if self._is_signed() else b"US"
            value = self._window.read(start, length)
            found[tag] = tag, known.decode(), value, coding.implicit, coding.little_endian
            self.bytes_found += length
        return stop

    def _is_signed(self) -> bool:
        element = self.found.get(PIXEL_REPRESENTATION)
        try:
            return element is not None and bool(_data_set((False, True, (element,))).PixelRepresentation == 1)
        except Exception:  # noqa: BLE001 - whatever pydicom raises for values that the archive keeps without reading them
            return False

    def _items(self, position: int, place: _Place, only: _Only | None = None) -> int:
        """Walk the items of a sequence, or fragments; the position behind them, or behind the only one that counts."""
        if place.depth > in_force().sequence_depth:
            raise _Lost
        read, unpack, end = self._window.read, place.coding.item.unpack, place.end
        number = 0
        while end - position >= 8:
            group, element, length = unpack(read(position, 8))
            tag = group << 16 | element
            position += 8
            if tag == _SEQUENCE_END:
                return position
            if tag != _ITEM or (length != UNDEFINED and length > end - position):
                raise _Lost
            stop = end if length == UNDEFINED else position + length
            if only is not None and only.index == number:
                inside = _Place(place.depth, stop, place.coding)
                position = self.data_set(position, inside, only.wanted, only.item)
                if not only.to_the_end:
                    return position
            elif length == UNDEFINED:
                position = self.data_set(position, place, {}, {})
            if length != UNDEFINED:
                position = stop
            number += 1
        return end


def _inside(place: _Place, vr: bytes, end: int) -> _Place:
    """The place of a sequence in another; one that came as UN is Implicit VR Little Endian inside (PS3.5 6.2.2)."""
    return _Place(place.depth + 1, end, IMPLICIT_LITTLE if vr == b"UN" else place.coding)
