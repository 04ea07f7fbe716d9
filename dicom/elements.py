"""The one scan over the elements of a data set (PS3.5 7): headers are read, small values become DICOM JSON, large ones
are stepped over. It is a loop with a stack of its own, so that no nesting can exhaust Python's.
"""

from __future__ import annotations

from dataclasses import dataclass

from dicom import json, vrs
from dicom.charsets import character_set, parse_terms
from dicom.coding import DELIMITERS, IMPLICIT_LITTLE, Coding
from dicom.encapsulation import Fragments, read_fragments
from dicom.errors import InvalidIdentifier, Malformed, TooComplex, Truncated
from dicom.instance import BulkValue
from dicom.known import PIXEL_REPRESENTATION, SPECIFIC_CHARACTER_SET, convert, read_known
from dicom.levels import DataSetLevel, SequenceLevel
from dicom.limits import in_force
from dicom.memo import Entry
from dicom.source import Window
from dicom.vrs import UNDEFINED, describe

# Of the DICOM JSON of one instance: values grow up to tenfold in it, and a deflated object is up to two hundred times
# larger than what was sent, so that it may have so much at once and beyond it a multiple of what was sent
FREE_JSON_BYTES = 4 * 1024 * 1024
# A value whose JSON is longer becomes bulk data where its VR allows that
MAX_JSON_VALUE = 64 * 1024
# What a BulkDataURI is longer by once the UIDs are in it
_URI_BYTES = 256
MAX_ITEM_BYTES = 512 * 1024 * 1024
MAX_WARNINGS = 50
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_DATA = {0x7FE00010: "PixelData", 0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData"}
LAST_BEFORE_PADDING = 0x7FE00010
UTF8: Entry = (b'"00080005":{"vr":"CS","Value":["ISO_IR 192"]}', "")
# Two values for one of these would make two instances of one object
IDENTIFIERS = frozenset((0x00080016, 0x00080018, 0x00100020, 0x0020000D, 0x0020000E))


@dataclass(frozen=True, slots=True)
class PixelValue:
    """The value field of the pixel data of the instance itself; `fragments` if it is encapsulated."""

    tag: int
    vr: str
    offset: int
    length: int
    fragments: Fragments | None


class Scan:
    """The state and the results of one scan. `elements` are those of the data set itself, by tag.

    `sent` is how many bytes the object has that came in, which is less than the window shows of a deflated one.
    """

    def __init__(self, window: Window, start: int, coding: Coding, sent: int) -> None:
        self.window = window
        self.position = start
        self.top = DataSetLevel(None, start, window.size, False, coding, character_set(("",)))
        self.bulk: dict[str, BulkValue] = {}
        self.pixel_value: PixelValue | None = None
        self.warnings: dict[str, None] = {}  # in order, each once
        self._level: DataSetLevel | SequenceLevel | None = self.top
        self._count = 0
        self._inline = 0
        self._json = 0
        self._limits = limits = in_force()
        self._json_allowed = min(limits.json_bytes, FREE_JSON_BYTES + limits.json_ratio * sent)
        self._item_bytes = 0

    @property
    def elements(self) -> dict[int, Entry]:
        return self.top.elements

    def run(self) -> None:
        """Scan to the end of the data set; raises `DicomError`."""
        while (level := self._level) is not None:
            if isinstance(level, SequenceLevel):
                self._item(level)
                continue
            # behind the pixel data may lie anything, which only the careful way tells from elements
            if level.coding.little_endian and (self.pixel_value is None or level is not self.top):
                count, position = len(level.elements), self.position
                self.position, written = read_known(self.window, level, position)
                self._add(len(level.elements) - count, self.position - position)
                self._write(written)
            if not self._element(level):
                if level.inside is not None:
                    level.inside.items.append(self._item_json(level))
                self._level = level.inside

    def warn(self, text: str) -> None:
        """Keep a warning; beyond a bound they only repeat themselves."""
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings[text] = None

    def _item_json(self, level: DataSetLevel) -> bytes:
        text = level.json()
        # each level of nesting copies what lies in it, so that depth times size is what has to be bounded
        self._item_bytes += len(text)
        if self._item_bytes > MAX_ITEM_BYTES:
            raise TooComplex(f"sequences of more than {MAX_ITEM_BYTES} bytes of metadata")
        return text

    def _element(self, data_set: DataSetLevel) -> bool:
        """Any one element, read with care; False at the end of the data set."""
        position, left = self.position, data_set.end - self.position
        if left < 8:
            return self._rest(data_set, left)
        tag, vr, length, size = data_set.coding.header(self.window.read(position, min(left, 12)))
        if tag >> 16 == DELIMITERS:
            return self._delimiter(data_set, tag, length)
        if data_set is self.top and self._is_garbage(tag, vr, length, size, left):
            self.warn(f"{left} bytes behind the last element, from byte {position}, are no elements")
            return False
        if vr is None:
            raise self._no_vr(data_set, tag)
        self._add(1, 0)
        coding = data_set.coding
        if vr == b"UN" and not coding.implicit and (known := vrs.implicit_vr(tag)) != b"UN":
            # a public element that passed through a system which did not know it: Implicit VR Little Endian inside
            # whatever the transfer syntax (PS3.5 6.2.2)
            vr, coding = known, IMPLICIT_LITTLE
        if vr == vrs.SIGNED_OR_NOT:
            vr = b"SS" if data_set.text(PIXEL_REPRESENTATION) == "1" else b"US"
        start = position + size
        if length == UNDEFINED:
            self._undefined(data_set, tag, vr, start, coding)
            return True
        if length > left - size:
            if data_set is self.top and not self.elements and coding.implicit:
                self._check_implicit(tag)
            raise self._too_long(data_set, tag, length, left - size)
        self.position = start + length
        if vr == b"SQ":
            self._open(data_set, tag, start, start + length, False, coding)
        elif tag in PIXEL_DATA and data_set is self.top:
            self._pixels(PixelValue(tag, vr.decode(), start, length, None))
        elif length > vrs.INLINE_LIMIT[vr] or (tag in PIXEL_DATA and length):
            self._bulk(data_set, tag, vr, start, length)
        else:
            self._inline_value(data_set, tag, vr, self._value(start, length), coding)
        return True

    def _inline_value(self, data_set: DataSetLevel, tag: int, vr: bytes, value: bytes, coding: Coding) -> None:
        length = len(value)
        self._add(0, length)
        if tag == SPECIFIC_CHARACTER_SET:
            self._character_set(data_set, value)
            return
        if not coding.little_endian:
            value = vrs.little_endian(vr, value)
        entry = convert(tag, vr, value, data_set.characters)
        if len(entry[0]) > MAX_JSON_VALUE and vr in vrs.BULK_CAPABLE:
            self._bulk(data_set, tag, vr, self.position - length, length, entry[1])
        else:
            self._write(len(entry[0]))
            self._store(data_set, tag, entry)

    def _character_set(self, data_set: DataSetLevel, value: bytes) -> None:
        if SPECIFIC_CHARACTER_SET in data_set.elements:
            self.warn(f"{describe(SPECIFIC_CHARACTER_SET)} appears twice; the first is used")
            return
        characters = character_set(parse_terms(value))
        if characters.unknown:
            self.warn(f"{describe(SPECIFIC_CHARACTER_SET)} names a character set that is not defined")
        if not data_set.reread and any(tag > SPECIFIC_CHARACTER_SET for tag in data_set.elements):
            # out of order: what came before was read under another character set, so begin again
            data_set.reread = True
            data_set.elements.clear()
            self.position = data_set.start
            if data_set is self.top:
                self.pixel_value = None
        else:
            data_set.elements[SPECIFIC_CHARACTER_SET] = UTF8
        data_set.use(characters)

    def _store(self, data_set: DataSetLevel, tag: int, entry: Entry) -> None:
        first = data_set.elements.setdefault(tag, entry)
        if first is entry:
            return
        if first == entry:
            self.warn(f"{describe(tag)} appears twice{self._place()}")
        elif tag in IDENTIFIERS and data_set is self.top:
            raise InvalidIdentifier(f"{describe(tag)} appears twice with different values")
        else:
            self.warn(f"{describe(tag)} appears twice{self._place()}; the first value is used")

    def _open(self, data_set: DataSetLevel, tag: int, start: int, end: int, undefined: bool, coding: Coding) -> None:
        sequence = SequenceLevel(data_set, tag, end, undefined, coding)
        if sequence.depth > self._limits.sequence_depth:
            raise TooComplex(f"{describe(tag)}: sequences nested deeper than {self._limits.sequence_depth}")
        self.position = start
        self._level = sequence

    def _item(self, sequence: SequenceLevel) -> None:
        """Open the next item of a sequence, or close the sequence (PS3.5 7.5)."""
        position, left = self.position, sequence.end - self.position
        if left == 0 and not sequence.undefined:
            self._close(sequence)
            return
        head = self.window.read(position, 8) if left >= 8 else b""
        if len(head) < 8:
            raise self._too_long(sequence, sequence.tag, 8, max(left, 0))
        group, number, length = sequence.coding.item.unpack(head)
        tag = group << 16 | number
        self.position = position + 8
        if tag == SEQUENCE_END:
            if sequence.undefined:
                self._close(sequence)
            return  # one too many in a sequence of defined length
        if tag != ITEM:
            raise Malformed(f"{describe(sequence.tag)}: at byte {position} an Item was expected{self._place()}")
        if length != UNDEFINED and length > left - 8:
            raise self._too_long(sequence, ITEM, length, left - 8)
        self._add(1, 0)
        undefined = length == UNDEFINED
        end = sequence.end if undefined else position + 8 + length
        characters = sequence.around.characters
        self._level = DataSetLevel(sequence, position + 8, end, undefined, sequence.coding, characters)

    def _close(self, sequence: SequenceLevel) -> None:
        self._level = sequence.around
        self._store(sequence.around, sequence.tag, (json.sequence(sequence.tag, sequence.items), ""))

    def _delimiter(self, data_set: DataSetLevel, tag: int, length: int) -> bool:
        if tag == ITEM_END and data_set.undefined:
            self.position += 8
            return False
        if tag in (ITEM_END, SEQUENCE_END) and length == 0:
            # left over from a sequence whose length was made explicit
            self._add(1, 0)
            self.position += 8
            return True
        if tag == ITEM and length <= data_set.end - self.position - 8:
            # the header of its sequence is lost: the data set goes on behind it
            self.warn(f"{describe(tag)} at byte {self.position} lies in no sequence and is passed over")
            self._add(1, 0)
            self.position += 8 + length
            return True
        raise Malformed(f"{describe(tag)} at byte {self.position} does not belong there{self._place()}")

    def _undefined(self, data_set: DataSetLevel, tag: int, vr: bytes, start: int, coding: Coding) -> None:
        if vr == b"SQ" or (vr == b"UN" and tag not in PIXEL_DATA):
            inside = IMPLICIT_LITTLE if vr == b"UN" else coding
            self._open(data_set, tag, start, data_set.end, True, inside)
            return
        if vr not in (b"OB", b"OW", b"UN") or not coding.little_endian:
            raise Malformed(f"{describe(tag)} at byte {self.position}: a {vr.decode()} cannot have an undefined length")
        fragments = read_fragments(self.window, start, data_set.end, describe(tag))
        self.position = fragments.end
        if tag in PIXEL_DATA and data_set is self.top:
            self._pixels(PixelValue(tag, vr.decode(), start, fragments.end - 8 - start, fragments))
        elif len(fragments.offsets) == 1:
            self._bulk(data_set, tag, vr, fragments.offsets[0], fragments.lengths[0])
        else:
            self._bulk(data_set, tag, vr, start, fragments.end - 8 - start)

    def _pixels(self, value: PixelValue) -> None:
        vr = value.vr.encode()
        entry = json.bulk(value.tag, vr, f"{value.tag:08X}") if value.length else json.empty(value.tag, vr)
        self._store(self.top, value.tag, (entry, ""))
        if self.pixel_value is None:
            self.pixel_value = value
        else:
            self.warn(f"{describe(value.tag)}: more than one pixel data element; the first is used")

    def _bulk(self, data_set: DataSetLevel, tag: int, vr: bytes, offset: int, length: int, text: str = "") -> None:
        if vr not in vrs.BULK_CAPABLE:
            raise TooComplex(f"{describe(tag)}: a {vr.decode()} of {length} bytes{self._place()}")
        path = "".join(f"{around:08X}/{item}/" for around, item in data_set.steps()) + f"{tag:08X}"
        self._add(0, len(path))
        self.bulk.setdefault(path, BulkValue(vr.decode(), offset, length))
        entry = json.bulk(tag, vr, path), text
        self._write(len(entry[0]) + _URI_BYTES)
        self._store(data_set, tag, entry)

    def _value(self, start: int, length: int) -> bytes:
        value = self.window.read(start, length)
        if len(value) < length:
            raise Truncated(f"the object ends at byte {start + len(value)}")
        return value

    def _rest(self, data_set: DataSetLevel, left: int) -> bool:
        if data_set.undefined:
            raise Truncated(f"an item without Item Delimitation Item at byte {self.position}{self._place()}")
        if left and data_set is not self.top:
            raise Malformed(f"an item with {left} bytes too many at byte {self.position}{self._place()}")
        if left and self.pixel_value is None and self._value(self.position, left).strip(b"\0 \r\n"):
            raise Truncated(f"an element header at byte {self.position}: {left} bytes are left")
        if left:
            self.warn(f"{left} bytes behind the last element, from byte {self.position}, are no elements")
        return False

    def _is_garbage(self, tag: int, vr: bytes | None, length: int, size: int, left: int) -> bool:
        """Whether what follows is padding or worse, and the data set is complete without it."""
        if tag == 0 and length == 0:
            return bool(self.top.elements)
        if self.pixel_value is None:
            return False
        too_long = length != UNDEFINED and length > left - size
        return tag <= LAST_BEFORE_PADDING or vr is None or (self.top.coding.implicit and too_long)

    def _no_vr(self, data_set: DataSetLevel, tag: int) -> Malformed:
        letters = self.window.read(self.position + 4, 2).decode("ascii", "backslashreplace")
        found = letters if letters.isalpha() else self.window.read(self.position + 4, 2).hex()
        if data_set is self.top and not data_set.elements:
            return Malformed(
                f"{describe(tag)} at byte {self.position}: Explicit VR was declared, found no VR ({found})"
            )
        return Malformed(f"{describe(tag)} at byte {self.position}: {found} is no VR{self._place()}")

    def _check_implicit(self, tag: int) -> None:
        letters = self.window.read(self.position + 4, 2)
        if letters in vrs.SHORT | vrs.LONG:
            found = letters.decode()
            raise Malformed(f"{describe(tag)} at byte {self.position}: Implicit VR was declared, found a VR ({found})")

    def _too_long(self, level: DataSetLevel | SequenceLevel, tag: int, length: int, left: int) -> Malformed | Truncated:
        text = f"{describe(tag)} at byte {self.position}: {length} bytes, {left} are left{self._place()}"
        return Truncated(text) if level.end == self.window.size else Malformed(text)

    def _place(self) -> str:
        level = self._level
        if isinstance(level, SequenceLevel):
            steps = [*level.around.steps(), (level.tag, len(level.items) + 1)]
        else:
            steps = level.steps() if level else []
        path = "".join(f"({tag >> 16:04X},{tag & 0xFFFF:04X})[{item}]" for tag, item in steps)
        return f" in {path}" if path else ""

    def _add(self, elements: int, inline: int) -> None:
        self._count += elements
        self._inline += inline
        if self._count > self._limits.elements:
            raise TooComplex(f"more than {self._limits.elements} elements")
        if self._inline > self._limits.inline_bytes:
            raise TooComplex(f"more than {self._limits.inline_bytes} bytes of small values")

    def _write(self, written: int) -> None:
        self._json += written
        if self._json > self._json_allowed:
            raise TooComplex(f"more than {self._json_allowed} bytes of DICOM JSON")
