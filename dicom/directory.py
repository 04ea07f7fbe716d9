"""DICOMDIR: the directory of a file-set (PS3.10 section 8, PS3.3 annex F), from what is known about its files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from struct import pack

from pydicom.uid import MediaStorageDirectoryStorage, generate_uid

from dicom.element_writer import Layout, even, file_meta
from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN

_IN_USE = 0xFFFF
# Characters of one value; the longest that any VR here allows are the 3 x 64 of a name (PS3.5 6.2).
_LONGEST = 194


@dataclass(frozen=True, slots=True)
class Record:
    """A directory record (PS3.3 F.5): its type, its own elements by tag as (VR, text), and the records below it."""

    kind: str
    elements: dict[int, tuple[str, str]]
    below: Sequence["Record"] = ()


def directory(roots: Sequence[Record]) -> bytes:
    """The DICOMDIR file with ``roots``, at least one, as the records of its first level."""
    records = list(_flat(roots))
    meta = file_meta(MediaStorageDirectoryStorage, generate_uid(prefix=None), EXPLICIT_VR_LITTLE_ENDIAN.uid)
    # The offsets in records have four bytes whatever they are, so lengths are known before them (PS3.3 F.2.2.2).
    head = len(meta) + len(_head(0, 0)) + len(_element(0x00041220, "SQ", b""))
    offsets, at = {}, head
    for record in records:
        offsets[id(record)] = at
        at += len(_item(record, 0, 0))
    following = {
        id(one): offsets[id(other)] for level in (roots, *(r.below for r in records)) for one, other in pairwise(level)
    }
    items = b"".join(
        _item(record, following.get(id(record), 0), offsets[id(record.below[0])] if record.below else 0)
        for record in records
    )
    return meta + _head(head, offsets[id(roots[-1])]) + _element(0x00041220, "SQ", items)


def _flat(records: Sequence[Record]) -> Iterator[Record]:
    for record in records:
        yield record
        yield from _flat(record.below)


def _head(first: int, last: int) -> bytes:
    """File-set Identification and Directory Information before the sequence of records (PS3.3 F.3.2)."""
    return b"".join(
        (
            _text(0x00041130, "CS", "LIGHTBOX"),
            _element(0x00041200, "UL", pack("<L", first)),
            _element(0x00041202, "UL", pack("<L", last)),
            _element(0x00041212, "US", pack("<H", 0)),
        )
    )


def _item(record: Record, following: int, below: int) -> bytes:
    own = record.elements | {0x00041430: ("CS", record.kind), 0x00080005: ("CS", "ISO_IR 192")}
    body = b"".join(
        (
            _element(0x00041400, "UL", pack("<L", following)),
            _element(0x00041410, "US", pack("<H", _IN_USE)),
            _element(0x00041420, "UL", pack("<L", below)),
            *(_text(tag, *own[tag]) for tag in sorted(own)),
        )
    )
    return pack("<HHL", 0xFFFE, 0xE000, len(body)) + body


def _text(tag: int, vr: str, text: str) -> bytes:
    value = text[:_LONGEST].encode()
    return _element(tag, vr, value.ljust(even(len(value)), b"\0" if vr == "UI" else b" "))


def _element(tag: int, vr: str, value: bytes) -> bytes:
    layout, sink = Layout(), BytesIO()
    layout.element(tag, vr, value)
    layout.write(sink)
    return sink.getvalue()
