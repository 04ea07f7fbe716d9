"""Part 10 objects for the tests of the scanner: made element by element, or packaged with pydicom."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from struct import pack

import pydicom
import pydicom.data
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from dicom.errors import DicomError
from dicom.part10 import ParsedInstance, parse
from dicom.transfer_syntaxes import BY_UID, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, TransferSyntax

STUDY, SERIES, INSTANCE = "1.2.3.1", "1.2.3.2", "1.2.3.3"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
RAW_DATA = "1.2.840.10008.5.1.4.1.1.66"
UNDEFINED = 0xFFFFFFFF

LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}


class Memory:
    """A ByteSource over bytes that remembers what was asked of it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.reads: list[tuple[int, int]] = []

    @property
    def size(self) -> int:
        return len(self.data)

    def read_at(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert 0 <= length <= max(0, len(self.data) - offset), "asked for bytes that are not there"
        self.reads.append((offset, length))
        return self.data[offset : offset + length]


def outcome(data: bytes) -> ParsedInstance | DicomError:
    """What `parse` makes of an object, refusals included."""
    try:
        return parse(Memory(data))
    except DicomError as error:
        return error


def element(tag: int, vr: str, value: bytes, length: int | None = None, syntax: TransferSyntax | None = None) -> bytes:
    """One element as the transfer syntax writes it; `length` may lie."""
    syntax = syntax or EXPLICIT_VR_LITTLE_ENDIAN
    order = "<" if syntax.little_endian else ">"
    claimed = len(value) if length is None else length
    head = pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if syntax.implicit_vr:
        return head + pack(order + "I", claimed) + value
    if vr in LONG:
        return head + vr.encode() + b"\0\0" + pack(order + "I", claimed) + value
    return head + vr.encode() + pack(order + "H", claimed) + value


def item(content: bytes, length: int | None = None) -> bytes:
    return pack("<HHI", 0xFFFE, 0xE000, len(content) if length is None else length) + content


ITEM_END = pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = pack("<HHI", 0xFFFE, 0xE0DD, 0)


def uid(value: str) -> bytes:
    return value.encode() + b"\0" * (len(value) % 2)


def text(value: str) -> bytes:
    data = value.encode("latin-1")
    return data + b" " * (len(data) % 2)


def meta(
    transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN.uid,
    sop_class_uid: str = SECONDARY_CAPTURE,
    sop_instance_uid: str = INSTANCE,
    preamble: bytes = b"\0" * 128,
) -> bytes:
    group = (
        element(0x00020001, "OB", b"\0\1")
        + element(0x00020002, "UI", uid(sop_class_uid))
        + element(0x00020003, "UI", uid(sop_instance_uid))
        + element(0x00020010, "UI", uid(transfer_syntax_uid))
    )
    return preamble + b"DICM" + element(0x00020000, "UL", pack("<I", len(group))) + group


Changes = Mapping[int, tuple[str, bytes] | None]

# What every object needs, in the order of its tags; a test replaces or drops by tag
BASE: dict[int, tuple[str, bytes]] = {
    0x00080016: ("UI", uid(SECONDARY_CAPTURE)),
    0x00080018: ("UI", uid(INSTANCE)),
    0x00100010: ("PN", b"Doe^Jane"),
    0x00100020: ("LO", b"ID-1"),
    0x0020000D: ("UI", uid(STUDY)),
    0x0020000E: ("UI", uid(SERIES)),
}


def data_set(changes: Changes | None = None, syntax: TransferSyntax = EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    """The elements of BASE with changes, in ascending order; None takes one away."""
    elements: dict[int, tuple[str, bytes] | None] = {**BASE, **(changes or {})}
    parts = [(tag, found) for tag, found in sorted(elements.items()) if found is not None]
    return b"".join(element(tag, vr, value, syntax=syntax) for tag, (vr, value) in parts)


def instance(
    changes: Changes | None = None,
    syntax: TransferSyntax = EXPLICIT_VR_LITTLE_ENDIAN,
    tail: bytes = b"",
) -> bytes:
    """A whole object; `tail` follows the last element."""
    return meta(syntax.uid) + data_set(changes, syntax) + tail


def image(
    pixels: bytes,
    rows: int = 4,
    columns: int = 4,
    bits: int = 8,
    samples: int = 1,
    photometric: str = "MONOCHROME2",
    frames: str | None = None,
    vr: str = "OW",
    syntax: TransferSyntax = EXPLICIT_VR_LITTLE_ENDIAN,
    more: Changes | None = None,
) -> bytes:
    """An image of one element of pixel data, which may disagree with its description."""
    order = "<H" if syntax.little_endian else ">H"
    described: dict[int, tuple[str, bytes] | None] = {
        0x00280002: ("US", pack(order, samples)),
        0x00280004: ("CS", text(photometric)),
        0x00280008: ("IS", text(frames)) if frames is not None else None,
        0x00280010: ("US", pack(order, rows)),
        0x00280011: ("US", pack(order, columns)),
        0x00280100: ("US", pack(order, bits)),
        0x00280101: ("US", pack(order, bits)),
        0x00280102: ("US", pack(order, max(bits - 1, 0))),
        0x00280103: ("US", pack(order, 0)),
        0x7FE00010: (vr, pixels),
    }
    return instance({**described, **(more or {})}, syntax)


def encapsulated(
    fragments: list[bytes],
    basic_offsets: list[int] | None = None,
    frames: str | None = None,
    syntax: TransferSyntax = EXPLICIT_VR_LITTLE_ENDIAN,
    more: Changes | None = None,
    end: bytes = SEQUENCE_END,
) -> bytes:
    """An image of fragments."""
    table = b"".join(pack("<I", offset) for offset in basic_offsets or [])
    without = image(b"", frames=frames, syntax=syntax, more={**(more or {}), 0x7FE00010: None})
    value = item(table) + b"".join(item(fragment) for fragment in fragments) + end
    return without + element(0x7FE00010, "OB", value, UNDEFINED)


def packaged_files() -> Iterator[Path]:
    """Every file pydicom ships; nothing is downloaded."""
    folder = Path(os.fspath(Path(pydicom.data.__file__).parent))
    for part in ("test_files", "charset_files"):
        yield from (path for path in sorted((folder / part).rglob("*")) if path.is_file())


def readable_files() -> list[Path]:
    """Those that are whole Part 10 objects of a composite instance with the UIDs of PS3.3 C.12."""
    return [path for path in packaged_files() if is_readable(path.read_bytes())]


def is_readable(data: bytes) -> bool:
    """Whether pydicom reads it as an object that an archive has to keep."""
    if data[128:132] != b"DICM":
        return False
    try:
        ds = pydicom.dcmread(BytesIO(data))
        uids = [str(ds.get(keyword, "")) for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]
        known = str(ds.file_meta.get("TransferSyntaxUID", "")) in BY_UID
        str(ds)
    except Exception:  # noqa: BLE001 - whatever pydicom fails with, it does not read the file
        return False
    return known and "SOPClassUID" in ds and all(value and set(value) <= set("0123456789.") for value in uids)


def completed(path: Path) -> bytes:
    """A packaged file with the UIDs it lacks put in, so that nearly all of them can be parsed."""
    ds = pydicom.dcmread(path, force=True)
    for keyword, value in (("StudyInstanceUID", STUDY), ("SeriesInstanceUID", SERIES), ("SOPInstanceUID", INSTANCE)):
        if not ds.get(keyword):
            setattr(ds, keyword, value)
    if not ds.get("SOPClassUID"):
        ds.SOPClassUID = UID(RAW_DATA)
    if not hasattr(ds, "file_meta"):
        ds.file_meta = FileMetaDataset()
    if not ds.file_meta.get("TransferSyntaxUID"):
        ds.file_meta.TransferSyntaxUID = UID(IMPLICIT_VR_LITTLE_ENDIAN.uid)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def read(data: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(data))
