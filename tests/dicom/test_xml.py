"""The Native DICOM Model in XML (PS3.18 F.3, PS3.19 A.1), both ways."""

from __future__ import annotations

import json
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_keyword

from dicom.errors import DicomError, Malformed, TooComplex
from dicom.part10 import parse
from dicom.xml import NAMESPACE, from_xml, to_xml
from tests.dicom.part10_objects import Memory, readable_files

REFUSED = {"MR_truncated.dcm", "rtplan_truncated.dcm", "SC_rgb_jpeg.dcm"}
READABLE = [path for path in readable_files() if path.name not in REFUSED]
N = f"{{{NAMESPACE}}}"


def xml(attributes: dict[str, Any]) -> str:
    text = to_xml(orjson.dumps(attributes)).decode()
    return text[text.index("preserve") + 10 : -len("</NativeDicomModel>")]


def model(body: str, root: str = f'<NativeDicomModel xmlns="{NAMESPACE}">') -> dict[str, Any]:
    return from_xml(f"{root}{body}</{root[1:].split()[0].split('>')[0]}>".encode())


@pytest.mark.parametrize("path", READABLE, ids=lambda path: path.name)
def test_every_packaged_object_comes_back_as_it_was(path: Path) -> None:
    text = parse(Memory(path.read_bytes())).json_text
    document = to_xml(text)
    found = from_xml(document)
    assert found == without_control_characters(orjson.loads(text))
    assert list(found) == sorted(found)
    check_against_an_independent_parser(document, orjson.loads(text))


def without_control_characters(value: Any) -> Any:
    """XML 1.0 cannot write them (2.2)."""
    if isinstance(value, str):
        return "".join(c if c >= " " or c in "\t\n\r" else "\N{REPLACEMENT CHARACTER}" for c in value)
    if isinstance(value, dict):
        return {key: without_control_characters(one) for key, one in value.items()}
    return [without_control_characters(one) for one in value] if isinstance(value, list) else value


def check_against_an_independent_parser(document: bytes, attributes: dict[str, Any]) -> None:
    root = ElementTree.fromstring(document)  # noqa: S314 - our own document
    assert root.tag == N + "NativeDicomModel"
    assert len(root) == len(attributes)
    for element, (tag, attribute) in zip(root, attributes.items(), strict=True):
        assert element.get("vr") == attribute["vr"]
        if element.get("privateCreator") is None:
            assert element.get("tag") == tag
        else:
            assert element.get("tag") in (tag, f"{tag[:4]}00{tag[6:]}")
        try:
            assert element.get("keyword", "") == dictionary_keyword(int(tag, 16))
        except KeyError:
            assert element.get("keyword") is None
        numbered = [
            child.get("number") for child in element if child.tag != N + "InlineBinary" and not child.get("uri")
        ]
        assert numbered == [str(number) for number in range(1, len(attribute.get("Value", ())) + 1)]


def test_there_are_enough_packaged_objects() -> None:
    assert len(READABLE) >= 120


DOCUMENTS: list[tuple[dict[str, Any], str]] = [
    (
        {"00100020": {"vr": "LO", "Value": ["a<&>\"'"]}},
        '<DicomAttribute tag="00100020" vr="LO" keyword="PatientID">'
        '<Value number="1">a&lt;&amp;&gt;"\'</Value></DicomAttribute>',
    ),
    ({"00100020": {"vr": "LO"}}, '<DicomAttribute tag="00100020" vr="LO" keyword="PatientID"/>'),
    (
        {"00080008": {"vr": "CS", "Value": ["ORIGINAL", None, "AXIAL"]}},
        '<DicomAttribute tag="00080008" vr="CS" keyword="ImageType"><Value number="1">ORIGINAL</Value>'
        '<Value number="2"></Value><Value number="3">AXIAL</Value></DicomAttribute>',
    ),
    (
        {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B^^Dr", "Phonetic": "a"}]}},
        '<DicomAttribute tag="00100010" vr="PN" keyword="PatientName"><PersonName number="1"><Alphabetic>'
        "<FamilyName>A</FamilyName><GivenName>B</GivenName><NamePrefix>Dr</NamePrefix></Alphabetic><Phonetic>"
        "<FamilyName>a</FamilyName></Phonetic></PersonName></DicomAttribute>",
    ),
    (
        {"00400275": {"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "Value": ["x"]}}, {}]}},
        '<DicomAttribute tag="00400275" vr="SQ" keyword="RequestAttributesSequence"><Item number="1">'
        '<DicomAttribute tag="00400009" vr="SH" keyword="ScheduledProcedureStepID"><Value number="1">x</Value>'
        '</DicomAttribute></Item><Item number="2"></Item></DicomAttribute>',
    ),
    (
        {"00420011": {"vr": "OB", "BulkDataURI": 'x?a=1&b="2"'}},
        '<DicomAttribute tag="00420011" vr="OB" keyword="EncapsulatedDocument">'
        '<BulkData uri="x?a=1&amp;b=&quot;2&quot;"/></DicomAttribute>',
    ),
    (
        {"00020001": {"vr": "OB", "InlineBinary": "AAE="}},
        '<DicomAttribute tag="00020001" vr="OB" keyword="FileMetaInformationVersion">'
        "<InlineBinary>AAE=</InlineBinary></DicomAttribute>",
    ),
    (
        {"00180050": {"vr": "DS", "Value": [1.5, 2, -3e-7]}, "00280010": {"vr": "US", "Value": [65535]}},
        '<DicomAttribute tag="00180050" vr="DS" keyword="SliceThickness"><Value number="1">1.5</Value>'
        '<Value number="2">2</Value><Value number="3">-3e-07</Value></DicomAttribute>'
        '<DicomAttribute tag="00280010" vr="US" keyword="Rows"><Value number="1">65535</Value></DicomAttribute>',
    ),
    (
        {
            "00090010": {"vr": "LO", "Value": ["ACME"]},
            "00090011": {"vr": "LO", "Value": ["ACME"]},
            "00091002": {"vr": "LO", "Value": ["first"]},
            "00091102": {"vr": "LO", "Value": ["second"]},
            "00091202": {"vr": "LO", "Value": ["nobody's"]},
        },
        '<DicomAttribute tag="00090010" vr="LO"><Value number="1">ACME</Value></DicomAttribute>'
        '<DicomAttribute tag="00090011" vr="LO"><Value number="1">ACME</Value></DicomAttribute>'
        '<DicomAttribute tag="00090002" vr="LO" privateCreator="ACME"><Value number="1">first</Value></DicomAttribute>'
        '<DicomAttribute tag="00091102" vr="LO" privateCreator="ACME"><Value number="1">second</Value></DicomAttribute>'
        '<DicomAttribute tag="00091202" vr="LO"><Value number="1">nobody\'s</Value></DicomAttribute>',
    ),
]


@pytest.mark.parametrize(("attributes", "expected"), DOCUMENTS)
def test_documents(attributes: dict[str, Any], expected: str) -> None:
    assert xml(attributes) == expected
    assert from_xml(to_xml(orjson.dumps(attributes))) == attributes


@pytest.mark.parametrize("text", ["\r", "a\r\nb", " a ", "\t", "\n", "]]>", "&amp;", "山田^太郎", "\U0001f600", "é"])
def test_text_comes_back_exactly(text: str) -> None:
    attributes = {
        "00090010": {"vr": "LO", "Value": [text.strip() or "x"]},
        "00091001": {"vr": "UT", "Value": [text]},
        "00102000": {"vr": "UT", "BulkDataURI": text},
    }
    assert from_xml(to_xml(orjson.dumps(attributes))) == attributes


@pytest.mark.parametrize("name", ["^", "^^^^", "A^^", "A^B^C^D^E^F", "^B", " A ^ B"])
def test_odd_names_come_back_exactly(name: str) -> None:
    attributes = {"00100010": {"vr": "PN", "Value": [{"Ideographic": name}, None]}}
    assert from_xml(to_xml(orjson.dumps(attributes))) == attributes


# The document of PS3.19 A.1 as others write it: other order, no namespace, private tags without their block, white
# space around elements, values without number
FOREIGN: list[tuple[str, dict[str, Any]]] = [
    (
        '\n <DicomAttribute vr="LO" privateCreator="CARDIO-SMS 1.0" tag="00090002"><Value>x</Value></DicomAttribute>\n'
        '<DicomAttribute tag="00090011" vr="LO">\n<Value number="1">CARDIO-SMS 1.0</Value>\n</DicomAttribute>\n',
        {"00090011": {"vr": "LO", "Value": ["CARDIO-SMS 1.0"]}, "00091102": {"vr": "LO", "Value": ["x"]}},
    ),
    (
        '<DicomAttribute vr="LO" privateCreator="B" tag="0009002A"><Value>x</Value></DicomAttribute>'
        '<DicomAttribute tag="00091001" vr="LO"/>',
        {
            "00090011": {"vr": "LO", "Value": ["B"]},
            "00091001": {"vr": "LO"},
            "0009112A": {"vr": "LO", "Value": ["x"]},
        },
    ),
    (
        '<DicomAttribute tag="00080008" vr="CS"><Value number="3">C</Value></DicomAttribute>',
        {"00080008": {"vr": "CS", "Value": [None, None, "C"]}},
    ),
    (
        '<DicomAttribute tag="7fe00010" vr="OW"><InlineBinary>\nAA\nE=\n</InlineBinary></DicomAttribute>',
        {"7FE00010": {"vr": "OW", "InlineBinary": "AAE="}},
    ),
    (
        '<DicomAttribute tag="00189087" vr="FD"><Value>INF</Value><Value> 1e3 </Value></DicomAttribute>',
        {"00189087": {"vr": "FD", "Value": ["inf", 1000.0]}},
    ),
    (
        '<DicomAttribute tag="00100020" vr="LO"><Value number="1"><![CDATA[a<b]]></Value></DicomAttribute><!-- c -->',
        {"00100020": {"vr": "LO", "Value": ["a<b"]}},
    ),
]


@pytest.mark.parametrize(("body", "expected"), FOREIGN)
@pytest.mark.parametrize("root", [f'<NativeDicomModel xmlns="{NAMESPACE}">', "<NativeDicomModel>"])
def test_documents_of_others(body: str, expected: dict[str, Any], root: str) -> None:
    assert model(body, root) == expected


def test_a_prefix_and_another_encoding() -> None:
    document = (
        f'<?xml version="1.0" encoding="UTF-16"?><d:NativeDicomModel xmlns:d="{NAMESPACE}"><d:DicomAttribute '
        'tag="00100020" vr="LO"><d:Value number="1">é</d:Value></d:DicomAttribute></d:NativeDicomModel>'
    )
    assert from_xml(document.encode("utf-16")) == {"00100020": {"vr": "LO", "Value": ["é"]}}


A = '<DicomAttribute tag="00100020" vr="LO">'
Z = "</DicomAttribute>"
BROKEN = [
    "<Value/>",
    "text",
    "<Other/>",
    '<DicomAttribute xmlns="http://example.com" tag="00100020" vr="LO"/>',
    '<DicomAttribute vr="LO"/>',
    '<DicomAttribute tag="0010002" vr="LO"/>',
    '<DicomAttribute tag="PatientID" vr="LO"/>',
    '<DicomAttribute tag="00100020"/>',
    '<DicomAttribute tag="00100020" vr="XX"/>',
    '<DicomAttribute tag="00100020" vr="LO" privateCreator="A"/>',
    '<DicomAttribute tag="00090020" vr="LO" privateCreator=" "/>',
    f"{A}{Z}{A}{Z}",
    f"{A}text{Z}",
    f'{A}<Value number="0"/>{Z}',
    f'{A}<Value number="x"/>{Z}',
    f'{A}<Value number="2"/><Value number="2"/>{Z}',
    f"{A}<Item/>{Z}",
    f"{A}<InlineBinary>AA==</InlineBinary>{Z}",
    f'{A}<Value number="1"/><BulkData uri="x"/>{Z}',
    f'{A}<BulkData uri="x"/><Value number="1"/>{Z}',
    f"{A}<BulkData/>{Z}",
    f'{A}<BulkData uuid="x"/>{Z}',
    f"{A}<Value><Value/></Value>{Z}",
    '<DicomAttribute tag="00280010" vr="US"><Value>x</Value></DicomAttribute>',
    '<DicomAttribute tag="00280010" vr="US"><Value>1.5</Value></DicomAttribute>',
    '<DicomAttribute tag="00280010" vr="UV"><Value>99999999999999999999</Value></DicomAttribute>',
    f'<DicomAttribute tag="00280010" vr="DS"><Value>{"1" * 5000}</Value></DicomAttribute>',
    '<DicomAttribute tag="00180050" vr="DS"><Value>1e999</Value></DicomAttribute>',
    '<DicomAttribute tag="00180050" vr="DS"><Value>١</Value></DicomAttribute>',
    '<DicomAttribute tag="00400275" vr="SQ"><Item number="2"/></DicomAttribute>',
    '<DicomAttribute tag="00400275" vr="SQ"><Value/></DicomAttribute>',
    '<DicomAttribute tag="00400275" vr="SQ"><BulkData uri="x"/></DicomAttribute>',
    '<DicomAttribute tag="00100010" vr="PN"><PersonName><Alphabetic>A^B</Alphabetic></PersonName></DicomAttribute>',
    '<DicomAttribute tag="00100010" vr="PN"><PersonName><Alphabetic/><Alphabetic/></PersonName></DicomAttribute>',
    '<DicomAttribute tag="00100010" vr="PN"><PersonName><Alphabetic><GivenName/><GivenName/></Alphabetic></PersonName>'
    "</DicomAttribute>",
    "&undefined;",
    f"{A}<Value>&#1;</Value>{Z}",
    "<",
    "</DicomAttribute>",
]


@pytest.mark.parametrize("body", BROKEN)
def test_what_is_no_native_model_is_refused(body: str) -> None:
    with pytest.raises(Malformed) as refused:
        model(body)
    assert refused.value.failure_reason == 0xC000
    assert "line" in str(refused.value)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b"<Other/>",
        b"\xff\xfe",
        b'<?xml version="1.0" encoding="no-such"?><NativeDicomModel/>',
        b'<?xml version="1.0" encoding="utf-7"?><NativeDicomModel/>',
        b"<NativeDicomModel/><NativeDicomModel/>",
        '<?xml version="1.0" encoding="shift_jis"?><NativeDicomModel>é</NativeDicomModel>'.encode(),
    ],
)
def test_what_is_no_document_is_refused(document: bytes) -> None:
    with pytest.raises(Malformed):
        from_xml(document)


def laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "ha"}">' for i in range(12))
    return f"<!DOCTYPE x [{entities}]><NativeDicomModel>&l11;</NativeDicomModel>".encode()


HOSTILE = {
    "billion laughs": laughs(),
    "quadratic blowup": b'<!DOCTYPE x [<!ENTITY a "' + b"a" * 100_000 + b'">]><NativeDicomModel/>',
    "external entity": b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><NativeDicomModel>&a;</NativeDicomModel>',
    "external subset": b'<!DOCTYPE NativeDicomModel SYSTEM "http://127.0.0.1:9/x.dtd"><NativeDicomModel/>',
    "parameter entity": b'<!DOCTYPE x [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]><NativeDicomModel/>',
    "default attribute": b'<!DOCTYPE x [<!ATTLIST NativeDicomModel a CDATA "b">]><NativeDicomModel/>',
    "deep, meaningless": b"<NativeDicomModel>" * 500_000,
    "deep sequences": b"<NativeDicomModel>" + b'<DicomAttribute tag="00400275" vr="SQ"><Item>' * 500_000,
    "a far value": b'<NativeDicomModel><DicomAttribute tag="00080008" vr="CS"><Value number="999999999"/>',
    "many values": b'<NativeDicomModel><DicomAttribute tag="00080008" vr="CS">' + b"<Value/>" * 500_001,
    "many attributes": b"<NativeDicomModel>"
    + b"".join(b'<DicomAttribute tag="%08X" vr="LO"/>' % tag for tag in range(500_001)),
    "too large": b"<NativeDicomModel>" + b" " * (32 * 1024 * 1024),
    "many creators": b"<NativeDicomModel>"
    + b"".join(b'<DicomAttribute tag="00090001" vr="LO" privateCreator="%d"/>' % number for number in range(50_000))
    + b"</NativeDicomModel>",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_documents_are_refused_soon(name: str) -> None:
    before = time.process_time()
    with pytest.raises((Malformed, TooComplex)) as refused:
        from_xml(HOSTILE[name])
    assert time.process_time() - before < 10
    assert "passwd" not in str(refused.value)


def test_the_deepest_nesting_that_is_read() -> None:
    attributes: dict[str, Any] = {"00100020": {"vr": "LO", "Value": ["x"]}}
    for _ in range(100):
        attributes = {"00400275": {"vr": "SQ", "Value": [attributes]}}
    assert from_xml(to_xml(json.dumps(attributes).encode())) == attributes
    with pytest.raises(TooComplex):
        to_xml(json.dumps({"00400275": {"vr": "SQ", "Value": [attributes]}}).encode())


@pytest.mark.parametrize(
    "attributes",
    [
        [],
        {"00100020": []},
        {"00100020": {"Value": ["x"]}},
        {"00100020": {"vr": ["LO"]}},
        {"PatientID": {"vr": "LO"}},
        {"00100020": {"vr": "LO", "Value": "x"}},
        {"00100020": {"vr": "LO", "Value": [["x"]]}},
        {"00100010": {"vr": "PN", "Value": [1]}},
        {"00400275": {"vr": "SQ", "Value": ["x"]}},
    ],
)
def test_what_is_no_dicom_json_is_not_written(attributes: Any) -> None:
    with pytest.raises(Malformed):
        to_xml(orjson.dumps(attributes))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["vr", "Value", "00100010", "00091001", "Alphabetic"]), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_written_or_refused(value: Any) -> None:
    try:
        to_xml(json.dumps(value).encode())
    except DicomError:
        return
    assert isinstance(value, dict)


TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Z")), min_size=1, max_size=10)
ATTRIBUTE = st.one_of(
    st.builds(lambda values: {"vr": "LO", "Value": values}, st.lists(TEXT | st.none(), min_size=1, max_size=4)),
    st.builds(
        lambda values: {"vr": "FD", "Value": values}, st.lists(st.floats(allow_nan=False), min_size=1, max_size=3)
    ),
    st.builds(lambda values: {"vr": "SV", "Value": values}, st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1)),
    st.just({"vr": "UT"}),
)
TAGS = st.integers(0x00080000, 0x7FE0FFFF).map(lambda tag: f"{tag:08X}")


@settings(max_examples=60)
@given(st.dictionaries(TAGS, ATTRIBUTE, max_size=5), st.dictionaries(TAGS, ATTRIBUTE, max_size=3))
def test_any_attributes_come_back(attributes: dict[str, Any], item: dict[str, Any]) -> None:
    text = orjson.dumps(attributes | {"00081140": {"vr": "SQ", "Value": [item, {}]}})
    assert from_xml(to_xml(text)) == orjson.loads(text)


@settings(max_examples=60)
@given(st.lists(st.sampled_from([*BROKEN, A, Z, "<Item>", "</Item>", '<Value number="1">', "</Value>"]), max_size=6))
def test_any_document_is_read_or_refused(pieces: list[str]) -> None:
    try:
        model("".join(pieces))
    except DicomError:
        return


def test_a_document_is_written_quickly() -> None:
    attributes = {f"{0x00101000 + i:08X}": {"vr": "LO", "Value": ["some text", "more"]} for i in range(150)}
    text = orjson.dumps(attributes)
    to_xml(text)
    best = min(_seconds(text) for _ in range(5))
    assert best < 0.01


def _seconds(text: bytes) -> float:
    before = time.perf_counter()
    to_xml(text)
    return time.perf_counter() - before
