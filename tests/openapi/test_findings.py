"""What schemathesis found, one case each, so that it stays put right."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from django.test import Client as HttpClient

from tests.dicomweb.conftest import Door, door_for, technologist  # noqa: F401 - fixtures
from tests.live.server import LivePacs

PROBLEM = "application/problem+json"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/livez", "/readyz"])
@pytest.mark.parametrize("method", ["POST", "QUERY", "DELETE"])
def test_health_names_its_methods_to_who_uses_another(path: str, method: str) -> None:
    """It was 403: the look for a forged form came first."""
    response = HttpClient(enforce_csrf_checks=True).generic(method, path)
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")


@pytest.mark.django_db
def test_who_am_i_is_json_whatever_is_accepted(technologist: Door) -> None:  # noqa: F811
    """It was 406, which the document does not name."""
    response = technologist.http.get("/api/whoami", headers={"accept": "nothing/known"})
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")


@pytest.mark.django_db
def test_every_view_refuses_with_problem_details(technologist: Door) -> None:  # noqa: F811
    """Views of the framework had an error format of their own."""
    response = technologist.http.post("/api/whoami", headers={"origin": "http://testserver"})
    assert (response.status_code, response["Content-Type"]) == (405, PROBLEM)
    assert response.json()["code"] == "method-not-allowed"
    assert "GET" in response["Allow"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("/dicom-web/studies", 401, "not-authenticated"), ("/dicom-web/nothing/here", 404, "not-found")],
)
def test_what_no_view_answered_has_a_code_too(path: str, status: int, code: str) -> None:
    response = HttpClient().get(path)
    assert (response.status_code, response["Content-Type"], response.json()["code"]) == (status, PROBLEM, code)


@pytest.fixture(scope="module")
def installation() -> Iterator[LivePacs]:
    live = LivePacs()
    try:
        live.install().serve(worker=False)
        yield live
    finally:
        live.stop()


REFUSED = {
    "a header field with a control character": (
        b"GET /livez HTTP/1.1\r\nHost: x\r\nA: b\x01\r\n\r\n",
        400,
        "bad-request",
    ),
    "no request line": (b"nonsense\r\n\r\n", 400, "bad-request"),
    "a line that is too long": (b"GET /livez?%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 9000), 414, "uri-too-long"),
    "too many fields": (
        b"GET /livez HTTP/1.1\r\nHost: x\r\n%b\r\n" % b"".join(b"A%d: b\r\n" % n for n in range(200)),
        431,
        "header-too-large",
    ),
    "a form in chunks": (
        b"POST /oauth/revoke/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        411,
        "length-required",
    ),
    "an unknown transfer coding": (
        b"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nothing\r\n\r\n",
        501,
        "not-implemented",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_server_cannot_read_is_refused_in_problem_details(installation: LivePacs, name: str) -> None:
    """It was a page that repeated what had been sent."""
    data, status, code = REFUSED[name]
    where = urlsplit(installation.url)
    with socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=30) as connection:
        connection.sendall(data)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status, head
    assert f"Content-Type: {PROBLEM}".encode() in head
    assert (json.loads(body)["status"], json.loads(body)["code"]) == (status, code)


def test_a_head_request_leaves_no_warning_in_the_log(installation: LivePacs) -> None:
    """Every one of them did: bodies were made, and dropped by the server with a line in its log."""
    for path in ("/dicom-web/studies", "/readyz", "/accounts/login/", "/nothing"):
        got, head = (requests.request(method, installation.url + path, timeout=30) for method in ("GET", "HEAD"))
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["Content-Type"] == got.headers["Content-Type"]
        assert int(head.headers["Content-Length"]) > 0
    assert "dropping" not in (installation.home / "web.log").read_text()
