"""``./pacs selftest``: all met by our own server, every fault of another one found, no answer makes it stumble."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from selftest.__main__ import main, run_checks
from selftest.checks import CHECKS
from selftest.client import Answer, Server
from standalone.__main__ import main as pacs
from tests.live.server import ROOT, LivePacs


@pytest.fixture(scope="module")
def live() -> Iterator[LivePacs]:
    installation = LivePacs()
    try:
        yield installation.start(worker=False)
    finally:
        installation.stop()


@pytest.fixture(scope="module")
def token(live: LivePacs) -> str:
    return str(live.machine("technologist").headers["Authorization"]).removeprefix("Bearer ")


def test_our_own_server_meets_everything(live: LivePacs, token: str) -> None:
    command = [sys.executable, "-m", "standalone", "selftest", f"{live.url}/dicom-web", "--token", token, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    report = json.loads(done.stdout)
    assert [each for each in report["findings"] if each["verdict"] != "met"] == []
    assert (len(report["findings"]), done.returncode, done.stderr) == (len(CHECKS), 0, "")
    assert report["summary"] == {"met": len(CHECKS), "not met": 0, "not offered": 0}


def test_the_study_is_cleaned_up(live: LivePacs, capsys: pytest.CaptureFixture[str]) -> None:
    made = live.manage("create_user", "cleaner", "--role", "technologist", "--role", "administrator")
    assert "password" in made
    before = live.query("SELECT count(*) FROM archive_study")
    administrator = str(live.machine("administrator").headers["Authorization"])
    found = {
        each.name: each for each in run_checks(Server(f"{live.url}/dicom-web", authorization=administrator), clean=True)
    }
    assert found["delete the study"].verdict == "met"
    assert live.query("SELECT count(*) FROM archive_study") == before


class Faulty(Server):
    """A server whose answers are falsified on their way."""

    def __init__(self, url: str, token: str, fault: Callable[[Answer], Answer], only: str = "") -> None:
        super().__init__(url, authorization=f"Bearer {token}")
        self.fault, self.only = fault, only

    def send(self, method: str, path: str, **more: Any) -> Answer:
        answer = super().send(method, path, **more)
        return self.fault(answer) if self.only in path else answer


def _without_warning(answer: Answer) -> Answer:
    headers = Message()
    for name, value in answer.headers.items():
        if name != "Warning":
            headers[name] = value
    return replace(answer, headers=headers)


FAULTS: dict[str, tuple[Callable[[Answer], Answer], str, set[str]]] = {
    "a byte of every frame is another": (
        lambda answer: replace(
            answer, body=answer.body.replace(b"\x07\x00", b"\x08\x00").replace(b"\x08\x00", b"\x09\x00")
        ),
        "/frames/1",
        {"frames, type quoted in Accept", "frames, type not quoted in Accept"},
    ),
    "unknown parameters are passed over": (_without_warning, "", {"unknown parameters are named by Warning 299"}),
    "404 becomes 200": (
        lambda answer: replace(answer, status=200 if answer.status == 404 else answer.status),
        "",
        {"an unknown study is 404", "an unknown instance is 404", "a frame that is not there is 4xx"},
    ),
    "400 becomes 500": (
        lambda answer: replace(answer, status=500 if answer.status == 400 else answer.status),
        "",
        {"a malformed search is 4xx"},
    ),
    "406 becomes 200": (
        lambda answer: replace(answer, status=200 if answer.status == 406 else answer.status),
        "",
        {"what cannot be given is 406"},
    ),
    "names are in Latin-1": (
        lambda answer: replace(answer, body=answer.body.replace("öß".encode(), "öß".encode("latin-1"))),
        "studies",
        {"names in UTF-8", "search for studies", "metadata of the study as DICOM JSON"},
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_found(live: LivePacs, token: str, name: str) -> None:
    fault, only, expected = FAULTS[name]
    findings = list(run_checks(Faulty(f"{live.url}/dicom-web", token, fault, only), clean=False))
    missed = {each.name for each in findings if each.verdict == "not met"}
    assert expected <= missed
    assert len(missed) < len(CHECKS)


class _Talker(BaseHTTPRequestHandler):
    """Says the same to everybody."""

    def _say(self) -> None:
        status, content_type, body = self.server.says  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_OPTIONS = do_DELETE = _say

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def talker(status: int, content_type: str, body: bytes) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Talker)
    server.says = (status, content_type, body)  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/dicom"
    finally:
        server.shutdown()
        server.server_close()


NONSENSE = {
    "text": (200, "text/plain", b"hello"),
    "nothing": (200, "application/dicom+json", b""),
    "error": (500, "text/html", b"<h1>oops</h1>"),
    "number": (200, "application/dicom+json", b"7"),
    "odd objects": (
        200,
        "application/dicom+json",
        b'[{"0020000D": 5, "00081199": {"Value": [[]]}, "00080060": {"Value": [{}]}}]',
    ),
    "depth": (200, "application/json", b"[" * 200_000),
    "multipart": (200, 'multipart/related; type="application/dicom"; boundary=x', b"--x\r\nno head\r\n--x--"),
    "boundary": (200, "multipart/related; boundary=", b"--\r\n"),
    "escape sequences": (200, "text/\x1b[31m", b"\x1b[2J"),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_meets_nothing(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with talker(*NONSENSE[name]) as url:
        assert main([url, "--clean", "--timeout", "5"]) == 1
    said = capsys.readouterr().out
    assert said.splitlines()[-1].startswith("0 met, "), said
    assert "\x1b" not in said


def test_refusal_of_everything_is_no_success() -> None:
    with talker(401, "application/json", b"{}") as url:
        assert {each.verdict for each in run_checks(Server(url), clean=True)} == {"not met"}


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    with talker(200, "text/plain", b"") as url:
        pass
    assert pacs(["selftest", url, "--timeout", "2"]) == 1
    assert "0 met, " in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["ftp://somewhere"], ["nowhere"], ["http://x", "--token", "a", "--user", "b"]])
def test_words_that_make_no_sense(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2


def test_credentials_stay_with_their_host() -> None:
    seen: list[str | None] = []

    class Listener(_Talker):
        def _say(self) -> None:
            seen.append(self.headers["Authorization"])
            super()._say()

        do_GET = _say

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    server.says = (200, "text/plain", b"")  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    try:
        client = Server(f"http://127.0.0.1:{port}/dicom", authorization="Bearer secret")
        client.send("GET", "studies")
        client.send("GET", f"http://localhost:{port}/elsewhere")
    finally:
        server.shutdown()
        server.server_close()
    assert seen == ["Bearer secret", None]
