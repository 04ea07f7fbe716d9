"""The product as its users meet it: migrated database, gunicorn, relay and worker as processes of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import requests

from standalone.programs import Relay, Web, Worker
from standalone.services.service import Service
from tests.live.marker import leaks, logs_of

ROOT = Path(__file__).resolve().parent.parent.parent
USER = "robin"
_TEMPLATE_LOCK = 0x11684B0D  # held until the connection of who took it ends


class LivePacs:
    """One installation with a database and a data folder of its own beside the services of the test run."""

    def __init__(
        self,
        *,
        s3: dict[str, str] | None = None,
        redis_url: str | None = None,
        database_url: str | None = None,
        home: Path | None = None,
    ) -> None:
        self.home = home or Path(mkdtemp(prefix="lbl-"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = f"live_{uuid4().hex[:12]}"
        self.server_url = database_url or os.environ["PACS_DATABASE_URL"]
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("PACS_S3")} | {
            "PACS_DATABASE_URL": _database_url(self.server_url, self.database),
            "PACS_REDIS_URL": redis_url or f"{os.environ['PACS_REDIS_URL'].split('?')[0]}?db={4 + self.port % 12}",
            "PACS_DATA": str(self.home),
            "PACS_PUBLIC_ROOT": self.url,
            "DJANGO_SETTINGS_MODULE": "pacs_project.settings",
            "PYTHONPATH": str(ROOT),
        }
        for name, value in (s3 or {}).items():
            self.environment[f"PACS_S3__{name.upper()}"] = value
        self.environment["PACS_OBJECT_STORE"] = "s3" if s3 else "file"
        self.username, self.password = USER, ""
        self.services: list[Service] = []

    def trust_tokens_for_long(self) -> LivePacs:
        """For tests that take longer than a token is good for."""
        self.environment["PACS_ACCESS_TOKEN_SECONDS"] = str(6 * 3600)
        return self

    def start(self, *, worker: bool = True) -> LivePacs:
        """Bring it up for the first time; ``robin`` is a radiologist and a technologist."""
        self.install()
        made = self.manage("create_user", USER, "--role", "technologist", "--role", "radiologist")
        self.password = _field(made, "password")
        self.serve(worker=worker)
        return self

    def install(self) -> LivePacs:
        """Make the database; nothing is running yet."""
        with self._server() as connection:
            connection.execute(f"CREATE DATABASE {self.database} TEMPLATE {self._migrated(connection)}")
        return self

    def _migrated(self, connection: psycopg.Connection[Any]) -> str:
        """A migrated database to copy: made once for all installations on this server, by whoever comes first."""
        template = f"live_template_{_migrations()}"
        connection.execute("SELECT pg_advisory_lock(%s)", [_TEMPLATE_LOCK])
        known = connection.execute("SELECT FROM pg_database WHERE datname = %s", [template]).fetchone()
        if known is None:
            connection.execute(f"DROP DATABASE IF EXISTS {template}_new")
            connection.execute(f"CREATE DATABASE {template}_new")
            url = _database_url(self.server_url, f"{template}_new")
            command = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity=0"]
            subprocess.run(command, env=self.environment | {"PACS_DATABASE_URL": url}, timeout=300, check=True)
            connection.execute(f"ALTER DATABASE {template}_new RENAME TO {template}")
        return template

    def serve(self, *, worker: bool = True) -> None:
        """Start the processes on what is there already."""
        programs: list[Service] = [Web("127.0.0.1", self.port, log=self.home / "web.log", environment=self.environment)]
        if worker:
            programs += [
                Worker(self.home / "worker.log", self.environment),
                Relay(self.home / "relay.log", self.environment),
            ]
        self.services = programs
        for program in programs:
            program.start()

    def manage(self, *words: str) -> str:
        """A management command in this installation; its output."""
        done = self.manage_anyhow(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def manage_anyhow(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The same, whether it succeeds or not."""
        command = [sys.executable, str(ROOT / "manage.py"), *words]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=300, check=False)

    def machine(self, role: str) -> requests.Session:
        """A client of ``role`` with a bearer token, as a requests session."""
        made = self.manage("create_client", f"{role}-{uuid4().hex[:8]}", "--role", role)
        answer = requests.post(
            f"{self.url}/oauth/token/",
            data={"grant_type": "client_credentials"},
            auth=(_field(made, "client_id"), _field(made, "client_secret")),
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return session

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Look into the database of this installation."""
        with psycopg.connect(self.environment["PACS_DATABASE_URL"], autocommit=True) as connection:
            return connection.execute(sql, values).fetchall()

    def resident_bytes(self) -> int:
        """The largest resident set among the web processes."""
        pids = [self.services[0].pid, *_children(self.services[0].pid)]
        return max(_resident(pid) for pid in pids if pid)

    def kill(self, name: str = "") -> None:
        """SIGKILL for every process at once, or those of one service; nothing gets to clean up."""
        dying = [service for service in self.services if not name or service.name == name]
        for service in dying:
            if service.pid is not None:
                with suppress(ProcessLookupError):
                    os.killpg(service.pid, signal.SIGKILL)
        for service in dying:
            if service.process is not None:
                service.process.wait()
        self.services = [service for service in self.services if service not in dying]

    def serve_worker(self) -> None:
        """Start the worker again."""
        self.services.append(Worker(self.home / "worker.log", self.environment))
        self.services[-1].start()

    def serve_relay(self) -> None:
        """Start the relay again."""
        self.services.append(Relay(self.home / "relay.log", self.environment))
        self.services[-1].start()

    def stop(self) -> None:
        """Stop in order and leave nothing behind."""
        for service in self.services:
            service.stop()
        self.services = []
        told = leaks(logs_of(self.home))
        shutil.rmtree(self.home, ignore_errors=True)
        with self._server() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
        assert not told, f"a patient is in the logs: {told}"

    def _server(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.server_url, autocommit=True)


def _migrations() -> str:
    """A name for what the migrations of this checkout make."""
    files = sorted([*ROOT.glob("*/migrations/0*.py"), *ROOT.glob("*/*/migrations/0*.py")])
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _database_url(server_url: str, name: str) -> str:
    parts = urlsplit(server_url)
    return f"{parts.scheme}://{parts.netloc}/{name}?{parts.query}"


def _field(text: str, name: str) -> str:
    return next(line.split()[1] for line in text.splitlines() if line.startswith(name))


def _children(pid: int | None) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def _resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS")), 0)
