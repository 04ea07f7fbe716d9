"""`./pacs doctor`: what is fine, what is not, why it matters and what to do about it, in plain words."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from standalone import ports
from standalone.backing import check_database, check_queue
from standalone.diagnoses import known, of_backups, of_clock, of_database, of_disk, of_figures, of_rebuild, of_trail
from standalone.errors import StandaloneError
from standalone.findings import Finding, as_json
from standalone.layout import PROJECT, Layout
from standalone.running import Running, started_at
from standalone.services.postgres_binaries import choose
from standalone.services.valkey import binary
from standalone.status import inspect, running

DISK_LOW = 2 << 30
DEFAULT_PORT = 8080
SHOWN_CRASHES = 5
Section = tuple[str, Callable[[], Iterator[Finding]]]


def doctor(layout: Layout, *, as_json: bool = False, settings: bool = False) -> int:
    """Print every finding, with ``settings`` also what the product is set to; exit code 1 if one is bad."""
    sections = _sections(layout, running(layout), settings=settings)
    if as_json:
        return _machine(sections)
    bad = 0
    for title, looked in sections:
        print(f"\n{title}", flush=True)
        for finding in looked():
            bad += finding.good is False
            print("\n".join(finding.lines()), flush=True)
    thing = "thing" if bad == 1 else "things"
    print(f"\n{bad} {thing} to put right; each line with > says how." if bad else "\nNothing to put right.")
    return 1 if bad else 0


def _machine(sections: list[Section]) -> int:
    found = [finding for _, looked in sections for finding in looked()]
    print(as_json(found))
    return 1 if any(each.good is False for each in found) else 0


def _sections(layout: Layout, note: Running | None, *, settings: bool) -> list[Section]:
    machine: Section = ("This machine", lambda: _of_machine(layout))
    if note is None:
        return [machine, ("Services", lambda: _stopped(layout))]
    answers = _Answers(note, settings=settings)
    shown: list[Section] = [("Settings", answers.settings)] if settings else []
    return [
        machine,
        ("Services", lambda: _services(note)),
        ("What is stored", answers.stored),
        ("Work and interfaces", answers.work),
        ("Access trail", answers.trail),
        *shown,
    ]


def _of_machine(layout: Layout) -> Iterator[Finding]:
    yield _python()
    yield from _requirements()
    yield _disk(layout)
    yield from _permissions(layout)


def _python() -> Finding:
    text = f"Python {platform.python_version()} ({sys.executable})"
    return Finding(sys.version_info >= (3, 11), text, "Older ones can't run Lightbox.", "install Python 3.11 or newer")


def _requirements() -> Iterator[Finding]:
    for name in ("requirements.txt", "requirements-dev.txt"):
        stamp = Path(sys.prefix) / f".{name}"
        if stamp.exists():
            same = stamp.read_bytes() == (PROJECT / name).read_bytes()
            text = f"{name} is installed" if same else f"{name} has changed since it was installed"
            yield Finding(same, text, "The program may want what isn't there.", "./pacs stop; ./pacs up")


def _disk(layout: Layout) -> Finding:
    folder = next(each for each in (layout.data, *layout.data.parents) if each.exists())
    free = shutil.disk_usage(folder).free
    text = f"{free / (1 << 30):.1f} GiB free for {layout.data}"
    why = "With a full disk studies are refused, and the database stops."
    return Finding(free > DISK_LOW, text, why, f"make room on that disk, or set PACS_DATA\ndf -h {folder}")


def _permissions(layout: Layout) -> Iterator[Finding]:
    data, secrets = layout.data, layout.secrets
    if not data.exists():
        yield Finding(None, f"{data} does not exist yet", "", "./pacs up      (makes it)")
    elif not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        text = f"{data} is not writable for you (user id {os.geteuid()})"
        yield Finding(False, text, "Lightbox keeps everything there.", f"sudo chown -R {os.geteuid()} {data}")
    else:
        yield Finding(True, f"{data} is writable")
        opened = [path for path in (secrets, *_files(secrets)) if path.exists() and path.stat().st_mode & 0o077]
        for path in opened:
            why = "Whoever has these keys can sign in as anybody, or forge the trail."
            yield Finding(False, f"{path} is open to other users", why, f"chmod go= {path}")
        if not opened:
            yield Finding(True, "its secrets are closed to other users")


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() and os.access(folder, os.R_OK | os.X_OK) else []


def _stopped(layout: Layout) -> Iterator[Finding]:
    yield Finding(None, "Lightbox is not running, so it can't be asked how it is", "", "./pacs up")
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
        return Finding(False, str(error), f"Nothing works without {name}.", "./pacs up      (says more)")


def _services(note: Running) -> Iterator[Finding]:
    yield Finding(True, f"the launcher runs as process {note.pid}, address {note.address or 'none'}")
    for child in note.children:
        alive = started_at(child.pid) == child.started
        text = f"{child.name} runs as process {child.pid}" if alive else f"{child.name} is gone (it was {child.pid})"
        why = "The launcher starts it again a few times; if it still isn't there, its log says why."
        yield Finding(alive, text, why, f"tail {Path(note.environment['PACS_DATA']) / 'logs' / child.name}.log")
    yield _ask("the database", lambda: check_database(note.environment))
    yield _ask("the queue", lambda: check_queue(note.environment))


def _ask(name: str, check: Callable[[], None]) -> Finding:
    try:
        check()
    except StandaloneError as error:
        return Finding(False, str(error), f"Without {name} little or nothing works.", "./pacs status")
    return Finding(True, f"{name} answers")


class _Answers:
    """What a running installation says of itself: asked once, in a process of its own."""

    CHECKS = (
        "migrations",
        "object_store",
        "studies",
        "trail",
        "crashes",
        "backups",
        "rebuild",
        "figures",
        "database",
        "disk",
    )

    def __init__(self, note: Running, *, settings: bool) -> None:
        checks = (*self.CHECKS, "configuration") if settings else self.CHECKS
        self.found = inspect(note.environment, *checks)

    def stored(self) -> Iterator[Finding]:
        """Tables, objects, backups, PostgreSQL."""
        for name, answer in self.found.items():
            if "error" in answer:
                text = f"{name.replace('_', ' ')}: {answer['error']}"
                yield Finding(False, text, "It can't be judged.", "./pacs status")
        pending = known(self.found, "migrations").get("pending")
        if pending is not None:
            text = f"{pending} changes of the tables are still to be made" if pending else "the tables are up to date"
            yield Finding(not pending, text, "The program expects newer tables.", "./pacs stop; ./pacs up")
        if kind := known(self.found, "object_store").get("kind"):
            yield Finding(True, f"the object store ({kind}) can be written and read")
        if (studies := known(self.found, "studies").get("studies")) is not None:
            yield Finding(None, f"{studies} {'study' if studies == 1 else 'studies'} in the archive")
        if disk := known(self.found, "disk"):
            yield of_disk(**disk)
        if backups := known(self.found, "backups"):
            yield of_backups(**backups)
        if rebuild := known(self.found, "rebuild"):
            yield of_rebuild(**rebuild)
        if database := known(self.found, "database"):
            yield from of_database(database["settings"])
            yield of_clock(database["clock"])

    def work(self) -> Iterator[Finding]:
        """Tasks, messages, findings, alerts; and what crashed."""
        yield from of_figures(known(self.found, "figures"))
        for application, started in known(self.found, "crashes").get("crashes", [])[-SHOWN_CRASHES:]:
            yield Finding(None, f"the {application} started at {started} never stopped in order: crashed, or killed")

    def trail(self) -> Iterator[Finding]:
        """Sealed and signed."""
        if state := known(self.found, "trail"):
            yield of_trail(**state)

    def settings(self) -> Iterator[Finding]:
        """Each setting; secrets only as set or not set."""
        for key, value in known(self.found, "configuration").get("configuration", {}).items():
            yield Finding(None, f"{key} = {json.dumps(value)}")
