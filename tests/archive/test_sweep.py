"""A sweep goes past what it can't remove or read, and treats the second store as it treats the first."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from pydicom.uid import generate_uid

from archive import sweep_places
from archive.errors import ArchiveUnavailable
from archive.models import DeletedObject, Instance
from archive.object_store import object_store
from archive.sweep import Swept, sweep_all, sweep_recent
from archive.tasks import TASKS
from custody.facts.models import FactsDocument, Rebuild
from custody.facts.triggers import STUDY_FACTS
from custody.integrity.models import Finding, State
from pacs_project.config_tiers import TierConfig, TiersConfig
from tests.archive.test_delete import store_all
from tests.dicomweb.objects import make_object

pytestmark = pytest.mark.django_db(transaction=True)

DAY = "instances/2020/01/02"


class House:
    """One archive with its objects in a folder of its own."""

    def __init__(self, settings: Any, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.set(data=folder)

    def set(self, **fields: Any) -> None:
        self.settings.PACS = self.settings.PACS.model_copy(update=fields)

    def two_stores(self, folder: Path) -> None:
        self.set(copies=self.settings.PACS.copies.model_copy(update={"folder": folder}))

    def path(self, key: str, root: str = "store") -> Path:
        return self.folder / root / "objects" / key

    def due(self, *names: str) -> list[str]:
        """Objects that were deleted, due in this order."""
        keys = [f"{DAY}/{name}" for name in names]
        for hours, key in enumerate(reversed(keys)):
            object_store().put(key, b"deleted")
            DeletedObject.objects.create(
                object_key=key, size=7, sweep_after=timezone.now() - timedelta(hours=hours + 1), deleted_by="test"
            )
        return keys


@contextmanager
def out_of_reach(folder: Path) -> Iterator[None]:
    """Whatever lies in the folder can neither be read nor removed, not even by root."""
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.symlink_to(folder.name)
    yield
    folder.unlink()
    aside.rename(folder)


@contextmanager
def refused(key: str) -> Iterator[None]:
    """The database lets the row of this key neither go nor change."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE integrity_constraint_violation; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER refuse BEFORE DELETE OR UPDATE ON archive_deletedobject FOR EACH ROW "
            f"WHEN (OLD.object_key = '{key}') EXECUTE FUNCTION refuse()"
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION refuse() CASCADE")


@pytest.fixture
def house(settings: Any, tmp_path: Path) -> House:
    return House(settings, tmp_path)


def test_one_that_cannot_be_removed_keeps_nobody(house: House) -> None:
    first, *others = house.due("00-00/a.dcm", "00-01/b.dcm", "00-02/c.dcm")
    with out_of_reach(house.path(DAY) / "00-00"):
        swept = sweep_all()
        assert swept == Swept(removed=2, bytes=14, left=1, unread=1, noted=1)
        row = DeletedObject.objects.get(deleted_by="test")
        assert row.object_key == first
        assert timezone.now() + timedelta(hours=23) < row.sweep_after < timezone.now() + timedelta(hours=25)
        found = Finding.objects.get()
        assert (found.kind, found.object_key, found.state) == ("unremovable", first, State.OPEN)
        assert sweep_all().left == 0
        DeletedObject.objects.filter(object_key=first).update(sweep_after=timezone.now())
        said = io.StringIO()
        call_command("sweep", stdout=said)
        assert "1 objects can't be removed now" in said.getvalue()
    assert not any(house.path(key).exists() for key in others)
    DeletedObject.objects.filter(object_key=first).update(sweep_after=timezone.now())
    assert sweep_all().removed == 1
    assert not house.path(first).exists()
    assert Finding.objects.get().state == State.REPAIRED


def test_a_row_that_the_database_keeps_keeps_nobody(house: House) -> None:
    keys = house.due("00-00/a.dcm", "00-01/b.dcm", "00-02/c.dcm")
    with refused(keys[1]):
        assert sweep_all() == Swept(removed=2, bytes=14, left=1)
        assert DeletedObject.objects.get().object_key == keys[1]
        assert Finding.objects.get().kind == "unremovable"
    assert sweep_all().removed == 1
    assert not DeletedObject.objects.exists()


def test_a_store_that_is_away_ends_the_sweep(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = house.due("00-00/a.dcm", "00-00/b.dcm", "00-00/c.dcm")
    objects = house.folder / "store" / "objects"
    objects.rename(house.folder / "unmounted")
    with pytest.raises(ArchiveUnavailable):
        sweep_all()
    (house.folder / "unmounted").rename(objects)
    monkeypatch.setattr(sweep_places, "MOST_IN_A_ROW", 3)
    with out_of_reach(house.path(DAY)), pytest.raises(ArchiveUnavailable):
        sweep_all()
    assert DeletedObject.objects.filter(sweep_after__lte=timezone.now()).count() == 3
    assert all(house.path(key).exists() for key in keys)


def test_what_is_not_ours_in_the_store_stays_and_stops_nothing(house: House) -> None:
    [key] = house.due("00-00/a.dcm")
    strays = [house.path(DAY) / name for name in (".DS_Store", "Thumbs.db", os.fsdecode(b"\xff.dcm"))]
    for path in strays:
        path.write_bytes(b"not ours")
    DeletedObject.objects.create(object_key=f"{DAY}/.DS_Store", sweep_after=timezone.now(), deleted_by="orphan")
    assert sweep_all() == Swept(removed=1, bytes=7)
    assert all(path.exists() for path in strays)
    assert not house.path(key).exists()
    assert not DeletedObject.objects.exists()


def test_a_folder_that_cannot_be_listed_is_left_out(house: House) -> None:
    today = f"{timezone.now():%Y/%m/%d}"
    object_store().put(f"derived/thumbnails/{today}/a.jpg", b"nobody's")
    house.path("instances").mkdir(exist_ok=True)
    folder = house.path(f"instances/{today}")
    folder.mkdir(parents=True)
    with out_of_reach(folder):
        sweep_recent("all")
    assert DeletedObject.objects.get().object_key == f"derived/thumbnails/{today}/a.jpg"


def test_orphans_of_the_second_store_go_by_the_same_rules(house: House) -> None:
    study = generate_uid()
    house.two_stores(house.folder / "second")
    [kept] = store_all([make_object(StudyInstanceUID=study)])
    live = Instance.objects.get().object_key
    second: Any = object_store()
    ours, alien, sister = (f"{DAY}/00-00/{name}.dcm" for name in ("ours", "alien", "sister"))
    second.second.put(alien, make_object(StudyInstanceUID=generate_uid()))
    second.second.put(sister, make_object(StudyInstanceUID=study))
    second.second.put(ours, house.path(live).read_bytes())
    second.copy_over(live)
    assert kept.failure_reason is None
    assert sweep_all(dry_run=True).noted == 3
    assert sweep_all() == Swept(noted=1, doubtful=2)
    assert DeletedObject.objects.get().object_key == ours
    assert sweep_all() == Swept(doubtful=2)
    DeletedObject.objects.update(sweep_after=timezone.now())
    assert sweep_all() == Swept(removed=1, doubtful=2)
    assert not house.path(ours, "second").exists()
    assert house.path(alien, "second").exists()
    assert house.path(sister, "second").exists()  # of a study that came back, without this image
    assert house.path(live, "second").exists()
    assert house.path(live).exists()


def test_a_second_store_that_is_away_does_not_stop_the_first(house: House) -> None:
    house.two_stores(house.folder / "nothing")
    (house.folder / "nothing").write_text("no folder")
    [key] = house.due("00-00/a.dcm")
    object_store().put("derived/thumbnails/2020/01/02/a.jpg", b"nobody's")
    assert sweep_all() == Swept(left=1, noted=1, away=["second store"])
    assert not house.path(key).exists()
    assert not Finding.objects.exists()
    (house.folder / "nothing").unlink()
    DeletedObject.objects.update(sweep_after=timezone.now())
    assert sweep_all().removed == 2


def test_what_cannot_be_told_apart_from_the_only_copy_stays(house: House) -> None:
    """A database of before, whose row still has the object of before, which is gone for good by now."""
    [kept] = store_all([make_object()])
    assert kept.failure_reason is None
    instance = Instance.objects.get()
    TASKS[STUDY_FACTS](str(instance.series.study))
    bytes_of = house.path(instance.object_key).read_bytes()
    house.set(tiers=TiersConfig(cold=TierConfig(folder=house.folder / "cold", recall=True)))
    moved = f"{DAY}/00-00/moved.cold.dcm"
    object_store().put(moved, bytes_of)
    assert sweep_all() == Swept(unread=1)
    assert not DeletedObject.objects.exists()
    assert house.path(moved, "cold").exists()
    house.path(moved, "cold").unlink()
    # What took the place of what was received, of which facts tell that this database doesn't know.
    object_store().put("derived/transcoded/2020/01/02/00-00/instead.dcm", bytes_of)
    FactsDocument.objects.filter(kind=STUDY_FACTS).update(version=1)
    sweep_all()
    assert not DeletedObject.objects.filter(object_key__contains="instead").exists()
    assert Rebuild.objects.filter(finished_at=None).exists()


def test_facts_that_the_index_lost_are_no_orphans(house: House) -> None:
    """A database of before: what was said of a study since then stands in the store alone."""
    assert [each.failure_reason for each in store_all([make_object()])] == [None]
    TASKS[STUDY_FACTS](str(Instance.objects.get().series.study))
    known = FactsDocument.objects.get(kind=STUDY_FACTS)
    later = f"{known.folder}/{known.version + 1}{str(known.object_key)[-len('-00000000.json.gz') :]}"
    object_store().put(later, house.path(str(known.object_key)).read_bytes())
    damaged = later.replace(str(known.version + 1), str(known.version + 2))
    object_store().put(damaged, b"no document")
    object_store().put(f"{known.folder}/stray.json.gz", b"nobody's")
    sweep_all()
    assert not DeletedObject.objects.filter(object_key=later).exists()
    assert Rebuild.objects.filter(finished_at=None).exists()
    Rebuild.objects.all().delete()
    FactsDocument.objects.filter(pk=known.pk).update(version=known.version + 1)
    assert sweep_all().noted == 3


def test_a_finding_about_what_was_brought_back_is_settled(house: House) -> None:
    [back] = house.due("00-00/a.dcm")
    with out_of_reach(house.path(DAY) / "00-00"):
        assert sweep_all().left == 1
    assert Finding.objects.get().state == State.OPEN
    DeletedObject.objects.all().delete()  # somebody has brought it back
    house.due("00-01/b.dcm")
    sweep_all()
    assert Finding.objects.get().state == State.REPAIRED
    assert house.path(back).exists()
