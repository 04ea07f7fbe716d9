"""Migrations beside a release that serves: one process at a time, no lock that others wait for, and safe to be killed.

What a migration may do at all is held by ``tests/architecture/test_migrations.py``; ``docs/operations.md`` has the
procedure.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import OperationalError
from psycopg.errors import DeadlockDetected, LockNotAvailable

# A statement that waits for a lock makes everybody wait who comes after it.
LOCK_MILLISECONDS: Final = 1_000
LONGEST_WAIT_SECONDS: Final = 600.0
_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 15.0
_LOCK: Final = 0x4C69_6768_4D69_6772  # "LighMigr" in ASCII
# A killed migration's last statement ends soon after it, instead of when it is done.
_SETTINGS: Final = f"""
    SET lock_timeout = {LOCK_MILLISECONDS}; SET statement_timeout = 0; SET client_connection_check_interval = '2s'
"""
_BACK: Final = "RESET lock_timeout; RESET statement_timeout; RESET client_connection_check_interval"

Tell = Callable[[str], None]


@contextmanager
def alone(connection: Any, tell: Tell) -> Iterator[None]:
    """Nobody else migrates this database meanwhile; who does is waited for. A session of its own has the lock."""
    session = connection.copy()
    try:
        told = False
        while not _taken(session):
            if not told:
                tell("Another process migrates this database; waiting for it.")
            told = True
            time.sleep(_PAUSE)
        yield
    finally:
        session.close()


def _taken(session: Any) -> bool:
    """Asked again and again: an index that is made beside others would wait for whoever waits in the database."""
    with session.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        (free,) = cursor.fetchone()
    return bool(free)


@contextmanager
def quick_locks(connection: Any) -> Iterator[None]:
    """Within it no statement waits for a lock longer than ``LOCK_MILLISECONDS``, nor ends because it takes long."""
    with connection.cursor() as cursor:
        cursor.execute(_SETTINGS)
    try:
        yield
    finally:
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute(_BACK)


def until_free(attempt: Callable[[], object], tell: Tell, longest: float = LONGEST_WAIT_SECONDS) -> None:
    """Call ``attempt`` again as long as a lock is not to be had: what was done stays done. Raises OperationalError."""
    until, pause = time.monotonic() + longest, _PAUSE
    while True:
        try:
            attempt()
            return
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable | DeadlockDetected) or time.monotonic() + pause > until:
                raise
        tell("A table is in use (a backup, or a long search); trying again.")
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
