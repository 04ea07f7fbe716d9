"""The services below the product: PostgreSQL and Valkey, ours or those the person named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from standalone.environment import child_environment, shared_environment
from standalone.errors import StandaloneError
from standalone.layout import Layout
from standalone.running import Child, Lock, Running, end_orphans, read_note, remove_note, write_note
from standalone.services.postgres import Postgres
from standalone.services.valkey import Valkey
from standalone.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class Backing:
    """A supervisor with the services below running, and the environment that reaches them."""

    supervisor: Supervisor
    environment: dict[str, str]


class AlreadyRunning(StandaloneError):
    """Another process works on this data folder; `note` says what it is, where known."""

    def __init__(self, note: Running | None) -> None:
        super().__init__("Lightbox is already running on this data folder.")
        self.note = note


@contextmanager
def backing(
    layout: Layout, *, command: str, address: str, public_root: str, say: Callable[[str], None]
) -> Iterator[Backing]:
    """Take the lock, end what a killed launcher left, start PostgreSQL and Valkey; everything is stopped at the end.

    Raises AlreadyRunning, and StandaloneError where a service named by the person cannot be reached.
    """
    layout.prepare()
    lock = Lock(layout)
    if not lock.take():
        raise AlreadyRunning(read_note(layout))
    with ExitStack() as stack:
        stack.callback(lock.release)
        for name in end_orphans(layout):
            say(f"! Ended {name}, left by a launcher that was killed.")
        database, queue = _database(layout), _queue(layout)
        environment = child_environment(
            layout,
            database_url=database.url if database else os.environ["PACS_DATABASE_URL"],
            redis_url=queue.url if queue else os.environ["PACS_REDIS_URL"],
            public_root=public_root,
        )
        shared = shared_environment(environment)

        def changed(children: Sequence[Child]) -> None:
            write_note(layout, Running(command, os.getpid(), address, shared, tuple(children)))

        changed([])
        stack.callback(remove_note, layout)
        supervisor = stack.enter_context(Supervisor(say, changed))
        for service, check in ((database, check_database), (queue, check_queue)):
            if service is None:
                check(environment)
            else:
                supervisor.add(service)
        yield Backing(supervisor, environment)


def _database(layout: Layout) -> Postgres | None:
    if os.environ.get("PACS_DATABASE_URL"):
        return None
    return Postgres(layout.postgres, layout.sockets / "pg", log=layout.log("postgresql"))


def _queue(layout: Layout) -> Valkey | None:
    if os.environ.get("PACS_REDIS_URL"):
        return None
    return Valkey(layout.valkey, layout.sockets / "valkey.sock", log=layout.log("valkey"))


def check_database(environment: Mapping[str, str]) -> None:
    """Raises StandaloneError unless the database answers."""
    import psycopg

    try:
        psycopg.connect(environment["PACS_DATABASE_URL"], connect_timeout=5).close()
    except psycopg.Error as error:
        raise StandaloneError(f"The database in PACS_DATABASE_URL does not answer: {error}") from error


def check_queue(environment: Mapping[str, str]) -> None:
    """Raises StandaloneError unless Valkey or Redis answers."""
    import redis

    try:
        with redis.Redis.from_url(environment["PACS_REDIS_URL"], socket_timeout=5) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        raise StandaloneError(f"The server in PACS_REDIS_URL does not answer: {error}") from error
