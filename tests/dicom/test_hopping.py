"""Hopping over elements finds what looking at each of them finds (dicom/hopping.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicom import picture_header, rewriting
from dicom.coding import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from dicom.errors import DicomError
from dicom.hopping import hop
from dicom.part10 import parse
from dicom.picture_header import WANTED, read_picture_header
from dicom.quality import CHECKED
from dicom.rewriting import Change, rewrite
from dicom.transfer_syntaxes import BY_UID, EXPLICIT_VR_LITTLE_ENDIAN
from tests.dicom.part10_objects import Memory, element, image, readable_files

CHANGES = {
    0x00080018: Change("UI", b"1.2.3.4\0"),
    0x00280004: Change("CS", b"RGB "),
    0x00282110: Change("CS", b"01", only_if_absent=True),
    0x7FDF0010: Change("LO", b"LAST"),
}


def told(path: Path) -> list[object]:
    """What both walks make of an object; of one that they refuse, why."""
    data = path.read_bytes()
    try:
        syntax = BY_UID[parse(Memory(data)).transfer_syntax_uid]
        if syntax.deflated:
            return []
        headers = [read_picture_header(Memory(data), syntax, 2, wanted) for wanted in (WANTED, CHECKED)]
        made = [
            rewrite(Memory(data), None, syntax, EXPLICIT_VR_LITTLE_ENDIAN.uid, changes, cut_pixels=cut)
            for changes in ({}, CHANGES)
            for cut in (False, True)
        ]
        return [*map(str, headers), *(b"".join((*each.before.chunks(), b"|", *each.after.chunks())) for each in made)]
    except DicomError as refused:
        return [str(refused)]


def test_the_same_of_every_packaged_object(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = readable_files()
    hopped = [told(path) for path in paths]
    assert sum(len(each) == 6 for each in hopped) > 50
    for module in (picture_header, rewriting):
        monkeypatch.setattr(module, "hop", lambda data, position, *_: position)
    for path, found in zip(paths, hopped, strict=True):
        assert told(path) == found, path


def test_it_stops_at_what_has_to_be_looked_at() -> None:
    plain = element(0x00080060, "CS", b"CT") + element(0x00091010, "OB", b"1234")
    behind = element(0x00280010, "US", b"\1\0") * 3
    for special in (
        element(0x00180010, "LO", b"wanted"),
        element(0x00190000, "UL", b"1234"),
        b"\x18\x00\x11\x00??\0\0\0\0\0\0",
        b"\x18\x00\x11\x00SQ\0\0\xff\xff\xff\xff",
        b"\x18\x00\x11\x00CS\xff\x7f",
        b"\xfe\xff\xdd\xe0\0\0\0\0",
        b"\xe0\x7f\x10\x00OW\0\0\2\0\0\0\0\0",
    ):
        data = plain + special + behind
        assert hop(data, 0, len(data), EXPLICIT_LITTLE, {0x00180010}, 0x7FE00001) == len(plain)
    data = plain + behind
    assert hop(data, 0, len(plain), EXPLICIT_LITTLE, (), 0x7FE00001) <= len(plain)
    assert hop(data, 0, len(data), IMPLICIT_LITTLE, (), 0x7FE00001) == 0


def test_slices_with_the_same_window_share_what_was_read_of_it() -> None:
    first, second, third = (
        read_picture_header(Memory(slice_of(number, center)), EXPLICIT_VR_LITTLE_ENDIAN, 1)
        for number, center in ((b"1 ", b"40"), (b"2 ", b"40"), (b"2 ", b"41"))
    )
    assert first is second
    assert third is not second
    assert (second.WindowCenter, third.WindowCenter) == (40, 41)


def test_a_header_full_of_numbers_is_not_kept() -> None:
    centers = b"\\".join([b"40"] * 1365)  # as long as a value may be
    first, second = (
        read_picture_header(Memory(slice_of(b"1 ", centers)), EXPLICIT_VR_LITTLE_ENDIAN, 1) for _ in range(2)
    )
    assert first is not second
    assert first == second


def slice_of(number: bytes, center: bytes) -> bytes:
    more = {0x00200013: ("IS", number), 0x00281050: ("DS", center), 0x00281051: ("DS", b"80")}
    return image(bytes(32), bits=16, more=more)
