"""One data set in every encoding says the same, whatever the lengths are written like (PS3.5 7.5, Annex A)."""

from __future__ import annotations

import zlib
from io import BytesIO
from struct import unpack
from typing import Any

import orjson
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from dicom.errors import TooComplex, Truncated
from dicom.inflate import inflate
from dicom.instance import BULKDATA_ROOT
from dicom.part10 import parse
from dicom.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
)
from tests.dicom.part10_objects import (
    INSTANCE,
    SERIES,
    STUDY,
    UNDEFINED,
    Memory,
    data_set,
    element,
    instance,
    item,
    meta,
)

NATIVE = [
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
]
PLACE = f"{BULKDATA_ROOT}/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}/bulkdata/"


def write(ds: Dataset, syntax: TransferSyntax) -> bytes:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(syntax.uid)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    buffer = BytesIO()
    pydicom.dcmwrite(
        buffer, ds, enforce_file_format=True, implicit_vr=syntax.implicit_vr, little_endian=syntax.little_endian
    )
    return buffer.getvalue()


def base() -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.66"), INSTANCE
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, SERIES
    ds.PatientID = "1"
    return ds


TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\\^=\0", categories=("L", "N")), max_size=12)
ELEMENTS: dict[str, st.SearchStrategy[Any]] = {
    "PatientName": TEXT,
    "StudyDescription": TEXT,
    "ImageComments": TEXT,
    "ImageType": st.lists(st.sampled_from(["ORIGINAL", "PRIMARY", "AXIAL"]), min_size=1, max_size=3),
    "StudyDate": st.just("20240131"),
    "SeriesNumber": st.integers(-1000, 1000),
    "PixelSpacing": st.lists(st.floats(0.001, 9).map(lambda number: round(number, 4)), min_size=2, max_size=2),
    "Rows": st.integers(0, 65535),
    "PixelRepresentation": st.just(1),
    "SmallestImagePixelValue": st.integers(-32768, 32767),
    "ReferencedFrameNumber": st.integers(1, 9),
    "FrameReferenceTime": st.just("12.5"),
    "DiffusionBValue": st.floats(allow_nan=False, allow_infinity=False),
    "FrameIncrementPointer": st.just(0x00181063),
    "SimpleFrameList": st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=40),
}


@st.composite
def data_sets(draw: st.DrawFn, depth: int = 0) -> Dataset:
    ds = Dataset()
    for keyword in draw(st.lists(st.sampled_from(sorted(ELEMENTS)), unique=True, max_size=6)):
        if keyword != "SmallestImagePixelValue":
            setattr(ds, keyword, draw(ELEMENTS[keyword]))
    if depth < 3 and draw(st.booleans()):
        ds.RequestAttributesSequence = draw(st.lists(data_sets(depth + 1), max_size=2))
        ds["RequestAttributesSequence"].is_undefined_length = draw(st.booleans())
        for inner in ds.RequestAttributesSequence:
            inner.is_undefined_length_sequence_item = draw(st.booleans())
    return ds


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data_sets())
def test_every_encoding_says_the_same(drawn: Dataset) -> None:
    ds = base()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.update(drawn)
    ds.PixelRepresentation = 1
    ds.SmallestImagePixelValue = -5
    said = []
    for syntax in NATIVE:
        parsed = parse(Memory(write(ds, syntax)))
        model = orjson.loads(parsed.json_text)
        assert model.pop("00083002")["Value"] == [syntax.uid]
        said.append((model, dict(parsed.values), parsed.request_attributes))
        assert model["00280106"] == {"vr": "SS", "Value": [-5]}
    assert said[1:] == said[:-1]


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.name)
def test_bulk_data_lies_where_it_says(syntax: TransferSyntax) -> None:
    ds = base()
    ds.EncapsulatedDocument = bytes(range(256)) * 8
    inner = Dataset()
    inner.WaveformBitsAllocated = 16
    inner.WaveformData = b"\1\2" * 2000
    ds.WaveformSequence = [Dataset(), inner]
    ds.SimpleFrameList = list(range(20_000))
    ds.TextValue = "x" * 70_000
    data = write(ds, syntax)
    parsed = parse(Memory(data))
    assert set(parsed.bulk) == {"00420011", "54000100/2/54001010", "00081161", "0040A160"}
    stream = inflate(Memory(data)) if syntax.deflated else Memory(data)
    read = {path: stream.read_at(value.offset, value.length) for path, value in parsed.bulk.items()}
    assert read["00420011"] == ds.EncapsulatedDocument
    assert read["54000100/2/54001010"] in (inner.WaveformData, b"\2\1" * 2000)
    order = "<3I" if syntax.little_endian else ">3I"
    assert unpack(order, read["00081161"][:12]) == (0, 1, 2)
    assert read["0040A160"] == b"x" * 70_000
    model = orjson.loads(parsed.json_text)
    assert model["00420011"]["BulkDataURI"] == PLACE + "00420011"
    nested = model["54000100"]["Value"][1]["54001010"]
    assert nested["BulkDataURI"] == PLACE + "54000100/2/54001010"


def test_small_bytes_stay_inline() -> None:
    for size, inline in ((1024, True), (1026, False)):
        parsed = parse(Memory(instance({0x00420011: ("OB", bytes(size))})))
        assert ("00420011" not in parsed.bulk) is inline
        assert ("InlineBinary" in orjson.loads(parsed.json_text)["00420011"]) is inline


def test_unknown_sequences_are_implicit_inside() -> None:
    inside = element(0x00400009, "SH", b"STEP", syntax=IMPLICIT_VR_LITTLE_ENDIAN)
    expected = {"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "Value": ["STEP"]}}]}
    endless = item(inside) + bytes.fromhex("feffdde000000000")
    private = {0x00090010: ("LO", b"ME"), 0x00091001: ("UN", b"")}
    for tail in (
        element(0x00400275, "UN", endless, UNDEFINED),
        element(0x00400275, "UN", item(inside)),
        element(0x00400275, "UN", item(inside + bytes.fromhex("feff0de000000000"), UNDEFINED)),
    ):
        assert orjson.loads(parse(Memory(instance(tail=tail))).json_text)["00400275"] == expected
    hidden = element(0x00411001, "UN", endless, UNDEFINED)
    assert orjson.loads(parse(Memory(instance(private, tail=hidden))).json_text)["00411001"] == expected


def test_a_public_element_written_as_un_is_known() -> None:
    changes = {0x00100010: ("UN", b"Doe^Jane"), 0x00280103: ("US", b"\1\0"), 0x00280106: ("UN", b"\xff\xff")}
    parsed = parse(Memory(instance(changes)))
    assert parsed.values["PatientName"] == "Doe^Jane"
    assert orjson.loads(parsed.json_text)["00280106"] == {"vr": "SS", "Value": [-1]}


def test_items_may_have_a_character_set_of_their_own() -> None:
    greek = element(0x00080005, "CS", b"ISO_IR 126") + element(0x00081030, "LO", "Άννα".encode("iso8859_7"))
    plain = element(0x00081030, "LO", "é ".encode("latin-1"))
    changes = {0x00080005: ("CS", b"ISO_IR 100"), 0x00400275: ("SQ", item(greek) + item(plain))}
    model = orjson.loads(parse(Memory(instance(changes))).json_text)
    first, second = model["00400275"]["Value"]
    assert first["00081030"]["Value"] == ["Άννα"]
    assert first["00080005"]["Value"] == ["ISO_IR 192"]
    assert second["00081030"]["Value"] == ["é"]


def test_elements_out_of_order_are_sorted_and_read_under_their_character_set() -> None:
    elements = [
        element(0x00100010, "PN", "Άννα".encode("iso8859_7")),
        element(0x00080005, "CS", b"ISO_IR 126"),
        data_set({0x00100010: None}),
    ]
    parsed = parse(Memory(meta() + b"".join(elements)))
    assert parsed.values["PatientName"] == "Άννα"
    model = orjson.loads(parsed.json_text)
    assert list(model) == sorted(model)
    assert model["00100010"]["Value"] == [{"Alphabetic": "Άννα"}]


def test_the_request_attributes_are_reduced() -> None:
    inside = (
        element(0x00080050, "SH", b"ACC1")
        + element(0x00321060, "LO", b"Secret")
        + element(0x00400009, "SH", b"STEP")
        + element(0x00401001, "SH", b"PROC")
    )
    parsed = parse(Memory(instance({0x00400275: ("SQ", item(inside) + item(b""))})))
    assert orjson.loads(parsed.request_attributes) == {
        "vr": "SQ",
        "Value": [
            {
                "00080050": {"vr": "SH", "Value": ["ACC1"]},
                "00400009": {"vr": "SH", "Value": ["STEP"]},
                "00401001": {"vr": "SH", "Value": ["PROC"]},
            },
            {},
        ],
    }
    assert parse(Memory(instance())).request_attributes == ""


def deflated(content: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-15)
    return meta(DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN.uid) + squeeze.compress(content) + squeeze.flush()


def test_the_inflated_stream_begins_with_the_data_set() -> None:
    with inflate(Memory(deflated(data_set()) + b"\0")) as inflated:
        assert inflated.read_at(0, inflated.size) == data_set()


def test_a_bomb_is_refused_before_it_is_big() -> None:
    bomb = deflated(data_set({0x00420011: ("OB", bytes(40 * 1024 * 1024))}))
    assert len(bomb) < 100_000
    with pytest.raises(TooComplex, match="inflates to more than"):
        parse(Memory(bomb))


def test_a_deflated_stream_that_is_cut_off() -> None:
    whole = deflated(data_set())
    with pytest.raises(Truncated, match="deflated data set is not over"):
        parse(Memory(whole[:-5]))
