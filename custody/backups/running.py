"""One run of a backup with its row and its event: what the command and the schedule do."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.models.functions import Now

from access.trail import system_event
from archive.object_store import object_store
from audit.kinds import BACKUP, Outcome
from audit.record import record
from custody.backups.copying import Copied
from custody.backups.errors import BackupError, UnderWay
from custody.backups.making import make, new_name
from custody.backups.manifest import Manifest
from custody.backups.models import BackupRun
from custody.backups.models import Outcome as Ended
from custody.backups.programs import address
from custody.backups.target import Target


def person() -> str:
    """Who runs this, as the operating system knows them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "an account without a name"


def run(target: Target, config: Any, product: str, tell: Callable[[str], None]) -> tuple[Manifest, Copied]:
    """Make a backup; its row and its event say how it ended. Raises BackupError."""
    row = BackupRun.objects.create(name=new_name(datetime.now(UTC)), target=target.name)
    where = address(connection.settings_dict)
    # The connection of the row would be idle for as long as the backup takes.
    connection.close()
    try:
        made, copied = make(target, row.name, where, object_store(), config, product, tell)
    except UnderWay:
        # Two relays that began at the same moment: nothing failed.
        row.delete()
        raise
    except BaseException as error:
        text = str(error) if isinstance(error, BackupError) else type(error).__name__
        _end(row, Ended.FAILED, text)
        _say(f"backup {row.name} to {target.name} by {person()} failed: {text}", Outcome.SERIOUS_FAILURE, 0, 0)
        raise
    BackupRun.objects.filter(pk=row.pk).update(
        complete_until=made.facts.complete_until, objects_copied=copied.objects, bytes_written=copied.bytes
    )
    damaged = f"{len(made.damaged)} objects are damaged here and not in it" if made.damaged else ""
    _end(row, Ended.DAMAGED if damaged else Ended.GOOD, damaged)
    until = f"{made.facts.complete_until:%Y-%m-%dT%H:%M:%SZ}"
    text = f"backup {made.name} to {target.name} by {person()}, complete until {until}"
    outcome = Outcome.MINOR_FAILURE if damaged else Outcome.SUCCESS
    _say("; ".join(filter(None, (text, damaged))), outcome, made.facts.counts["archive_instance"], copied.bytes)
    return made, copied


def tell_of_removal(names: Sequence[str], where: str) -> None:
    """The event of backups that are no more."""
    if names:
        _say(f"backups removed from {where} by {person()}: {', '.join(names)}"[:1000], Outcome.SUCCESS, 0, 0)


def _end(row: BackupRun, outcome: Ended, text: str) -> None:
    BackupRun.objects.filter(pk=row.pk).update(outcome=outcome, text=text[:1000], finished_at=Now())


def _say(text: str, outcome: Outcome, instances: int, size: int) -> None:
    record([system_event(BACKUP, text, outcome=outcome, instance_count=instances, bytes=size)])
