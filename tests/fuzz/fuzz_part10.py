"""The scan of a Part 10 object: any bytes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import orjson

from dicom import limits
from dicom.errors import DicomError
from dicom.frames import FrameTable
from dicom.limits import Limits
from dicom.part10 import ParsedInstance, scan_object
from dicom.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    JPEG_BASELINE,
    RLE_LOSSLESS,
)
from tests.dicom import part10_objects as objects
from tests.fuzz.target import Target

LONGEST_SEED = 8192
# So low that a small input reaches them
LIMITS = Limits(
    sequence_depth=6, elements=400, inline_bytes=4096, json_bytes=16384, json_ratio=2, fragments=8, inflated_bytes=32768
)
logging.getLogger("dicom").setLevel(logging.CRITICAL)


def check(data: bytes) -> None:
    """Refused with a DicomError, or read into what the archive can keep.

    `scan_object` and not `parse`, which turns mistakes of the scanner into refusals.
    """
    usual = limits.in_force()
    # Half of the inputs are read under the limits of an installation, half under low ones.
    limits.use(LIMITS if len(data) % 2 else usual)
    try:
        parsed = scan_object(objects.Memory(data))
    except DicomError as error:
        check_refusal(error)
        return
    finally:
        limits.use(usual)
    check_json(parsed)
    check_texts(parsed)
    check_places(parsed, len(data))
    assert len(parsed.warnings) <= 50


def check_refusal(error: DicomError) -> None:
    """A reason of PS3.18 table I.2-2, and a message that can be sent."""
    assert error.failure_reason in (0xC000, 0xA900, 0xC122, 0x0122, 0x0110)
    str(error).encode()


def check_json(parsed: ParsedInstance) -> None:
    """Valid DICOM JSON that PostgreSQL and every reader takes."""
    document = orjson.loads(parsed.json_text)
    assert b"\0" not in parsed.json_text
    assert document["0020000D"]["Value"] == [parsed.study_instance_uid]
    assert document["00080018"]["Value"] == [parsed.sop_instance_uid]
    open_: list[Any] = [document]
    while open_:
        for tag, attribute in open_.pop().items():
            assert len(tag) == 8
            assert attribute.keys() <= {"vr", "Value", "BulkDataURI", "InlineBinary"}
            if attribute["vr"] == "SQ":
                open_ += attribute.get("Value", [])
    if parsed.request_attributes:
        orjson.loads(parsed.request_attributes)


def check_texts(parsed: ParsedInstance) -> None:
    """No text that PostgreSQL refuses: NUL, lone surrogates."""
    warnings = [warning.text for warning in parsed.warnings]
    for text in (*parsed.values.values(), parsed.request_attributes, *warnings, *parsed.bulk):
        assert "\0" not in text
        text.encode()


def check_places(parsed: ParsedInstance, size: int) -> None:
    """Every range lies within the object."""
    if parsed.transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN.uid:
        size = 1 << 30
    assert 0 <= parsed.header_length <= size
    for value in parsed.bulk.values():
        assert value.offset >= 132 or size == 1 << 30
        assert value.offset + value.length <= size
    if parsed.frames is None:
        return
    table = FrameTable.unpack(parsed.frames.pack())
    assert table.count > 0
    for number in {1, table.count // 2 + 1, table.count}:
        for place in table.ranges(number):
            assert place.offset + place.length <= size


def seeds() -> Iterator[bytes]:
    """Small objects of every encoding, and small ones among those that pydicom ships."""
    sequence = objects.element(0x00081140, "SQ", objects.item(objects.element(0x00081155, "UI", b"1.2\0")))
    open_ended = objects.element(0x00400275, "SQ", objects.item(b"\x08\0\x50\0SH\2\0A ", 0xFFFFFFFF), 0xFFFFFFFF)
    for syntax in (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN):
        yield objects.instance(syntax=syntax)
        yield objects.image(bytes(32), frames="2", syntax=syntax)
    yield objects.instance(tail=sequence + open_ended + objects.ITEM_END + objects.SEQUENCE_END)
    yield objects.instance({0x00080005: ("CS", b"ISO 2022 IR 87"), 0x00100010: ("PN", b"Yamada=\x1b$B;3ED\x1b(B")})
    yield objects.instance({0x00280030: ("DS", b"1.5\\-2e3"), 0x00181063: ("DS", b"nan "), 0x00091010: ("UN", b"ab")})
    yield objects.encapsulated([b"\xff\xd8\xff\xe0ab", b"cd"], [0], frames="1", syntax=JPEG_BASELINE)
    yield objects.encapsulated([bytes(64)] * 3, [0, 72, 144], frames="3", syntax=RLE_LOSSLESS)
    for path in objects.packaged_files():
        data = path.read_bytes()
        if len(data) <= LONGEST_SEED and data[128:132] == b"DICM":
            yield data


TARGET = Target(
    name="part10",
    check=check,
    seeds=seeds,
    words=(
        b"DICM",
        b"1.2.840.10008.1.2\0",
        b"1.2.840.10008.1.2.1\0",
        b"1.2.840.10008.1.2.1.99",
        b"1.2.840.10008.1.2.2\0",
        b"1.2.840.10008.1.2.4.50",
        b"1.2.840.10008.1.2.5\0",
        b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
        b"\xfe\xff\x0d\xe0\0\0\0\0",
        b"\xfe\xff\xdd\xe0\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\xe0\x7f\x10\0OB\0\0",
        b"\xe0\x7f\x10\0OW\0\0",
        b"\x08\0\x05\0CS",
        b"\x40\0\x75\2SQ\0\0",
        b"SQ\0\0",
        b"UN\0\0",
        b"ISO 2022 IR 149",
        b"ISO_IR 192",
        b"GB18030",
        b"\x1b$B",
        b"\x1b$)C",
        b"\\",
    ),
    longest=LONGEST_SEED,
)
