"""Programs out of a process that has loaded the product: they run, log and end as if they were begun by themselves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from standalone import preloading
from standalone.layout import PROJECT
from standalone.preloading import Forked, NotPreloaded
from standalone.programs import Program

Begin = Callable[[str], Forked]
SLEEP = "import time\nprint('there', flush=True)\ntime.sleep(60)"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "PACS_DATA": str(tmp_path)}


@pytest.fixture
def begin(tmp_path: Path, environment: dict[str, str]) -> Iterator[Begin]:
    begun: list[Forked] = []

    def one(text: str) -> Forked:
        script = tmp_path / f"{len(begun)}.py"
        script.write_text(textwrap.dedent(text))
        with script.with_suffix(".log").open("ab") as log:
            words = [str(script), "a word"]
            begun.append(preloading.begin("one", words, environment, PROJECT, log, signal.SIGTERM))
        return begun[-1]

    yield one
    for each in begun:
        each.kill()
        each.wait(20)


def said(folder: Path, number: int, wanted: str) -> str:
    until = time.monotonic() + 30
    log = folder / f"{number}.log"
    while wanted not in log.read_text() and time.monotonic() < until:
        time.sleep(0.01)
    return log.read_text()


def test_programs_share_what_was_loaded_and_nothing_else(begin: Begin, tmp_path: Path) -> None:
    text = """
        import os, signal, sys
        print(sys.argv[1:], __name__, "archive.store" in sys.modules, os.getsid(0) == os.getpid(), os.getppid())
        as_usual = signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
        print(as_usual, signal.set_wakeup_fd(-1), sys.stdin.read(), flush=True)
    """
    text = textwrap.dedent(text) + SLEEP
    first, second = begin(text), begin(text)
    assert first.parent == second.parent != os.getpid()
    for number in range(2):
        lines = said(tmp_path, number, "there").splitlines()
        assert lines == [f"['a word'] __main__ True True {first.parent}", "True -1 ", "there"]
    assert (first.poll(), second.poll()) == (None, None)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("pass", 0),
        ("raise SystemExit(3)", 3),
        ("raise ValueError('of no use')", 1),
        ("import os; os.kill(os.getpid(), 9)", -9),
    ],
)
def test_how_one_ended_is_known(begin: Begin, tmp_path: Path, text: str, code: int) -> None:
    ended = begin(text)
    assert ended.wait(30) == code
    assert (ended.poll(), ended.returncode) == (code, code)
    ended.send_signal(signal.SIGTERM)
    assert ("of no use" in (tmp_path / "0.log").read_text()) == (code == 1)


def test_what_a_program_leaves_for_its_end_is_done(begin: Begin, tmp_path: Path) -> None:
    assert begin("import atexit; atexit.register(print, 'the last word')").wait(30) == 0
    assert (tmp_path / "0.log").read_text() == "the last word\n"


def test_one_that_goes_on_is_waited_for_within_a_limit(begin: Begin, tmp_path: Path) -> None:
    running = begin(SLEEP)
    said(tmp_path, 0, "there")
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(0.1)
    running.send_signal(signal.SIGTERM)
    assert running.wait(30) == -signal.SIGTERM


def test_what_has_loaded_goes_with_the_last_of_its_programs(begin: Begin, tmp_path: Path) -> None:
    first, second = begin(SLEEP), begin("pass")
    assert second.wait(30) == 0
    assert Path(f"/proc/{first.parent}").exists()
    first.kill()
    assert first.wait(30) == -signal.SIGKILL
    assert not Path(f"/proc/{first.parent}").exists()
    third = begin("pass")
    assert third.parent != first.parent
    assert third.wait(30) == 0


def test_programs_end_with_what_has_loaded_for_them(begin: Begin, tmp_path: Path) -> None:
    running = begin(SLEEP)
    said(tmp_path, 0, "there")
    os.kill(running.parent, signal.SIGKILL)
    assert running.wait(30) == -signal.SIGTERM
    assert begin("raise SystemExit(4)").wait(60) == 4


def test_all_end_with_whoever_asked_for_them(environment: dict[str, str], tmp_path: Path) -> None:
    """Also where that one is killed."""
    script = tmp_path / "sleeps.py"
    script.write_text(SLEEP)
    code = f"""
import os, signal, time
from pathlib import Path
from standalone import preloading
with open({str(tmp_path / "log")!r}, "wb") as log:
    one = preloading.begin("one", [{str(script)!r}], dict(os.environ), Path({str(PROJECT)!r}), log, signal.SIGTERM)
print(one.pid, one.parent, flush=True)
time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as asking:
        assert asking.stdout is not None
        pids = list(map(int, asking.stdout.readline().split()))
        assert len(pids) == 2
        asking.kill()
    until = time.monotonic() + 30
    while any(map(lives, pids)) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(map(lives, pids))


class Stopped(BaseException):
    """As the supervisor's."""


def test_a_stop_while_it_loads_leaves_nothing(begin: Begin) -> None:
    def stop(*_: object) -> None:
        raise Stopped

    before, earlier = children(), signal.signal(signal.SIGUSR1, stop)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises(Stopped):
            begin("pass")
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, earlier)
    assert children() == before
    assert begin("pass").wait(60) == 0


def test_one_that_cannot_be_forked_harms_no_other(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = begin(SLEEP)
    said(tmp_path, 0, "there")
    with monkeypatch.context() as patch:
        patch.setattr(socket, "send_fds", lambda control, messages, logs: control.send(*messages))
        with pytest.raises(NotPreloaded, match="no log"):
            begin("pass")
    assert running.poll() is None
    assert begin("pass").wait(30) == 0
    assert running.poll() is None


def children() -> set[int]:
    told = (each.read_text().split() for each in Path("/proc/self/task").glob("*/children"))
    return {int(pid) for pids in told for pid in pids}


def lives(pid: int) -> bool:
    """Not a zombie that nobody here waits for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_cannot_be_loaded_is_begun_by_itself_and_says_why(environment: dict[str, str], tmp_path: Path) -> None:
    environment["PACS_LIMITS__STORE_PARTS"] = "many"

    class Check(Program):
        name = "check"

        def command(self) -> list[str]:
            return [sys.executable, str(PROJECT / "manage.py"), "check"]

    with (tmp_path / "log").open("wb") as log, pytest.raises(NotPreloaded):
        preloading.begin("check", ["manage.py", "check"], environment, PROJECT, log, signal.SIGTERM)
    check = Check(tmp_path / "check.log", environment)
    check.launch()
    assert isinstance(check.process, subprocess.Popen)
    assert check.process.wait(60) != 0
    assert "PACS_LIMITS__STORE_PARTS" in check.tail()
