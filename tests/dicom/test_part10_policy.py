"""What is refused, with which reason, and what is odd but kept (PS3.18 Annex I.2.2)."""

from __future__ import annotations

from struct import pack

import pytest

from dicom.errors import (
    DicomError,
    InvalidIdentifier,
    Malformed,
    NotDicom,
    TooComplex,
    Truncated,
    UnsupportedSOPClass,
    UnsupportedTransferSyntax,
)
from dicom.part10 import MEDIA_STORAGE_DIRECTORY, parse
from dicom.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    JPEG_BASELINE,
    RLE_LOSSLESS,
)
from tests.dicom.part10_objects import (
    INSTANCE,
    RAW_DATA,
    SEQUENCE_END,
    UNDEFINED,
    Memory,
    data_set,
    element,
    encapsulated,
    image,
    instance,
    item,
    meta,
    outcome,
    text,
    uid,
)

GOOD = instance()
PREAMBLE = b"\0" * 128
ZEROS = b"\0" * 16


def with_preamble(start: bytes) -> bytes:
    return start.ljust(128, b"\0") + GOOD[128:]


def with_uid(tag: int, value: bytes) -> bytes:
    return instance({tag: ("UI", value)})


REFUSED: dict[str, tuple[bytes, type[DicomError], int, str]] = {
    "empty": (b"", NotDicom, 0xC000, "empty"),
    "shorter than a preamble": (b"\0" * 100, NotDicom, 0xC000, "DICM"),
    "html": (b"<html>" * 100, NotDicom, 0xC000, "DICM"),
    "zip": (b"PK\x03\x04" * 100, NotDicom, 0xC000, "DICM"),
    "DICM at the start": (GOOD[128:], NotDicom, 0xC000, "DICM"),
    "only the prefix": (PREAMBLE + b"DICM", NotDicom, 0xC000, "File Meta Information"),
    "data set without meta": (PREAMBLE + b"DICM" + data_set(), NotDicom, 0xC000, "File Meta Information"),
    "no transfer syntax": (
        PREAMBLE + b"DICM" + element(0x00020002, "UI", uid("1.2")) + data_set(),
        NotDicom,
        0xC000,
        "TransferSyntaxUID",
    ),
    "meta cut off": (GOOD[:200], Truncated, 0xC000, "are left"),
    "meta in implicit VR": (
        PREAMBLE + b"DICM" + element(0x00020010, "UI", b"1.2.3.4 ", syntax=IMPLICIT_VR_LITTLE_ENDIAN),
        Malformed,
        0xC000,
        "(0002,0010) TransferSyntaxUID",
    ),
    "executable preamble": (with_preamble(b"MZ\x90\0"), NotDicom, 0xC000, "preamble carries a Windows executable"),
    "ELF preamble": (with_preamble(b"\x7fELF"), NotDicom, 0xC000, "preamble carries"),
    "script preamble": (with_preamble(b"#!/bin/sh\n"), NotDicom, 0xC000, "preamble carries a script"),
    "zip preamble": (with_preamble(b"PK\x03\x04"), NotDicom, 0xC000, "preamble carries an archive"),
    "PDF preamble": (with_preamble(b"%PDF-1.7"), NotDicom, 0xC000, "preamble carries a PDF"),
    "html preamble": (with_preamble(b"  <HTML><script>"), NotDicom, 0xC000, "preamble carries markup"),
    "svg preamble": (with_preamble(b"x <svg onload=1>"), NotDicom, 0xC000, "preamble carries markup"),
    "unknown transfer syntax": (
        meta("1.2.3.4") + data_set(),
        UnsupportedTransferSyntax,
        0xC122,
        "(0002,0010) TransferSyntaxUID: 1.2.3.4",
    ),
    "DICOMDIR": (
        meta(sop_class_uid=MEDIA_STORAGE_DIRECTORY) + data_set(),
        UnsupportedSOPClass,
        0x0122,
        "DICOMDIR",
    ),
    "other SOP class in the meta": (
        meta(sop_class_uid=RAW_DATA) + data_set(),
        InvalidIdentifier,
        0xA900,
        "MediaStorageSOPClassUID",
    ),
    "no SOP class": (instance({0x00080016: None}), InvalidIdentifier, 0xA900, "SOPClassUID is missing"),
    "no instance": (instance({0x00080018: None}), InvalidIdentifier, 0xA900, "SOPInstanceUID is missing"),
    "no study": (instance({0x0020000D: None}), InvalidIdentifier, 0xA900, "(0020,000D) StudyInstanceUID is missing"),
    "no series": (instance({0x0020000E: None}), InvalidIdentifier, 0xA900, "SeriesInstanceUID is missing"),
    "empty study": (with_uid(0x0020000D, b""), InvalidIdentifier, 0xA900, "StudyInstanceUID is empty"),
    "blank study": (with_uid(0x0020000D, b"\0\0"), InvalidIdentifier, 0xA900, "StudyInstanceUID is empty"),
    "65 characters": (with_uid(0x0020000D, b"1." * 32 + b"1\0"), InvalidIdentifier, 0xA900, "is no UID"),
    "letters": (with_uid(0x0020000E, b"1.2.abc\0"), InvalidIdentifier, 0xA900, "SeriesInstanceUID is no UID"),
    "quote": (with_uid(0x0020000D, b"1.2';--\0"), InvalidIdentifier, 0xA900, "is no UID"),
    "slash": (with_uid(0x0020000D, b"../1.2"), InvalidIdentifier, 0xA900, "is no UID"),
    "two values": (with_uid(0x0020000D, b"1.2\\1.3\0"), InvalidIdentifier, 0xA900, "is no UID"),
    "two studies": (
        instance(tail=element(0x0020000D, "UI", b"1.9\0")),
        InvalidIdentifier,
        0xA900,
        "StudyInstanceUID appears twice",
    ),
    "two patients": (
        instance(tail=element(0x00100020, "LO", b"OTHER ")),
        InvalidIdentifier,
        0xA900,
        "(0010,0020) PatientID appears twice",
    ),
    "explicit declared, implicit found": (
        meta() + data_set(syntax=IMPLICIT_VR_LITTLE_ENDIAN),
        Malformed,
        0xC000,
        "(0008,0016) SOPClassUID at byte 236: Explicit VR was declared",
    ),
    "implicit declared, explicit found": (
        meta(IMPLICIT_VR_LITTLE_ENDIAN.uid) + data_set(),
        Malformed,
        0xC000,
        "Implicit VR was declared, found a VR (UI)",
    ),
    "illegal VR": (
        instance(tail=element(0x00200010, "ZZ", b"1 ")),
        Malformed,
        0xC000,
        "(0020,0010) StudyID at byte 346: ZZ is no VR",
    ),
    "lower case VR": (instance(tail=element(0x00200010, "sh", b"1 ")), Malformed, 0xC000, "sh is no VR"),
    "length past the end": (
        instance(tail=element(0x00200010, "SH", b"1 ", 400)),
        Truncated,
        0xC000,
        "(0020,0010) StudyID at byte 346: 400 bytes, 2 are left",
    ),
    "cut in a header": (instance(tail=element(0x00200010, "SH", b"")[:7]), Truncated, 0xC000, "element header"),
    "cut in a long header": (instance(tail=element(0x00420011, "OB", b"")[:10]), Truncated, 0xC000, "are left"),
    "pixel data cut off": (image(ZEROS)[:-3], Truncated, 0xC000, "(7FE0,0010) PixelData"),
    "fragment cut off": (
        encapsulated([ZEROS], syntax=JPEG_BASELINE)[:-12],
        Truncated,
        0xC000,
        "(7FE0,0010) PixelData: the fragment at byte",
    ),
    "fragments without an end": (
        encapsulated([ZEROS], syntax=JPEG_BASELINE, end=b""),
        Truncated,
        0xC000,
        "the fragments are not over",
    ),
    "something else between fragments": (
        encapsulated([ZEROS], syntax=JPEG_BASELINE, end=ZEROS),
        Malformed,
        0xC000,
        "a fragment was expected",
    ),
    "a sequence that never ends": (
        instance(tail=element(0x00400275, "SQ", item(b""), UNDEFINED)),
        Truncated,
        0xC000,
        "(0040,0275) RequestAttributesSequence",
    ),
    "an item longer than its sequence": (
        instance(tail=element(0x00400275, "SQ", item(b"", 40) + b"\0" * 8) + element(0x00420010, "ST", b" " * 60)),
        Malformed,
        0xC000,
        "(FFFE,E000) Item",
    ),
    "an element longer than its item": (
        instance(tail=element(0x00400275, "SQ", item(element(0x00400009, "SH", b"12", 90))) + b"\0" * 100),
        Malformed,
        0xC000,
        "(0040,0009) ScheduledProcedureStepID at byte 366: 90 bytes, 2 are left in (0040,0275)[1]",
    ),
    "no item in a sequence": (
        instance(tail=element(0x00400275, "SQ", element(0x00400009, "SH", b"12345678"))),
        Malformed,
        0xC000,
        "an Item was expected",
    ),
    "a text of undefined length": (
        instance(tail=element(0x00420010, "UT", b"", UNDEFINED)),
        Malformed,
        0xC000,
        "cannot have an undefined length",
    ),
    "deflated, but not": (
        meta(DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN.uid) + b"\xff" * 100,
        Malformed,
        0xC000,
        "the deflated data set is damaged",
    ),
    "a UI of two megabytes": (
        meta(IMPLICIT_VR_LITTLE_ENDIAN.uid)
        + element(0x00080014, "UI", b"1" * 2_000_000, syntax=IMPLICIT_VR_LITTLE_ENDIAN),
        TooComplex,
        0xC000,
        "a UI of 2000000 bytes",
    ),
}


@pytest.mark.parametrize(("data", "error", "reason", "said"), REFUSED.values(), ids=REFUSED)
def test_refused(data: bytes, error: type[DicomError], reason: int, said: str) -> None:
    with pytest.raises(error) as caught:
        parse(Memory(data))
    assert type(caught.value) is error
    assert caught.value.failure_reason == reason
    assert said in str(caught.value)
    assert "Doe" not in str(caught.value)
    assert "ID-1" not in str(caught.value)


KEPT: dict[str, tuple[bytes, str]] = {
    "nothing odd": (GOOD, ""),
    "TIFF preamble": (with_preamble(b"II*\0"), ""),
    "BigTIFF preamble": (with_preamble(b"MM\0+"), ""),
    "another instance in the meta": (meta(sop_instance_uid="1.9.9") + data_set(), "MediaStorageSOPInstanceUID"),
    "wrong meta group length": (GOOD[:132] + element(0x00020000, "UL", pack("<I", 9999)) + GOOD[144:], ""),
    "no meta group length": (GOOD[:132] + GOOD[144:], ""),
    "leading zero in a UID": (instance({0x0020000D: ("UI", uid("1.02.003"))}), ""),
    "space behind a UID": (instance({0x0020000D: ("UI", b"1.2.3 ")}), ""),
    "no patient ID": (instance({0x00100020: None}), "PatientID is missing or empty"),
    "image without pixels": (image(ZEROS, more={0x7FE00010: None}), "without pixel data"),
    "twice the same": (instance(tail=element(0x00100020, "LO", b"ID-1")), "PatientID appears twice"),
    "twice, differently": (
        instance({0x00081030: ("LO", b"A ")}, tail=element(0x00081030, "LO", b"B ")),
        "StudyDescription appears twice; the first value is used",
    ),
    "garbage behind the pixels": (image(ZEROS) + b"\xde\xad\xbe\xef" * 20, "80 bytes behind the last element"),
    "few bytes behind the pixels": (image(ZEROS) + b"abc", "3 bytes behind the last element"),
    "zeros behind the last element": (GOOD + b"\0" * 100, "100 bytes behind the last element"),
    "a stray delimiter": (GOOD + SEQUENCE_END, ""),
    "a stray item": (GOOD + item(b"12345678"), "(FFFE,E000) Item at byte"),
    "padding element": (image(ZEROS) + element(0xFFFCFFFC, "OB", ZEROS), ""),
    "fewer pixels than rows": (
        image(ZEROS, rows=8),
        "PixelData has 16 bytes, 1 frame(s) of 8 rows and 4 columns take 32",
    ),
    "more pixels than rows": (
        image(ZEROS, rows=2),
        "PixelData has 16 bytes, 1 frame(s) of 2 rows and 4 columns take 8",
    ),
    "illegal number of frames": (image(ZEROS, frames="1A"), "NumberOfFrames is no positive number"),
    "no frames": (image(ZEROS, frames="0"), "NumberOfFrames is no positive number"),
    "pixels nobody describes": (instance({0x7FE00010: ("OW", ZEROS)}), "pixel data without a description"),
    "rows of zero": (image(ZEROS, rows=0), "leave no room for a frame"),
    "an undefined character set": (instance({0x00080005: ("CS", b"KLINGON ")}), "SpecificCharacterSet names"),
}


@pytest.mark.parametrize(("data", "warning"), KEPT.values(), ids=KEPT)
def test_kept(data: bytes, warning: str) -> None:
    parsed = parse(Memory(data))
    assert parsed.sop_instance_uid == INSTANCE
    said = [found.text for found in parsed.warnings if "an image without" not in found.text or "without" in warning]
    if warning:
        assert any(warning in text for text in said)
        assert {found.reason for found in parsed.warnings} == {0xB007}
    else:
        assert said == []


def test_the_first_of_two_values_counts() -> None:
    data = instance({0x00081030: ("LO", b"A ")}, tail=element(0x00081030, "LO", b"B "))
    assert parse(Memory(data)).values["StudyDescription"] == "A"


def test_every_cut_of_an_image_is_noticed() -> None:
    whole = image(ZEROS)
    for cut in range(len(whole)):
        found = outcome(whole[:cut])
        if isinstance(found, DicomError):
            assert found.failure_reason in (0xC000, 0xA900), cut
        else:  # cut exactly between two elements: nothing but the missing pixels tells
            assert any("an image without pixel data" in warning.text for warning in found.warnings), cut


def test_pixels_of_the_wrong_kind_stay_reachable_as_bulk_data() -> None:
    native = image(ZEROS, syntax=RLE_LOSSLESS)
    parsed = parse(Memory(native))
    assert parsed.frames is None
    value = parsed.bulk["7FE00010"]
    assert native[value.offset : value.offset + value.length] == ZEROS

    fragmented = encapsulated([ZEROS], syntax=EXPLICIT_VR_LITTLE_ENDIAN)
    parsed = parse(Memory(fragmented))
    assert parsed.frames is None
    assert parsed.bulk["7FE00010"].length == 8 + 8 + len(ZEROS)


def test_big_endian_is_little_endian_in_the_end() -> None:
    tags = {0x00280010: ("US", b"\x01\x02"), 0x00181063: ("DS", text("1.5")), 0x00281201: ("OW", b"\1\2\3\4")}
    little = parse(Memory(instance({**tags, 0x00280010: ("US", b"\x02\x01"), 0x00281201: ("OW", b"\2\1\4\3")})))
    big = parse(Memory(instance(tags, EXPLICIT_VR_BIG_ENDIAN)))
    assert little.json_text == big.json_text.replace(b'"1.2.840.10008.1.2.2"', b'"1.2.840.10008.1.2.1"')
