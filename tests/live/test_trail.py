"""Drills A3 and A4: without the trail nothing is shown or taken, and what was shown is in it, whatever is killed."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
import requests

from standalone.services.postgres import Postgres
from tests.live.own_postgres import own_postgres, start_again
from tests.live.senders import AS_STORED, Sent, make_sent, store
from tests.live.server import LivePacs

__all__ = ["own_postgres"]

READERS = 6
EACH = 50


class PlainPacs(LivePacs):
    """Its database belongs to a role that is no superuser: nothing can be revoked from one."""

    role = "plain"

    def install(self) -> LivePacs:
        with self._server() as connection:
            if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [self.role]).fetchone():
                connection.execute(f"CREATE ROLE {self.role} LOGIN")
        self.superuser_url = self.environment["PACS_DATABASE_URL"]
        self.environment["PACS_DATABASE_URL"] = self.superuser_url.replace("user=pacs", f"user={self.role}")
        with self._server() as connection:
            connection.execute(f"CREATE DATABASE {self.database} OWNER {self.role}")
        self.manage("migrate", "--verbosity=0")
        return self

    def as_superuser(self, statement: str) -> None:
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture
def plain() -> Iterator[PlainPacs]:
    live = PlainPacs()
    try:
        live.start(worker=False)
        yield live
    finally:
        live.stop()


def test_without_the_trail_nothing_is_shown_or_taken(plain: PlainPacs) -> None:
    """A3: 50 reads and 50 stores while nothing may be inserted: 100 times 503; then it works at once, and says so."""
    session = plain.machine("technologist")
    held = make_sent(PatientName="ZZQXMARKER", kilobytes=8)
    assert store(plain, session, [held]).status_code == 200
    [before] = plain.query("SELECT (SELECT count(*) FROM archive_instance), (SELECT count(*) FROM audit_accessevent)")
    tails = ["", "/metadata", "/frames/1", "/rendered", "/thumbnail"]

    def read(number: int) -> requests.Response:
        tail = tails[number % len(tails)]
        headers = {"Accept": "*/*"} if tail else AS_STORED
        with _like(session) as own:
            return own.get(f"{plain.url}/dicom-web/{held.path}{tail}", headers=headers, timeout=60)

    def write(number: int) -> requests.Response:
        with _like(session) as own:
            return store(plain, own, [make_sent(PatientName="ZZQXMARKER")])

    plain.as_superuser(f"REVOKE INSERT ON audit_accessevent FROM {plain.role}")
    with ThreadPoolExecutor(READERS) as pool:
        answers = [*pool.map(read, range(EACH)), *pool.map(write, range(EACH))]
    assert [answer.status_code for answer in answers] == [503] * 2 * EACH
    assert all(answer.headers["Retry-After"] for answer in answers)
    assert all(b"ZZQX" not in answer.content and len(answer.content) < 500 for answer in answers)
    assert plain.query("SELECT (SELECT count(*) FROM archive_instance), (SELECT count(*) FROM audit_accessevent)") == [
        before
    ]

    plain.as_superuser(f"GRANT INSERT ON audit_accessevent TO {plain.role}")
    began = time.monotonic()
    while read(0).status_code != 200 or write(0).status_code != 200:
        time.sleep(0.1)
    took = time.monotonic() - began
    assert took <= 5
    codes = plain.query(
        "SELECT kind, outcome_description FROM audit_accessevent WHERE kind LIKE 'recording_%%' ORDER BY sequence"
    )
    assert [kind for kind, _ in codes[:2]] == ["recording_stopped", "recording_started"]
    assert "events could not be written" in codes[0][1]
    assert "sealed" in plain.manage("audit_seal")
    assert "The trail is what was sealed and signed." in plain.manage("audit_verify")
    print(f"100 refused, working again after {took:.2f} s; {codes[0][1]}")


def test_what_was_shown_is_in_the_trail_after_a_kill(own_postgres: Postgres) -> None:
    """A4: web server and database are killed while objects are read; every whole answer has its event."""
    live = LivePacs(database_url=own_postgres.url)
    try:
        live.start(worker=False)
        session = live.machine("technologist")
        held = [make_sent(kilobytes=8) for _ in range(4)]
        assert store(live, session, held).status_code == 200
        shown: list[str] = []
        with ThreadPoolExecutor(READERS) as pool:
            for _ in range(READERS):
                pool.submit(_read_until_it_dies, live, session, held, shown)
            until = time.monotonic() + 20
            while len(shown) < 300 and time.monotonic() < until:
                time.sleep(0.01)
            live.kill()
            assert own_postgres.pid is not None
            assert own_postgres.process is not None
            os.kill(own_postgres.pid, signal.SIGKILL)
            own_postgres.process.wait()
        start_again(own_postgres)
        rows = live.query("SELECT request_id FROM audit_accessevent WHERE kind = 'retrieve'")
        missing = set(shown) - {request_id for (request_id,) in rows}
        assert len(shown) > 50
        assert not missing
        print(f"{len(shown)} whole answers, {len(rows)} events, 0 missing")
    finally:
        live.stop()


def _like(session: requests.Session) -> requests.Session:
    """Another session of the same client: one is for one thread."""
    own = requests.Session()
    own.headers.update(session.headers)
    return own


def _read_until_it_dies(live: LivePacs, session: requests.Session, held: list[Sent], shown: list[str]) -> None:
    own = _like(session)
    chance = random.Random(threading.get_ident())
    while True:
        sent, request_id = chance.choice(held), uuid4().hex
        try:
            answer = own.get(
                f"{live.url}/dicom-web/{sent.path}", headers=AS_STORED | {"X-Request-ID": request_id}, timeout=30
            )
        except requests.RequestException:
            return
        if answer.status_code == 200 and answer.content == sent.data:
            shown.append(request_id)
