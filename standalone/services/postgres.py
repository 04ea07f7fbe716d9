"""PostgreSQL on a unix socket without TCP; root hands it to `nobody`, whom PostgreSQL accepts."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from standalone.errors import ServiceFailed, StandaloneError
from standalone.identity import Identity, namespace, nobody, own
from standalone.services.postgres_binaries import Binaries, choose
from standalone.services.service import Service

if TYPE_CHECKING:
    import psycopg

ROLE = "pacs"
DATABASE = "pacs"
# Statements and messages hold patients' names. A statement that fails is told to whoever sent it, not to the log.
_DISCREET = {
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_parameter_max_length_on_error": "0",
}
# Our statements are many and short, on disks without arms: compiling one takes longer than running it, and an index is
# worth more than the defaults of 1996 think.
_QUICK = {"jit": "off", "random_page_cost": "1.1", "work_mem": "16MB", "effective_cache_size": "2GB"}
# Statements without their values; what is no query (CALL, COPY, SET) is kept as it was written, and so isn't counted.
_COUNTING = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track_utility": "off"}
# Without autovacuum a plan follows from what a test itself analysed, not from the moment.
_THROW_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


class Postgres(Service):
    """`home` keeps the data, `socket_folder` the socket; both are closed to everybody else.

    `throw_away` trades durability for speed (tests).
    """

    name = "postgresql"
    # Fast shutdown: open sessions are ended, everything committed is kept.
    stop_signal = signal.SIGINT
    stop_limit = 30.0

    def __init__(self, home: Path, socket_folder: Path, *, log: Path, throw_away: bool = False) -> None:
        super().__init__(log, home)
        self.home = home
        self.data = home / "data"
        self.socket_folder = socket_folder
        self.throw_away = throw_away
        self.binaries: Binaries | None = None

    @property
    def url(self) -> str:
        return f"postgresql:///{DATABASE}?host={quote(str(self.socket_folder), safe='/')}&user={ROLE}"

    def prepare(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.socket_folder.mkdir(parents=True, exist_ok=True)
        self.identity = _identity(self.home, self.socket_folder)
        for folder in (self.home, self.socket_folder):
            self.identity.give(folder)
            folder.chmod(0o700)
        self.binaries = choose(self.data).made_reachable(self.identity, self.home.parent)
        if not (self.data / "PG_VERSION").exists():
            self._create()
        self._clear_leftovers()

    def command(self) -> list[str]:
        options = {"listen_addresses": "", "unix_socket_directories": str(self.socket_folder)}
        options |= {"unix_socket_permissions": "0700", "max_connections": "200"} | _DISCREET | _QUICK
        options |= _THROW_AWAY if self.throw_away else {}
        options |= _COUNTING if self._counts_statements() else {}
        words = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
        return [str(self._binary("postgres")), "-D", str(self.data), *words]

    def ready(self) -> bool:
        import psycopg

        try:
            with self._connect("postgres") as connection:
                known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                if known is None:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
            if self._counts_statements():
                with self._connect(DATABASE) as connection:
                    connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        except psycopg.OperationalError:
            return False
        return True

    def _counts_statements(self) -> bool:
        """For the page of slow statements; where this PostgreSQL has been installed without its further modules it
        does without."""
        return not self.throw_away and (self._binary("postgres").parent.parent / "lib/pg_stat_statements.so").exists()

    def _connect(self, database: str) -> psycopg.Connection:
        import psycopg

        return psycopg.connect(
            host=str(self.socket_folder), user=ROLE, dbname=database, autocommit=True, connect_timeout=5
        )

    def _binary(self, name: str) -> Path:
        if self.binaries is None:
            self.binaries = choose(self.data)
        return self.binaries.folder / name

    def _create(self) -> None:
        # Made aside and renamed, so that an interrupted first start is never taken for a whole data folder.
        half = self.home / "new"
        shutil.rmtree(half, ignore_errors=True)
        command = [str(self._binary("initdb")), "-D", str(half), "-U", ROLE, "-A", "trust"]
        command += ["-E", "UTF8", "--locale=C.UTF-8", *(["--no-sync"] if self.throw_away else [])]
        answer = subprocess.run(
            command,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            **self.identity.popen_options(),
        )
        if answer.returncode != 0:
            said = (answer.stderr or answer.stdout).strip()
            hint = ""
            if "could not look up effective user ID" in said:
                hint = (
                    f"\nUser id {os.geteuid()} has no entry in /etc/passwd, which PostgreSQL needs. "
                    "Set PACS_DATABASE_URL to a PostgreSQL server instead."
                )
            raise ServiceFailed(f"PostgreSQL could not create its data folder {self.data}:\n{said}{hint}")
        half.rename(self.data)

    def _clear_leftovers(self) -> None:
        """End a server left by a killed launcher, and drop the files that still name it.

        PostgreSQL would refuse to start if their number belongs to any process by now, even to an unreaped dead one.
        The caller holds the launcher's lock, so a server on this folder can only be an orphan.
        """
        for file in (self.data / "postmaster.pid", self.socket_folder / ".s.PGSQL.5432.lock"):
            try:
                pid = int(file.read_text().split("\n", 1)[0])
            except (FileNotFoundError, ValueError):
                continue
            self._end_orphan(pid)
            file.unlink(missing_ok=True)

    def _end_orphan(self, pid: int) -> None:
        until = time.monotonic() + self.stop_limit
        with contextlib.suppress(ProcessLookupError):
            while _works_in(pid, self.data):
                os.kill(pid, self.stop_signal if time.monotonic() < until else signal.SIGQUIT)
                if time.monotonic() > until + 10:
                    raise ServiceFailed(f"A PostgreSQL server (process {pid}) on {self.data} does not stop.")
                time.sleep(0.2)


def _works_in(pid: int, data: Path) -> bool:
    # PostgreSQL changes into its data folder; a process that lives elsewhere only inherited the number.
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd")) == data.resolve()
    except OSError:
        return False


def _identity(home: Path, socket_folder: Path) -> Identity:
    """Ourselves; for root `nobody`, or a user namespace where `nobody` may not reach the folders."""
    if os.geteuid() != 0:
        return own()
    data = home / "data"
    made_by_root = data.exists() and data.stat().st_uid == 0
    dropped, mapped = nobody(), namespace()
    if not made_by_root and all(dropped.can("-x", folder.parent) for folder in (home, socket_folder)):
        return dropped
    if (made_by_root or not data.exists()) and mapped.can("-w", home):
        return mapped
    raise StandaloneError(
        f"PostgreSQL does not run as root and the user `nobody` may not reach {home}. "
        "Set PACS_DATA to a folder whose parents others may enter, for example PACS_DATA=/var/lib/lightbox, "
        "or run as an ordinary user."
    )
