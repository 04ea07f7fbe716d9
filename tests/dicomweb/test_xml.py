"""Search and metadata as Native DICOM XML (PS3.18 8.7.3.3, F.3)."""

from __future__ import annotations

import pytest

from dicom.xml import from_xml
from tests.dicomweb.conftest import Door
from tests.dicomweb.objects import make_object
from tests.dicomweb.reading import parts_of

XML = 'multipart/related; type="application/dicom+xml"'


@pytest.mark.parametrize("path", ["studies", "series", "instances", "studies/{study}/series"])
def test_search_in_xml_says_what_json_says(technologist: Door, path: str) -> None:
    technologist.store(
        [make_object(), make_object(SpecificCharacterSet="ISO_IR 192", PatientName="Yamada^Tarou=山田^太郎")]
    )
    study = technologist.search("studies")[0]["0020000D"]["Value"][0]
    asked = path.format(study=study)
    expected = technologist.search(asked)
    got = technologist.get(asked, accept=XML)
    assert got["Content-Type"].startswith('multipart/related; type="application/dicom+xml"; boundary=')
    parts = parts_of(got)
    assert [headers["content-type"] for headers, _ in parts] == ["application/dicom+xml"] * len(expected)
    assert [from_xml(document) for _, document in parts] == expected


def test_nothing_found_is_204(technologist: Door) -> None:
    assert technologist.get("studies?PatientID=nobody", accept=XML).status_code == 204


def test_metadata_in_xml_says_what_json_says(technologist: Door) -> None:
    stored = technologist.store([make_object()]).json()
    path = stored["00081199"]["Value"][0]["00081190"]["Value"][0].partition("/dicom-web/")[2]
    [(_, document)] = parts_of(technologist.get(f"{path}/metadata", accept=XML))
    assert [from_xml(document)] == technologist.get(f"{path}/metadata").json()


def test_json_wins_where_both_are_welcome(technologist: Door) -> None:
    both = f"{XML}, application/dicom+json"
    assert technologist.get("studies", accept=both)["Content-Type"] == "application/dicom+json"
    assert technologist.get("studies", accept="*/*")["Content-Type"] == "application/dicom+json"
