"""Attributes that the scanner looks into, written with any VR and any value: only a `DicomError` comes out, and not
because `parse` catches what should not have been raised.
"""

from __future__ import annotations

import logging
from struct import pack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom import image_pixel, json, part10, vrs
from dicom.attributes import ATTRIBUTES
from dicom.errors import DicomError, InvalidIdentifier
from dicom.part10 import ParsedInstance, parse, scan_object
from dicom.transfer_syntaxes import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, JPEG_BASELINE, TransferSyntax
from dicom.uids import is_uid
from tests.dicom.part10_objects import (
    Changes,
    Memory,
    element,
    encapsulated,
    image,
    instance,
    item,
    uid,
)

OFFSETS, REQUESTS, ROWS, COLUMNS = 0x7FE00001, 0x00400275, 0x00280010, 0x00280011
NESTED_BULK = item(element(0x00420011, "OB", b"x" * 2000) + element(0x00400009, "SH", b"STEP"))
SPECIAL = sorted(
    {int(attribute.tag, 16) for attribute in ATTRIBUTES}
    | {0x00280002, 0x00280004, 0x00280006, 0x00280100, 0x00280101, 0x00280102, 0x00280103}
    | {0x00080005, 0x00083002, REQUESTS, OFFSETS, 0x7FE00002, 0x7FE00008, 0x7FE00009, 0x7FE00010, 0x52009230}
)
VALUES = [
    b"",
    b"\0\0",
    b"\xff" * 8,
    b"9" * 22,
    b"9" * 5000,
    b"-1",
    b"1\\2",
    b"A\\\\B ",
    b"00080050",
    b"1.2.3.4 ",
    b"x" * 2000,
    bytes(range(256)) * 4,
    NESTED_BULK,
    item(b""),
    pack("<2Q", 0, 12),
]


def with_element(tag: int, vr: str, value: bytes, fragments: bool) -> bytes:
    changed: Changes = {tag: (vr, value)}
    if fragments:
        return encapsulated([b"\xff\xd8\xff!", b"\xff\xd8\xff?"], frames="2", syntax=JPEG_BASELINE, more=changed)
    return image(bytes(16), more=changed)


@pytest.mark.parametrize("tag", SPECIAL, ids=vrs.describe)
def test_any_vr_and_value_of_a_special_attribute(tag: int) -> None:
    for vr in sorted(vrs.SHORT | vrs.LONG):
        for value in VALUES:
            for fragments in (False, True):
                try:
                    parsed = scan_object(Memory(with_element(tag, vr.decode(), value, fragments)))
                except DicomError:
                    continue
                if parsed.frames is not None:
                    parsed.frames.pack()


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(SPECIAL),
        st.tuples(st.sampled_from(sorted(vrs.SHORT | vrs.LONG)), st.sampled_from(VALUES) | st.binary(max_size=40)),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN]),
    st.booleans(),
)
def test_special_attributes_together(
    changed: dict[int, tuple[bytes, bytes]], syntax: TransferSyntax, nested: bool
) -> None:
    elements = {tag: (vr.decode(), value) for tag, (vr, value) in sorted(changed.items())}
    more: dict[int, tuple[str, bytes] | None] = {**elements}
    if nested:
        inside = b"".join(element(tag, vr, value) for tag, (vr, value) in elements.items())
        more = {REQUESTS: ("SQ", item(inside))}
    for data in (
        image(bytes(16), more=more, syntax=syntax),
        encapsulated([b"\xff\xd8\xff!"] * 2, frames="2", syntax=JPEG_BASELINE, more=more),
    ):
        try:
            scan_object(Memory(data))
        except DicomError:
            continue


def scanned(changes: Changes) -> ParsedInstance:
    return scan_object(Memory(image(bytes(16), more=changes)))


def warned(parsed: ParsedInstance, keyword: str) -> bool:
    return any(keyword in warning.text and "absent" in warning.text for warning in parsed.warnings)


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("LO", b"9" * 22),
        ("UV", b"\xff" * 8),
        ("UT", b"9" * 5000),
        ("UL", b"\xff" * 4),
        ("SS", b"\4\0"),
        ("OB", b"\4\0"),
    ],
)
def test_rows_that_are_no_us_count_as_absent(vr: str, value: bytes) -> None:
    parsed = scanned({ROWS: (vr, value)})
    assert parsed.pixels is None
    assert parsed.frames is None
    assert "7FE00010" in parsed.bulk
    assert warned(parsed, "Rows") or vr == "OB"


def test_rows_and_columns_as_ul_are_read() -> None:
    parsed = scanned({ROWS: ("UL", pack("<I", 2)), COLUMNS: ("UL", pack("<I", 8))})
    assert parsed.pixels is not None
    assert (parsed.pixels.rows, parsed.pixels.columns) == (2, 8)


def test_photometric_interpretation_of_60000_characters_is_not_kept() -> None:
    parsed = scanned({0x00280004: ("UT", b"A" * 60_000)})
    assert parsed.pixels is not None
    assert parsed.pixels.photometric_interpretation == ""
    assert warned(parsed, "PhotometricInterpretation")


@pytest.mark.parametrize(
    ("vr", "value"), [("LO", b"A\\\\B"), ("LO", b"00080050"), ("US", b"\1\0"), ("OB", b"x" * 2000)]
)
def test_request_attributes_that_are_no_sequence_count_as_absent(vr: str, value: bytes) -> None:
    parsed = scanned({REQUESTS: (vr, value)})
    assert parsed.request_attributes == ""
    assert warned(parsed, "RequestAttributesSequence")


def test_request_attributes_with_bulk_data_inside() -> None:
    parsed = scanned({REQUESTS: ("SQ", NESTED_BULK)})
    assert parsed.request_attributes == '{"vr":"SQ","Value":[{"00400009":{"vr":"SH","Value":["STEP"]}}]}'
    assert "00400275/1/00420011" in parsed.bulk


def test_request_attributes_of_very_many_items_are_left_out_of_answers() -> None:
    one = item(element(0x00400009, "SH", b"STEP-001"))
    parsed = scanned({REQUESTS: ("SQ", one * 30_000)})
    assert parsed.request_attributes == ""
    assert parsed.json_text.count(b"STEP-001") == 30_000


@pytest.mark.parametrize(("vr", "value"), [("SQ", NESTED_BULK), ("UV", pack("<2Q", 0, 12)), ("LO", b"00")])
def test_an_extended_offset_table_that_is_no_ov_counts_as_absent(vr: str, value: bytes) -> None:
    more: Changes = {OFFSETS: (vr, value)}
    data = encapsulated([b"\xff\xd8\xff!", b"!!", b"\xff\xd8\xff?"], frames="2", syntax=JPEG_BASELINE, more=more)
    parsed = scan_object(Memory(data))
    assert warned(parsed, "ExtendedOffsetTable")
    assert parsed.frames is not None
    assert parsed.frames.count == 2


def test_a_mistake_of_the_scanner_refuses_the_object_and_is_logged_without_values(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    name = "^".join(("Doe", "Jane"))  # a traceback shows lines of the source

    def mistaken(*arguments: object) -> None:
        raise ValueError(name)

    monkeypatch.setattr(part10, "describe_pixels", mistaken)
    with caplog.at_level(logging.ERROR, "dicom.part10"), pytest.raises(DicomError, match="ValueError") as refused:
        parse(Memory(image(bytes(16))))
    assert refused.value.failure_reason == 0x0110
    assert name not in str(refused.value)
    assert "mistaken" in caplog.text
    assert name not in caplog.text


def test_what_the_source_raises_is_not_taken_for_a_mistake() -> None:
    class Unavailable(Exception):
        pass

    class Broken(Memory):
        def read_at(self, offset: int, length: int) -> bytes:
            raise Unavailable

    with pytest.raises(Unavailable):
        parse(Broken(instance()))


@pytest.mark.parametrize("value", ["..", ".", "." * 64, "1..2", ".1", "1.", "1" * 65, "1.2 3", "", "1.2\n", "1.²"])
def test_what_is_no_uid(value: str) -> None:
    assert not is_uid(value)
    if value and value == value.strip() and value.isascii():
        with pytest.raises(InvalidIdentifier):
            parse(Memory(instance({0x0020000D: ("UI", uid(value))})))


@pytest.mark.parametrize("value", ["1", "1.2", "0.0", "1.02.3", "1" * 64, "1." * 31 + "12"])
def test_uids_with_and_without_leading_zeros(value: str) -> None:
    assert is_uid(value)
    assert parse(Memory(instance({0x0020000D: ("UI", uid(value))}))).study_instance_uid == value


@pytest.mark.parametrize("vr", sorted(vrs.SHORT | vrs.LONG))
def test_the_vr_of_an_entry_is_the_one_it_was_written_with(vr: bytes) -> None:
    for entry in (json.empty(ROWS, vr), json.bulk(ROWS, vr, "00280010")):
        assert image_pixel.vr_of((entry, "")) == vr.decode()
