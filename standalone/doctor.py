"""`./pacs doctor`: what is fine, what is not, and what to do about it, in plain words."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from standalone import ports
from standalone.backing import check_database, check_queue
from standalone.errors import StandaloneError
from standalone.layout import PROJECT, Layout
from standalone.running import Running, started_at
from standalone.services.postgres_binaries import choose
from standalone.services.valkey import binary
from standalone.status import inspect, running

DISK_LOW = 2 << 30
DEFAULT_PORT = 8080
SEALING_LATE = 600
SHOWN_CRASHES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """`good` None: nothing to judge, only to know."""

    good: bool | None
    text: str


def doctor(layout: Layout) -> int:
    """Print every finding; exit code 1 if one is bad."""
    note = running(layout)
    bad = 0
    for finding in _findings(layout, note):
        bad += finding.good is False
        print({True: "  ok    ", False: "  BAD   ", None: "  note  "}[finding.good] + finding.text, flush=True)
    print(f"\n{bad} to put right." if bad else "\nNothing to put right.")
    return 1 if bad else 0


def _findings(layout: Layout, note: Running | None) -> Iterator[Finding]:
    yield _python()
    yield from _requirements()
    yield _disk(layout)
    yield _permissions(layout)
    if note is None:
        yield from _stopped(layout)
    else:
        yield from _children(note)
        yield _ask("database", lambda: check_database(note.environment))
        yield _ask("queue", lambda: check_queue(note.environment))
        yield from _product(note)


def _python() -> Finding:
    version = platform.python_version()
    return Finding(sys.version_info >= (3, 11), f"Python {version} ({sys.executable})")


def _requirements() -> Iterator[Finding]:
    for name in ("requirements.txt", "requirements-dev.txt"):
        stamp = Path(sys.prefix) / f".{name}"
        if stamp.exists():
            same = stamp.read_bytes() == (PROJECT / name).read_bytes()
            yield Finding(same, f"{name} is installed" if same else f"{name} has changed; the next ./pacs installs it")


def _disk(layout: Layout) -> Finding:
    folder = next(each for each in (layout.data, *layout.data.parents) if each.exists())
    free = shutil.disk_usage(folder).free
    text = f"{free / (1 << 30):.1f} GiB free for {layout.data}"
    return Finding(free > DISK_LOW, text if free > DISK_LOW else f"{text}: too little, studies will be refused")


def _permissions(layout: Layout) -> Finding:
    if not layout.data.exists():
        return Finding(None, f"{layout.data} does not exist yet; `./pacs up` makes it")
    if not os.access(layout.data, os.R_OK | os.W_OK | os.X_OK):
        return Finding(
            False, f"{layout.data} is not writable for you (user id {os.geteuid()}); set PACS_DATA or the owner"
        )
    if layout.secrets.exists() and layout.secrets.stat().st_mode & 0o077:
        return Finding(False, f"{layout.secrets} is open to others; run: chmod 700 {layout.secrets}")
    return Finding(True, f"{layout.data} is writable and its secrets are closed to others")


def _stopped(layout: Layout) -> Iterator[Finding]:
    yield Finding(None, "Lightbox is not running, so its services are not asked; `./pacs up` starts it")
    if os.environ.get("PACS_DATABASE_URL"):
        yield _ask("the database in PACS_DATABASE_URL", lambda: check_database(os.environ))
    else:
        yield _startable("PostgreSQL", lambda: choose(layout.postgres / "data").folder)
    if os.environ.get("PACS_REDIS_URL"):
        yield _ask("the queue in PACS_REDIS_URL", lambda: check_queue(os.environ))
    else:
        yield _startable("Valkey", binary)
    try:
        ports.require("127.0.0.1", DEFAULT_PORT)
        yield Finding(True, f"port {DEFAULT_PORT} is free")
    except StandaloneError as error:
        yield Finding(None, str(error))


def _startable(name: str, where: Callable[[], Path]) -> Finding:
    try:
        return Finding(True, f"{name} would be started from {where()}")
    except StandaloneError as error:
        return Finding(False, str(error))


def _children(note: Running) -> Iterator[Finding]:
    yield Finding(True, f"the launcher runs as process {note.pid}, address {note.address or 'none'}")
    for child in note.children:
        alive = started_at(child.pid) == child.started
        yield Finding(alive, f"{child.name} {'runs as' if alive else 'is gone; it was'} process {child.pid}")


def _ask(name: str, check: Callable[[], None]) -> Finding:
    try:
        check()
    except StandaloneError as error:
        return Finding(False, str(error))
    return Finding(True, f"{name} answers")


def _product(note: Running) -> Iterator[Finding]:
    found = inspect(note.environment, "migrations", "object_store", "studies", "trail", "crashes", "configuration")
    for name, answer in found.items():
        if "error" in answer:
            yield Finding(False, f"{name.replace('_', ' ')}: {answer['error']}")
    pending = found["migrations"].get("pending")
    if pending is not None:
        yield Finding(pending == 0, f"{pending} migrations to apply" + ("; restart Lightbox" if pending else ""))
    if "kind" in found["object_store"]:
        yield Finding(True, f"object store ({found['object_store']['kind']}) can be written and read")
    if "studies" in found["studies"]:
        yield Finding(None, f"{found['studies']['studies']} studies in the archive")
    if "sealed" in found["trail"]:
        yield _trail(**found["trail"])
    for application, started in found["crashes"].get("crashes", [])[-SHOWN_CRASHES:]:
        yield Finding(None, f"the {application} started at {started} never stopped in order: it crashed or was killed")
    for key, value in found["configuration"].get("configuration", {}).items():
        yield Finding(None, f"{key} = {json.dumps(value)}")


def _trail(sealed: int, signed: int, unsealed_seconds: float, unsigned_seconds: float) -> Finding:
    text = f"{sealed} events of the access trail are sealed, {signed} of them under a signed checkpoint"
    if signed > sealed:
        return Finding(False, f"{text}: some are gone; run: ./pacs audit verify")
    if max(unsealed_seconds, unsigned_seconds) > SEALING_LATE:
        return Finding(
            False, f"{text}; others have waited for more than {SEALING_LATE // 60} minutes, see the relay's log"
        )
    return Finding(True, text)
