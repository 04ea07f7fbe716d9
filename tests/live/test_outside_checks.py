"""What an auditor from outside would try (45 CFR 164.312), over the wire; ``docs/hipaa.md`` names each check."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest
import requests

from tests.live.senders import make_sent, store
from tests.live.server import LivePacs

CHANCE = random.Random(20261122)


@pytest.fixture(scope="module")
def live() -> Iterator[LivePacs]:
    installation = LivePacs()
    try:
        yield installation.start(worker=False)
    finally:
        installation.stop()


@pytest.fixture(scope="module")
def described(live: LivePacs) -> list[tuple[str, str]]:
    """Method and address of every operation in the API description, with values in the place of the parameters."""
    schema = live.machine("radiologist").get(f"{live.url}/api/schema?format=json", timeout=60).json()
    return [
        (method.upper(), re.sub(r"\{[^}]*\}", "1.2.3", path))
        for path, operations in schema["paths"].items()
        for method in operations
        if method in ("get", "head", "post", "put", "patch", "delete")
    ]


OPEN = re.compile(
    r"/(livez|readyz|status|oauth/(token|revoke)/|share/token|s/|s/open|accounts/(login|sso)/.*|\.well-known/.*)"
)
NEIGHBOURS = (
    "admin/",
    "metrics",
    "media/",
    "ws",
    "debug/",
    "api/",
    "fhir/",
    "trail/",
    "administration/",
    "account/",
    "viewer/",
)


def test_a_crawl_without_credentials(live: LivePacs, described: list[tuple[str, str]]) -> None:
    """164.312(a)(1): 401 or 404 everywhere but where it says who one is, and is it alive."""
    assert len(described) > 80
    for method, path in [*described, *(("GET", f"/{neighbour}") for neighbour in NEIGHBOURS)]:
        if not OPEN.fullmatch(path):
            answer = requests.request(method, f"{live.url}{path}", timeout=60, allow_redirects=False)
            assert answer.status_code in (401, 404), (method, path, answer.status_code)


def test_every_request_is_on_the_trail_by_its_number(live: LivePacs) -> None:
    """164.312(b): of 300 requests taken by lot, each that was let in is found by its X-Request-ID."""
    sent = [make_sent() for _ in range(3)]
    assert store(live, live.machine("technologist"), sent).status_code == 200
    session = live.machine("radiologist")
    series = [each.path.rpartition("/instances")[0] for each in sent]
    studies = [each.path.partition("/series")[0] for each in sent]
    questions = [
        *studies,
        *series,
        *(each.path for each in sent),
        *(f"{each.path}/metadata" for each in sent),
        *(f"{each.path}/rendered" for each in sent),
        *(f"{study}/thumbnail" for study in studies),
        *(f"studies?StudyInstanceUID={study.rpartition('/')[2]}" for study in studies),
        "series?limit=1",
        "instances?limit=1",
    ]
    asked = {}
    for _ in range(300):
        question = CHANCE.choice(questions)
        answer = session.get(f"{live.url}/dicom-web/{question}", timeout=60)
        assert answer.status_code == 200, (question, answer.text)
        asked[answer.headers["X-Request-ID"]] = question
    assert len(asked) == 300
    rows = live.query("SELECT request_id, decision FROM audit_accessevent WHERE request_id = ANY(%s)", list(asked))
    found = Counter(number for number, decision in rows if decision == "allow")
    assert [asked[number] for number in asked if number not in found] == []


def test_a_name_that_comes_back_is_somebody_else(live: LivePacs) -> None:
    """164.312(a)(2)(i): who was there before keeps an identity of their own on the trail."""
    made = live.manage("create_user", "dr.twice", "--role", "radiologist")
    assert "password" in made
    again = live.manage_anyhow("create_user", "dr.twice", "--role", "radiologist")
    assert again.returncode != 0
    assert "Traceback" not in again.stderr
    [(first,)] = live.query("SELECT external_id::text FROM access_user WHERE username = 'dr.twice'")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        live.query("UPDATE access_user SET external_id = gen_random_uuid() WHERE username = 'dr.twice'")
    assert live.query("SELECT external_id::text FROM access_user WHERE username = 'dr.twice'") == [(first,)]


def test_nothing_listens_to_the_world(live: LivePacs) -> None:
    """164.312(e)(1): what is started listens on loopback or on sockets in a folder of its own."""
    [web] = [service for service in live.services if service.name == "web"]
    with open(f"/proc/{web.pid}/net/tcp") as table:
        listening = [line.split()[1].split(":") for line in table if line.split()[3] == "0A"]
    ours = [address for address, port in listening if int(port, 16) == live.port]
    assert ours == ["0100007F"], ours


def test_the_administrator_opens_no_images(live: LivePacs) -> None:
    """164.312(a)(2)(ii) as proposed: who manages is not who reads."""
    [sent] = [make_sent()]
    assert store(live, live.machine("technologist"), [sent]).status_code == 200
    manager = live.machine("administrator")
    for resource in ("", "/rendered", "/frames/1", "/metadata"):
        assert manager.get(f"{live.url}/dicom-web/{sent.path}{resource}", timeout=60).status_code == 403, resource
