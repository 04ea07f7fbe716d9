"""The lock, the note of who runs, and the clearing after a kill -9."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from standalone import ports
from standalone.errors import ServiceFailed, StandaloneError
from standalone.layout import SOCKET_PATH_LIMIT, Layout
from standalone.running import Child, Lock, Running, end_orphans, read_note, remove_note, started_at, write_note
from standalone.services.service import Service
from standalone.supervisor import RESTARTS, StopRequested, Supervisor

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
from pathlib import Path
from standalone.layout import Layout
from standalone.running import Lock
lock = Lock(Layout(Path(sys.argv[1])))
print(lock.take(), flush=True)
time.sleep(60)
"""


@pytest.fixture
def installation(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "data")
    layout.prepare()
    return layout


def test_lock_is_let_go_by_the_kernel_after_kill_9(installation: Layout) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(installation.data)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "True"
    assert Lock(installation).held
    assert not Lock(installation).take()
    holder.kill()
    holder.wait(10)
    holder.stdout.close()
    assert not Lock(installation).held


def _sleeper(*, data: Path) -> subprocess.Popen[bytes]:
    """A leader that ignores SIGTERM, with a child in its session, like a worker that hangs."""
    script = "trap '' TERM; sleep 61 & wait; sleep 62"
    environment = {**os.environ, "PACS_DATA": str(data)}
    return subprocess.Popen(["/bin/sh", "-c", script], env=environment, start_new_session=True)


def _members(session: int) -> list[int]:
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return [pid for pid in pids if started_at(pid) and os.getsid(pid) == session]


def test_orphans_are_ended_with_everything_they_started(installation: Layout) -> None:
    sleeper = _sleeper(data=installation.data)
    while len(_members(sleeper.pid)) < 2:
        time.sleep(0.02)
    children = (Child("worker", sleeper.pid, started_at(sleeper.pid)),)
    write_note(installation, Running("up", 1, "http://127.0.0.1:1", {}, children))
    assert end_orphans(installation, limit=0.5) == ["worker"]
    assert sleeper.wait(5) == -signal.SIGKILL
    assert read_note(installation) is None
    until = time.monotonic() + 5  # the kernel takes a moment to bury the last one
    while _members(sleeper.pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert _members(sleeper.pid) == []


def test_a_number_used_again_is_nobodys_orphan(installation: Layout) -> None:
    stranger = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True)
    try:
        write_note(installation, Running("up", 1, "", {}, (Child("relay", stranger.pid, "1"),)))
        assert end_orphans(installation, limit=0.5) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(5)


def test_note_is_closed_to_others_and_survives_damage(installation: Layout) -> None:
    note = Running("up", 7, "http://127.0.0.1:8080", {"PACS_DATA": "x"}, (Child("web", 8, "9"),))
    write_note(installation, note)
    assert read_note(installation) == note
    file = installation.run / "state.json"
    assert file.stat().st_mode & 0o077 == 0
    file.write_text("{")
    assert read_note(installation) is None
    remove_note(installation)
    remove_note(installation)


def test_long_data_paths_get_a_short_folder_for_sockets(tmp_path: Path) -> None:
    layout = Layout(tmp_path / ("long" * 25))
    layout.prepare()
    try:
        assert layout.sockets != layout.run
        assert len(os.fsencode(layout.sockets / "pg/.s.PGSQL.5432")) <= SOCKET_PATH_LIMIT
        assert layout.sockets.stat().st_mode & 0o777 == 0o711
        layout.prepare()
    finally:
        layout.sockets.rmdir()


def test_a_planted_socket_folder_is_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path / ("long" * 25))
    layout.sockets.symlink_to(tmp_path)
    try:
        with pytest.raises(StandaloneError, match="not a folder of ours"):
            layout.prepare()
    finally:
        layout.sockets.unlink()


def test_a_taken_port_names_its_holder_and_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StandaloneError) as error:
            ports.require("127.0.0.1", port)
    assert f"process {os.getpid()}" in str(error.value)
    assert "./pacs up --port " in str(error.value)
    ports.require("127.0.0.1", port)


class Scripted(Service):
    """A shell script as a service; it writes the moment of its end."""

    def __init__(self, name: str, folder: Path, script: str) -> None:
        super().__init__(folder / f"{name}.log", folder)
        self.name = name
        self.script = script

    def command(self) -> list[str]:
        return ["/bin/sh", "-c", self.script]

    def ready(self) -> bool:
        return self.log.stat().st_size > 0


STEADY = "trap 'echo {} >> ends; exit 0' TERM; echo up; while :; do sleep 0.05; done"


def test_services_end_in_the_opposite_order_of_their_start(tmp_path: Path) -> None:
    def serve() -> None:
        with Supervisor(print, lambda children: None) as supervisor:
            for name in ("database", "queue", "web"):
                supervisor.add(Scripted(name, tmp_path, STEADY.format(name)))
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    with pytest.raises(StopRequested):
        serve()
    assert (tmp_path / "ends").read_text().split() == ["web", "queue", "database"]


def test_a_dying_service_is_restarted_and_then_given_up(tmp_path: Path) -> None:
    said: list[str] = []
    noted: list[int] = []
    with Supervisor(said.append, lambda children: noted.append(len(children))) as supervisor:
        steady = Scripted("steady", tmp_path, STEADY.format("steady"))
        supervisor.add(steady)
        supervisor.add(Scripted("weak", tmp_path, "echo gone wrong; sleep 0.1; exit 7"))
        with pytest.raises(ServiceFailed, match=r"(?s)weak ended .* code 7.*gone wrong"):
            for _ in supervisor.watch():
                pass
        assert steady.alive
    assert not steady.alive
    assert len([line for line in said if "weak ended" in line]) == RESTARTS
    assert noted == [1, 2, 2, 2, 2]


def test_a_failed_step_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with Supervisor(print, lambda children: None) as supervisor:
        command = ["/bin/sh", "-c", "echo broken table; exit 3"]
        with pytest.raises(ServiceFailed, match=r"(?s)Tables failed \(code 3\).*broken table"):
            supervisor.run("Tables", command, os.environ, log=tmp_path / "step.log")
        ended: list[int] = []
        supervisor.begin("side", ["/bin/sh", "-c", "exit 4"], os.environ, done=ended.append)
        for _ in supervisor.watch():
            if ended:
                break
        assert ended == [4]
