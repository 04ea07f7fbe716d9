"""The dump on its way back: into an empty database, all of it or nothing."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from typing import Final

from django.db import connection
from django.db.migrations.loader import MigrationLoader

from custody.backups import unsettled
from custody.backups.errors import BackupError
from custody.backups.making import last_line
from custody.backups.manifest import Manifest
from custody.backups.programs import Address, programs

_TABLES: Final = """
    SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND n.nspname NOT LIKE 'pg\\_toast%%' AND n.nspname NOT LIKE 'pg\\_temp%%'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
      AND c.relname <> %s
"""


def is_empty() -> bool:
    """Whether the database has no tables at all, but for the note of a restore."""
    with connection.cursor() as cursor:
        cursor.execute(_TABLES, [unsettled.TABLE])
        (count,) = cursor.fetchone()
    return not count


def refuse_newer(found: Mapping[str, str]) -> None:
    """Raises BackupError where the backup is of a release that is newer than this one."""
    known = set(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)
    unknown = sorted(f"{app} {name}" for app, name in found.items() if (app, name) not in known)
    if unknown:
        raise BackupError(
            f"The backup was made by a newer release, which is needed to restore it; unknown: {', '.join(unknown)}."
        )


def restore(pieces: Iterable[bytes], manifest: Manifest, address: Address) -> None:
    """pg_restore in one transaction. Whatever ``pieces`` raises goes through, and nothing is in the database then."""
    server = connection.cursor().connection.info.server_version // 10_000
    chosen = programs(server, dumped_by=manifest.facts.server_version)
    connection.close()
    command = [chosen.restore, "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    command += ["--no-password", f"--dbname={address.conninfo}"]
    options = f"{address.environment['PGOPTIONS']} -c default_transaction_read_only=off"
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(
            command,
            env={**address.environment, "PGOPTIONS": options},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
        ) as restoring:
            try:
                _feed(restoring, pieces)
            except BaseException:
                restoring.kill()  # before the pipe is closed, which would look like the end of the dump
                raise
        if restoring.returncode != 0:
            said.seek(0)
            raise BackupError(f"pg_restore failed: {last_line(said.read())}. The database is as empty as before.")


def _feed(restoring: subprocess.Popen[bytes], pieces: Iterable[bytes]) -> None:
    if restoring.stdin is None:
        return
    try:
        for piece in pieces:
            restoring.stdin.write(piece)
        restoring.stdin.close()
    except BrokenPipeError:
        return  # its exit code and its words say why
