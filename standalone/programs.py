"""The product's own processes: the web server, the task worker, the relay of the outbox and the HL7 listener."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from standalone import preloading
from standalone.environment import EVERY_INTERFACE
from standalone.layout import PROJECT
from standalone.preloading import Forked, NotPreloaded
from standalone.services.service import Service

MANAGE = [sys.executable, str(PROJECT / "manage.py")]
TASK_PROCESSES = 2
# `graceful_timeout` of pacs_project/gunicorn_conf.py.
GRACE_SECONDS = 20
HL7_PORT = "2575"


class Program(Service):
    """A Python process of the product with its environment."""

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        super().__init__(log, PROJECT)
        self._environment = environment

    def environment(self) -> Mapping[str, str]:
        return self._environment

    def begin(self, log: IO[bytes]) -> subprocess.Popen[bytes] | Forked:
        """Forked from a process that has loaded the product, which spares time and memory; else by itself."""
        words = self.command()[1:]
        try:
            return preloading.begin(self.name, words, self.environment(), self.cwd, log, self.stop_signal)
        except NotPreloaded:
            return super().begin(log)


class Web(Program):
    """gunicorn with `pacs_project/gunicorn_conf.py`; ready when `/livez` answers 200."""

    name = "web"
    stop_limit = GRACE_SECONDS + 5.0

    def __init__(self, host: str, port: int, *, log: Path, environment: Mapping[str, str]) -> None:
        super().__init__(log, environment)
        self.host = host
        self.port = port

    def command(self) -> list[str]:
        host = f"[{self.host}]" if ":" in self.host else self.host
        words = ["--config=python:pacs_project.gunicorn_conf", f"--bind={host}:{self.port}"]
        return [sys.executable, "-m", "gunicorn", *words, "pacs_project.wsgi:application"]

    def ready(self) -> bool:
        reachable = EVERY_INTERFACE.get(self.host, self.host)
        connection = http.client.HTTPConnection(reachable, self.port, timeout=5)
        try:
            connection.request("GET", "/livez", headers={"Host": "127.0.0.1"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class Worker(Program):
    """Celery; SIGTERM lets running tasks end, those not begun stay in the queue."""

    name = "worker"
    stop_limit = 30.0

    def command(self) -> list[str]:
        options = ["--pool=prefork", f"--concurrency={TASK_PROCESSES}", "--loglevel=INFO"]
        options += ["--without-gossip", "--without-mingle", "--hostname=lightbox@%h"]
        return [sys.executable, "-m", "celery", "-A", "pacs_project", "worker", *options]


class Relay(Program):
    """Hands what the outbox holds to the queue."""

    name = "relay"

    def command(self) -> list[str]:
        return [*MANAGE, "relay_outbox"]


class Hl7(Program):
    """Takes HL7 messages over MLLP; ready when it accepts a connection. It ends after the messages it is at."""

    name = "hl7"
    stop_limit = 20.0

    def __init__(self, port: int, *, log: Path, environment: Mapping[str, str]) -> None:
        super().__init__(log, environment)
        self.port = port

    def command(self) -> list[str]:
        return [*MANAGE, "hl7_listen"]

    def ready(self) -> bool:
        host = self.environment().get("PACS_HL7__HOST", "127.0.0.1")
        try:
            socket.create_connection((EVERY_INTERFACE.get(host, host), self.port), timeout=5).close()
        except OSError:
            return False
        return True
