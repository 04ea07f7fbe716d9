"""Tiers: objects move by the table, are read where they lie or come back, and none is lost on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now
from pydicom.uid import generate_uid

from archive import copying, outbox, recalls
from archive.models import DeletedObject, Instance, OutboxEntry, Patient, Series, Study
from archive.object_store import ObjectRecalling, object_store
from archive.object_store.marks import tier_of, unmarked
from archive.sweep import sweep_all
from archive.tasks import TASKS
from archive.tier_policy import LAST, Subject, choose, parse_row
from audit.models import AccessEvent
from custody.tiers import holders
from custody.tiers.moving import MOVE_OBJECTS, in_hours, move_in_hours
from custody.tiers.priors import recall_priors
from custody.tiers.recalling import bytes_by_tier
from pacs_project.config_tiers import TierConfig, TiersConfig
from tests.custody.test_sealing import House, assert_all_there, command, three
from tests.dicomweb.conftest import Door, body_of, door_for
from worklist.models import Order, RequestedProcedure, ScheduledProcedureStep

__all__ = ["door_for"]

pytestmark = pytest.mark.django_db(transaction=True)

OLD = "* >=0d * * -> warm"


@pytest.fixture
def house(settings: Any, tmp_path: Path) -> House:
    recalls._noted.clear()
    return House(settings, tmp_path)


def tiers(house: House, *rows: str, recall: bool = False, hours: str = "") -> None:
    found = TiersConfig(
        warm=TierConfig(folder=house.folder / "warm"),
        cold=TierConfig(folder=house.folder / "cold", recall=recall, recall_seconds=77),
        rows=list(rows),
        hours=hours,
    )
    house.settings.PACS = house.settings.PACS.model_copy(update={"tiers": found})


def run_tasks(kind: str) -> None:
    for entry in OutboxEntry.objects.filter(kind=kind).values_list("pk", flat=True):
        outbox.run(entry, TASKS)


def lying() -> set[str]:
    return {tier_of(key) for key in Instance.objects.values_list("object_key", flat=True)}


@pytest.mark.parametrize("sealed", [False, True])
def test_objects_move_by_the_table_and_are_read_where_they_lie(
    house: House, sealed: bool, door_for: Callable[..., Door]
) -> None:
    if sealed:
        command("encryption_keys", "add")
        house.seal()
    tiers(house, OLD)
    door = door_for("technologist")
    study, objects = three(door)
    assert "hot -> warm" in command("move_objects", "--dry-run")
    assert lying() == {"hot"}
    assert "3 moved" in command("move_objects")
    assert lying() == {"warm"}
    assert_all_there(door, study, objects)
    deed = "objects moved between tiers by the policy table"
    told = AccessEvent.objects.filter(kind="integrity", principal_kind="system").order_by("sequence")
    assert [each.outcome_description for each in told] == [f"{deed}: began", f"{deed}: ended, 3 moved"]
    assert "moved" not in command("move_objects")
    assert set(bytes_by_tier()) == {"warm"}
    assert bytes_by_tier()["warm"] == (3, sum(map(len, objects.values())))
    assert "warm: 3 instances" in command("move_objects", "--status")
    # What they were before goes with the sweep, and nothing that is needed does.
    DeletedObject.objects.update(sweep_after=Now() - timedelta(seconds=1))
    assert sweep_all().removed == 3
    assert sweep_all().noted == 0
    assert_all_there(door, study, objects)
    assert len(list((house.folder / "warm" / "objects").rglob("*.dcm"))) == 3
    assert not list((house.folder / "store" / "objects" / "instances").rglob("*.dcm"))
    assert bool(house.plaintext()) is not sealed


def test_a_tier_that_has_to_recall_says_when_to_come_again(house: House, door_for: Callable[..., Door]) -> None:
    tiers(house, "* >=0d * * -> cold", recall=True)
    door = door_for("technologist")
    study, objects = three(door)
    command("move_objects")
    series = Series.objects.get(study__study_instance_uid=study)
    uid = next(iter(objects))
    path = f"studies/{study}/series/{series.series_instance_uid}/instances/{uid}"
    response = door.get(path, "application/dicom; transfer-syntax=*")
    assert (response.status_code, response["Retry-After"]) == (503, "77")
    assert b"on its way back" in body_of(response)
    # Searching goes on, and so do the metadata that are prepared.
    assert len(door.search("studies", StudyInstanceUID=study)) == 1
    assert OutboxEntry.objects.filter(kind=outbox.RECALL, subject=str(series.pk)).count() == 1
    run_tasks(outbox.RECALL)
    assert lying() == {"hot"}
    assert_all_there(door, study, objects)


def test_a_study_is_brought_back_by_request(house: House, door_for: Callable[..., Door]) -> None:
    tiers(house, "* >=0d * * -> cold", recall=True)
    door = door_for("technologist")
    study, objects = three(door)
    command("move_objects")
    answer = door.http.post(f"/api/studies/{study}/recall", headers={"origin": "http://testserver"})
    assert (answer.status_code, answer.json()) == (202, {"series": 1})
    run_tasks(outbox.RECALL)
    assert_all_there(door, study, objects)
    again = door.http.post(f"/api/studies/{study}/recall", headers={"origin": "http://testserver"})
    assert again.json() == {"series": 0}
    other = door.http.post(f"/api/studies/{generate_uid()}/recall", headers={"origin": "http://testserver"})
    assert other.status_code == 404


def test_priors_of_orders_that_are_due_come_back(house: House, door_for: Callable[..., Door]) -> None:
    tiers(house, "* >=0d * * -> cold", recall=True)
    three(door_for("technologist"))
    command("move_objects")
    assert recall_priors() == 0
    order = Order.objects.create(patient=Patient.objects.get(studies__isnull=False))
    procedure = RequestedProcedure.objects.create(order=order, procedure_id="P1")
    tomorrow = date.today() + timedelta(days=1)
    ScheduledProcedureStep.objects.create(procedure=procedure, step_id="S1", start_date=f"{tomorrow:%Y%m%d}")
    assert recall_priors() == 1
    run_tasks(outbox.RECALL)
    assert lying() == {"hot"}


def test_objects_move_in_their_hours_alone(house: House, door_for: Callable[..., Door]) -> None:
    hour = datetime.now(UTC).astimezone().hour
    tiers(house, OLD, hours=f"{(hour + 2) % 24}-{(hour + 3) % 24}")
    three(door_for("technologist"))
    move_in_hours("0")
    assert lying() == {"hot"}
    assert OutboxEntry.objects.filter(kind=MOVE_OBJECTS, not_before__gt=Now()).exists()
    tiers(house, OLD, hours="0-24")
    move_in_hours("0")
    assert lying() == {"warm"}


def test_what_a_study_is_opened_for_keeps_it_hot(house: House, door_for: Callable[..., Door]) -> None:
    tiers(house, "* * >=1d * -> warm")
    three(door_for("technologist"))
    assert "moved" not in command("move_objects")
    Instance.objects.update(created_at=Now() - timedelta(days=3))
    # Storing is not opening; reading is.
    assert "3 would move" in command("move_objects", "--dry-run")
    study = Study.objects.get()
    door = door_for("technologist")
    body_of(door.get(f"studies/{study.study_instance_uid}", 'multipart/related; type="application/dicom"'))
    assert "moved" not in command("move_objects")


def test_the_second_copy_follows_into_a_tier_that_has_to_recall(house: House, door_for: Callable[..., Door]) -> None:
    tiers(house, "* >=0d * * -> cold", recall=True)
    copies = house.settings.PACS.copies.model_copy(update={"folder": house.folder / "second"})
    house.settings.PACS = house.settings.PACS.model_copy(update={"copies": copies})
    _, objects = three(door_for("technologist"))
    run_tasks(outbox.COPY_SERIES)
    assert copying.waiting() == 0
    command("move_objects")
    run_tasks(outbox.COPY_SERIES)
    assert lying() == {"cold"}
    assert copying.waiting() == 0
    DeletedObject.objects.update(sweep_after=Now() - timedelta(seconds=1))
    sweep_all()
    second = [path.read_bytes() for path in (house.folder / "second" / "objects" / "instances").rglob("*.dcm")]
    assert sorted(second) == sorted(objects.values())


def test_what_comes_while_its_series_is_looked_at_waits_for_the_next_move(
    house: House, door_for: Callable[..., Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiers(house, OLD)
    three(door_for("technologist"))
    real = holders.kept

    def later(holder: Any, rows: Any) -> Any:
        row = Instance.objects.order_by("pk").last()
        if row is not None and Instance.objects.count() == 3:
            row.pk, row.sop_instance_uid = None, str(generate_uid())
            row.save()
        return real(holder, rows)

    monkeypatch.setattr("custody.tiers.moving.kept", later)
    assert "3 moved" in command("move_objects")


def test_a_recalled_key_is_refused_and_found(house: House, door_for: Callable[..., Door]) -> None:
    tiers(house, "* >=0d * * -> cold", recall=True)
    three(door_for("technologist"))
    command("move_objects")
    key = Instance.objects.values_list("object_key", flat=True)[0]
    assert unmarked(key) != key
    with pytest.raises(ObjectRecalling):
        object_store().read_range(key, 0, 1)
    assert object_store().size(key) == Instance.objects.get(object_key=key).object_size


_MOVER = """
import os, signal, django
django.setup()
from django.core import management
from archive.object_store.{module} import {what}
count = 0
def killed(self, *args, _real={what}.{verb}, **named):
    global count
    result = _real(self, *args, **named) if {after} else None
    count += 1
    if count == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return result if {after} else _real(self, *args, **named)
{what}.{verb} = killed
management.call_command("move_objects")
"""


@pytest.mark.parametrize("after", [False, True])
def test_a_mover_that_is_killed_loses_nothing(
    house: House, after: bool, door_for: Callable[..., Door], django_db_setup: None
) -> None:
    from django.db import connection

    tiers(house, OLD)
    door = door_for("technologist")
    study, objects = three(door)
    name = connection.settings_dict
    environment = os.environ | {
        "PACS_DATA": str(house.folder),
        "PACS_DATABASE_URL": f"postgresql:///{name['NAME']}?host={name['HOST']}&port={name['PORT']}&user={name['USER']}",
        "PACS_TIERS__WARM__FOLDER": str(house.folder / "warm"),
        "PACS_TIERS__ROWS": f'["{OLD}"]',
        "DJANGO_SETTINGS_MODULE": "pacs_project.settings",
    }
    script = _MOVER.format(module="tiered", what="TieredObjectStore", verb="publish", after=after)
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    assert lying() == {"hot", "warm"}
    assert_all_there(door, study, objects)
    assert "2 moved" in command("move_objects")
    assert lying() == {"warm"}
    assert_all_there(door, study, objects)
    # The one that was written in vain is an orphan of the sweep.
    assert sweep_all().noted == int(after)


def test_rows_of_the_table() -> None:
    rows = [parse_row(text) for text in ("MG * * * -> keep", "CT,MR >=2y >=90d >=1MiB -> cold", "* >=90d * * -> warm")]
    assert [str(row) for row in rows] == ["MG * * * -> keep", "CT,MR >=2y >=90d >=1MiB -> cold", "* >=90d * * -> warm"]
    assert choose(rows, Subject("MG", 9999, 9999, 1 << 30)) is rows[0]
    assert choose(rows, Subject("CT", 730, 90, 1 << 20)) is rows[1]
    assert choose(rows, Subject("CT", 730, 89, 1 << 20)) is rows[2]
    assert choose(rows, Subject("CT", 10, 10, 10)) is LAST
    for wrong in ("* * * -> warm", "* * * * warm", "* 90d * * -> warm", "* * * * -> tepid", "* * * >=1d -> cold"):
        with pytest.raises(ValueError, match="expected"):
            parse_row(wrong)


def test_hours_may_go_over_midnight() -> None:
    assert [hour for hour in range(24) if in_hours("22-2", hour)] == [0, 1, 22, 23]
    assert [hour for hour in range(24) if in_hours("1-3", hour)] == [1, 2]
    assert not in_hours("", 3)
