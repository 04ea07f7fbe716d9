"""The start of a Part 10 object: preamble, prefix and File Meta Information (PS3.10 7.1)."""

from __future__ import annotations

from dataclasses import dataclass

from dicom.charsets import character_set
from dicom.coding import EXPLICIT_LITTLE
from dicom.errors import Malformed, NotDicom, Truncated
from dicom.json import text
from dicom.source import ByteSource, Window
from dicom.vrs import UNDEFINED, describe

PREFIX_OFFSET = 128
FIRST_ELEMENT = 132
MAX_META = 1024 * 1024
MAX_META_VALUE = 64 * 1024

MEDIA_STORAGE_SOP_CLASS_UID = 0x00020002
MEDIA_STORAGE_SOP_INSTANCE_UID = 0x00020003
TRANSFER_SYNTAX_UID = 0x00020010

# A preamble may make the object a TIFF as well (PS3.10 7.1); anything that would run, render or unpack is no use of it.
_SIGNATURES = (
    (b"MZ", "a Windows executable"),
    (b"\x7fELF", "an ELF executable"),
    (b"\xca\xfe\xba\xbe", "a Java class or Mach-O executable"),
    (b"\xfe\xed\xfa\xce", "a Mach-O executable"),
    (b"\xfe\xed\xfa\xcf", "a Mach-O executable"),
    (b"\xce\xfa\xed\xfe", "a Mach-O executable"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O executable"),
    (b"\0asm", "WebAssembly"),
    (b"#!", "a script"),
    (b"%PDF", "a PDF"),
    (b"%!PS", "PostScript"),
    (b"{\\rtf", "a rich text document"),
    (b"\xd0\xcf\x11\xe0", "an office document"),
    (b"PK\x03\x04", "an archive"),
    (b"PK\x05\x06", "an archive"),
    (b"Rar!", "an archive"),
    (b"7z\xbc\xaf", "an archive"),
    (b"\x1f\x8b", "an archive"),
    (b"BZh", "an archive"),
    (b"\xfd7zXZ", "an archive"),
)
# Browsers look for these past white space and in any case; a shortcut past them is as bad in the middle
_MARKUP = (b"<script", b"<html", b"<!doctype", b"<?xml", b"<svg", b"<iframe", b"<body", b"<?php", b"javascript:")


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What the File Meta Information says; "" for what it does not."""

    transfer_syntax_uid: str
    media_storage_sop_class_uid: str
    media_storage_sop_instance_uid: str
    data_set_offset: int


def read_meta(source: ByteSource) -> FileMeta:
    """The File Meta Information of a whole Part 10 object; raises `NotDicom`, `Malformed` or `Truncated`."""
    return scan_meta(Window(source))


def scan_meta(window: Window) -> FileMeta:
    """As `read_meta`, from the window at the start of an object.

    The group length is not believed: it is often wrong, and the first element of another group is as good an end.
    """
    check_start(window.data)
    position, found = FIRST_ELEMENT, dict[int, str]()
    while window.size - position >= 8 and position < MAX_META:
        head = window.read(position, 12)
        if head[:2] != b"\x02\0":
            break
        tag, vr, length, size = EXPLICIT_LITTLE.header(head)
        if vr is None or vr == b"SQ" or length == UNDEFINED:
            raise Malformed(f"{describe(tag)} at byte {position}: no element of the File Meta Information")
        start = position + size
        if length > window.size - start:
            raise Truncated(f"{describe(tag)} at byte {position}: {length} bytes, {window.size - start} are left")
        if length <= MAX_META_VALUE and vr == b"UI":
            found[tag] = text(vr, window.read(start, length), _DEFAULT)
        position = start + length
    if position == FIRST_ELEMENT:
        raise NotDicom(f"no File Meta Information (group 0002) at byte {FIRST_ELEMENT}")
    if not found.get(TRANSFER_SYNTAX_UID):
        raise NotDicom(f"{describe(TRANSFER_SYNTAX_UID)} is missing from the File Meta Information")
    return FileMeta(
        found[TRANSFER_SYNTAX_UID],
        found.get(MEDIA_STORAGE_SOP_CLASS_UID, ""),
        found.get(MEDIA_STORAGE_SOP_INSTANCE_UID, ""),
        position,
    )


_DEFAULT = character_set(("",))


def check_start(data: bytes) -> None:
    """Raises `NotDicom` for what begins like no Part 10 object, or pretends to be something else as well.

    `data` are the first bytes of an object, `FIRST_ELEMENT` of them or all there are.
    """
    if not data:
        raise NotDicom("the object is empty")
    start = data[:FIRST_ELEMENT]
    if start[PREFIX_OFFSET:] != b"DICM":
        raise NotDicom(f"no DICM prefix at byte {PREFIX_OFFSET}")
    preamble = start[:PREFIX_OFFSET]
    if preamble.count(0) == PREFIX_OFFSET:
        return
    lowered = preamble.lower()
    found = next((name for signature, name in _SIGNATURES if preamble.startswith(signature)), None)
    if found is None and any(mark in lowered for mark in _MARKUP):
        found = "markup"
    if found is not None:
        raise NotDicom(f"the preamble carries {found}")
