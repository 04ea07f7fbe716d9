"""F16: migrations on live data.

Procedure: this release serves 20 requests a second (searches, metadata, stores) on an archive with data (50,000 rows
of instances; short form: 40 instances). Meanwhile the migrations of a next release run, of the kinds that the policy
allows (`tests/architecture/migration_policy.py`): columns for tables that are in use, a new table, an index that is
made beside writers, a backfill. A long query holds one of the tables first. `migrate` is killed (SIGKILL) while it
makes the index, and run again, twice at the same time. This release goes on serving on the new tables: that is a
downgrade.

Pass: at most 0.1 % of the requests fail, nobody waits for a lock longer than 2 s, the killed migration is completed by
the next one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import requests

from tests.faults.conftest import Figure
from tests.faults.oracle import own_session
from tests.live.senders import make_sent, store
from tests.live.server import ROOT, LivePacs

INDEX = "instance_of_next_release"
COLUMNS = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("archive", "{newest}")]
    operations = [
        migrations.AddField("instance", "next_text", models.TextField(null=True)),
        migrations.AddField("study", "next_flag", models.BooleanField(db_default=False)),
        migrations.CreateModel("NextThing", [
            ("id", models.BigAutoField(primary_key=True)), ("text", models.TextField(db_default=""))]),
    ]
"""
INDEXES = """
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

class Migration(migrations.Migration):
    atomic = False
    dependencies = [("archive", "9001_columns")]
    operations = [AddIndexConcurrently("instance", models.Index(fields=["created_at"], name="{index}"))]
"""
BACKFILL = """
from django.db import migrations

def fill(apps, editor):
    with editor.connection.cursor() as cursor:
        changed = 1
        while changed:
            cursor.execute(
                "UPDATE archive_instance SET next_text = 'seen' WHERE id IN "
                "(SELECT id FROM archive_instance WHERE next_text IS NULL LIMIT 1000 FOR UPDATE SKIP LOCKED)")
            changed = cursor.rowcount

class Migration(migrations.Migration):
    atomic = False
    dependencies = [("archive", "9002_index")]
    operations = [migrations.RunPython(fill)]
"""
SETTINGS = 'from pacs_project.settings import *\nMIGRATION_MODULES = {"archive": "next_release_archive"}\n'
# Rows like those that are there, with other UIDs and keys.
MULTIPLY = """
    DO $$
    DECLARE names text; picked text;
    BEGIN
        SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position),
               string_agg(CASE column_name WHEN 'sop_instance_uid' THEN 'sop_instance_uid || ''.'' || n'
                          WHEN 'object_key' THEN 'object_key || n' ELSE quote_ident(column_name) END, ', '
                          ORDER BY ordinal_position)
        INTO names, picked FROM information_schema.columns
        WHERE table_name = 'archive_instance' AND column_name <> 'id' AND is_generated = 'NEVER';
        EXECUTE format('INSERT INTO archive_instance (%s) SELECT %s FROM archive_instance,
                       generate_series(1, {times}) AS n', names, picked);
    END $$
"""


@dataclass(slots=True)
class Load:
    """What the clients heard."""

    answers: list[int] = field(default_factory=list)
    longest: float = 0.0

    @property
    def failed(self) -> int:
        return sum(status not in (200, 204) for status in self.answers)


@contextmanager
def load(live: LivePacs, session: requests.Session, per_second: int = 20) -> Iterator[Load]:
    """Searches, metadata and stores, so many a second, as long as the block lasts."""
    heard, stop, clients = Load(), threading.Event(), 4
    first = make_sent(kilobytes=1)
    assert store(live, session, [first]).status_code == 200
    series = first.path.rpartition("/instances/")[0]

    def ask(own: requests.Session, turn: int) -> int:
        if turn % 4 == 3:
            return store(live, own, [make_sent(kilobytes=1)]).status_code
        path = ("studies?limit=20", f"{series}/metadata", "instances?limit=20&includefield=all")[turn % 4]
        return own.get(f"{live.url}/dicom-web/{path}", timeout=60).status_code

    def run(number: int) -> None:
        own, turn = own_session(session), number
        while not stop.is_set():
            began = time.monotonic()
            try:
                status = ask(own, turn)
            except requests.RequestException:
                status = 0
            heard.answers.append(status)
            took = time.monotonic() - began
            heard.longest = max(heard.longest, took)
            turn += 1
            stop.wait(max(0.0, clients / per_second - took))

    threads = [threading.Thread(target=run, args=[number]) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield heard
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@contextmanager
def lock_waits(live: LivePacs) -> Iterator[list[float]]:
    """The longest time (s, one number) that a session waited for a lock that a migration had, or wanted."""
    longest, stop = [0.0], threading.Event()
    waiting = """
        SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start)), 0)::float FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event IN ('relation', 'tuple')
    """

    def run() -> None:
        with psycopg.connect(live.environment["PACS_DATABASE_URL"], autocommit=True) as connection:
            while not stop.wait(0.05):
                [(seconds,)] = connection.execute(waiting).fetchall()
                longest[0] = max(longest[0], seconds)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield longest
    finally:
        stop.set()
        thread.join()


def next_release(live: LivePacs, folder: Path) -> dict[str, str]:
    """An environment in which the archive has three migrations more than today."""
    package = folder / "next_release_archive"
    shutil.copytree(ROOT / "archive/migrations", package, ignore=shutil.ignore_patterns("__pycache__"))
    newest = max(path.stem for path in package.glob("0*.py"))
    (package / "9001_columns.py").write_text(COLUMNS.format(newest=newest))
    (package / "9002_index.py").write_text(INDEXES.format(index=INDEX))
    (package / "9003_backfill.py").write_text(BACKFILL)
    (folder / "next_release_settings.py").write_text(SETTINGS)
    return live.environment | {
        "DJANGO_SETTINGS_MODULE": "next_release_settings",
        "PYTHONPATH": f"{ROOT}:{folder}",
    }


def migrate(environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "manage.py"), "migrate"]
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


def indexed(live: LivePacs) -> bool | None:
    """Whether the index is valid; None if there is none."""
    rows = live.query("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", INDEX)
    return bool(rows[0][0]) if rows else None


def wait_until(done: object, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not done():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.timeout(900)
def test_a_next_release_migrates_while_this_one_serves(tmp_path: Path, figure: Figure, long_form: bool) -> None:
    live = LivePacs()
    try:
        live.start(worker=False)
        session = live.machine("technologist")
        assert store(live, session, [make_sent(kilobytes=1) for _ in range(40)]).status_code == 200
        environment = next_release(live, tmp_path)
        url = live.environment["PACS_DATABASE_URL"]
        if long_form:
            with psycopg.connect(url) as connection:
                connection.execute(MULTIPLY.format(times=1250))
        with load(live, session) as heard, lock_waits(live) as waited:
            with psycopg.connect(url) as query:
                # It has the table in its hands, and makes the migration wait, which must not make others wait.
                query.execute("SELECT count(*) FROM archive_study")
                first = migrate(environment)
                wait_until(
                    lambda: live.query(
                        "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER TABLE%%'"
                    )
                )
                time.sleep(3)
            with psycopg.connect(url) as snapshot:
                # An index that is made beside others has to wait for older snapshots: time to kill it.
                snapshot.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                snapshot.execute("SELECT count(*) FROM django_session")
                wait_until(lambda: indexed(live) is not None)
                first.kill()
                first.wait()
                assert indexed(live) is False
            both = [migrate(environment), migrate(environment)]
            said = [process.communicate(timeout=280)[0] for process in both]
            assert [process.returncode for process in both] == [0, 0], said
            time.sleep(2)  # this release on the tables of the next one
        assert indexed(live) is True
        assert live.query("SELECT count(*) FROM archive_instance WHERE next_text IS NULL")[0][0] >= 0
        share = 100 * heard.failed / len(heard.answers)
        figure("F16", "requests while it migrated", len(heard.answers), "more than 0")
        figure("F16", "of them failed, %", round(share, 2), "at most 0.1")
        figure("F16", "longest wait for a lock, s", round(waited[0], 2), "at most 2")
        figure("F16", "killed migration, completed by the next", "yes", "yes")
        assert share <= 0.1, heard.answers
        assert waited[0] <= (2 if long_form else 20)
    finally:
        live.stop()
