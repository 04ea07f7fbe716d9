"""Values as DICOM JSON (PS3.18 Annex F)."""

from __future__ import annotations

import json as stdlib
from base64 import b64decode
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dicom import json
from dicom.charsets import character_set

UTF8 = character_set(("ISO_IR 192",))
TAGS = {"DS": 0x00180050, "IS": 0x00200013, "FD": 0x00189087, "PN": 0x00100010, "LO": 0x00081030, "UI": 0x00081155}


def model(vr: str, value: bytes, tag: int | None = None) -> dict[str, Any]:
    def refuse(literal: str) -> None:
        raise AssertionError(literal)

    text = b"{%b}" % json.attribute(tag or TAGS.get(vr, 0x00091010), vr.encode(), value, UTF8)
    Dataset.from_json(text.decode())
    (attribute,) = stdlib.loads(text, parse_constant=refuse).values()
    assert attribute.pop("vr") == vr
    return attribute  # type: ignore[no-any-return]


VALUES: list[tuple[str, bytes, dict[str, Any]]] = [
    ("LO", b"", {}),
    ("LO", b"  ", {}),
    ("LO", b"A\\\\B ", {"Value": ["A", None, "B"]}),
    ("LO", b" A", {"Value": [" A"]}),
    ("CS", b" A \\B ", {"Value": ["A", "B"]}),
    ("UI", b"1.2.3\0", {"Value": ["1.2.3"]}),
    ("LT", b"a\\b ", {"Value": ["a\\b"]}),
    ("UT", b'"\r\n\t<', {"Value": ['"\r\n\t<']}),
    ("UR", b"http://x/a\\b  ", {"Value": ["http://x/a\\b"]}),
    ("PN", b"A^B=C=D", {"Value": [{"Alphabetic": "A^B", "Ideographic": "C", "Phonetic": "D"}]}),
    ("PN", b"=C", {"Value": [{"Ideographic": "C"}]}),
    ("PN", b"A^B==", {"Value": [{"Alphabetic": "A^B"}]}),
    ("PN", b"A\\\\B", {"Value": [{"Alphabetic": "A"}, None, {"Alphabetic": "B"}]}),
    ("PN", b"==", {}),
    ("DS", b"1.50", {"Value": [1.5]}),
    ("DS", b" -1.5e3\\+7\\.5\\5.\\007", {"Value": [-1500, 7, 0.5, 5, 7]}),
    ("DS", b"1,5", {}),
    ("DS", b"1,5\\2", {"Value": [None, 2]}),
    ("DS", b"NaN\\inf\\1e999", {"Value": [None, None, None]}),
    ("DS", b"1_000", {}),
    ("DS", b"1" * 400, {}),
    ("DS", b"0.1234567890123456", {"Value": [0.1234567890123456]}),
    ("IS", b"12 \\-3", {"Value": [12, -3]}),
    ("IS", b"abc", {}),
    ("IS", b"\xef\xbc\x91", {}),
    ("US", b"\x01\x00\xff\xff", {"Value": [1, 65535]}),
    ("US", b"\x01\x00\xff", {"Value": [1]}),
    ("US", b"\x01", {}),
    ("SS", b"\xff\xff", {"Value": [-1]}),
    ("UL", b"\xff\xff\xff\xff", {"Value": [2**32 - 1]}),
    ("SL", b"\xff\xff\xff\xff", {"Value": [-1]}),
    ("UV", b"\xff" * 8, {"Value": [2**64 - 1]}),
    ("SV", b"\xff" * 8, {"Value": [-1]}),
    ("FD", pack("<2d", 0.1, float("nan")), {"Value": [0.1, None]}),
    ("FD", pack("<d", float("inf")), {}),
    ("FL", pack("<f", 0.1), {"Value": [0.10000000149011612]}),
    ("AT", b"\x10\x00\x20\x00\xe0\x7f\x10\x00", {"Value": ["00100020", "7FE00010"]}),
    ("AT", b"\x10\x00", {}),
    ("OB", b"\x01\x02\x03\x04", {"InlineBinary": "AQIDBA=="}),
    ("UN", b"\x00", {"InlineBinary": "AA=="}),
]


@pytest.mark.parametrize(("vr", "value", "expected"), VALUES)
def test_a_value(vr: str, value: bytes, expected: dict[str, Any]) -> None:
    assert model(vr, value) == expected


def test_sequences() -> None:
    assert json.sequence(0x00400275, []) == b'"00400275":{"vr":"SQ"}'
    assert json.sequence(0x00400275, [b"{}", b"{}"]) == b'"00400275":{"vr":"SQ","Value":[{},{}]}'


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("PN", b" A^B = = ", "A^B"),
        ("PN", b"A=B\\C==", "A=B\\C"),
        ("LO", b" A \\ B ", "A\\B"),
        ("US", b"\x01\x00\x02\x00", "1\\2"),
        ("IS", b" 12 ", "12"),
        ("DS", b"1,5 ", "1,5"),
        ("UI", b"1.2\0", "1.2"),
        ("LT", b" a\\b ", "a\\b"),
        ("OB", b"abcd", ""),
    ],
)
def test_the_text_of_a_value(vr: str, value: bytes, expected: str) -> None:
    assert json.text(vr.encode(), value, UTF8) == expected


VRS = [
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
    "SS",
    "ST",
    "SV",
    "TM",
    "UC",
    "UI",
    "UL",
    "UN",
    "UR",
    "US",
    "UT",
    "UV",
]


@given(st.sampled_from(VRS), st.binary(max_size=60))
def test_any_bytes_become_json_that_pydicom_loads(vr: str, value: bytes) -> None:
    attribute = model(vr, value, 0x00091010)
    assert "\0" not in json.text(vr.encode(), value, UTF8)
    if "InlineBinary" in attribute:
        assert b64decode(attribute["InlineBinary"]) == value


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_numbers_keep_their_value(numbers: list[float]) -> None:
    assert model("FD", pack(f"<{len(numbers)}d", *numbers))["Value"] == numbers
    written = "\\".join(f"{number:.9g}" for number in numbers)
    assert model("DS", written.encode())["Value"] == [float(part) for part in written.split("\\")]
