"""`./pacs import` and `./pacs manage`: a command of the product, with the services it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from standalone.backing import AlreadyRunning, backing
from standalone.environment import public_root
from standalone.errors import StandaloneError
from standalone.layout import PROJECT, Layout
from standalone.programs import MANAGE, Relay, Worker
from standalone.running import Running
from standalone.status import running
from standalone.supervisor import StopRequested, ignoring_interrupts


def manage(layout: Layout, words: Sequence[str]) -> int:
    """`manage.py WORDS` in the caller's folder; PostgreSQL and Valkey are started for it unless they run."""
    return _run(layout, "manage", [*MANAGE, *words], tasks=False)


def import_paths(layout: Layout, paths: Sequence[str]) -> int:
    """Import files, folders and zips. Raises StandaloneError for a path that does not exist."""
    missing = [path for path in paths if not Path(path).exists()]
    if missing:
        raise StandaloneError("There is no such file or folder: " + ", ".join(missing))
    whole = [str(Path(path).absolute()) for path in paths]
    return _run(layout, "import", [*MANAGE, "import_dicom", *whole], tasks=True)


def _run(layout: Layout, name: str, command: Sequence[str], *, tasks: bool) -> int:
    note = running(layout)
    if note is not None:
        return _beside(note, command)
    root = public_root("127.0.0.1", 8080)
    try:
        with backing(layout, command=name, address="", public_root=root, say=_say) as services:
            environment = services.environment
            if tasks:
                migrate = [*MANAGE, "migrate", "--noinput"]
                services.supervisor.run("Preparing the tables", migrate, environment, log=layout.log("migrate"))
                for program in (Worker, Relay):
                    services.supervisor.add(program(layout.log(program.name), environment))
            return _call(command, environment)
    except StopRequested:
        return 143
    except AlreadyRunning as error:
        if error.note is None:
            raise
        return _beside(error.note, command)


def _beside(note: Running, command: Sequence[str]) -> int:
    """Next to a running installation, with the addresses it wrote down."""
    environment = {**os.environ, **note.environment}
    environment |= {"DJANGO_SETTINGS_MODULE": "pacs_project.settings", "PYTHONPATH": str(PROJECT)}
    return _call(command, environment)


def _call(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """In the terminal's own process group, so that Ctrl-C and the progress bar are the command's."""
    sys.stdout.flush()
    process = subprocess.Popen(list(command), env=dict(environment))
    try:
        with ignoring_interrupts():
            return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
