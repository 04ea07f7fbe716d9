"""Part 10 objects from metadata and bulk data, as STOW-RS clients may send them (PS3.18 10.5.1, 8.6.1.2.2).

Everything is checked and laid out before the first byte is written; bulk data is then copied piece by piece.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import pack
from typing import Any

from pydicom.datadict import dictionary_keyword

from dicom.bulk_parts import BulkPart, DoesNotMatch, PixelPart, is_little_endian, media_type_of, pixel_part
from dicom.element_writer import LONGEST, Layout, Sink, even, file_meta, frame_offsets
from dicom.elements import PIXEL_DATA
from dicom.errors import (
    DATA_SET_DOES_NOT_MATCH,
    InvalidIdentifier,
    Malformed,
    TooComplex,
    UnsupportedTransferSyntax,
)
from dicom.instance import Warning_
from dicom.json_values import BINARY, VRS, dictionary_vrs, text_values, value_field
from dicom.limits import in_force
from dicom.memory_source import MemorySource
from dicom.pixel_module import BITS_ALLOCATED, describe_pixels, number_of
from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, OCTET_STREAM
from dicom.uids import UID_PATTERN
from dicom.vrs import WIDTHS, describe

# PS3.18 Table I.2-1
COERCION = 0xB000
ELEMENTS_DISCARDED = 0xB006

SPECIFIC_CHARACTER_SET = 0x00080005
SOP_CLASS_UID, SOP_INSTANCE_UID = 0x00080016, 0x00080018
STUDY_INSTANCE_UID, SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
TRANSFER_SYNTAX_UID = 0x00020010
AVAILABLE_TRANSFER_SYNTAX_UID = 0x00083002
ENCAPSULATED_DOCUMENT, MIME_TYPE, DOCUMENT_LENGTH = 0x00420011, 0x00420012, 0x00420015
EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS = 0x7FE00001, 0x7FE00002
# They describe how the sender had encoded the pixels
_OF_THE_ENCODING = frozenset((EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS, 0x7FE00003))
_PIXEL_DATA_VRS = {0x7FE00008: "OF", 0x7FE00009: "OD"}
UTF8 = {"vr": "CS", "Value": ["ISO_IR 192"]}

MAX_WARNINGS = 50

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_UID = re.compile(UID_PATTERN)
_VALUE_KEYS = ("Value", "InlineBinary", "BulkDataURI")

Attribute = Mapping[str, Any]
Bulk = Callable[[str], BulkPart | None]


@dataclass(frozen=True, slots=True)
class Coercion:
    """A top-level attribute that was filled in or changed; `before` is None if it was missing."""

    tag: str
    keyword: str
    before: Attribute | None
    after: Attribute


@dataclass(frozen=True, slots=True)
class Composed:
    """What was written."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    size: int
    coercions: tuple[Coercion, ...]
    warnings: tuple[Warning_, ...]


def compose(attributes: Mapping[str, Any], bulk: Bulk, sink: Sink) -> Composed:
    """Write the Part 10 object of one DICOM JSON object.

    `bulk` gives the part that a BulkDataURI refers to, None if there is none; it stays open until this returns and
    the caller closes it. Nothing is written if a `DicomError` is raised, but for `Truncated` by a source that has fewer
    bytes than it said. Memory is bounded by the metadata, whatever the bulk data.
    """
    composer = _Composer(attributes, bulk)
    composer.lay_out()
    return composer.write(sink)


class _Composer:
    """One object on its way from attributes to a layout."""

    def __init__(self, attributes: Mapping[str, Any], bulk: Bulk) -> None:
        self._bulk = bulk
        self._limits = in_force()
        self._layout = Layout()
        self._count = 0
        self._warnings: dict[Warning_, None] = {}
        self._coercions: list[Coercion] = []
        self._pixels: PixelPart | None = None
        self._top = self._data_set(attributes, "")
        self._uids = {tag: self._identifier(tag) for tag in _IDENTIFIERS}
        self._declared = next(iter(text_values(TRANSFER_SYNTAX_UID, self._top.get(TRANSFER_SYNTAX_UID))), None)

    def lay_out(self) -> None:
        """Check everything and decide on every byte; raises `DicomError`."""
        dropped = [tag for tag in self._top if tag >> 16 in (0x0000, 0x0002) or tag in _OF_THE_ENCODING]
        for tag in (*dropped, AVAILABLE_TRANSFER_SYNTAX_UID):
            self._top.pop(tag, None)
        before = self._top.get(SPECIFIC_CHARACTER_SET)
        self._top[SPECIFIC_CHARACTER_SET] = UTF8
        if before is not None and text_values(SPECIFIC_CHARACTER_SET, before) != UTF8["Value"]:
            self._coercions.append(Coercion("00080005", "SpecificCharacterSet", before, UTF8))
        self._find_pixels()
        self._describe_document()
        self._elements(self._top, 0, "")

    def write(self, sink: Sink) -> Composed:
        """Write what was laid out."""
        syntax = self._pixels.syntax if self._pixels else EXPLICIT_VR_LITTLE_ENDIAN
        meta = file_meta(self._uids[SOP_CLASS_UID], self._uids[SOP_INSTANCE_UID], syntax.uid)
        sink.write(meta)
        size = len(meta) + self._layout.write(sink)
        return Composed(
            study_instance_uid=self._uids[STUDY_INSTANCE_UID],
            series_instance_uid=self._uids[SERIES_INSTANCE_UID],
            sop_instance_uid=self._uids[SOP_INSTANCE_UID],
            sop_class_uid=self._uids[SOP_CLASS_UID],
            transfer_syntax_uid=syntax.uid,
            size=size,
            coercions=tuple(self._coercions),
            warnings=tuple(self._warnings),
        )

    def _data_set(self, attributes: Any, place: str) -> dict[int, Attribute]:
        if not isinstance(attributes, Mapping):
            raise Malformed(f"a DICOM JSON object was expected{place}")
        self._add(len(attributes), place)
        found: dict[int, Attribute] = {}
        for name, attribute in attributes.items():
            if not isinstance(name, str) or _TAG.fullmatch(name) is None:
                raise Malformed(f"an attribute whose name is no tag of eight hexadecimal digits{place}")
            tag = int(name, 16)
            if tag in found:
                raise Malformed(f"{describe(tag)} appears twice{place}")
            if tag >> 16 == 0xFFFE:
                raise Malformed(f"{describe(tag)} is no attribute{place}")
            found[tag] = self._attribute(tag, attribute, place)
        # group lengths are deprecated and would be wrong (PS3.5 7.2)
        return {tag: found[tag] for tag in found if tag & 0xFFFF}

    def _add(self, count: int, place: str) -> None:
        self._count += count
        if self._count > self._limits.elements:
            raise TooComplex(f"more than {self._limits.elements} attributes and items{place}")

    def _attribute(self, tag: int, attribute: Any, place: str) -> Attribute:
        if not isinstance(attribute, Mapping):
            raise Malformed(f"{describe(tag)}: a JSON object with a vr was expected{place}")
        vr = attribute.get("vr")
        if not isinstance(vr, str) or vr not in VRS:
            raise Malformed(f"{describe(tag)}: vr is no VR{place}")
        if sum(attribute.get(key) is not None for key in _VALUE_KEYS) > 1:
            raise Malformed(f"{describe(tag)}: only one of {', '.join(_VALUE_KEYS)} was expected{place}")
        if (expected := dictionary_vrs(tag)) and vr not in expected and vr != "UN":
            self._warn(DATA_SET_DOES_NOT_MATCH, f"{describe(tag)}: VR {' or '.join(sorted(expected))} expected{place}")
        return attribute

    def _identifier(self, tag: int) -> str:
        attribute = self._top.get(tag)
        if attribute is None:
            raise InvalidIdentifier(f"{describe(tag)} is missing")
        values = text_values(tag, attribute)
        if not values:
            raise InvalidIdentifier(f"{describe(tag)} is empty")
        if len(values) > 1 or attribute["vr"] != "UI" or _UID.fullmatch(values[0]) is None:
            raise InvalidIdentifier(f"{describe(tag)} is no UID: 1 to 64 digits and dots in VR UI were expected")
        return values[0]

    def _fill(self, tag: int, vr: str, value: Any) -> None:
        after = {"vr": vr, "Value": [value]}
        self._coercions.append(Coercion(f"{tag:08X}", dictionary_keyword(tag), self._top.get(tag), after))
        self._top[tag] = after

    def _find_pixels(self) -> None:
        present = [tag for tag in PIXEL_DATA if tag in self._top and _has_value(self._top[tag])]
        if len(present) > 1:
            raise DoesNotMatch(f"{describe(present[0])} and {describe(present[1])} exclude each other")
        for tag in present:
            part = self._part(tag, self._top[tag], "")
            if part is None:
                field = value_field(tag, "OB", {"InlineBinary": self._top[tag].get("InlineBinary")})
                part = BulkPart(OCTET_STREAM, None, (MemorySource(field.data),))
            self._pixels = pixel_part(tag, part, self._declared)
            describe_pixels(self._top, tag, self._pixels, self._fill)
            if self._pixels.unboxed:
                self._warn(ELEMENTS_DISCARDED, f"{describe(tag)}: the codestream was taken out of its JP2 file")
            self._set_extended_offsets()

    def _set_extended_offsets(self) -> None:
        """Where the Basic Offset Table has too few bits (PS3.3 C.7.6.3.1.8)."""
        if self._pixels is None or not self._pixels.syntax.encapsulated or self._pixels.is_video:
            return
        offsets = frame_offsets(self._pixels.sources)
        if offsets[-1] > LONGEST:
            sizes = [source.size for source in self._pixels.sources]
            self._top[EXTENDED_OFFSET_TABLE] = {"vr": "OV", "Value": offsets}
            self._top[EXTENDED_OFFSET_TABLE_LENGTHS] = {"vr": "OV", "Value": sizes}

    def _describe_document(self) -> None:
        """The media type and length of an encapsulated document (PS3.3 C.24.2)."""
        attribute = self._top.get(ENCAPSULATED_DOCUMENT)
        part = self._part(ENCAPSULATED_DOCUMENT, attribute, "") if attribute else None
        if part is None:
            return
        found = media_type_of(part)
        declared = next(iter(text_values(MIME_TYPE, self._top.get(MIME_TYPE))), "")
        if not declared and found == OCTET_STREAM:
            raise DoesNotMatch(f"{describe(MIME_TYPE)} is missing, and the media type of the part does not tell it")
        if not declared:
            self._fill(MIME_TYPE, "LO", found)
        elif found not in (OCTET_STREAM, declared.partition(";")[0].strip().lower()):
            raise DoesNotMatch(f"{describe(MIME_TYPE)} is not the media type of the part")
        length = number_of(self._top, DOCUMENT_LENGTH)
        if length is None:
            self._fill(DOCUMENT_LENGTH, "UL", part.size)
        elif length not in (part.size, part.size - 1):
            raise DoesNotMatch(f"{describe(DOCUMENT_LENGTH)}: {part.size} expected as the part has, found {length}")

    def _elements(self, attributes: Mapping[int, Attribute], depth: int, place: str) -> None:
        for tag in sorted(attributes):
            attribute = attributes[tag]
            if tag in PIXEL_DATA and depth == 0 and self._pixels is not None and _has_value(attribute):
                self._pixel_data(tag, attribute, self._pixels)
            elif tag in (EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS) and depth == 0:
                values = attribute["Value"]
                self._layout.element(tag, "OV", pack(f"<{len(values)}Q", *values))
            elif attribute["vr"] == "SQ":
                self._sequence(tag, attribute, depth, place)
            else:
                self._value(tag, attribute, place)
            if self._layout.inline > self._limits.inline_bytes:
                raise TooComplex(f"more than {self._limits.inline_bytes} bytes of metadata")

    def _sequence(self, tag: int, attribute: Attribute, depth: int, place: str) -> None:
        items = attribute.get("Value") or []
        if not isinstance(items, list | tuple) or any(attribute.get(key) is not None for key in _VALUE_KEYS[1:]):
            raise Malformed(f"{describe(tag)}: a list of items was expected{place}")
        if depth == self._limits.sequence_depth:
            raise TooComplex(f"{describe(tag)}: sequences nested deeper than {self._limits.sequence_depth}")
        self._add(len(items), place)
        self._layout.start_sequence(tag)
        for number, item in enumerate(items, 1):
            where = f"{place or ' in '}({tag >> 16:04X},{tag & 0xFFFF:04X})[{number}]"
            inner = self._data_set({} if item is None else item, where)
            if SPECIFIC_CHARACTER_SET in inner:
                inner[SPECIFIC_CHARACTER_SET] = UTF8
            self._layout.start_item()
            self._elements(inner, depth + 1, where)
            self._layout.end_item()
        self._layout.end_sequence()

    def _value(self, tag: int, attribute: Attribute, place: str) -> None:
        vr = attribute["vr"]
        part = self._part(tag, attribute, place)
        if part is None:
            try:
                field = value_field(tag, vr, attribute)
            except Malformed as error:
                raise Malformed(f"{error}{place}") from None
            if field.rounded:
                self._warn(COERCION, f"{describe(tag)}: rounded to the 16 characters of VR DS{place}")
            self._layout.element(tag, vr, field.data)
            return
        self._check_part(tag, vr, part, place)
        source = part.sources[0]
        self._layout.header(tag, vr, even(source.size))
        self._layout.copy(source, b"\0" if vr in BINARY or vr == "UI" else b" ")

    def _check_part(self, tag: int, vr: str, part: BulkPart, place: str) -> None:
        media_type = media_type_of(part)
        if media_type != OCTET_STREAM and tag != ENCAPSULATED_DOCUMENT:
            raise UnsupportedTransferSyntax(f"{describe(tag)}: a part of {OCTET_STREAM} was expected{place}")
        if part.transfer_syntax_uid and not is_little_endian(part.transfer_syntax_uid):
            raise UnsupportedTransferSyntax(f"{describe(tag)}: a Little Endian transfer syntax was expected{place}")
        if len(part.sources) != 1:
            raise DoesNotMatch(f"{describe(tag)}: one part was expected, found {len(part.sources)}{place}")
        if part.size % WIDTHS.get(vr.encode(), 1):
            raise DoesNotMatch(f"{describe(tag)}: {part.size} bytes are no whole number of values of VR {vr}{place}")

    def _part(self, tag: int, attribute: Attribute, place: str) -> BulkPart | None:
        uri = attribute.get("BulkDataURI")
        if uri is None:
            return None
        if not isinstance(uri, str) or not uri:
            raise Malformed(f"{describe(tag)}: BulkDataURI is to be a text{place}")
        part = self._bulk(uri)
        if part is None or not part.sources:
            raise Malformed(f"{describe(tag)}: the BulkDataURI refers to no part of the request{place}")
        return part

    def _pixel_data(self, tag: int, attribute: Attribute, pixels: PixelPart) -> None:
        if not pixels.syntax.encapsulated:
            allocated = number_of(self._top, BITS_ALLOCATED) or 0
            byte_wide = allocated <= 8 and attribute["vr"] == "OB"
            # PS3.5 A.2: OW beyond 8 bits
            vr = _PIXEL_DATA_VRS.get(tag, "OB" if byte_wide else "OW")
            self._layout.header(tag, vr, even(pixels.sources[0].size))
            self._layout.copy(pixels.sources[0])
            return
        offsets = [] if pixels.is_video else frame_offsets(pixels.sources)
        if offsets and offsets[-1] > LONGEST:
            offsets = []
        self._layout.start_sequence(tag, "OB")
        self._layout.start_item(4 * len(offsets))
        self._layout.add(pack(f"<{len(offsets)}I", *offsets))
        for number, source in enumerate(pixels.sources, 1):
            if not 0 < source.size <= LONGEST:
                raise DoesNotMatch(f"{describe(tag)}: frame {number}: 1 to {LONGEST} bytes expected")
            self._layout.start_item(even(source.size))
            self._layout.copy(source)
        self._layout.end_sequence()

    def _warn(self, reason: int, text: str) -> None:
        if len(self._warnings) < MAX_WARNINGS:
            self._warnings[Warning_(reason, text)] = None


_IDENTIFIERS = (SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID)


def _has_value(attribute: Attribute) -> bool:
    return any(attribute.get(key) for key in _VALUE_KEYS)
