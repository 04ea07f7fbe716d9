"""Byte ranges and validators of single-part bodies (RFC 9110 13 and 14)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from django.utils.http import http_date

from archive.block_crcs import BLOCK
from archive.models import Instance
from archive.object_store.file import FileObjectStore
from audit.models import AccessEvent
from dicom.transfer_syntaxes import MPEG4_HIGH_41
from dicomweb.errors import RangeNotSatisfiable
from dicomweb.ranges import span
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, make_object, to_bytes
from tests.dicomweb.pixels import big_endian, deflated, encapsulated, native_frames
from tests.dicomweb.reading import parts_of, problem_of

DICOM, OCTETS = "application/dicom", "application/octet-stream"


def stored(door: Door, data: bytes) -> str:
    response = door.store([data])
    assert response.status_code in (200, 202), response.content
    reference = response.json()["00081199"]["Value"][0]
    return str(reference["00081190"]["Value"][0].partition("/dicom-web/")[2])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=10-19", (10, 10)),
        ("bytes=90-", (90, 10)),
        ("bytes=90-5000", (90, 10)),
        ("bytes=-7", (93, 7)),
        ("bytes=-5000", (0, 100)),
        ("Bytes= 1-2 ", (1, 2)),
        ("", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=5-4", None),
        ("bytes=1-2,5-6", None),
        ("items=1-2", None),
        ("bytes=a-b", None),
        ("bytes=\u0661-", None),
        (f"bytes={'9' * 4000}-", None),
    ],
)
def test_one_range(text: str, expected: tuple[int, int] | None) -> None:
    """RFC 9110 14.1.2; what is malformed, and several ranges, give the whole (14.2)."""
    assert span(text, 100) == expected


@pytest.mark.parametrize("text", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_behind_the_end(text: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        span(text, 100)


@pytest.mark.parametrize(("asked", "offset", "end"), [("0-9", 0, 10), ("200-", 200, None), ("-33", -33, None)])
def test_a_range_of_an_object(technologist: Door, ct: bytes, asked: str, offset: int, end: int | None) -> None:
    response = technologist.get(stored(technologist, ct), accept=DICOM, range=f"bytes={asked}")
    expected = ct[offset:end]
    start = offset % len(ct)
    assert (response.status_code, body_of(response)) == (206, expected)
    assert response["Content-Range"] == f"bytes {start}-{start + len(expected) - 1}/{len(ct)}"
    assert response["Content-Length"] == str(len(expected))
    assert AccessEvent.objects.latest("sequence").bytes == len(expected)


def test_the_whole_says_that_there_are_ranges(technologist: Door, ct: bytes) -> None:
    response = technologist.get(stored(technologist, ct), accept=DICOM)
    assert (response.status_code, response["Accept-Ranges"], body_of(response)) == (200, "bytes", ct)
    assert response["Last-Modified"] == http_date(Instance.objects.get().created_at.timestamp())
    assert "Content-Range" not in response


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=x-", "items=0-1"])
def test_what_is_no_single_range_gets_the_whole(technologist: Door, ct: bytes, asked: str) -> None:
    response = technologist.get(stored(technologist, ct), accept=DICOM, range=asked)
    assert (response.status_code, body_of(response)) == (200, ct)


def test_a_range_that_is_not_there(technologist: Door, ct: bytes) -> None:
    response = technologist.get(stored(technologist, ct), accept=DICOM, range=f"bytes={len(ct)}-")
    assert problem_of(response, 416)["code"] == "range-not-satisfiable"
    assert response["Content-Range"] == f"bytes */{len(ct)}"


def test_multipart_has_no_ranges(technologist: Door, ct: bytes) -> None:
    response = technologist.get(stored(technologist, ct), range="bytes=0-9")
    assert (response.status_code, parts_of(response)[0][1]) == (200, ct)


def test_head_has_no_ranges(technologist: Door, ct: bytes) -> None:
    path = stored(technologist, ct)
    response = technologist.http.head(f"/dicom-web/{path}", headers={"accept": DICOM, "range": "bytes=0-9"})
    assert (response.status_code, response["Content-Length"]) == (200, str(len(ct)))


def test_only_the_block_of_what_is_asked_for_is_read(technologist: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_object(Rows=400, Columns=512, PixelData=bytes(400 * 512 * 2))
    path, opened = stored(technologist, data), []
    read_parts = FileObjectStore.read_parts

    def watched(self: FileObjectStore, key: str, offset: int, lengths: Sequence[int]) -> list[bytes]:
        opened.append((offset, list(lengths)))
        return read_parts(self, key, offset, lengths)

    monkeypatch.setattr(FileObjectStore, "read_parts", watched)
    assert body_of(technologist.get(path, accept=DICOM, range="bytes=200000-200049")) == data[200_000:200_050]
    begin = 3 * BLOCK
    assert opened == [(begin, [200_000 - begin, 50, begin + BLOCK - 200_050])]


@pytest.mark.parametrize("resource", ["", "/frames/1", "/bulkdata/7FE00010"])
def test_not_modified(technologist: Door, ct: bytes, resource: str) -> None:
    path, accept = stored(technologist, ct) + resource, OCTETS if resource else DICOM
    first = technologist.get(path, accept=accept)
    body_of(first)
    again = {"if-none-match": f'"other", W/{first["ETag"]}'}, {"if-modified-since": first["Last-Modified"]}
    for headers in again:
        events = AccessEvent.objects.count()
        response = technologist.get(path, accept=accept, **headers)
        assert (response.status_code, body_of(response), response["ETag"]) == (304, b"", first["ETag"])
        assert AccessEvent.objects.count() == events + 1
    # If-None-Match alone counts where both are given (RFC 9110 13.2.2).
    both = {"if-none-match": '"other"', "if-modified-since": first["Last-Modified"]}
    assert technologist.get(path, accept=accept, **both).status_code == 200
    assert technologist.get(path, accept=accept, **{"if-modified-since": "yesterday"}).status_code == 200


def test_every_representation_has_its_own_tag(technologist: Door) -> None:
    ds, _ = native_frames(2)
    path = stored(technologist, to_bytes(ds))
    other = stored(technologist, to_bytes(make_data_set()))
    resources = [(path, DICOM), (other, DICOM), *((f"{path}/frames/{n}", OCTETS) for n in (1, 2))]
    resources.append((f"{path}/bulkdata/7FE00010", OCTETS))
    tags = [technologist.get(resource, accept=accept)["ETag"] for resource, accept in resources]
    assert len(set(tags)) == len(tags)


def test_if_range(technologist: Door, ct: bytes) -> None:
    """RFC 9110 13.1.5: the part only of just this representation; a weak tag never matches."""
    path = stored(technologist, ct)
    first = technologist.get(path, accept=DICOM)
    matching = (first["ETag"], first["Last-Modified"])
    for validator in (*matching, '"other"', f"W/{first['ETag']}", http_date(0)):
        response = technologist.get(path, accept=DICOM, range="bytes=0-9", **{"if-range": validator})
        expected = (206, ct[:10]) if validator in matching else (200, ct)
        assert (response.status_code, body_of(response)) == expected


@pytest.mark.parametrize("kind", ["native", "big endian", "deflated"])
def test_every_range_of_pixel_data(technologist: Door, kind: str) -> None:
    """Whatever has to be done to the bytes on their way out, the range is one of what leaves."""
    if kind == "native":
        ds, frames = native_frames(2)
        data = to_bytes(ds)
    else:
        data, frames = big_endian() if kind == "big endian" else deflated()
    path, value = stored(technologist, data), b"".join(frames)
    for low, high in ((0, 0), (1, 2), (3, 17), (383, 386), (700, 767)):
        response = technologist.get(f"{path}/bulkdata/7FE00010", accept=OCTETS, range=f"bytes={low}-{high}")
        assert (response.status_code, body_of(response)) == (206, value[low : high + 1])
    response = technologist.get(f"{path}/frames/2", accept=OCTETS, range="bytes=5-100")
    assert (response.status_code, body_of(response)) == (206, frames[1][5:101])


@pytest.mark.parametrize("resource", ["frames/1", "bulkdata/7FE00010"])
@pytest.mark.parametrize("accept", ["*/*", None])
@pytest.mark.parametrize("span_limit", [None, 0])
def test_video_by_ranges(
    technologist: Door, monkeypatch: pytest.MonkeyPatch, resource: str, accept: str | None, span_limit: int | None
) -> None:
    """Trap 14: a <video> element sends ``*/*`` with Range and gets the codestream alone, across its fragments."""
    if span_limit is not None:
        monkeypatch.setattr("archive.frames._SPAN", span_limit)
    fragments = [bytes([n]) * 100 for n in range(1, 5)]
    data, _ = encapsulated([fragments], MPEG4_HIGH_41.uid, NumberOfFrames=30)
    path, whole = f"{stored(technologist, data)}/{resource}", b"".join(fragments)
    for low, high in ((0, 9), (50, 349), (99, 100), (200, 299), (399, 399)):
        response = technologist.get(path, accept=accept, range=f"bytes={low}-{high}")
        assert (response.status_code, body_of(response)) == (206, whole[low : high + 1])
        assert response["Content-Type"] == f"video/mp4; transfer-syntax={MPEG4_HIGH_41.uid}"
    assert parts_of(technologist.get(path, accept=accept))[0][1] == whole
