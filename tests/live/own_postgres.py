"""A PostgreSQL that a test may kill."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from standalone.errors import ServiceFailed
from standalone.services.postgres import Postgres


@pytest.fixture
def own_postgres(short_folder: Path) -> Iterator[Postgres]:
    """A PostgreSQL as `./pacs up` runs it: durable, and ours to kill."""
    server = Postgres(short_folder / "pg", short_folder / "s", log=short_folder / "pg.log")
    try:
        server.start()
        yield server
    finally:
        server.stop()


def kill_postgres(server: Postgres, *, sessions: bool = False) -> None:
    """SIGKILL for the server; its ``sessions`` too, which otherwise end when they notice."""
    assert server.pid is not None
    assert server.process is not None
    orphans = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split() if sessions else []
    os.kill(server.pid, signal.SIGKILL)
    for orphan in orphans:
        with suppress(ProcessLookupError):
            os.kill(int(orphan), signal.SIGKILL)
    server.process.wait()


def start_again(server: Postgres) -> None:
    """Its orphaned sessions need a moment to notice that they are alone."""
    until = time.monotonic() + 60
    while True:
        try:
            server.start()
        except ServiceFailed:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
        else:
            return
