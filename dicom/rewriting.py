"""A stored object written anew in Explicit VR Little Endian, the encoding of every data set that leaves transcoded.

One walk over the element headers (PS3.5 7). Of a data set that is in Explicit VR Little Endian already every byte stays
as it is but for what has to change; of others each element gets its VR, and its numbers are turned round. Sequences
are then written with undefined lengths, so that nothing has to be counted before. Large values are referred to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import pack

from dicom import vrs
from dicom.coding import DELIMITERS, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Coding
from dicom.element_writer import Layout
from dicom.elements import ITEM, ITEM_END, LAST_BEFORE_PADDING, PIXEL_DATA, SEQUENCE_END
from dicom.encapsulation import read_fragments
from dicom.errors import Malformed
from dicom.frame_header import Slice
from dicom.hopping import hop
from dicom.known import PIXEL_REPRESENTATION
from dicom.preamble import FIRST_ELEMENT, PREFIX_OFFSET, TRANSFER_SYNTAX_UID, scan_meta
from dicom.source import ByteSource, Window
from dicom.transfer_syntaxes import TransferSyntax
from dicom.vrs import UNDEFINED, describe

# A longer value is referred to, where its bytes can stay as they are
_IN_MEMORY = 64 * 1024
_META_GROUP_LENGTH, _MEDIA_STORAGE_SOP_INSTANCE_UID = 0x00020000, 0x00020003
SOP_INSTANCE_UID = 0x00080018
_FIRST_PIXELS = 0x7FE00001
_OFFSET_TABLES = frozenset((_FIRST_PIXELS, 0x7FE00002, 0x7FE00003))
_WIDE_PIXELS = {32: b"OL", 64: b"OV"}
_TEXT = frozenset((b"AE", b"AS", b"CS", b"DA", b"DS", b"DT", b"IS", b"LO", b"LT", b"PN", b"SH", b"ST", b"TM"))
_TEXTS = _TEXT | {b"UC", b"UR", b"UT"}


@dataclass(frozen=True, slots=True)
class Change:
    """What an element of the data set itself becomes; `value` is Little Endian and of an even length."""

    vr: str
    value: bytes
    only_if_absent: bool = False


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The object up to its pixel data and what is behind them; `after` is empty where no pixel data were cut out."""

    before: Layout
    after: Layout


def rewrite(
    source: ByteSource,
    data_set: ByteSource | None,
    syntax: TransferSyntax,
    target_uid: str,
    changes: Mapping[int, Change],
    *,
    cut_pixels: bool,
    bits_allocated: int = 16,
) -> Rewritten:
    """The object `source`, which is in `syntax`, under the transfer syntax `target_uid`.

    `data_set` is the inflated data set of a deflated object. `changes` are put in or in place of what is there; of the
    File Meta Information (0002,0003) MediaStorageSOPInstanceUID follows (0008,0018) SOPInstanceUID. With
    `cut_pixels` the pixel data and their offset tables are left out, for the caller to write others. Raises
    `DicomError` for what is no object.
    """
    window = Window(source)
    start = scan_meta(window).data_set_offset
    before, after = Layout(), Layout()
    before.add(_meta(window, start, target_uid, changes.get(SOP_INSTANCE_UID)))
    if data_set is not None:
        window, start = Window(data_set), 0
    explicit = EXPLICIT_LITTLE if syntax.little_endian else EXPLICIT_BIG
    coding = IMPLICIT_LITTLE if syntax.implicit_vr else explicit
    _Walk(window, before, after, coding, changes, cut_pixels, bits_allocated).data_set(start)
    return Rewritten(before, after)


def _meta(window: Window, end: int, target_uid: str, instance: Change | None) -> bytes:
    """The File Meta Information with another transfer syntax (PS3.10 7.1), behind an empty preamble: what a preamble
    points to is no more where it was.
    """
    group, position, named = Layout(), FIRST_ELEMENT, False
    uid = target_uid.encode() + b"\0" * (len(target_uid) % 2)
    while position < end:
        tag, _, length, size = EXPLICIT_LITTLE.header(window.read(position, 12))
        if not named and tag >= TRANSFER_SYNTAX_UID:
            group.element(TRANSFER_SYNTAX_UID, "UI", uid)
            named = True
        if tag == _MEDIA_STORAGE_SOP_INSTANCE_UID and instance is not None:
            group.element(tag, "UI", instance.value)
        elif tag not in (_META_GROUP_LENGTH, TRANSFER_SYNTAX_UID):
            group.add(window.read(position, size + length))
        position += size + length
    if not named:
        group.element(TRANSFER_SYNTAX_UID, "UI", uid)
    head = Layout()
    head.element(_META_GROUP_LENGTH, "UL", pack("<I", group.size))
    return b"\0" * PREFIX_OFFSET + b"DICM" + b"".join((*head.chunks(), *group.chunks()))


class _Walk:
    def __init__(
        self,
        window: Window,
        before: Layout,
        after: Layout,
        coding: Coding,
        changes: Mapping[int, Change],
        cut_pixels: bool,
        bits_allocated: int,
    ) -> None:
        self._window, self._out, self._after, self._coding = window, before, after, coding
        self._pending = dict(sorted(changes.items()))
        self._cut, self._bits = cut_pixels, bits_allocated
        self._verbatim = coding is EXPLICIT_LITTLE
        self._run: tuple[int, int] | None = None
        self._pixels_seen = False

    def data_set(self, position: int) -> None:
        """The data set itself, from `position` to its end or to what is no element any more."""
        end, signed = self._window.size, False
        while end - position >= 8:
            position = self._verbatim_to(position)
            tag, vr, length, size = self._coding.header(self._window.read(position, min(end - position, 12)))
            if tag >> 16 == DELIMITERS:
                position += 8 if tag != ITEM or length == UNDEFINED else 8 + length
                continue
            if vr is None or self._is_garbage(tag, length, end - position - size):
                break
            if tag == PIXEL_REPRESENTATION:
                signed = self._number(position + size)
            self._insert_before(tag)
            behind = self._behind(tag, vr, length, position + size, end, self._coding)
            change = self._pending.pop(tag, None)
            if tag in PIXEL_DATA and not self._pixels_seen:
                self._pixels_seen = True
                if self._cut:
                    self._insert_before(tag + 1)
                    self._flush()
                    self._out, position = self._after, behind
                    continue
            if change is not None and not change.only_if_absent:
                self._flush()
                self._out.element(tag, change.vr, change.value)
            elif tag & 0xFFFF and not (self._cut and tag in _OFFSET_TABLES):
                self._keep(tag, vr, length, position, size, behind, signed)
            position = behind
        self._insert_before(UNDEFINED)
        self._flush()

    def _verbatim_to(self, position: int) -> int:
        """Keep all elements in memory that stay as they are; where the next one begins."""
        window = self._window
        if not self._verbatim or self._pixels_seen or not 0 <= position - window.base < len(window.data):
            return position
        next_change = min(self._pending, default=_FIRST_PIXELS)
        start = position - window.base
        stop = hop(window.data, start, len(window.data), self._coding, (), min(next_change, _FIRST_PIXELS))
        if stop > start:
            self._run_on(position, window.base + stop)
        return window.base + stop

    def _run_on(self, position: int, behind: int) -> None:
        """Bytes that stay as they are, together with those before them."""
        if self._run is None or self._run[1] != position:
            self._flush()
            self._run = (position, behind)
        self._run = (self._run[0], behind)

    def _keep(self, tag: int, vr: bytes, length: int, position: int, size: int, behind: int, signed: bool) -> None:
        if self._verbatim:
            self._run_on(position, behind)
            return
        if tag in PIXEL_DATA and not self._coding.little_endian and self._bits in _WIDE_PIXELS:
            self._turned(tag, vr, position + size, length, as_vr=_WIDE_PIXELS[self._bits])
            return
        self._element(tag, vr, length, position + size, behind, self._coding, signed)

    def _insert_before(self, tag: int) -> None:
        """Put in what was not there and belongs before `tag`."""
        for number in [number for number in self._pending if number < tag]:
            change = self._pending.pop(number)
            self._flush()
            self._out.element(number, change.vr, change.value)

    def _flush(self) -> None:
        if self._run is not None:
            start, end = self._run
            here, length = start - self._window.base, end - start
            if length <= _IN_MEMORY and 0 <= here <= len(self._window.data) - length:
                self._out.add(self._window.data[here : here + length])
            else:
                self._out.copy(Slice(self._window.source, start, length), padding=b"")
            self._run = None

    def _is_garbage(self, tag: int, length: int, left: int) -> bool:
        """As the scan at ingest has it: what lies behind the last element."""
        if tag == 0 and length == 0:
            return True
        too_long = length not in (UNDEFINED,) and length > left
        return too_long or (self._pixels_seen and tag <= LAST_BEFORE_PADDING)

    def _behind(self, tag: int, vr: bytes, length: int, start: int, end: int, coding: Coding) -> int:
        """The first byte behind an element whose value begins at `start`."""
        if length != UNDEFINED:
            return start + length
        known = vrs.implicit_vr(tag) if vr == b"UN" else vr
        if tag in PIXEL_DATA or known in (b"OB", b"OW"):
            return read_fragments(self._window, start, end, describe(tag)).end
        return self._skip_items(start, end, IMPLICIT_LITTLE if vr == b"UN" else coding)

    def _skip_items(self, position: int, end: int, coding: Coding) -> int:
        """Behind the Sequence Delimitation Item."""
        while end - position >= 8:
            tag, length = self._item(position, coding)
            position += 8
            if tag == SEQUENCE_END:
                return position
            position = position + length if length != UNDEFINED else self._skip_data_set(position, end, coding)
        raise Malformed(f"a sequence without its end at byte {position}")

    def _skip_data_set(self, position: int, end: int, coding: Coding) -> int:
        while end - position >= 8:
            tag, vr, length, size = coding.header(self._window.read(position, min(end - position, 12)))
            if tag == ITEM_END:
                return position + 8
            if tag >> 16 == DELIMITERS:
                position += 8 if tag != ITEM or length == UNDEFINED else 8 + length
                continue
            position = self._behind(tag, vr or b"UN", length, position + size, end, coding)
        return position

    def _item(self, position: int, coding: Coding) -> tuple[int, int]:
        group, element, length = coding.item.unpack(self._window.read(position, 8))
        return group << 16 | element, length

    def _element(self, tag: int, vr: bytes, length: int, start: int, behind: int, coding: Coding, signed: bool) -> None:
        """One element in Explicit VR Little Endian; group lengths are left out."""
        if not tag & 0xFFFF:
            return
        if vr == vrs.SIGNED_OR_NOT:
            vr = b"SS" if signed else b"US"
        if length == UNDEFINED and vr != b"SQ":
            # fragments, or a sequence that came as UN: Implicit VR Little Endian inside, wherever it goes (PS3.5 6.2.2)
            self._out.header(tag, "OB" if vr in (b"OB", b"OW") else "UN", UNDEFINED)
            self._out.copy(Slice(self._window.source, start, behind - start), padding=b"")
        elif vr == b"SQ":
            self._out.start_sequence(tag)
            self._items(start, behind, coding, signed)
            self._out.end_sequence()
        elif coding.little_endian or vr not in vrs.WIDTHS:
            self._as_it_is(tag, vr, start, length)
        else:
            self._turned(tag, vr, start, length, as_vr=vr)

    def _items(self, position: int, end: int, coding: Coding, signed: bool) -> None:
        while end - position >= 8:
            tag, length = self._item(position, coding)
            position += 8
            if tag == SEQUENCE_END:
                return
            stop = end if length == UNDEFINED else position + length
            self._out.start_item()
            position = self._nested(position, stop, coding, signed, undefined=length == UNDEFINED)
            self._out.end_item()

    def _nested(self, position: int, end: int, coding: Coding, signed: bool, *, undefined: bool) -> int:
        while end - position >= 8:
            tag, vr, length, size = coding.header(self._window.read(position, min(end - position, 12)))
            if tag == ITEM_END and undefined:
                return position + 8
            if tag >> 16 == DELIMITERS:
                position += 8 if tag != ITEM or length == UNDEFINED else 8 + length
                continue
            if vr is None:
                raise Malformed(f"{describe(tag)} at byte {position} has no VR")
            if tag == PIXEL_REPRESENTATION:
                signed = self._number(position + size)
            behind = self._behind(tag, vr, length, position + size, end, coding)
            self._element(tag, vr, length, position + size, behind, coding, signed)
            position = behind
        return end

    def _as_it_is(self, tag: int, vr: bytes, start: int, length: int) -> None:
        self._out.header(tag, vr.decode(), length + length % 2)
        padding = b" " if vr in _TEXTS else b"\0"
        if length > _IN_MEMORY:
            self._out.copy(Slice(self._window.source, start, length), padding=padding)
        else:
            self._out.add(self._window.read(start, length) + padding * (length % 2))

    def _turned(self, tag: int, vr: bytes, start: int, length: int, *, as_vr: bytes) -> None:
        """A Big Endian value turned round; bytes that make no whole number are left out."""
        whole = length // vrs.WIDTHS[as_vr] * vrs.WIDTHS[as_vr]
        self._out.header(tag, vr.decode(), whole)
        if whole > _IN_MEMORY:
            self._out.copy(_Turned(self._window.source, start, whole, as_vr))
        else:
            self._out.add(vrs.little_endian(as_vr, self._window.read(start, whole)))

    def _number(self, start: int) -> bool:
        return any(self._window.read(start, 2))


@dataclass(frozen=True, slots=True)
class _Turned:
    """`size` bytes of Big Endian numbers, Little Endian; read in pieces that split none."""

    source: ByteSource
    offset: int
    size: int
    vr: bytes

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from `offset`."""
        return vrs.little_endian(self.vr, self.source.read_at(self.offset + offset, min(length, self.size - offset)))
