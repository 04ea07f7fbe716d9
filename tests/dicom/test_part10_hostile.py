"""Objects made to hurt: whatever the bytes are, the answer is a parsed instance or a DicomError, soon and in little
memory.
"""

from __future__ import annotations

import time
import tracemalloc
import zlib
from contextlib import suppress
from struct import pack

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dicom.errors import DicomError, Malformed, TooComplex, Truncated
from dicom.frames import FrameTable
from dicom.limits import Limits
from dicom.part10 import ParsedInstance, parse
from dicom.transfer_syntaxes import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, JPEG_BASELINE
from tests.dicom.part10_objects import (
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
    readable_files,
)

LIMITS = Limits()

SMALL = [data for path in readable_files() if len(data := path.read_bytes()) < 60_000][::5]
SECONDS, MEBIBYTES = 15.0, 64  # without a limit it is minutes, and a busy machine triples what is measured


def survive(data: bytes) -> ParsedInstance | DicomError:
    """What `parse` makes of it, checked for the promises it gives."""
    start = time.process_time()
    parsed = outcome(data)
    assert time.process_time() - start < SECONDS
    if isinstance(parsed, DicomError):
        assert parsed.failure_reason in (0xC000, 0xA900, 0xC122, 0x0122)
        assert str(parsed).isprintable()
        assert len(str(parsed)) < 2000
        return parsed
    if len(parsed.json_text) < 1_000_000:  # pydicom takes its time
        Dataset.from_json(parsed.json_text.decode())
    orjson.loads(parsed.json_text)
    for text in parsed.values.values():
        assert "\0" not in text
        orjson.dumps(text)
    if parsed.frames is not None:
        assert FrameTable.unpack(parsed.frames.pack()) == parsed.frames
        for number in {1, parsed.frames.count} if parsed.frames.count else ():
            for piece in parsed.frames.ranges(number):
                assert piece.offset + piece.length <= len(data) or parsed.header_length == len(data)
    return parsed


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=400))
def test_random_bytes(data: bytes) -> None:
    assert isinstance(survive(data), DicomError)
    survive(meta() + data)
    survive(meta(IMPLICIT_VR_LITTLE_ENDIAN.uid) + data_set(syntax=IMPLICIT_VR_LITTLE_ENDIAN) + data)
    survive(image(b"\0" * 16) + data)


@settings(deadline=None, max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_mutated_objects(data: st.DataObject) -> None:
    mutated = bytearray(data.draw(st.sampled_from(SMALL)))
    for _ in range(data.draw(st.integers(1, 6))):
        # where the headers are: most of an object is pixels
        place = data.draw(st.integers(128, min(len(mutated) - 1, 4000)))
        change = data.draw(st.sampled_from(["set", "insert", "drop", "length"]))
        if change == "set":
            mutated[place] = data.draw(st.integers(0, 255))
        elif change == "insert":
            mutated[place:place] = data.draw(st.binary(max_size=9))
        elif change == "drop":
            del mutated[place : place + data.draw(st.integers(1, 9))]
        else:
            mutated[place : place + 4] = data.draw(st.sampled_from([b"\xff" * 4, b"\xfe\xff\xff\xff", b"\0" * 4]))
    survive(bytes(mutated))


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SMALL), st.integers(0, 60_000))
def test_truncated_objects(whole: bytes, cut: int) -> None:
    survive(whole[: cut % len(whole)])


def peak(data: bytes) -> float:
    """MiB that `parse` needs at most."""
    source = Memory(data)
    tracemalloc.start()
    try:
        with suppress(DicomError):
            parse(source)
        return tracemalloc.get_traced_memory()[1] / 1024 / 1024
    finally:
        tracemalloc.stop()


HUGE = 0xFFFFFFFE
LIES = {
    "bytes": instance(tail=element(0x00420011, "OB", b"1234", HUGE)),
    "text": instance(tail=element(0x0040A160, "UT", b"1234", HUGE)),
    "unknown": instance(tail=element(0x00091001, "UN", b"1234", HUGE)),
    "pixels": image(b"1234")[:-8] + pack("<I", HUGE) + b"1234",
    "sequence": instance(tail=element(0x00400275, "SQ", item(b""), HUGE)),
    "item": instance(tail=element(0x00400275, "SQ", item(b"", HUGE), UNDEFINED)),
    "fragment": encapsulated([], syntax=JPEG_BASELINE, end=item(b"", HUGE)),
    "offset table": instance(tail=element(0x7FE00010, "OB", item(b"", HUGE), UNDEFINED)),
    "meta": meta()[:144] + element(0x00020102, "OB", b"1234", HUGE),
    "implicit name": meta(IMPLICIT_VR_LITTLE_ENDIAN.uid)
    + element(0x00100010, "PN", b"1234", HUGE, IMPLICIT_VR_LITTLE_ENDIAN),
}


@pytest.mark.parametrize("data", LIES.values(), ids=LIES)
def test_a_length_of_four_gigabytes_allocates_nothing(data: bytes) -> None:
    assert isinstance(survive(data), Truncated | Malformed)
    assert peak(data) < 1


@pytest.mark.parametrize("frames", ["2147483647", "99999999999", "-1"])
@pytest.mark.parametrize("rows", [0, 65535])
def test_lying_descriptions_allocate_nothing(frames: str, rows: int) -> None:
    assert peak(image(b"\0" * 16, rows, 65535, bits=64, frames=frames)) < 1
    assert peak(encapsulated([b"x"], frames=frames, syntax=JPEG_BASELINE)) < 1


def nested(depth: int) -> bytes:
    opening = element(0x00400275, "SQ", b"", UNDEFINED) + item(b"", UNDEFINED)
    return opening * depth


def test_deep_sequences() -> None:
    closing = bytes.fromhex("feff0de000000000") + SEQUENCE_END
    parsed = survive(instance(tail=nested(LIMITS.sequence_depth) + closing * LIMITS.sequence_depth))
    assert isinstance(parsed, ParsedInstance)
    assert parsed.json_text.count(b'"00400275"') == LIMITS.sequence_depth
    for depth in (LIMITS.sequence_depth + 1, 5_000, 200_000):
        error = survive(instance(tail=nested(depth)))
        assert isinstance(error, TooComplex)
        assert "nested deeper than 100" in str(error)


def test_too_many_items() -> None:
    error = survive(instance(tail=element(0x00400275, "SQ", item(b"") * (LIMITS.elements + 1))))
    assert isinstance(error, TooComplex)
    assert "more than 500000 elements" in str(error)


def test_very_many_elements_are_read_in_time() -> None:
    inside = b"".join(element(0x00190000 | number, "US", b"\1\0") for number in range(1, 1000))
    data = instance(tail=element(0x00400275, "SQ", item(inside) * 400))
    parsed = survive(data)
    assert isinstance(parsed, ParsedInstance)
    assert parsed.json_text.count(b'"00190001"') == 400


def test_item_whose_character_set_comes_late_at_every_depth() -> None:
    # each level is read again once, which doubles with every level: the bound on elements ends it
    late = element(0x00080005, "CS", b"ISO_IR 100")
    content = element(0x00400009, "SH", b"1 ") + late
    for _ in range(40):
        content = element(0x00081030, "LO", b"1 ") + element(0x00400275, "SQ", item(content), None) + late
        if len(content) > 60_000:
            break
    assert isinstance(survive(instance(tail=element(0x00400275, "SQ", item(content)))), TooComplex)


def test_control_characters_that_grow_in_json_are_bounded() -> None:
    text = element(0x0040A160, "UT", b"\x01" * 60_000)
    data = instance(tail=element(0x00400275, "SQ", item(text) * 800))
    assert isinstance(survive(data), TooComplex)


def test_deep_and_wide_is_bounded() -> None:
    content = element(0x00400009, "SH", b"\x01" * 60_000)
    content = element(0x00400275, "SQ", item(content) * 150)
    for _ in range(90):
        content = element(0x00400275, "SQ", item(content))
    error = survive(instance(tail=content))
    assert isinstance(error, TooComplex)
    assert "sequences of more than" in str(error)


@pytest.mark.parametrize(("vr", "grows"), [("UT", False), ("LO", True), ("PN", True)])
def test_a_small_deflated_object_makes_no_large_metadata(vr: str, grows: bool) -> None:
    """18 KB sent, 15 MB inflated: 94 MB of JSON, if every control character became its escape."""
    deflated = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    values = {0x00111000 + number: (vr, b"\x01" * 65_000) for number in range(240)}
    data = meta(DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN.uid) + deflated.compress(data_set(values)) + deflated.flush()
    assert len(data) < 20_000
    parsed = survive(data)
    assert peak(data) < MEBIBYTES
    if grows:  # and a VR that cannot become bulk data (PS3.18 F.2.2)
        assert isinstance(parsed, TooComplex)
        assert "bytes of DICOM JSON" in str(parsed)
    else:
        assert isinstance(parsed, ParsedInstance)
        assert len(parsed.json_text) < 100_000
        assert len(parsed.bulk) == 240


def test_a_value_whose_json_is_long_becomes_bulk_data_and_stays_whole() -> None:
    value = b"\x01" * 20_000
    data = instance({0x0040A160: ("UT", value), 0x00081030: ("LO", value)})
    parsed = survive(data)
    assert isinstance(parsed, ParsedInstance)
    bulk = parsed.bulk["0040A160"]
    assert (bulk.vr, data[bulk.offset : bulk.offset + bulk.length]) == ("UT", value)
    assert parsed.json_text.count(b"\\u0001") == 20_000, "the LO cannot be bulk data, and is there"


def test_metadata_of_a_whole_instance_is_bounded() -> None:
    names = {0x00111000 + number: ("PN", b"a\\" * 32_000) for number in range(200)}
    assert isinstance(survive(instance(names)), TooComplex)


def test_millions_of_tiny_fragments_in_one_frame_are_refused() -> None:
    error = survive(encapsulated([b"ab"] * 1_500_000, frames="1", syntax=JPEG_BASELINE))
    assert isinstance(error, TooComplex)
    assert f"more than {LIMITS.fragments} fragments" in str(error)


def test_the_frame_table_of_the_largest_slide_is_small() -> None:
    data = encapsulated([b"ab"] * LIMITS.fragments, frames=str(LIMITS.fragments), syntax=JPEG_BASELINE)
    parsed = survive(data)
    assert isinstance(parsed, ParsedInstance)
    assert parsed.frames is not None
    assert len(parsed.frames.pack()) < 4 * 1024 * 1024


def test_millions_of_tiny_fragments_are_bounded() -> None:
    data = encapsulated([b""] * 200_000, frames="200000", syntax=JPEG_BASELINE)
    parsed = survive(data)
    assert isinstance(parsed, ParsedInstance)
    assert parsed.frames is not None
    assert parsed.frames.count == 200_000
    assert peak(data) < MEBIBYTES


def test_warnings_are_bounded() -> None:
    doubled = b"".join(element(0x00190001 + number, "LO", b"A ") * 2 for number in range(1000))
    parsed = survive(instance(tail=doubled))
    assert isinstance(parsed, ParsedInstance)
    assert len(parsed.warnings) <= 50


def test_large_objects_are_not_loaded() -> None:
    data = image(bytes(40_000_000), 4000, 5000, bits=16)
    assert peak(data) < 1
