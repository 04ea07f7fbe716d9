"""A throw-away installation of Lightbox, with the settings of `./pacs up`: durable, with access control and trail."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from benchmarks.bench.processes import parents_of
from benchmarks.bench.targets import Target, free_port
from standalone.backing import Backing, backing
from standalone.errors import StandaloneError
from standalone.layout import PROJECT, Layout
from standalone.programs import MANAGE, Relay, Web, Worker
from standalone.running import read_note

HOST: Final = "127.0.0.1"
RENEW_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Installation:
    """It runs; ``manage`` gives it further commands."""

    target: Target
    layout: Layout
    environment: dict[str, str]


@contextmanager
def installation(
    folder: Path, say: Callable[[str], None], prepare: Callable[[dict[str, str]], None] | None = None
) -> Iterator[Installation]:
    """Started in ``folder``, stopped at the end. ``prepare`` gets the environment when the tables are there and nothing
    else runs yet. Settings of the caller's (PACS_...) don't count."""
    for name in [name for name in os.environ if name.startswith("PACS_")]:
        del os.environ[name]
    layout = Layout(folder)
    port = free_port(HOST)
    root = f"http://{HOST}:{port}"
    with backing(layout, command="bench", address=root, public_root=root, say=say) as services:
        _serve(layout, services, port, prepare)
        note = read_note(layout)
        children = [child.pid for child in note.children] if note else []
        # What has loaded the product for them shares its memory with them, and is none of them.
        roots = sorted({*children, *parents_of(children)} - {os.getpid()})
        token = _Token(port, _client(services.environment))
        yield Installation(Target("lightbox", f"{root}/dicom-web", token, roots), layout, services.environment)


def _serve(layout: Layout, services: Backing, port: int, prepare: Callable[[dict[str, str]], None] | None) -> None:
    supervisor, environment = services.supervisor, services.environment
    migrate = [*MANAGE, "migrate", "--noinput"]
    supervisor.run("Preparing the tables", migrate, environment, log=layout.log("migrate"))
    if prepare is not None:
        prepare(environment)
    for program in (Worker, Relay):
        supervisor.add(program(layout.log(program.name), environment))
    supervisor.add(Web(HOST, port, log=layout.log(Web.name), environment=environment))


def _client(environment: dict[str, str]) -> tuple[str, str]:
    """Id and secret of a new machine that may store, search and retrieve."""
    command = [*MANAGE, "create_client", "bench", "--role", "technologist"]
    done = subprocess.run(
        command, env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise StandaloneError(f"The client of the measurements could not be made:\n{done.stderr}")
    told = dict(line.split() for line in done.stdout.splitlines() if line.startswith("client_"))
    return told["client_id"], told["client_secret"]


@dataclass(slots=True)
class _Token:
    """Gets a bearer token with the client's id and secret, and a new one before the old one ends."""

    port: int
    client: tuple[str, str]
    _value: str = field(default="")
    _until: float = field(default=0.0)

    def __call__(self) -> str:
        if time.monotonic() > self._until:
            connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
            basic = b64encode(":".join(self.client).encode()).decode()
            fields = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", "/oauth/token/", urlencode({"grant_type": "client_credentials"}), fields)
            answer = connection.getresponse()
            told = json.loads(answer.read())
            connection.close()
            self._value = told["access_token"]
            self._until = time.monotonic() + min(RENEW_SECONDS, told["expires_in"] / 2)
        return self._value
