"""Classes of hostile input, one test each: answered 4xx, soon, in bounded memory; and the archive stays well.

What single rooms do with it is in tests/dicom (part10, XML, codecs), tests/fuzz, tests/live (sockets) and test_errors.
"""

from __future__ import annotations

import gzip
import io
import os
import resource
import socket
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import imagecodecs
import numpy
import orjson
import pytest
from django.conf import settings as django_settings
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, generate_uid

from archive.models import Instance
from dicom.transfer_syntaxes import BY_UID, IMPLICIT_VR_LITTLE_ENDIAN
from tests.dicom import part10_objects as objects
from tests.dicomweb.conftest import BOUNDARY, Door, body_of
from tests.dicomweb.objects import make_data_set, make_object, to_bytes
from tests.dicomweb.reading import problem_of

MIB = 1 << 20
DEFLATED = BY_UID[DeflatedExplicitVRLittleEndian]


@pytest.fixture(autouse=True)
def warm(technologist: Door) -> None:
    """The first request of a process loads half of the product; the second of a store the rest."""
    technologist.get("studies")
    technologist.store([b""])


@contextmanager
def bounded(seconds: float, mebibytes: int) -> Iterator[None]:
    """No more work, and no more memory beyond what this process ever took, than that."""
    began, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - began < seconds
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) // 1024 < mebibytes


def refused(door: Door, data: bytes, reason: int) -> str:
    """The explanation of an object that is refused for this reason, alone in its request."""
    response = door.store([data])
    assert response.status_code == 409, response.content
    [item] = (response.json().get("00081198") or response.json()["0008119A"])["Value"]
    assert item["00081197"]["Value"] == [reason]
    return str(item["00741048"]["Value"][0]["00000902"]["Value"][0])


def is_well(door: Door) -> None:
    """A probe: something is stored, found, and read back, soon."""
    began = time.process_time()
    ds = make_data_set()
    assert door.store([to_bytes(ds)]).status_code == 200
    assert [a["0020000D"]["Value"] for a in door.search("studies", StudyInstanceUID=ds.StudyInstanceUID)]
    assert door.search("studies")
    assert time.process_time() - began < 2


def nested(depth: int) -> bytes:
    return objects.instance(tail=struct.pack("<HH2sHI", 0x40, 0x275, b"SQ", 0, 0xFFFFFFFF) * depth)


def many_elements(count: int) -> bytes:
    content = b"".join(objects.element(0x00090000 + number, "UN", b"") for number in range(0x1000, 0xFFFF))
    return objects.instance(tail=objects.element(0x00091010, "SQ", objects.item(content) * (count // 0xEFFF)))


def deflated(content: bytes) -> bytes:
    stream = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return objects.meta(DEFLATED.uid) + stream.compress(content) + stream.flush()


def altered(offset: int, data: bytes) -> bytes:
    whole = objects.instance()
    return whole[:offset] + data + whole[offset + len(data) :]


BROKEN: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 0xC000),
    "no DICOM": (b"x" * 1000, 0xC000),
    "truncated": (objects.instance()[:-5], 0xC000),
    "a length that lies": (objects.instance(tail=objects.element(0x7FE00010, "OW", b"ab", 0xFFFFFFF0)), 0xC000),
    "an odd VR": (objects.instance(tail=b"\xe0\x7f\x11\0\x01\x02\x04\0abcd"), 0xC000),
    "implicit under explicit": (
        objects.meta() + objects.data_set(syntax=IMPLICIT_VR_LITTLE_ENDIAN),
        0xC000,
    ),
    "no meta header": (bytes(128) + b"DICM" + objects.data_set(), 0xC000),
    "unknown transfer syntax": (objects.meta("1.2.3.4") + objects.data_set(), 0xC122),
    "a directory": (objects.meta(sop_class_uid="1.2.840.10008.1.3.10") + objects.data_set(), 0x0122),
    "two SOP classes": (objects.meta(sop_class_uid=objects.RAW_DATA) + objects.data_set(), 0xA900),
    "a program": (altered(0, b"MZ"), 0xC000),
    "an ELF program": (altered(0, b"\x7fELF"), 0xC000),
    "a script": (altered(0, b"#!/bin/sh\n"), 0xC000),
    "a page": (altered(20, b"<html><script>"), 0xC000),
    "a gzip body": (gzip.compress(objects.instance()), 0xC000),
    **{
        f"UID {uid[:12]!r}": (objects.instance({0x0020000D: ("UI", uid)}), 0xA900)
        for uid in (b"../../etc/passwd", b"/abs/path ", b"1.2\r\nX-A: b", b"1" * 200, b"' OR 1=1--", b"{{7*7}} ", b"  ")
    },
}


@pytest.mark.django_db
@pytest.mark.parametrize("case", BROKEN)
def test_objects_that_are_broken_or_pretend(technologist: Door, case: str) -> None:
    data, reason = BROKEN[case]
    with bounded(1, 64):
        refused(technologist, data, reason)
    assert not Instance.objects.exists()


@pytest.mark.django_db
def test_another_study_than_the_addresss_is_409(technologist: Door) -> None:
    assert technologist.store([make_object()], study="1.2.3").status_code == 409


@pytest.mark.django_db
@pytest.mark.parametrize(
    "make",
    [
        lambda: nested(5_000),
        lambda: nested(200_000),
        lambda: many_elements(600_000),
        lambda: objects.instance(tail=objects.element(0x00400275, "SQ", objects.item(b"") * 1_000_000)),
        lambda: deflated(objects.data_set() + objects.element(0x00420011, "OB", bytes(64 * MIB))),
        lambda: deflated(objects.data_set() + objects.element(0x00091010, "LO", b"\\" * 60_000) * 200),
    ],
    ids=["5k deep", "200k deep", "600k elements", "1M items", "64 MiB of zeros deflated", "12 MB of JSON deflated"],
)
def test_deep_wide_and_inflated_objects(technologist: Door, make: Any) -> None:
    data = make()
    with bounded(15, 512):
        assert technologist.store([data]).status_code in (200, 202, 409)
    is_well(technologist)


def jpeg_claiming(rows: int, columns: int) -> bytes:
    data = bytearray(imagecodecs.jpeg8_encode(numpy.zeros((8, 8), "uint8")))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", rows, columns)
    return bytes(data)


def jpeg_2000_claiming(rows: int, columns: int) -> bytes:
    data = bytearray(imagecodecs.jpeg2k_encode(numpy.zeros((8, 8), "uint8"), codecformat="j2k"))
    place = data.index(b"\xff\x51") + 6
    data[place : place + 8] = struct.pack(">II", columns, rows)
    return bytes(data)


@pytest.mark.django_db
@pytest.mark.parametrize("claims", ["image", "codestream", "frames"])
@pytest.mark.parametrize("kind", ["jpeg", "jpeg 2000"])
def test_frames_of_60000_pixels_a_side_are_kept_and_never_decoded(technologist: Door, kind: str, claims: str) -> None:
    side = 60_000
    frame = {"jpeg": jpeg_claiming, "jpeg 2000": jpeg_2000_claiming}[kind](*(2 * [8 if claims == "frames" else side]))
    syntax = BY_UID[{"jpeg": JPEGBaseline8Bit, "jpeg 2000": JPEG2000Lossless}[kind]]
    claimed = struct.pack("<H", side if claims == "image" else 8)
    more = {0x00280010: ("US", claimed), 0x00280011: ("US", claimed), **ids()}
    frames = "2147483647" if claims == "frames" else "1"
    response = technologist.store([objects.encapsulated([frame], frames=frames, syntax=syntax, more=more)])
    assert response.status_code in (200, 202), response.content
    path = response.json()["00081199"]["Value"][0]["00081190"]["Value"][0].partition("/dicom-web/")[2]
    with bounded(15, 512):
        for resource_, accept in (
            ("rendered", "image/jpeg"),
            ("thumbnail", "image/jpeg"),
            ("frames/1", 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'),
        ):
            answer = technologist.get(f"{path}/{resource_}", accept=accept)
            assert answer.status_code == 406 if claims != "frames" else answer.status_code in (200, 406)
        assert technologist.get(f"{path}/frames/2147483647").status_code in (400, 404)
    is_well(technologist)


def ids() -> dict[int, tuple[str, bytes]]:
    return {tag: ("UI", objects.uid(generate_uid())) for tag in (0x00080018, 0x0020000D, 0x0020000E)}


def post(door: Door, path: str, body: bytes, content_type: str, **headers: str) -> Any:
    headers = {"origin": "http://testserver", **headers}
    return door.http.generic("POST", f"/dicom-web/{path}", body, content_type, headers=headers)


@pytest.mark.django_db
def test_compressed_bodies_and_archives_are_never_unpacked(technologist: Door) -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.dcm", bytes(32 * MIB))
    with bounded(2, 64):
        assert post(technologist, "studies", zipped.getvalue(), "application/zip").status_code == 415
        assert post(technologist, "studies", zipped.getvalue(), "application/dicom").status_code == 409
        body = gzip.compress(bytes(32 * MIB))
        multipart = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        for encoding in ("gzip", "deflate", "zstd"):
            problem_of(post(technologist, "studies", body, multipart, **{"content-encoding": encoding}), 415)


@pytest.fixture
def canary() -> Iterator[socket.socket]:
    """Nobody may connect here."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.3)
        yield listening
        with pytest.raises(TimeoutError):
            listening.accept()


def metadata_body(content_type: str, document: bytes) -> tuple[bytes, str]:
    body = b"--b\r\nContent-Type: %s\r\n\r\n%s\r\n--b--" % (content_type.encode(), document)
    return body, f'multipart/related; type="{content_type}"; boundary=b'


@pytest.mark.django_db
def test_documents_that_reach_outside_or_explode(technologist: Door, canary: socket.socket) -> None:
    url = f"http://127.0.0.1:{canary.getsockname()[1]}/x"
    model = '<NativeDicomModel><DicomAttribute tag="00100010" vr="PN">&a;</DicomAttribute></NativeDicomModel>'
    laughs = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("bcdefghi", "cdefghia", strict=True))
    documents = {
        "entity": f'<!DOCTYPE x [<!ENTITY a SYSTEM "{url}">]>{model}',
        "file": f'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>{model}',
        "parameter entity": f'<!DOCTYPE x [<!ENTITY % p SYSTEM "{url}"> %p;]>{model}',
        "DTD": f'<!DOCTYPE x SYSTEM "{url}">{model}',
        "billion laughs": f'<!DOCTYPE x [<!ENTITY b "lol">{laughs}]>{model}',
        "500k deep": "<NativeDicomModel>" + '<DicomAttribute tag="00400275" vr="SQ"><Item number="1">' * 500_000,
    }
    for name, document in documents.items():
        with bounded(5, 256):
            body, content_type = metadata_body("application/dicom+xml", document.encode())
            response = post(technologist, "studies", body, content_type)
            assert response.status_code in (400, 409), name
            assert b"root:" not in response.content
    deep = b'[{"00400275":{"vr":"SQ","Value":' * 200_000
    for document_ in (deep, b"[" * 500_000, b'[{"00280010":{"vr":"US","Value":[1e400]}}]', b'[{"a":NaN}]'):
        with bounded(5, 256):
            body, content_type = metadata_body("application/dicom+json", document_)
            assert post(technologist, "studies", body, content_type).status_code in (400, 409)
    is_well(technologist)


@pytest.mark.django_db
def test_addresses_in_a_request_are_never_fetched(technologist: Door, canary: socket.socket) -> None:
    url = f"http://127.0.0.1:{canary.getsockname()[1]}/pixels"
    ds = orjson.loads(make_data_set().to_json())
    ds["7FE00010"] = {"vr": "OW", "BulkDataURI": url}
    body, content_type = metadata_body("application/dicom+json", orjson.dumps([ds]))
    assert post(technologist, "studies", body, content_type).status_code in (400, 409)
    for query in (f"studyUID={url}", f"requestType=WADO&studyUID=1&seriesUID=1&objectUID={url}", f"url={url}"):
        assert technologist.get(f"wado?{query}").status_code in (400, 404)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("host", "root"),
    [
        ("testserver", "http://testserver"),
        ("testserver:80", None),
        ("testserver:8081", None),
        ("127.0.0.1:8080", None),
        ("127.0.0.1", None),
        ("127.0.0.1:31337", None),
        ("localhost:8080", "http://localhost:8080"),
        ("localhost:31337", None),
        ("localhost", "http://localhost"),
        ("[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_a_host_names_no_port_that_nobody_allowed(technologist: Door, host: str, root: str | None) -> None:
    ds = make_data_set()
    assert technologist.store([to_bytes(ds)]).status_code == 200
    answer = technologist.get(f"studies?StudyInstanceUID={ds.StudyInstanceUID}", host=host)
    [url] = answer.json()[0]["00081190"]["Value"]
    assert url == f"{root or django_settings.PACS.public_root}/dicom-web/studies/{ds.StudyInstanceUID}"


@pytest.mark.django_db
def test_forwarded_hosts_are_believed_from_nobody(technologist: Door) -> None:
    ds = make_data_set()
    technologist.store([to_bytes(ds)])
    headers = {"x-forwarded-host": "evil.example", "forwarded": "host=evil.example", "x-forwarded-port": "666"}
    answer = technologist.get("studies", **headers)
    assert b"evil.example" not in answer.content
    assert b":666" not in answer.content
    assert "evil.example" not in str(answer.headers)
    for host in ("evil.example", "evil.example:8080", "testserver@evil.example", "testserver.evil.example", "a b"):
        assert technologist.get("studies", host=host).status_code == 400


@pytest.mark.django_db
def test_markup_stays_text(technologist: Door) -> None:
    markup = "<img src=x onerror=alert(1)>"
    ds = make_data_set(PatientName=markup, StudyDescription=markup)
    assert technologist.store([to_bytes(ds)]).status_code == 200
    answers = [technologist.get("studies"), technologist.get(f"studies/{ds.StudyInstanceUID}/metadata")]
    answers.append(technologist.get(f"studies?PatientID=%22&orderby=-{markup}&limit={markup}"))
    for answer in answers:
        assert not answer["Content-Type"].startswith("text/html")
        assert "sandbox" in answer["Content-Security-Policy"]
        assert answer["X-Content-Type-Options"] == "nosniff"
    page = technologist.http.get("/")
    assert markup.encode() not in page.content
    assert markup.replace("<", "&lt;").replace(">", "&gt;").encode() in page.content


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["text/html", "image/svg+xml", "text/xml", "application/xhtml+xml"])
def test_documents_that_would_run_are_never_shown(technologist: Door, name: str) -> None:
    ds = make_data_set(EncapsulatedDocument=b"<script>alert(1)</script> " * 4000, MIMETypeOfEncapsulatedDocument=name)
    assert technologist.store([to_bytes(ds)]).status_code in (200, 202)
    path = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    for accept in ("*/*", name, None):
        answer = technologist.get(f"{path}/bulkdata/00420011", accept=accept)
        assert answer.status_code in (200, 406)
        assert not answer["Content-Type"].startswith(name)
        assert answer.status_code == 406 or answer["Content-Disposition"] == "attachment"


QUERIES = [
    "limit=1000000000",
    "limit=-1",
    "limit=1e9",
    "limit=0x10",
    "offset=999999999",
    "PatientName=" + "*" * 4000,
    "PatientName=" + "*a" * 2000,
    "PatientName=" + "?" * 4000,
    "fuzzymatching=true&PatientName=" + "a%20" * 1300,
    "PatientName=(a%2B)%2B%24",
    "PatientID=%5B%5E%5D%25_",
    "StudyInstanceUID=" + ",".join(f"1.2.{n}" for n in range(500)),
    "StudyInstanceUID=" + "%5C".join(f"1.{n}" for n in range(700)),
    "&".join(f"includefield=0009{n:04X}" for n in range(0x1000, 0x1000 + 499)),
    "includefield=" + ",".join(["PatientName"] * 300),
    "orderby=" + ",".join(["PatientName"] * 300),
    "StudyDate=" + "9" * 4000,
    "PatientID=%00",
    "PatientID=%ED%A0%80",
    "%00=1",
]


@pytest.mark.django_db
@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:40])
@pytest.mark.parametrize("level", ["studies", "instances"])
def test_queries_made_to_be_slow_are_not(technologist: Door, level: str, query: str) -> None:
    technologist.store([make_object()])
    with bounded(2, 64):
        answer = technologist.get(f"{level}?{query}")
    assert answer.status_code in (200, 204, 400)
    if "%00" in query:
        assert answer.status_code == 400, "it must not list everything"


@pytest.mark.django_db
def test_no_answer_is_ten_times_what_is_stored(technologist: Door) -> None:
    ds = make_data_set(Rows=64, Columns=64, PixelData=os.urandom(8192))
    assert technologist.store([to_bytes(ds)]).status_code == 200
    path = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    with bounded(3, 64):
        answer = technologist.get(f"{path}/frames/{','.join(['1'] * 3000)}")
        assert answer.status_code in (200, 400)
        assert len(body_of(answer)) < 2 * 8192
        ranges = "bytes=" + ",".join(f"{n}-" for n in range(1300))
        answer = technologist.get(path, accept="application/dicom", range=ranges)
        assert answer.status_code in (200, 400, 416)
        assert len(body_of(answer)) < 2 * len(to_bytes(ds))
        for query in ("viewport=100000,100000", "viewport=8193,1", "viewport=0,0", "viewport=1e9,1", "quality=0"):
            problem_of(technologist.get(f"{path}/rendered?{query}", accept="image/jpeg"), 400)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["studies/1%2e%2e/metadata", "studies/%2e%2e/x", "studies/1%0d%0aX:y", "a" * 7000])
def test_addresses_in_disguise_lead_nowhere(technologist: Door, path: str) -> None:
    answer = technologist.get(path)
    assert answer.status_code in (400, 404, 414)
    assert "X" not in answer.headers


@pytest.mark.django_db
def test_a_hundred_thousand_empty_parts_are_refused_soon(technologist: Door) -> None:
    mark = BOUNDARY.encode()
    most = django_settings.PACS.limits.store_parts
    body = b"--%s\r\n\r\n\r\n" % mark * (most + 1) + b"--%s--" % mark
    content_type = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
    with bounded(6, 256):
        problem_of(post(technologist, "studies", body, content_type), 400)
    is_well(technologist)


def test_tasks_and_settings_take_nothing_but_json() -> None:
    assert django_settings.CELERY_ACCEPT_CONTENT == ["json"]
    assert django_settings.CELERY_TASK_SERIALIZER == "json"
