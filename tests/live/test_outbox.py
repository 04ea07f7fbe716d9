"""Tasks through a real broker and real workers, with each of them away, killed or emptied: none is lost."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis
import requests

from standalone.services.valkey import Valkey
from tests.live.senders import Sent, make_sent, retrieve, store
from tests.live.server import LivePacs

PATIENCE = 75.0
QUEUE = "celery"
OPEN = "SELECT count(*) FROM archive_outboxentry WHERE subject = %s AND kind LIKE 'series_%%'"


class Installation(LivePacs):
    """With a broker of its own, which a test may stop and empty."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="lbo-")
        home = Path(self.folder.name)
        self.valkey = Valkey(home / "valkey", home / "v.sock", log=home / "valkey.log")
        self.valkey.start()
        super().__init__(redis_url=self.valkey.url)
        # Every series then has two tasks; the third is one of long delays.
        self.environment["PACS_AT_REST__TRANSFER_SYNTAX"] = "off"

    def stop(self) -> None:
        super().stop()
        self.valkey.stop()
        self.folder.cleanup()

    def broker(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.valkey.socket), socket_timeout=5)

    def said(self) -> str:
        """The last words of everybody who has to do with tasks, for a test that waited in vain."""
        open_tasks = self.query("SELECT kind, attempts, dead, last_error, not_before FROM archive_outboxentry")
        return "\n".join([str(open_tasks), *(service.tail() for service in self.services)])

    def later(self) -> None:
        """A minute passes for every open task, as far as the outbox can tell."""
        self.execute("UPDATE archive_outboxentry SET not_before = statement_timestamp()")

    def execute(self, sql: str, *values: object) -> None:
        with psycopg.connect(self.environment["PACS_DATABASE_URL"], autocommit=True) as connection:
            connection.execute(sql, values)

    def series_of(self, sent: Sent) -> int:
        [[pk]] = self.query("SELECT series_id FROM archive_instance WHERE sop_instance_uid = %s", sent.uid)
        return int(pk)

    def open_tasks(self, sent: Sent) -> int:
        """Of the series: its metadata and its picture."""
        [[count]] = self.query(OPEN, str(self.series_of(sent)))
        return int(count)

    def is_done(self, sent: Sent) -> bool:
        """Its document and its picture are there, and nothing is left to do."""
        pk = self.series_of(sent)
        done = self.query(
            "SELECT 1 FROM archive_series s JOIN archive_seriesdocument d ON d.series_id = s.id "
            "WHERE s.id = %s AND s.thumbnail_instance IS NOT NULL AND d.version = s.version",
            pk,
        )
        return bool(done) and not self.open_tasks(sent)


@pytest.fixture(scope="module")
def live() -> Iterator[Installation]:
    installation = Installation()
    try:
        installation.start()
        yield installation
    finally:
        installation.stop()


@pytest.fixture(scope="module")
def session(live: Installation) -> requests.Session:
    return live.machine("technologist")


def eventually(condition: Callable[[], bool], *, meanwhile: Callable[[], None] = lambda: None) -> bool:
    until = time.monotonic() + PATIENCE
    while not (met := condition()) and time.monotonic() < until:
        time.sleep(0.25)
        meanwhile()
    return met


def stored(live: Installation, session: requests.Session) -> Sent:
    sent = make_sent()
    began = time.monotonic()
    assert store(live, session, [sent]).status_code == 200
    assert time.monotonic() - began < 25, "the answer waited for something"
    return sent


def test_tasks_follow_a_store(live: Installation, session: requests.Session) -> None:
    sent = stored(live, session)
    assert eventually(lambda: live.is_done(sent)), live.said()
    thumbnail = session.get(f"{live.url}/dicom-web/{sent.path.split('/instances/')[0]}/thumbnail", timeout=60)
    assert thumbnail.content[:2] == b"\xff\xd8"


def test_the_broker_is_away(live: Installation, session: requests.Session) -> None:
    live.valkey.stop()
    try:
        sent = [stored(live, session) for _ in range(3)]
        assert all(retrieve(live, session, each.path).content == each.data for each in sent)
        time.sleep(5)  # long enough for the relay to try, and to fail
        assert all(live.open_tasks(each) == 2 for each in sent)
        assert requests.get(f"{live.url}/livez", timeout=10).status_code == 200
    finally:
        live.valkey.start()
    assert eventually(lambda: all(live.is_done(each) for each in sent)), live.said()
    assert live.query("SELECT count(*) FROM archive_outboxentry WHERE dead OR attempts > 1") == [(0,)]


def test_the_broker_forgets_everything(live: Installation, session: requests.Session) -> None:
    live.kill("worker")
    try:
        sent = stored(live, session)
        with live.broker() as broker:
            assert eventually(lambda: broker.llen(QUEUE) == 3), live.said()  # one looks for an order
            broker.flushall()
    finally:
        live.serve_worker()
    live.later()
    assert eventually(lambda: live.is_done(sent)), live.said()


def test_the_worker_dies_in_the_middle_of_a_task(live: Installation, session: requests.Session) -> None:
    sent = stored(live, session)
    with psycopg.connect(live.environment["PACS_DATABASE_URL"]) as holder:
        # Whatever wants to finish with this series has to wait: the tasks are caught in the middle.
        holder.execute("SELECT 1 FROM archive_series WHERE id = %s FOR UPDATE", [live.series_of(sent)])
        begun = f"{OPEN} AND attempts = 1"
        subject = str(live.series_of(sent))
        assert eventually(lambda: live.query(begun, subject) == [(2,)]), live.said()
        live.kill("worker")
        holder.rollback()
    assert live.open_tasks(sent) == 2
    live.serve_worker()
    live.later()
    assert eventually(lambda: live.is_done(sent)), live.said()


def test_poison_dies_alone(live: Installation, session: requests.Session) -> None:
    for kind, subject in (("series_thumbnail", "no number"), ("no such task", "1")):
        live.execute(
            "INSERT INTO archive_outboxentry (kind, subject, generation, attempts, dead, last_error) "
            "VALUES (%s, %s, 1, 0, false, '')",
            kind,
            subject,
        )
    sent = stored(live, session)
    dead = "SELECT kind, last_error, attempts FROM archive_outboxentry WHERE dead ORDER BY kind"
    assert eventually(lambda: len(live.query(dead)) == 2, meanwhile=live.later), live.said()
    assert live.query(dead) == [("no such task", "KeyError", 5), ("series_thumbnail", "ValueError", 5)]
    assert eventually(lambda: live.is_done(sent)), live.said()
    another = stored(live, session)
    assert eventually(lambda: live.is_done(another)), live.said()
