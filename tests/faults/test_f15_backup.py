"""F15: backup and restore drill.

Procedure: instances are stored (2,000; short form: 60) while two writers store more; meanwhile `./pacs backup` runs
into a folder and `./pacs verify` reads what it made. Then everything is destroyed, database, objects and secrets, and
`./pacs restore` brings it back into an empty folder and an empty database. The same again with a wrong key, a file that
was cut, flipped bytes, and an object that is gone.

Pass: everything that was acknowledged before the moment that the backup names is back bit for bit, what came later can
be stored again and is there once; it takes 60 s and 1 s for 100 MB at most; the access trail verifies across the
restore, machines sign in with the secrets they have, and tokens of before are no longer good. What is damaged is named,
and then nothing at all is restored. Of a restore that is killed (SIGKILL) nothing can be used before another call has
completed it.
"""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from tests.faults.conftest import Figure
from tests.faults.oracle import Oracle, writing
from tests.live.senders import Sent, make_sent
from tests.live.server import ROOT, LivePacs, _field

BATCH = 20


class Empty(LivePacs):
    """An installation of which nothing is there: an empty database, an empty folder."""

    def install(self) -> LivePacs:
        with self._server() as connection:
            connection.execute(f"CREATE DATABASE {self.database}")
        return self

    def tables(self) -> int:
        (row,) = self.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        return int(row[0])

    def stored(self) -> list[Path]:
        return [path for path in (self.home / "store/objects").rglob("*") if path.is_file()]


class Clock:
    """How many instances were acknowledged when."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle, self._stop, self._seen = oracle, threading.Event(), [(datetime.now(UTC), 0)]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            count = len(self._oracle.acknowledged)
            # The count is older than this moment, so it is never too high.
            self._seen.append((datetime.now(UTC), count))

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def at(self, moment: datetime) -> int:
        return max(count for seen, count in self._seen if seen <= moment)


def slices(chance: random.Random, **values: object) -> list[Sent]:
    """One to four of 8 KiB."""
    return [make_sent(kilobytes=8, **values) for _ in range(chance.randint(1, 4))]


def verify(live: LivePacs, target: Path) -> subprocess.CompletedProcess[str]:
    """`./pacs verify`, as somebody calls it."""
    command = [sys.executable, "-m", "standalone", "verify", str(target)]
    return subprocess.run(
        command, cwd=ROOT, env=live.environment, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.timeout(1800)
def test_everything_comes_back(tmp_path: Path, figure: Figure, long_form: bool) -> None:
    target, key = tmp_path / "backups", tmp_path / "safe/backup_key"
    live, oracle = LivePacs(), Oracle()
    live.environment["PACS_BACKUP__KEY"] = str(key)
    back = Empty(database_url=live.server_url)
    back.environment["PACS_BACKUP__KEY"] = str(key)
    try:
        live.start()
        made = live.manage("create_client", "modality", "--role", "technologist")
        session = token(live, made)
        for _ in range((2000 if long_form else 60) // BATCH):
            assert (
                oracle.store(live, session, [make_sent(kilobytes=64 if long_form else 8) for _ in range(BATCH)]) == 200
            )
        clock = Clock(oracle)
        with writing(
            live, session, oracle, writers=4 if long_form else 1, make=slices, pause=0.05 if long_form else 0.5
        ):
            began = time.monotonic()
            said = live.manage("backup", str(target))
            seconds = time.monotonic() - began
        clock.stop()
        ((until, finished),) = live.query("SELECT complete_until, finished_at FROM backups_backuprun")
        assert re.search(r"complete until", said)
        acknowledged = clock.at(until)
        figure("F15", "instances acknowledged before the moment of the backup", acknowledged, "more than 0")
        figure("F15", "seconds that the backup took under load", round(seconds, 1), "no bound")
        behind = round((finished - until).total_seconds(), 1)
        figure("F15", "RPO: seconds from that moment to the end of the backup", behind, "no bound")
        checked = verify(live, target)
        assert checked.returncode == 0, checked.stdout + checked.stderr

        live.stop()
        back.install()
        began = time.monotonic()
        said = back.manage("restore", str(target))
        seconds = time.monotonic() - began
        size = sum(path.stat().st_size for path in back.stored())
        allowed = 60 + size / 100e6
        figure("F15", f"RTO: seconds of the restore, {size / 1e6:.0f} MB", round(seconds, 1), f"at most {allowed:.0f}")
        assert seconds <= allowed
        assert "rebuild --add-missing" in said

        back.serve()
        old = requests.get(f"{back.url}/dicom-web/studies", headers=dict(session.headers), timeout=30)
        assert old.status_code == 401
        session = token(back, made)
        later = oracle.acknowledged[acknowledged:]
        judged = Oracle(acknowledged=oracle.acknowledged[:acknowledged])
        judged.open = [*oracle.open, *([sent] for sent in later)]
        verdict = judged.judge(back, session)
        figure("F15", "acknowledged after that moment, and back all the same", verdict.stored_unheard, "no bound")
        verdict.tell(figure, "F15")
        assert verdict.clean, verdict
        trail = back.manage("audit_verify")
        assert "The trail is what was sealed and signed." in trail
        (events,) = back.query("SELECT count(*) FROM audit_accessevent WHERE kind = 'restored'")
        assert events == (1,)
        states = back.query("SELECT outcome FROM backups_backuprun")
        assert states == [("good",)]
    finally:
        back.stop()
        live.stop()


def token(live: LivePacs, made: str) -> requests.Session:
    """A session of the machine whose id and secret ``create_client`` told."""
    answer = requests.post(
        f"{live.url}/oauth/token/",
        data={"grant_type": "client_credentials"},
        auth=(_field(made, "client_id"), _field(made, "client_secret")),
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return session


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A backup of an installation with three instances, and its key beside it."""
    folder = tmp_path_factory.mktemp("small")
    live = LivePacs()
    live.environment["PACS_BACKUP__KEY"] = str(folder / "key")
    try:
        live.start(worker=False)
        session = live.machine("technologist")
        assert Oracle().store(live, session, [make_sent(kilobytes=8) for _ in range(3)]) == 200
        (folder / "token").write_text(str(session.headers["Authorization"]))
        live.manage("backup", str(folder / "target"))
        yield folder
    finally:
        live.stop()


def _part(target: Path, part: str) -> Path:
    return next((target / "objects/backups").glob(f"*/{part}"))


def _object(target: Path) -> Path:
    return next(path for path in sorted((target / "objects/content/instances").rglob("*")) if path.is_file())


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def _other_key(target: Path) -> None:
    from custody.backups.keys import read_or_make

    (target.parent / "key").unlink()
    read_or_make(target.parent / "key")


DAMAGES = {
    "another key": (_other_key, "was written with the key"),
    "a dump that was cut": (lambda target: _cut(_part(target, "database")), "/database was altered or cut off"),
    "a flipped byte in the dump": (lambda target: _flip(_part(target, "database")), "/database was altered"),
    "a flipped byte in the manifest": (lambda target: _flip(_part(target, "manifest")), "/manifest was altered"),
    "a flipped byte in an object": (lambda target: _flip(_object(target)), "1 objects are damaged in the backup"),
    "an object that is gone": (lambda target: _object(target).unlink(), "1 objects are missing in the backup"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_damaged_is_named_and_nothing_is_restored(
    small: Path, tmp_path: Path, name: str, figure: Figure
) -> None:
    damage, words = DAMAGES[name]
    shutil.copytree(small, tmp_path / "copy")
    damage(tmp_path / "copy/target")
    back = Empty()
    back.environment["PACS_BACKUP__KEY"] = str(tmp_path / "copy/key")
    try:
        back.install()
        done = back.manage_anyhow("restore", str(tmp_path / "copy/target"))
        assert (done.returncode, words in done.stderr) == (1, True), done.stdout + done.stderr
        left = back.tables(), len(back.stored()), sorted(path.name for path in (back.home).glob("*audit*"))
        assert left == (0, 0, [])
        figure("F15", f"restored from a backup with {name}", 0, "0, and it is named")
    finally:
        back.stop()


def test_an_installation_that_is_not_empty_is_left_alone(small: Path) -> None:
    live = LivePacs()
    live.environment["PACS_BACKUP__KEY"] = str(small / "key")
    try:
        live.install()
        done = live.manage_anyhow("restore", str(small / "target"))
        assert done.returncode == 1
        assert "The database is not empty" in done.stderr
    finally:
        live.stop()


# Where the restore is killed: in place of pg_restore, or between it and the migrations.
KILLED = """
import os, signal, sys, django
django.setup()
from django.core.management import call_command
from custody.backups import restoring
from custody.backups.management.commands import restore
setattr({where}, lambda *args, **options: os.kill(os.getpid(), signal.SIGKILL))
call_command("restore", sys.argv[1])
"""


def killed_in(back: Empty, where: str, target: Path) -> None:
    command = [sys.executable, "-c", KILLED.format(where=where), str(target)]
    done = subprocess.run(command, cwd=ROOT, env=back.environment, capture_output=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_what_a_killed_restore_left_can_not_be_used(small: Path, figure: Figure) -> None:
    target, was_good = small / "target", {"Authorization": (small / "token").read_text()}
    back = Empty()
    back.environment["PACS_BACKUP__KEY"] = str(small / "key")
    try:
        back.install()
        killed_in(back, 'restoring, "restore_database"', target)
        refused = back.manage_anyhow("migrate")
        assert (refused.returncode, "restore again" in refused.stderr) == (1, True), refused.stderr
        shutil.rmtree(back.home / "store")
        killed_in(back, 'restore, "call_command"', target)
        assert "./pacs up" in back.manage_anyhow("restore", str(target)).stderr
        back.serve(worker=False)
        answers = [
            requests.get(f"{back.url}/{path}", headers=was_good, timeout=60).status_code
            for path in ("dicom-web/studies", "readyz")
        ]
        figure(
            "F15", "answers with data to a token of before, after a restore that was killed", answers.count(200), "0"
        )
        assert answers == [503, 503]
        sessions = "SELECT count(*) FROM oauth2_provider_accesstoken"
        assert back.query(sessions) == [(1,)]
        assert "1 sessions and tokens" in back.manage("migrate")
        assert back.query(sessions) == [(0,)]
        assert requests.get(f"{back.url}/readyz", timeout=60).status_code == 200
        assert requests.get(f"{back.url}/dicom-web/studies", headers=was_good, timeout=60).status_code == 401
        assert back.query("SELECT count(*) FROM audit_accessevent WHERE kind = 'restored'") == [(1,)]
        assert "sessions and tokens" not in back.manage("migrate")
        assert Oracle().store(back, back.machine("technologist"), [make_sent(kilobytes=8)]) == 200
    finally:
        back.stop()
