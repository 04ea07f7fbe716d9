"""`./pacs` as a person meets it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from standalone.layout import Layout
from standalone.running import Lock, read_note, started_at

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT = 120.0


class Installation:
    """A data folder and a port of their own, and whatever was started on them."""

    def __init__(self, data: Path, viewer: Path) -> None:
        self.layout = Layout(data)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(("PACS_", "DJANGO_"))}
        self.environment |= {"PACS_DATA": str(data), "PACS_VIEWER_DIR": str(viewer)}
        self.launchers: list[subprocess.Popen[str]] = []

    def pacs(self, *words: str) -> subprocess.CompletedProcess[str]:
        # From another folder, as people do.
        return subprocess.run(
            [ROOT / "pacs", *words],
            env=self.environment,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )

    def up(self) -> subprocess.Popen[str]:
        launcher = subprocess.Popen(
            [ROOT / "pacs", "up", "--no-samples", "--port", str(self.port)],
            env=self.environment,
            cwd="/",
            stdout=(self.layout.data.parent / "up.log").open("a"),
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.launchers.append(launcher)
        until = time.monotonic() + START_LIMIT
        while self.said().count("Lightbox is ready") < len(self.launchers):
            assert launcher.poll() is None, self.said()
            assert time.monotonic() < until, self.said()
            time.sleep(0.2)
        assert self.answers()
        return launcher

    def said(self) -> str:
        return (self.layout.data.parent / "up.log").read_text()

    def answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/livez")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def processes(self) -> list[int]:
        """Every process that carries this data folder in its environment or its command."""
        mark = os.fsencode(self.layout.data)
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and started_at(int(entry.name)):
                try:
                    if mark in (entry / "environ").read_bytes() or mark in (entry / "cmdline").read_bytes():
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found

    def emptied(self, limit: float = 40.0) -> bool:
        until = time.monotonic() + limit
        while self.processes():
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        return True


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One viewer for all: preparing it takes longer than the rest of a start."""
    return tmp_path_factory.mktemp("viewer") / "prepared"


@pytest.fixture
def installation(short_folder: Path, viewer: Path) -> Iterator[Installation]:
    made = Installation(short_folder / "data", viewer)
    yield made
    for launcher in made.launchers:
        if launcher.poll() is None:
            launcher.terminate()
            try:
                launcher.wait(60)
            except subprocess.TimeoutExpired:
                launcher.kill()
    assert made.emptied()


def _noted_children(installation: Installation) -> dict[str, int]:
    note = read_note(installation.layout)
    assert note is not None
    return {child.name: child.pid for child in note.children}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_up_status_second_up_and_stop(installation: Installation) -> None:
    launcher = installation.up()
    shown = installation.pacs("status")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    for name in ("launcher", "postgresql", "valkey", "worker", "relay", "web"):
        assert re.search(rf"{name} +running +process \d+", shown.stdout)
    assert re.search(r"studies +0", shown.stdout)
    assert f"http://127.0.0.1:{installation.port}/" in shown.stdout

    second = installation.pacs("up", "--port", str(installation.port))
    assert second.returncode == 0
    assert "already running" in second.stdout
    assert str(launcher.pid) in second.stdout

    doctor = installation.pacs("doctor", "--settings")
    assert doctor.returncode == 0, doctor.stdout
    assert "secret_key" in doctor.stdout
    assert "Nothing to put right" in doctor.stdout
    assert (installation.layout.secrets / "secret_key").read_text() not in doctor.stdout

    assert "events of the access trail are sealed" in doctor.stdout
    verified = installation.pacs("audit", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "The trail is what was sealed" in verified.stdout

    counted = installation.pacs("manage", "shell", "-c", "from django.conf import settings; print(settings.PACS.data)")
    assert counted.stdout.strip().endswith(str(installation.layout.data))

    stopped = installation.pacs("stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert launcher.wait(5) == 0
    assert installation.processes() == []
    assert "password" in installation.said()
    assert not any("password" in log.read_text() for log in installation.layout.logs.iterdir())
    for folder in (installation.layout.secrets, installation.layout.logs):
        assert folder.stat().st_mode & 0o077 == 0
    assert installation.pacs("status").returncode == 3
    assert installation.pacs("stop").returncode == 0

    # The data are still there, and the administrator is not made twice.
    installation.up()
    assert installation.said().count("password  ") == 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kill_9_of_everything_and_of_one_service(installation: Installation) -> None:
    launcher = installation.up()
    children = _noted_children(installation)
    os.kill(children["relay"], signal.SIGKILL)
    os.kill(children["valkey"], signal.SIGKILL)
    until = time.monotonic() + 30
    while "valkey ended unexpectedly" not in installation.said() or "relay ended" not in installation.said():
        assert time.monotonic() < until, installation.said()
        time.sleep(0.2)
    time.sleep(1)
    assert installation.pacs("status").returncode == 0

    # Nothing gets the chance to tidy up; the database's own files say that it runs.
    for pid in [launcher.pid, *_noted_children(installation).values()]:
        os.kill(pid, signal.SIGKILL)
    launcher.wait(10)
    assert not Lock(installation.layout).held
    again = installation.up()
    again.send_signal(signal.SIGINT)
    assert again.wait(90) == 0
    assert installation.processes() == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_stop_clears_up_after_a_killed_launcher(installation: Installation) -> None:
    launcher = installation.up()
    worker = _noted_children(installation)["worker"]
    os.kill(worker, signal.SIGSTOP)
    launcher.kill()
    launcher.wait(10)
    stopped = installation.pacs("stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert "Ended worker" in stopped.stdout
    assert installation.processes() == []


def test_a_taken_port_is_explained_before_anything_starts(installation: Installation) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", installation.port))
        taken.listen()
        refused = installation.pacs("up", "--port", str(installation.port))
    assert refused.returncode == 1
    assert f"process {os.getpid()}" in refused.stderr
    assert not installation.layout.data.exists()


def test_import_of_a_missing_path_is_refused(installation: Installation) -> None:
    refused = installation.pacs("import", "no-such-folder")
    assert refused.returncode == 1
    assert "no-such-folder" in refused.stderr


def test_help_and_unknown_words() -> None:
    shown = subprocess.run([ROOT / "pacs"], capture_output=True, text=True, cwd="/", timeout=60, check=False)
    assert shown.returncode == 0
    for word in ("up", "stop", "status", "import", "doctor", "backup", "scrub", "audit", "manage", "test", "lint"):
        assert f"./pacs {word}" in shown.stdout
    assert len(shown.stdout.splitlines()) < 32
    assert subprocess.run([ROOT / "pacs", "uo"], capture_output=True, cwd="/", timeout=60, check=False).returncode == 2
