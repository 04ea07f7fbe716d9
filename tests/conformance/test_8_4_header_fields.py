"""PS3.18 8.4: header fields of requests and answers."""

from __future__ import annotations

import gzip

import pytest

from tests.conformance.marks import clause
from tests.conformance.site import INSTANCES, JSON, OCTETS, XML, Corpus, Site
from tests.conformance.trap_server import parts_of


@clause("8.4.1", "8.4.2-encoding")
def test_8_4_1_accept_encoding_and_content_encoding_on_the_wire(site: Site, stored: Corpus) -> None:
    path = f"{stored.slices[0].path}/metadata"
    plain = site.ask(path, f"Accept: {JSON}")
    packed = site.ask(path, f"Accept: {JSON}", "Accept-Encoding: gzip")
    assert (plain.header("Content-Encoding"), packed.header("Content-Encoding")) == ("", "gzip")
    assert gzip.decompress(packed.body) == plain.body
    assert "Accept-Encoding" in packed.header("Vary")
    refused = site.ask(path, f"Accept: {JSON}", "Accept-Encoding: gzip;q=0")
    assert refused.header("Content-Encoding") == ""


@clause("8.4.1.1")
@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("image/png", "image/png"),
        ("image/*", "image/jpeg"),
        ("image/png;q=0.5, image/gif;q=0.9", "image/gif"),
        ("image/png;q=0.5,image/gif ; Q=0.4", "image/png"),
        ("*/*;q=0.1, image/gif;q=0.2", "image/gif"),
        ('image/png; x="a,b", text/html', "image/png"),
        ("image/jpeg;q=0, */*", "image/png"),
    ],
)
def test_8_4_1_1_accept_weights_and_ranges(site: Site, stored: Corpus, accept: str, given: str) -> None:
    answer = site.get(f"{stored.slices[0].path}/rendered", accept)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, given)


@clause("8.4.2")
def test_8_4_2_content_type_of_every_payload(site: Site, stored: Corpus) -> None:
    path = stored.slices[0].path
    for resource, accept, given in (
        ("", INSTANCES, "multipart/related"),
        ("/metadata", JSON, JSON),
        ("/metadata", XML, "multipart/related"),
        ("/frames/1", OCTETS, "multipart/related"),
        ("/rendered", "image/jpeg", "image/jpeg"),
        ("/nothing", "*/*", "application/problem+json"),
    ):
        answer = site.get(path + resource, accept)
        assert answer.content
        assert answer.headers["Content-Type"].partition(";")[0] == given


@clause("8.4.2-location")
def test_8_4_2_location_of_what_is_retrieved(site: Site, stored: Corpus) -> None:
    path = stored.slices[0].path
    for resource, accept in (
        ("", "application/dicom"),
        ("/metadata", JSON),
        ("/frames/1", "application/octet-stream"),
        ("/rendered?viewport=8,8", "image/png"),
        ("/thumbnail", "image/jpeg"),
        ("/bulkdata/7FE00010", "application/octet-stream"),
    ):
        answer = site.get(path + resource, accept)
        assert answer.headers["Content-Location"] == f"{site.root}/{path}{resource}"
        again = site.get(answer.headers["Content-Location"], accept)
        assert again.content == answer.content
    for resource, accept in (("", INSTANCES), ("/frames/1", OCTETS)):
        [(headers, _)] = parts_of(site.get(path + resource, accept))
        assert headers["content-location"] == f"{site.root}/{path}{resource}"


@clause("8.4.3")
def test_8_4_3_content_length_on_the_wire(site: Site, stored: Corpus) -> None:
    """``ask`` compares it with the bytes that came."""
    path = stored.slices[0].path
    for resource, accept in (
        ("", INSTANCES),
        ("", "application/dicom"),
        ("/metadata", JSON),
        ("/metadata", XML),
        ("/frames/1", OCTETS),
        ("/bulkdata/7FE00010", OCTETS),
        ("/rendered", "image/png"),
        ("/thumbnail", "image/jpeg"),
        ("/nothing", "*/*"),
    ):
        answer = site.ask(path + resource, f"Accept: {accept}")
        assert int(answer.header("Content-Length")) == len(answer.body) > 0
        assert answer.header("Transfer-Encoding") == ""


@clause("8.4.3-late")
@pytest.mark.parametrize(
    ("resource", "accept"),
    [("", "application/zip"), ("/rendered", 'multipart/related; type="image/jpeg"'), ("/pixeldata", OCTETS)],
)
def test_8_4_3_late_bodies_are_chunked(site: Site, stored: Corpus, resource: str, accept: str) -> None:
    answer = site.ask(stored.slices[0].study + resource, f"Accept: {accept}")
    assert (answer.status, answer.header("Content-Length")) == (200, "")
    assert answer.header("Transfer-Encoding") == "chunked"
    assert answer.body


@clause("8.4.3-range")
def test_8_4_3_range_of_a_single_part(site: Site, stored: Corpus) -> None:
    data = stored.slices[0].data
    for asked, first, last in (
        ("bytes=0-9", 0, 9),
        ("bytes=-5", len(data) - 5, len(data) - 1),
        ("bytes=1500-", 1500, len(data) - 1),
    ):
        answer = site.ask(stored.slices[0].path, "Accept: application/dicom", f"Range: {asked}")
        assert answer.status == 206
        assert answer.header("Content-Range") == f"bytes {first}-{last}/{len(data)}"
        assert answer.body == data[first : last + 1]
    beyond = site.ask(stored.slices[0].path, "Accept: application/dicom", f"Range: bytes={len(data)}-")
    assert (beyond.status, beyond.header("Content-Range")) == (416, f"bytes */{len(data)}")
