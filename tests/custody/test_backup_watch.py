"""When a backup is due, when one is late, and that nothing is removed while one is made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from archive.models import DeletedObject
from archive.object_store import object_store
from archive.sweep import sweep_all
from audit.models import Alert
from audit.raising import raise_alert
from custody.backups.errors import BackupError, UnderWay
from custody.backups.keys import BackupKey
from custody.backups.models import BackupRun, Outcome
from custody.backups.programs import address, programs
from custody.backups.running import run
from custody.backups.snapshot import alone, stop_sweeping
from custody.backups.state import state, told
from custody.backups.target import open_target
from custody.backups.watch import due, late

pytestmark = pytest.mark.django_db
NOON = datetime(2030, 3, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def daily(monkeypatch: pytest.MonkeyPatch) -> None:
    backup = settings.PACS.backup.model_copy(update={"target": "/mnt/backups", "hour": 2})
    monkeypatch.setattr(settings, "PACS", settings.PACS.model_copy(update={"backup": backup}))


def ran(hours_ago: float, outcome: Outcome = Outcome.GOOD, **fields: Any) -> None:
    at = NOON - hours_ago * HOUR
    reached = at if outcome in (Outcome.GOOD, Outcome.DAMAGED) else None
    BackupRun.objects.create(
        name=str(hours_ago), target="/mnt", started_at=at, complete_until=reached, outcome=outcome, **fields
    )


@pytest.mark.usefixtures("daily")
def test_one_is_due_each_day_and_after_an_hour_again_if_it_failed() -> None:
    assert due(NOON)
    ran(11)  # at one o'clock: of the day before
    assert due(NOON)
    ran(9, Outcome.FAILED)
    assert due(NOON)
    ran(0.5, Outcome.RUNNING)
    assert not due(NOON)
    assert due(NOON + HOUR)
    ran(0.2)
    assert not due(NOON + HOUR)
    assert due(NOON + 15 * HOUR)


@pytest.mark.usefixtures("daily")
def test_a_late_one_is_told_once_a_day() -> None:
    assert late(state(), NOON, NOON - 2 * HOUR) is None
    never = late(state(), NOON, NOON - 27 * HOUR)
    assert never is not None
    assert never.text == "there is no complete backup yet"
    ran(27)
    ran(3, Outcome.FAILED, text="no room")
    now = NOON
    for hours, expected in ((0, 1), (2, 1), (22, 1), (26, 2)):
        now = NOON + hours * HOUR
        cause = late(state(), now, NOON)
        assert cause is not None
        raise_alert(cause, timezone.now())
        Alert.objects.update(found_at=timezone.now() - 2 * HOUR)
        assert Alert.objects.filter(rule="backup_late").count() == expected
    assert "up to 2030-03-30 09:00 UTC; the last attempt failed: no room" in Alert.objects.latest("pk").description
    assert told()["failed"] == "no room"
    ran(-26)
    assert late(state(), now, NOON) is None


def test_nothing_is_swept_while_a_backup_is_made_nor_is_there_a_second_one() -> None:
    object_store().put("instances/backup/held", b"data")
    DeletedObject.objects.create(
        object_key="instances/backup/held", sweep_after=timezone.now() - HOUR, deleted_by="test"
    )
    where = address(connection.settings_dict)
    with alone(where) as session:
        stop_sweeping(session)
        assert sweep_all().removed == 0
        assert object_store().size("instances/backup/held") == 4
        with pytest.raises(BackupError, match="under way"), alone(where):
            pass
    assert sweep_all().removed == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_relays_that_begin_at_once_none_has_failed(tmp_path: Path) -> None:
    target = open_target(str(tmp_path), BackupKey(bytes(32)), settings.PACS, make=True)
    with alone(address(connection.settings_dict)), pytest.raises(UnderWay):
        run(target, settings.PACS, "test", lambda text: None)
    assert not BackupRun.objects.exists()


def test_programs_that_are_too_old_are_said() -> None:
    with psycopg.connect(address(connection.settings_dict).conninfo) as session:
        major = session.info.server_version // 10_000
    assert programs(major).major >= major
    with pytest.raises(BackupError, match="takes pg_dump and pg_restore 99 or newer"):
        programs(99)
