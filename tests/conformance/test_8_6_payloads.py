"""PS3.18 8.6: how payloads are put together, read from the wire by the standard library."""

from __future__ import annotations

import email
import email.policy
import socket

from tests.conformance.marks import clause
from tests.conformance.site import INSTANCES, JSON, OCTETS, Corpus, Site, data_set_of
from tests.conformance.trap_server import RawAnswer, parts_of, problem_of, value


def read_by_the_standard_library(answer: RawAnswer) -> list[tuple[str, bytes]]:
    """Content-Type and payload of each part."""
    head = f"Content-Type: {answer.header('Content-Type')}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.body, policy=email.policy.HTTP)
    assert message.is_multipart()
    assert not message.defects, message.defects
    return [(str(part["Content-Type"]), part.as_bytes().partition(b"\r\n\r\n")[2]) for part in message.iter_parts()]


@clause("8.6.1.1")
def test_8_6_1_1_single_part_is_the_representation_alone(site: Site, stored: Corpus) -> None:
    answer = site.ask(stored.slices[0].path, "Accept: application/dicom")
    assert answer.header("Content-Type").startswith("application/dicom; transfer-syntax=")
    assert answer.body == stored.slices[0].data


@clause("8.6.1.2")
def test_8_6_1_2_multipart_parts_have_type_and_location(site: Site, stored: Corpus) -> None:
    parts = parts_of(site.ask(stored.slices[0].study, f"Accept: {INSTANCES}"))
    assert len(parts) == 4
    for headers, payload in parts:
        assert headers["content-type"].startswith("application/dicom; transfer-syntax=")
        assert headers["content-location"].endswith(str(data_set_of(payload).SOPInstanceUID))
    kinds = [kind for kind, _ in read_by_the_standard_library(site.ask(stored.slices[0].study, f"Accept: {INSTANCES}"))]
    assert len(kinds) == 4


@clause("8.6.1.2-length")
def test_8_6_1_2_length_of_a_part_is_where_its_boundary_is(site: Site, stored: Corpus) -> None:
    for headers, _ in parts_of(site.ask(stored.slices[0].study, f"Accept: {INSTANCES}")):
        assert "content-length" not in headers


@clause("8.6.1.2.1")
def test_8_6_1_2_1_delimiters_byte_for_byte(site: Site, stored: Corpus) -> None:
    answer = site.ask(f"{stored.frames.path}/frames/1,2,3", f"Accept: {OCTETS}; transfer-syntax=*")
    boundary = answer.header("Content-Type").partition("boundary=")[2].strip('"').encode()
    assert 1 <= len(boundary) <= 70
    assert answer.body.startswith(b"--" + boundary + b"\r\nContent-Type: ")
    assert answer.body.endswith(b"\r\n--" + boundary + b"--\r\n")
    assert answer.body.count(b"\r\n--" + boundary + b"\r\n") == 2
    assert answer.body.count(boundary) == 4


@clause("8.6.1.2.1")
def test_8_6_1_2_1_two_requests_on_one_connection_stay_apart(site: Site, stored: Corpus) -> None:
    """Pipelined: both are sent before the first is answered."""
    target = f"/dicom-web/{stored.slices[0].path}/frames/1"
    one = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{site.live.port}\r\nAuthorization: {site.bearer}\r\n"
    one += "Accept: application/octet-stream\r\n"
    with socket.create_connection(("127.0.0.1", site.live.port), timeout=60) as connection:
        connection.sendall((one + "\r\n" + one + "Connection: close\r\n\r\n").encode())
        received = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    pixels = bytes(stored.slices[0].ds.PixelData)
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert received.count(pixels) == 2


@clause("8.6.2.1")
def test_8_6_2_1_instances_leave_as_they_were_stored(site: Site, stored: Corpus) -> None:
    for accept in (INSTANCES, f"{INSTANCES}; transfer-syntax=*"):
        [(headers, payload)] = parts_of(site.get(stored.implicit.path, accept))
        assert headers["content-type"] == "application/dicom; transfer-syntax=1.2.840.10008.1.2"
        assert payload == stored.implicit.data


@clause("8.6.2.1-bulk")
def test_8_6_2_1_bulk_and_metadata_are_explicit(site: Site, stored: Corpus) -> None:
    path = stored.implicit.path
    [(headers, payload)] = parts_of(site.get(f"{path}/frames/1", OCTETS))
    assert headers["content-type"] == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    assert payload == stored.implicit.ds.PixelData
    [found] = site.get(f"{path}/metadata", JSON).json()
    assert all(attribute["vr"] for attribute in found.values())


@clause("8.6.3")
def test_8_6_3_status_reports_are_problem_details(site: Site, stored: Corpus) -> None:
    name = str(stored.slices[0].ds.PatientName)
    for path, status in (("studies?StudyDate=x&PatientName=" + name, 400), (f"{stored.slices[0].path}/frames/7", 404)):
        answer = site.get(path)
        problem = problem_of(answer, status)
        assert {"type", "title", "status", "code", "detail"} <= set(problem)
        assert name.encode() not in answer.content
        assert value(problem, "00100010") is None
