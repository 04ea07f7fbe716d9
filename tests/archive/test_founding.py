"""A volume that is not mounted is away: it doesn't look like an empty store, and nothing is written into its place."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client as Browser

from archive import copying, known_objects
from archive.errors import ArchiveUnavailable
from archive.models import Instance
from archive.object_store import ObjectMissing, ObjectStoreUnavailable, _forget, object_store
from archive.object_store.founding import MARKER
from archive.sweep import sweep_all
from audit.models import AccessEvent
from custody.integrity import scrubbing
from custody.integrity.models import Finding
from pacs_project.config_tiers import TierConfig, TiersConfig
from tests.dicomweb.conftest import Door, body_of, door_for
from tests.dicomweb.objects import make_object

__all__ = ["door_for"]

pytestmark = pytest.mark.django_db(transaction=True)


class House:
    """One archive in a folder of its own; its store is a volume."""

    def __init__(self, settings: Any, folder: Path, door: Door) -> None:
        self.settings, self.folder, self.door = settings, folder, door
        self.set(data=folder)

    def set(self, **fields: Any) -> None:
        self.settings.PACS = self.settings.PACS.model_copy(update=fields)

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def unmount(self, name: str = "store") -> Path:
        """What is left is the folder that the volume is mounted over."""
        (self.folder / name).rename(self.folder / "volume")
        (self.folder / name).mkdir()
        return self.folder / name

    def mount(self, name: str = "store") -> None:
        (self.folder / name).rmdir()
        (self.folder / "volume").rename(self.folder / name)

    def whole(self, row: Instance) -> Any:
        series = row.series
        return self.door.get(f"studies/{series.study}/series/{series}/instances/{row}", "application/dicom")


@pytest.fixture
def house(settings: Any, tmp_path: Path, door_for: Callable[..., Door]) -> House:
    return House(settings, tmp_path, door_for("technologist"))


@pytest.mark.parametrize("started_anew", [False, True])
def test_a_volume_that_is_not_mounted_is_away_until_it_is(house: House, started_anew: bool) -> None:
    assert house.door.store([make_object()]).status_code == 200
    assert (house.store / MARKER).exists()
    [row] = Instance.objects.all()
    right = body_of(house.whole(row))
    place = house.unmount()
    if started_anew:
        _forget()
    answer = house.whole(row)
    assert (answer.status_code, answer.has_header("Retry-After")) == (503, True)
    answer = house.door.store([make_object()])
    assert (answer.status_code, answer.has_header("Retry-After")) == (503, True)
    with pytest.raises(ObjectStoreUnavailable):
        object_store().check()
    with pytest.raises(ArchiveUnavailable):
        scrubbing.scrub(change=True, repair=True, tell=print)
    with pytest.raises(ArchiveUnavailable):
        sweep_all()
    assert not Finding.objects.exists()
    assert list(place.iterdir()) == []
    house.mount()
    assert body_of(house.whole(row)) == right
    assert house.door.store([make_object()]).status_code == 200


def test_folders_that_an_earlier_start_left_below_the_volume_take_nothing(house: House) -> None:
    assert house.door.store([make_object()]).status_code == 200
    place = house.unmount()
    for name in ("objects", "staging"):
        (place / name).mkdir()
    assert house.door.store([make_object()]).status_code == 503
    [row] = Instance.objects.all()
    assert house.whole(row).status_code == 503
    with pytest.raises(ObjectStoreUnavailable, match="is its volume mounted"):
        object_store().delete(row.object_key)
    assert [path for path in place.rglob("*") if path.is_file()] == []


def test_a_store_of_a_release_before_gets_its_marker(house: House) -> None:
    assert house.door.store([make_object()]).status_code == 200
    (house.store / MARKER).unlink()
    _forget()
    object_store().check()
    assert (house.store / MARKER).exists()
    (house.store / MARKER).unlink()
    object_store().check()  # of a process that runs
    assert (house.store / MARKER).exists()


def test_a_store_that_is_really_new_is_said_to_be(house: House) -> None:
    assert house.door.store([make_object()]).status_code == 200
    house.unmount()
    said = io.StringIO()
    call_command("new_store", "hot", stdout=said)
    assert "is the hot store now" in said.getvalue()
    assert AccessEvent.objects.filter(kind="configuration", principal_name="new_store").exists()
    _forget()
    assert house.door.store([make_object()]).status_code == 200
    assert sum(1 for _ in object_store().keys("instances/")) == 1


def test_a_second_store_that_is_not_mounted_takes_no_copies(house: House) -> None:
    house.set(copies=house.settings.PACS.copies.model_copy(update={"folder": house.folder / "second"}))
    assert house.door.store([make_object()]).status_code == 200
    assert sum(copying.copy_all()) == 1
    assert house.door.store([make_object()]).status_code == 200
    place = house.unmount("second")
    _forget()
    with pytest.raises(ArchiveUnavailable):
        list(copying.copy_all())
    assert sweep_all().away == ["second store"]
    assert list(place.iterdir()) == []
    house.mount("second")
    assert sum(copying.copy_all()) == 1


def test_readyz_says_so(house: House, client: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.health.FRESH_SECONDS", -1.0)
    assert house.door.store([make_object()]).status_code == 200
    house.unmount()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["object_store"]) == (503, "failing")
    house.mount()
    assert client.get("/readyz").json()["object_store"] == "ok"


def test_a_tier_with_few_of_the_objects_is_away_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_objects, "_EACH", 1)
    house.set(tiers=TiersConfig(warm=TierConfig(folder=house.folder / "warm"), rows=["* >=0d * * -> warm"]))
    for _ in range(3):
        assert house.door.store([make_object()]).status_code == 200
    _, middle, _ = Instance.objects.order_by("pk")
    call_command("move_objects", "--study", str(middle.series.study), stdout=io.StringIO())
    middle.refresh_from_db()
    place = house.unmount("warm")
    _forget()
    assert house.whole(middle).status_code == 503
    assert list(place.iterdir()) == []
    house.mount("warm")
    assert house.whole(middle).status_code == 200


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC])
def test_a_store_that_takes_no_marker_is_read_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    assert house.door.store([make_object()]).status_code == 200
    [row] = Instance.objects.all()
    (house.store / MARKER).unlink()
    _forget()
    really = os.open

    def refused(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if str(path).endswith(MARKER):
            raise OSError(number, os.strerror(number))
        return really(path, flags, *more, **named)

    with monkeypatch.context() as during:
        during.setattr(os, "open", refused)
        assert house.whole(row).status_code == 200
        assert list(object_store().keys("instances/")) == [row.object_key]
        with pytest.raises(ObjectMissing):
            object_store().size("instances/2020/01/02/03-04/none.dcm")
        house.unmount()
        assert house.whole(row).status_code == 503
        house.mount()
    object_store().check()
    assert (house.store / MARKER).exists()


def test_a_thread_that_asks_the_index_keeps_no_connection(house: House) -> None:
    assert house.door.store([make_object()]).status_code == 200

    def asked() -> tuple[int, bool]:
        return len(known_objects.some_keys("hot")), connection.connection is None

    with ThreadPoolExecutor(1) as threads:
        count, closed = threads.submit(asked).result()
    assert (count > 0, closed) == (True, True)
