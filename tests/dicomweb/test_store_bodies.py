"""Bodies of STOW-RS requests as clients send them, and as they should not: every one is answered, none with a 5xx."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import generate_uid

from archive.models import Instance, Study
from archive.object_store import object_store
from archive.object_store.founding import MARKER
from tests.dicomweb.conftest import BOUNDARY, Door, body_of, multipart_body
from tests.dicomweb.objects import make_data_set, make_object, to_bytes

MULTIPART = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


@pytest.fixture(autouse=True)
def _empty_object_store(settings: Any, tmp_path: Path) -> None:
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})


def post(door: Door, body: bytes, content_type: str = MULTIPART, **extra: Any) -> Any:
    headers = {"origin": "http://testserver"}
    extra = {"CONTENT_TYPE": content_type} | extra
    return door.http.generic("POST", "/dicom-web/studies", body, content_type, headers=headers, **extra)


def is_problem(response: Any, status: int) -> bool:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    return set(response.json()) >= {"title", "status", "code"} and response.json()["status"] == status


def nothing_is_left(folder: Path) -> bool:
    staged = [path for path in folder.rglob("*") if path.is_file() and path.name != MARKER]
    return not staged and not Study.objects.exists()


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ('multipart/related; type="application/dicom"', 400),
        ('multipart/related; boundary=""', 400),
        ("multipart/related; boundary=" + "x" * 300, 400),
        ("multipart/related; boundary=\u00e4", 400),
        ('multipart/related; type="application/fhir+json"; boundary=b', 415),
        ("multipart/form-data; boundary=b", 415),
        ("application/json", 415),
        ("application/dicom+json", 415),
        ("text/plain", 415),
        ("no media type", 415),
        ("", 415),
    ],
)
def test_what_is_no_multipart_body_of_dicom(technologist: Door, content_type: str, status: int) -> None:
    assert is_problem(post(technologist, multipart_body([make_object()]), content_type), status)
    assert not Study.objects.exists()


@pytest.mark.parametrize("body", [b"", b"\r\n", b"--wrong--\r\n", b"--%s--\r\n" % BOUNDARY.encode(), b"x" * 100_000])
def test_a_body_without_any_instance(technologist: Door, body: bytes) -> None:
    assert is_problem(post(technologist, body), 400)


def test_a_truncated_body_leaves_nothing_behind(technologist: Door, tmp_path: Path) -> None:
    body = multipart_body([make_object(), make_object(), make_object()])
    third = len(body) // 3
    for end in (10, third - 50, third + 5, third + 120, 2 * third + 200, len(body) - 5):
        assert is_problem(post(technologist, body[:end]), 400)
        assert nothing_is_left(tmp_path), end
    assert post(technologist, body).status_code == 200


def test_batches_before_the_cut_are_whole(technologist: Door, settings: Any) -> None:
    limits = settings.PACS.limits.model_copy(update={"store_batch_instances": 2})
    settings.PACS = settings.PACS.model_copy(update={"limits": limits})
    data_sets = [make_data_set() for _ in range(5)]
    body = multipart_body(map(to_bytes, data_sets))
    assert is_problem(post(technologist, body[:-300]), 400)
    kept = set(Instance.objects.values_list("sop_instance_uid", flat=True))
    assert kept == {ds.SOPInstanceUID for ds in data_sets[:4]}
    response = post(technologist, body)
    assert response.status_code == 200
    assert Instance.objects.count() == len(list(object_store().keys("instances/"))) == 5


def test_what_senders_do_around_the_parts(technologist: Door) -> None:
    one, two = make_object(), make_object()
    mark = BOUNDARY.encode()
    body = b"\r\npreamble\r\n--%s  \r\n\r\n%s\r\n" % (mark, one)
    body += b"--%s\r\nContent-Length: 7\r\nX-Any: thing\r\n\r\n%s\r\n--%s--epilogue" % (mark, two, mark)
    response = post(technologist, body)
    assert response.status_code == 200, response.content
    assert Instance.objects.count() == 2
    assert technologist.store([one, two]).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/dicom+json", "nonsense"])
def test_a_part_of_another_type_is_refused_alone(technologist: Door, content_type: str) -> None:
    good = make_object()
    mark = BOUNDARY.encode()
    body = b"--%s\r\nContent-Type: %s\r\n\r\n%s\r\n" % (mark, content_type.encode(), make_object())
    response = post(technologist, body + multipart_body([good]))
    assert response.status_code == 202, response.content
    [failure] = response.json()["0008119A"]["Value"]
    assert failure["00081197"]["Value"] == [0x0110]
    assert "part 1" in failure["00741048"]["Value"][0]["00000902"]["Value"][0]
    assert Instance.objects.count() == 1


def test_one_instance_as_the_body_itself(technologist: Door, tmp_path: Path) -> None:
    ds = make_data_set()
    response = post(technologist, to_bytes(ds), "application/dicom")
    assert response.status_code == 200, response.content
    path = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    assert body_of(technologist.get(path, accept="application/dicom; transfer-syntax=*")) == to_bytes(ds)
    assert post(technologist, b"", "application/dicom").status_code == 409


def test_a_body_shorter_than_it_says_is_not_taken_for_whole(technologist: Door, tmp_path: Path) -> None:
    """Cut between two elements: what is left is a well-formed object, but not the one that was sent."""
    whole = to_bytes(make_data_set(BurnedInAnnotation="YES"))
    cut = to_bytes(make_data_set(PixelData=None, Rows=None, Columns=None))
    response = post(technologist, cut, "application/dicom", CONTENT_LENGTH=str(len(whole)))
    assert is_problem(response, 400)
    assert nothing_is_left(tmp_path)


def test_a_body_of_no_declared_length_is_read_to_its_end(technologist: Door) -> None:
    body = multipart_body([make_object(), make_object()])
    extra: dict[str, Any] = {"CONTENT_LENGTH": "", "wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}
    response = post(technologist, body, **extra)
    assert response.status_code == 200, response.content
    assert Instance.objects.count() == 2


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR"):
        return struct.pack("<HH2sHL", group, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


VALUES = {
    "nul": b"A\0B",
    "only nul": b"\0\0",
    "lone surrogate": b"\xed\xa0\x80",
    "broken utf-8": b"\xff\xfe\x80",
    "huge number": b"1" + b"0" * 400,
    "number beyond the column": b"9223372036854775808",
    "exponent": b"1e999",
    "underscores": b"1_000",
    "backslashes": b"\\\\\\\\",
    "quotes": b"\"'{}[]%s\\",
    "controls": bytes(range(1, 32)),
    "long": b"".join(b"%06d" % n for n in range(2000)),
    "other digits": "\u0661\u0662".encode(),
}
TAGS = {
    "patient": [(0x0010, 0x0010, b"PN"), (0x0010, 0x0020, b"LO"), (0x0010, 0x0021, b"LO"), (0x0010, 0x0030, b"DA")],
    "study": [(0x0008, 0x0020, b"DA"), (0x0008, 0x0030, b"TM"), (0x0008, 0x0050, b"SH"), (0x0020, 0x0010, b"SH")],
    "names": [(0x0008, 0x0090, b"PN"), (0x0008, 0x1030, b"LO"), (0x0008, 0x103E, b"LO"), (0x0008, 0x0201, b"SH")],
    "series": [(0x0008, 0x0060, b"CS"), (0x0020, 0x0011, b"IS"), (0x0018, 0x0015, b"CS"), (0x0040, 0x0244, b"DA")],
    "instance": [(0x0020, 0x0013, b"IS"), (0x0028, 0x0008, b"IS"), (0x0008, 0x0023, b"DA"), (0x0020, 0x0032, b"DS")],
}


def odd_object(tags: list[tuple[int, int, bytes]], value: bytes, character_set: bytes) -> bytes:
    """A Part 10 object in which each of ``tags`` has ``value``."""
    uids = {(0x0008, 0x0016): b"1.2.840.10008.5.1.4.1.1.2", (0x0008, 0x0018): generate_uid().encode()}
    uids |= {(0x0020, 0x000D): generate_uid().encode(), (0x0020, 0x000E): generate_uid().encode()}
    elements = {tag: element(*tag, b"UI", uid) for tag, uid in uids.items()}
    elements[0x0008, 0x0005] = element(0x0008, 0x0005, b"CS", character_set)
    elements |= {(group, number): element(group, number, vr, value) for group, number, vr in tags}
    head = to_bytes(make_data_set())
    meta_end = 144 + struct.unpack_from("<L", head, 140)[0]
    return head[:meta_end] + b"".join(data for _, data in sorted(elements.items()))


@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS)
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_odd_values_are_stored_and_found_or_refused(
    technologist: Door, tags: list[tuple[int, int, bytes]], value: bytes
) -> None:
    good = make_object()
    objects = [odd_object(tags, value, character_set) for character_set in (b"ISO_IR 192", b"", b"ISO 2022 IR 87")]
    response = technologist.store([good, *objects])
    assert response.status_code in (200, 202), response.content
    kept = response.json()["00081199"]["Value"]
    for item in kept:
        path = item["00081190"]["Value"][0].split("/dicom-web/")[1]
        assert technologist.get(f"{path}/metadata").status_code == 200
        assert body_of(technologist.get(path, accept="application/dicom; transfer-syntax=*")) in (good, *objects)
    for level in ("studies", "series", "instances"):
        assert len(technologist.search(level)) == len(kept)
