"""PS3.18 Annex F: the DICOM JSON Model, of an object that has every kind of value."""

from __future__ import annotations

import base64
import json
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.conformance.marks import clause
from tests.conformance.site import JSON, OCTETS, XML, Corpus, Site
from tests.conformance.trap_server import parts_of


@pytest.fixture(scope="module")
def found(site: Site, stored: Corpus) -> dict[str, Any]:
    """The metadata of a slice."""
    [only] = site.get(f"{stored.slices[0].path}/metadata", JSON).json()
    assert isinstance(only, dict)
    return only


@clause("F.2.1")
def test_F_2_1_an_array_of_objects(site: Site, stored: Corpus) -> None:
    for path, count in ((stored.slices[0].series, 3), (stored.slices[0].path, 1)):
        answer = site.get(f"{path}/metadata", JSON)
        assert answer.content.decode("utf-8").startswith("[{")
        assert [type(each) for each in answer.json()] == [dict] * count


@clause("F.2.2")
def test_F_2_2_names_order_and_vr(site: Site, stored: Corpus) -> None:
    text = site.get(f"{stored.slices[0].path}/metadata", JSON).content
    [pairs] = json.loads(text, object_pairs_hook=list)
    names = [name for name, _ in pairs]
    assert names == sorted(set(names))
    for name, attribute in pairs:
        assert len(name) == 8
        assert name == name.upper()
        assert not name.endswith("0000"), "no group length"
        held = dict(attribute)
        assert len(held["vr"]) == 2
        assert len(held) <= 2, "a vr and at most one of Value, BulkDataURI and InlineBinary"


@clause("F.2.2-names")
def test_F_2_2_names_by_groups(site: Site, found: dict[str, Any]) -> None:
    assert found["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Müller^Jürgen"}]}
    from tests.dicomweb.objects import make_data_set, to_bytes

    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    path = site.store(to_bytes(make_data_set(SpecificCharacterSet="ISO_IR 192", PatientName=name)))
    [other] = site.get(f"{path}/metadata", JSON).json()
    groups = zip(("Alphabetic", "Ideographic", "Phonetic"), name.split("="), strict=True)
    assert other["00100010"]["Value"] == [dict(groups)]


@clause("F.2.3")
def test_F_2_3_types_by_value_representation(found: dict[str, Any]) -> None:
    for tag, vr, kind in (
        ("00080018", "UI", str),
        ("00080020", "DA", str),
        ("00200013", "IS", int),
        ("00280010", "US", int),
        ("00281050", "DS", (int, float)),
        ("00280009", "AT", str),
        ("00400275", "SQ", dict),
    ):
        assert found[tag]["vr"] == vr
        assert isinstance(found[tag]["Value"][0], kind)
    assert found["00280009"]["Value"] == ["00181063"]


@clause("F.2.4")
def test_F_2_4_multiplicity(found: dict[str, Any]) -> None:
    assert found["00200032"]["Value"] == [1.5, -2, 3]
    assert found["00280010"]["Value"] == [12]


@clause("F.2.5")
def test_F_2_5_empty_values_and_attributes(found: dict[str, Any]) -> None:
    assert found["00080008"]["Value"] == ["ORIGINAL", None, "AXIAL"]
    assert found["00204000"] == {"vr": "LT"}
    assert found["00081110"] == {"vr": "SQ"}


@clause("F.2.6")
def test_F_2_6_bulk_data_uri(site: Site, stored: Corpus, found: dict[str, Any]) -> None:
    assert set(found["7FE00010"]) == {"vr", "BulkDataURI"}
    uri = found["7FE00010"]["BulkDataURI"]
    assert uri.startswith(site.root)
    [(_, payload)] = parts_of(site.get(uri, OCTETS))
    assert payload == bytes(stored.slices[0].ds.PixelData)


@clause("F.2.7")
def test_F_2_7_inline_binary(found: dict[str, Any]) -> None:
    assert set(found["60003000"]) == {"vr", "InlineBinary"}
    assert base64.b64decode(found["60003000"]["InlineBinary"], validate=True) == bytes(24)
    assert base64.b64decode(found["00091010"]["InlineBinary"], validate=True) == b"\x01\x02\x03\x04"


@clause("F.3")
def test_F_3_native_dicom_model_says_the_same(site: Site, stored: Corpus, found: dict[str, Any]) -> None:
    [(_, document)] = parts_of(site.get(f"{stored.slices[0].path}/metadata", XML))
    root = ElementTree.fromstring(document)  # noqa: S314
    tags = [_full_tag(each, found) for each in root]
    assert {tag: each.get("vr") for tag, each in zip(tags, root, strict=True)} == {t: a["vr"] for t, a in found.items()}
    for tag, each in zip(tags, root, strict=True):
        held = found[tag]
        kinds = {child.tag.rpartition("}")[2] for child in each}
        if "BulkDataURI" in held:
            [bulk] = list(each)
            assert (kinds, bulk.get("uri")) == ({"BulkData"}, held["BulkDataURI"])
        elif "InlineBinary" in held:
            assert kinds == {"InlineBinary"}
        elif held["vr"] == "SQ":
            assert kinds <= {"Item"}
        elif held["vr"] != "PN":
            texts = [child.text or "" for child in each]
            assert len(texts) <= len(held.get("Value", []))


def _full_tag(attribute: ElementTree.Element, found: dict[str, Any]) -> str:
    """The tag with its block, which the Native DICOM Model says by the name of the private creator (PS3.19 A.1.5)."""
    tag, creator = str(attribute.get("tag")), attribute.get("privateCreator")
    if creator is None:
        return tag
    [block] = [t[6:] for t, a in found.items() if t[:6] == f"{tag[:4]}00" and a.get("Value") == [creator]]
    return tag[:4] + block + tag[6:]
