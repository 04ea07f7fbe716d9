"""Text in gzip or zstd for who takes it, pixels never (RFC 9110 8.4, 12.5.3; trap 24)."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import imagecodecs
import pytest
from pydicom.uid import generate_uid

from dicomweb.content_coding import coding_for
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes

UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "zstd": lambda data: bytes(imagecodecs.zstd_decode(data)),
    "": lambda data: data,
}
XML = 'multipart/related; type="application/dicom+xml"'


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [
        ("", ""),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("zstd", "zstd"),
        ("br, deflate", ""),
        ("gzip, deflate, br, zstd", "gzip"),
        ("gzip;q=0.5, zstd;q=0.8", "zstd"),
        ("gzip;q=0, zstd", "zstd"),
        ("gzip;q=0", ""),
        ("gzip; q=0.000", ""),
        ("*", "gzip"),
        ("*;q=0.1, gzip;q=0", "zstd"),
        ("*;q=0", ""),
        ("identity;q=1, gzip;q=0.5", ""),
        ("identity;q=0.5, gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip2, zstdx", ""),
        (";;,q=1,", ""),
    ],
)
def test_12_5_3_weights_choose(accept_encoding: str, coding: str) -> None:
    assert coding_for(accept_encoding) == coding


@pytest.fixture
def study(technologist: Door) -> str:
    uid, series = generate_uid(), generate_uid()
    objects = [
        to_bytes(make_data_set(StudyInstanceUID=uid, SeriesInstanceUID=series, InstanceNumber=number, SOPInstanceUID=u))
        for number, u in enumerate((generate_uid() for _ in range(8)), 1)
    ]
    assert technologist.store(objects).status_code == 200
    return f"studies/{uid}"


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("{}/instances?includefield=all", None),
        ("{}/instances", XML),
        ("{}/metadata", None),
        ("{}/metadata", XML),
        ("changefeed", None),
        ("", "application/json"),
    ],
)
def test_8_4_long_text_is_coded(technologist: Door, study: str, path: str, accept: str | None, coding: str) -> None:
    path = path.format(study)
    plain, packed = technologist.get(path, accept=accept), technologist.get(path, accept, **{"accept-encoding": coding})
    assert packed.status_code == 200
    assert packed["Content-Encoding"] == coding
    assert "Content-Encoding" not in plain
    for answer in (plain, packed):
        assert "accept-encoding" in answer["Vary"].lower()
    body = body_of(packed)
    text = UNPACK[coding](body)
    assert len(body) < len(text)
    if accept != XML:  # whose boundary is another each time
        assert text == body_of(plain)
    if "Content-Length" in packed:
        assert int(packed["Content-Length"]) == len(body)


def test_each_coding_of_a_document_has_its_own_entity_tag(technologist: Door, study: str) -> None:
    tags = {}
    for coding in ("gzip", "zstd", "identity"):
        headers = {"accept-encoding": coding}
        tags[coding] = technologist.get(f"{study}/metadata", **headers)["ETag"]
        again = technologist.get(f"{study}/metadata", **headers, **{"if-none-match": tags[coding]})
        assert again.status_code == 304
    assert len(set(tags.values())) == 3


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("", 'multipart/related; type="application/dicom"'),
        ("", "application/zip"),
        ("/pixeldata", None),
        ("/bulkdata", None),
        ("/thumbnail", None),
    ],
)
def test_trap_24_pixels_never_are(technologist: Door, study: str, path: str, accept: str | None) -> None:
    answer = technologist.get(f"{study}{path}", accept, **{"accept-encoding": "gzip, zstd"})
    assert answer.status_code == 200
    assert "Content-Encoding" not in answer
    assert body_of(answer)


def test_short_text_stays_as_it_is(technologist: Door) -> None:
    answer = technologist.get("studies?limit=1", **{"accept-encoding": "gzip"})
    assert "Content-Encoding" not in answer
    assert "Accept-Encoding" in answer["Vary"]
