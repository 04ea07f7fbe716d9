"""`./pacs backup`, `backups`, `restore` and `verify`: the product's commands, and the throw-away place for the last."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from standalone.commands import manage
from standalone.environment import child_environment
from standalone.layout import PROJECT, Layout
from standalone.programs import MANAGE
from standalone.services.postgres import Postgres
from standalone.status import running


def verify(layout: Layout, words: Sequence[str]) -> int:
    """Restore a backup into a database server and a folder of its own, check it, and remove both.

    The installation is not asked, and need not run: its settings tell how the backup is reached, its key opens it.
    """
    note = running(layout)
    # PostgreSQL of root belongs to `nobody`, who has to pass; paths of sockets are short.
    home = Path(tempfile.mkdtemp(prefix="lbv-"))
    home.chmod(0o711)
    server = Postgres(home / "pg", home / "s", log=home / "pg.log", throw_away=True)
    # What is restored there in the clear must not stay because somebody ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        server.start()
        environment = _environment(layout, home, server.url, note.environment if note else {})
        return subprocess.run([*MANAGE, "backup_verify", *words], env=environment, check=False).returncode
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def command(layout: Layout, name: str, words: Sequence[str]) -> int:
    """One of the others, with the services it needs; a relative folder is that of whoever calls."""
    return manage(layout, [name, *words])


def _environment(layout: Layout, home: Path, database_url: str, installed: Mapping[str, str]) -> dict[str, str]:
    settings = {**os.environ, **installed}
    key = settings.get("PACS_BACKUP__KEY") or str(layout.secrets / "backup_key")
    made = child_environment(
        Layout(home / "data"),
        database_url=database_url,
        redis_url=settings.get("PACS_REDIS_URL", "redis://127.0.0.1:1/0"),
        public_root=settings.get("PACS_PUBLIC_ROOT", "http://127.0.0.1:8080"),
    )
    kept = {"PACS_DATABASE_URL", "PACS_DATA", "PACS_REDIS_URL", "PACS_PUBLIC_ROOT", "PYTHONPATH"}
    return {**settings, **{name: made[name] for name in kept}, "PACS_BACKUP__KEY": key} | {
        "DJANGO_SETTINGS_MODULE": "pacs_project.settings",
        "PYTHONPATH": str(PROJECT),
    }
