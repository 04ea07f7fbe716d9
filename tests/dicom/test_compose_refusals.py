"""Metadata and bulk data that make no object, and anything at all (PS3.18 10.5.1)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom import transfer_syntaxes as ts
from dicom.bulk_parts import BulkPart, DoesNotMatch
from dicom.compose import compose
from dicom.errors import (
    DicomError,
    InvalidIdentifier,
    Malformed,
    TooComplex,
    UnsupportedTransferSyntax,
)
from dicom.part10 import parse
from tests.dicom.composing import (
    COMPRESSED,
    J2K,
    Endless,
    Model,
    Written,
    base,
    described,
    part,
    refusal,
    text,
    write,
)
from tests.dicom.part10_objects import STUDY, Memory


@pytest.mark.parametrize("tag", ["00080016", "00080018", "0020000D", "0020000E"])
@pytest.mark.parametrize(
    "attribute",
    [
        None,
        {"vr": "UI"},
        text("UI", ""),
        text("UI", "x"),
        text("UI", "1.2", "1.3"),
        text("LO", "1.2"),
        text("UI", "1" * 65),
    ],
)
def test_identifiers_are_required(tag: str, attribute: Model | None) -> None:
    attributes = base() | {tag: attribute}
    if attribute is None:
        del attributes[tag]
    error = refusal(attributes)
    assert isinstance(error, InvalidIdentifier)
    assert f"({tag[:4]},{tag[4:]})" in str(error)
    assert error.failure_reason == 0xA900


LONE = "\ud800"
SHAPES: list[tuple[str, Any]] = [
    ("00100020", None),
    ("00100020", []),
    ("00100020", "x"),
    ("00100020", {}),
    ("00100020", {"vr": None}),
    ("00100020", {"vr": "XX"}),
    ("00100020", {"vr": ["LO"]}),
    ("00100020", {"vr": "LO", "Value": "x"}),
    ("00100020", {"vr": "LO", "Value": {"a": 1}}),
    ("00100020", {"vr": "LO", "Value": ["x"], "BulkDataURI": "u"}),
    ("00100020", {"vr": "LO", "InlineBinary": "AA=="}),
    ("00100020", {"vr": "LO", "BulkDataURI": "nowhere"}),
    ("00100020", {"vr": "LO", "BulkDataURI": ""}),
    ("00100020", {"vr": "LO", "BulkDataURI": 1}),
    ("00100020", text("LO", 1)),
    ("00100020", text("LO", True)),
    ("00100020", text("LO", ["x"])),
    ("00100020", text("LO", "a\\b")),
    ("00100020", text("LO", "a\0")),
    ("00100020", text("LO", "a\x1b$B")),
    ("00100020", text("LO", LONE)),
    ("00104000", text("LT", "a", "b")),
    ("00080008", text("CS", "É")),
    ("00100010", text("PN", {"Family": "x"})),
    ("00100010", text("PN", {"Alphabetic": 1})),
    ("00100010", text("PN", {"Alphabetic": "a=b"})),
    ("00100010", text("PN", 1)),
    ("00180050", text("DS", "x")),
    ("00180050", text("DS", True)),
    ("00180050", text("DS", "1,5")),
    ("00180050", text("DS", float("inf"))),
    ("00180050", text("DS", 10**400)),
    ("00180050", text("DS", "1" * 65)),
    ("00180050", text("DS", "1e9999999")),
    ("00200013", text("IS", 1.5)),
    ("00200013", text("IS", 2**31)),
    ("00200013", text("IS", "1.0")),
    ("00091001", text("US", -1)),
    ("00091001", text("US", 65536)),
    ("00091001", text("US", "x")),
    ("00091001", text("US", None)),
    ("00091001", text("US", 1.5)),
    ("00091001", text("US", False)),
    ("00091001", text("SS", 32768)),
    ("00091001", text("UL", 2**32)),
    ("00091001", text("SV", 2**63)),
    ("00091001", text("UV", -1)),
    ("00091001", text("FL", 1e300)),
    ("00091001", text("FL", "1")),
    ("00091001", text("FD", 10**400)),
    ("00091001", text("AT", "0010")),
    ("00091001", text("AT", 1)),
    ("00091001", text("OB", 1)),
    ("00091001", {"vr": "OB", "InlineBinary": "A"}),
    ("00091001", {"vr": "OB", "InlineBinary": "A A="}),
    ("00091001", {"vr": "OB", "InlineBinary": "é"}),
    ("00091001", {"vr": "OB", "InlineBinary": 1}),
    ("00400275", text("SQ", "x")),
    ("00400275", text("SQ", {"x": {}})),
    ("00400275", text("SQ", {"00400009": text("SH", 1)})),
    ("00400275", {"vr": "SQ", "Value": {}, "BulkDataURI": "u"}),
    ("00400275", {"vr": "SQ", "BulkDataURI": "u"}),
    ("00400275", {"vr": "SQ", "Value": "x"}),
    ("0010002", text("LO", "x")),
    ("PatientComments", text("LO", "x")),
    ("FFFEE00D", {"vr": "UN"}),
    ("٠٠١٠٠٠٢٠", text("LO", "x")),
]


@pytest.mark.parametrize(("tag", "attribute"), SHAPES)
def test_shapes_that_are_no_dicom_json_are_refused(tag: str, attribute: Any) -> None:
    for error in (
        refusal(base() | {tag: attribute}),
        refusal(base(t00081140=text("SQ", {}, {tag: attribute}))),
    ):
        assert isinstance(error, Malformed)
        assert error.failure_reason == 0xC000
        if tag.startswith("0") and len(tag) == 8:
            assert f"({tag[:4]},{tag[4:]})" in str(error)
    assert "(0008,1140)[2]" in str(error)


@pytest.mark.parametrize("attributes", [None, [], "x", {1: {}}, {"0020000d": text("UI", STUDY), **base()}])
def test_what_is_no_object_is_refused(attributes: Any) -> None:
    assert isinstance(refusal(attributes), Malformed)


def test_nesting_and_counts_are_bounded() -> None:
    attributes: Model = {}
    for _ in range(101):
        attributes = {"00081140": text("SQ", attributes)}
    assert isinstance(refusal(base() | attributes), TooComplex)
    (inner,) = attributes["00081140"]["Value"]
    write(base() | inner)
    assert isinstance(refusal(base(t00081140=text("SQ", *[{}] * 500_001))), TooComplex)
    assert isinstance(refusal(base(t00091001=text("UT", "x" * 34_000_000))), TooComplex)


GREY = described(16, 24)
JPEG, LS, J2K_8 = COMPRESSED[0][1], COMPRESSED[4][1], COMPRESSED[9][1]
CONTRADICTIONS: list[tuple[str, Model, BulkPart, type[DicomError]]] = [
    ("0028,0010", {"00280010": text("US", 17)}, part(JPEG, media_type="image/jpeg"), DoesNotMatch),
    ("0028,0011", {"00280011": text("US", 25)}, part(JPEG, media_type="image/jpeg"), DoesNotMatch),
    ("0028,0002", {"00280002": text("US", 3)}, part(JPEG, media_type="image/jpeg"), DoesNotMatch),
    ("0028,0100", {}, part(LS, media_type="image/jls"), DoesNotMatch),
    ("0028,0004", {"00280004": text("CS", "RGB")}, part(JPEG, media_type="image/jpeg"), DoesNotMatch),
    ("0028,0101", {"00280101": text("US", 9)}, part(JPEG, media_type="image/jpeg"), DoesNotMatch),
    ("0028,0008", {"00280008": text("IS", 2)}, part(JPEG, media_type="image/jpeg"), DoesNotMatch),
    ("0028,0008", {"00280008": text("IS", 0)}, part(JPEG, media_type="image/jpeg"), DoesNotMatch),
    ("0028,0010", {"00280010": text("IS", 16)}, part(JPEG, media_type="image/jpeg"), DoesNotMatch),
    ("0028,0010", {"00280010": text("US", 16, 16)}, part(JPEG, media_type="image/jpeg"), DoesNotMatch),
    ("frame 2", {}, part(JPEG, JPEG[:-20], media_type="image/jpeg"), DoesNotMatch),
    ("frame 1", {}, part(b"GIF89a", media_type="image/jpeg"), DoesNotMatch),
    ("frame 1", {}, part(b"", media_type="image/jpeg"), DoesNotMatch),
    ("frame 1", {}, part(J2K[0][:60], media_type="image/jp2"), DoesNotMatch),
    ("frame 1", {}, part(J2K_8[:40], media_type="image/jp2"), DoesNotMatch),
    ("frames", {}, part(JPEG, media_type="image/jp2"), DoesNotMatch),
    ("different", {"00280008": text("IS", 2)}, part(JPEG, J2K[0], media_type="image/jpeg"), DoesNotMatch),
    ("JPEG Lossless", {}, part(JPEG, media_type="image/jpeg", uid=ts.JPEG_LOSSLESS.uid), DoesNotMatch),
    ("JPEG 2000", {}, part(JPEG, media_type="image/jpeg", uid=ts.JPEG_2000.uid), DoesNotMatch),
    ("JPEG-LS", {}, part(JPEG, uid=ts.JPEG_LS_LOSSLESS.uid), DoesNotMatch),
    ("RLE", {}, part(b"\1" + b"\0" * 40, media_type="image/dicom-rle"), DoesNotMatch),
    ("RLE", {}, part(b"\2" + b"\0" * 80, media_type="image/dicom-rle"), DoesNotMatch),
    ("384 bytes", {}, part(b"x" * 383), DoesNotMatch),
    ("384 bytes", {}, part(b"x" * 386), DoesNotMatch),
    ("one part", {}, part(b"x" * 192, b"x" * 192), DoesNotMatch),
    ("one part", {}, part(b"x", b"x", media_type="video/mp4"), DoesNotMatch),
    ("7FE0,0010", {}, part(b"x", media_type="image/png"), UnsupportedTransferSyntax),
    ("7FE0,0010", {}, part(b"x", media_type="application/pdf"), UnsupportedTransferSyntax),
    ("7FE0,0010", {}, part(b"x" * 384, uid="1.2.3"), UnsupportedTransferSyntax),
    ("Big Endian", {}, part(b"x" * 384, uid=ts.EXPLICIT_VR_BIG_ENDIAN.uid), UnsupportedTransferSyntax),
    ("7FE0,0010", {}, BulkPart("image/jpeg", None, ()), Malformed),
    ("exclude", {"7FE00008": {"vr": "OF", "InlineBinary": "AAAA"}}, part(b"x" * 384), DoesNotMatch),
]


@pytest.mark.parametrize(("named", "changes", "pixels", "kind"), CONTRADICTIONS)
def test_pixels_that_contradict_their_description(
    named: str, changes: Model, pixels: BulkPart, kind: type[DicomError]
) -> None:
    error = refusal(GREY | changes, pixels=pixels)
    assert type(error) is kind
    assert named in str(error)


@pytest.mark.parametrize("tag", ["00280002", "00280004", "00280010", "00280011", "00280100", "00280101", "00280103"])
def test_native_pixels_need_a_description(tag: str) -> None:
    error = refusal({key: one for key, one in GREY.items() if key != tag}, pixels=part(b"x" * 384))
    assert f"({tag[:4]},{tag[4:]})" in str(error)
    assert error.failure_reason == 0xA900


OTHER_PARTS: list[tuple[Model, BulkPart, type[DicomError]]] = [
    ({"00091001": {"vr": "OB", "BulkDataURI": "u"}}, part(b"x", media_type="image/jpeg"), UnsupportedTransferSyntax),
    (
        {"00091001": {"vr": "OB", "BulkDataURI": "u"}},
        part(b"x", media_type="application/pdf"),
        UnsupportedTransferSyntax,
    ),
    ({"00091001": {"vr": "OW", "BulkDataURI": "u"}}, part(b"xxx"), DoesNotMatch),
    ({"00091001": {"vr": "FD", "BulkDataURI": "u"}}, part(b"xxxx"), DoesNotMatch),
    (
        {"00091001": {"vr": "OW", "BulkDataURI": "u"}},
        part(b"xx", uid=ts.EXPLICIT_VR_BIG_ENDIAN.uid),
        UnsupportedTransferSyntax,
    ),
    ({"00091001": {"vr": "OW", "BulkDataURI": "u"}}, part(b"xx", b"xx"), DoesNotMatch),
    ({"00420011": {"vr": "OB", "BulkDataURI": "u"}}, part(b"x"), DoesNotMatch),
    (
        {"00420011": {"vr": "OB", "BulkDataURI": "u"}, "00420012": text("LO", "text/XML")},
        part(b"x", media_type="application/pdf"),
        DoesNotMatch,
    ),
    (
        {"00420011": {"vr": "OB", "BulkDataURI": "u"}, "00420015": text("UL", 5)},
        part(b"x", media_type="application/pdf"),
        DoesNotMatch,
    ),
    (
        {"00880200": text("SQ", {"7FE00010": {"vr": "OB", "BulkDataURI": "u"}})},
        part(JPEG, media_type="image/jpeg"),
        UnsupportedTransferSyntax,
    ),
    ({"00091001": {"vr": "OB", "BulkDataURI": "u"}}, BulkPart(ts.OCTET_STREAM, None, (Endless(2**32),)), TooComplex),
]


@pytest.mark.parametrize(("attributes", "bulk", "kind"), OTHER_PARTS)
def test_parts_that_are_not_what_their_attribute_needs(
    attributes: Model, bulk: BulkPart, kind: type[DicomError]
) -> None:
    assert type(refusal(base() | attributes, u=bulk)) is kind


def test_another_vr_than_the_dictionary_has_is_a_warning() -> None:
    composed, _ = write(base(t00081030=text("SH", "x")))
    assert [(one.reason, one.text) for one in composed.warnings] == [
        (0xB007, "(0008,1030) StudyDescription: VR LO expected")
    ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just(LONE),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Alphabetic", "vr", "Value", "00100020", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
VRS = st.sampled_from(
    [
        *[
            "AE",
            "AS",
            "AT",
            "CS",
            "DA",
            "DS",
            "DT",
            "FD",
            "FL",
            "IS",
            "LO",
            "LT",
            "OB",
            "OD",
            "OF",
            "OL",
            "OV",
            "OW",
            "PN",
            "SH",
            "SL",
            "SQ",
            "SS",
            "ST",
            "SV",
            "TM",
            "UC",
            "UI",
            "UL",
        ]
    ]
)
ATTRIBUTES = st.builds(
    lambda vr, key, value: {"vr": vr, key: value},
    VRS | st.sampled_from(["UN", "UR", "US", "UT", "UV"]) | VALUES,
    st.sampled_from(["Value", "Value", "Value", "InlineBinary", "BulkDataURI"]),
    st.lists(VALUES, max_size=3) | VALUES | st.sampled_from(["AAAA", "u"]),
)
TAGS = st.sampled_from(
    [
        "00080005",
        "00080018",
        "00081140",
        "00020010",
        "00100010",
        "00180050",
        "00280002",
        "00280004",
        "00280008",
        "00280010",
        "00280011",
        "00280100",
        "00280101",
        "00280103",
        "00420011",
        "00420012",
        "00420015",
        "7FE00001",
        "7FE00008",
        "7FE00010",
        "00091001",
        "FFFCFFFC",
    ]
)
PARTS = st.sampled_from(
    [
        None,
        part(b""),
        part(b"x" * 384),
        part(JPEG, media_type="image/jpeg"),
        part(JPEG, JPEG, media_type="image/jpeg"),
        part(*J2K, media_type="image/jp2"),
        part(J2K_8[:99], media_type="image/jp2"),
        part(b"x", media_type="video/mp4"),
        part(b"x", media_type="application/pdf"),
        part(b"\1" * 99, media_type="image/dicom-rle"),
        part(b"x", uid="1.2"),
        BulkPart("", None, ()),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(TAGS, ATTRIBUTES, max_size=6), PARTS, st.booleans())
def test_anything_is_written_or_refused(changes: Model, bulk: BulkPart | None, image: bool) -> None:
    sink = Written()
    try:
        compose((GREY if image else base()) | changes, lambda uri: bulk, sink)
    except DicomError:
        assert sink == b""
        return
    parse(Memory(bytes(sink)))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([case[1] for case in COMPRESSED]), st.integers(0, 300), st.binary(max_size=4), st.integers(0, 400)
)
def test_any_codestream_is_read_or_refused(codestream: bytes, place: int, change: bytes, cut: int) -> None:
    damaged = codestream[:place] + change + codestream[place + len(change) :]
    attributes = base(t7FE00010={"vr": "OB", "BulkDataURI": "pixels"})
    for media_type in ("image/jpeg", "image/jls", "image/jp2", "image/jphc"):
        for payload in (damaged, damaged[:-cut] if cut else damaged):
            sink = Written()
            try:
                compose(attributes, {"pixels": part(payload, media_type=media_type)}.get, sink)
            except DicomError:
                continue
            parse(Memory(bytes(sink)))
