"""Scrub in the background, the second store, and findings as those who look after an archive meet them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import Sum
from django.test import Client as Browser
from django.utils import timezone
from pydantic import ValidationError
from pydicom.uid import generate_uid

from archive import copying, damage
from archive.at_rest_pace import processors
from archive.errors import ArchiveUnavailable
from archive.models import DeletedObject, Instance, OutboxEntry, SecondCopy, Series
from archive.object_store.marks import tier_of
from archive.payload import StoredSource
from archive.sweep import sweep_all
from archive.tasks import TASKS
from audit.models import AccessEvent
from custody.integrity import background, scrubbing
from custody.integrity.management.commands.scrub import status
from custody.integrity.models import Finding, Lap, State
from pacs_project.config import Config
from pacs_project.config_copies import CopiesConfig
from pacs_project.config_s3 import S3Config
from pacs_project.config_tiers import TierConfig, TiersConfig
from tests.access.conftest import make_client, make_person, make_token
from tests.administration.conftest import SignedIn, as_role, machine
from tests.dicomweb.conftest import Door, body_of, door_for
from tests.dicomweb.objects import make_object

__all__ = ["as_role", "door_for", "machine", "make_client", "make_person", "make_token"]

pytestmark = pytest.mark.django_db(transaction=True)


class House:
    """One archive with its objects in a folder of its own."""

    def __init__(self, settings: Any, folder: Path, door: Door) -> None:
        self.settings, self.folder, self.door = settings, folder, door
        self.set(data=folder)

    def set(self, **fields: Any) -> None:
        self.settings.PACS = self.settings.PACS.model_copy(update=fields)

    def two_stores(self, **how: Any) -> None:
        copies = self.settings.PACS.copies.model_copy(update={"folder": self.folder / "second"} | how)
        self.set(copies=copies)

    def store(self, count: int = 3) -> list[Instance]:
        study, series = generate_uid(), generate_uid()
        same = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
        objects = [make_object(**same, SOPInstanceUID=generate_uid(), InstanceNumber=n) for n in range(1, count + 1)]
        assert self.door.store(objects).status_code == 200
        return list(Instance.objects.order_by("pk"))

    def file(self, row: Instance, root: str = "store") -> Path:
        return self.folder / root / "objects" / row.object_key

    def flip(self, row: Instance, root: str = "store") -> None:
        path = self.file(row, root)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.chmod(0o640)
        path.write_bytes(data)
        damage._noted.clear()

    def whole(self, row: Instance) -> Any:
        series = row.series
        return self.door.get(f"studies/{series.study}/series/{series}/instances/{row}", "application/dicom")


@pytest.fixture
def house(settings: Any, tmp_path: Path, door_for: Callable[..., Door]) -> House:
    return House(settings, tmp_path, door_for("technologist"))


def test_the_walk_in_the_background(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = house.store()
    house.flip(rows[1])
    monkeypatch.setattr(processors, "busy", lambda percent: False)
    monkeypatch.setattr(background, "pace", lambda: 0)  # one object a turn
    for to_go in (2, 1):
        background.turn("all")
        assert Lap.objects.get().ended_at is None
        assert status()["objects_to_go"] == to_go
    background.turn("all")
    lap = Lap.objects.get()
    assert (lap.objects_read, lap.found, lap.ended_at is not None) == (3, 1, True)
    found = Finding.objects.get()
    assert (found.kind, found.sop_instance_uid, found.state) == ("altered", str(rows[1]), State.OPEN)
    background.turn("all")  # not due for thirty days
    assert Lap.objects.count() == 1
    house.flip(rows[1])  # back
    assert TASKS["object_damaged"](rows[1].object_key) is None
    assert Finding.objects.get().state == State.REPAIRED


def test_what_was_found_stays_counted(house: House) -> None:
    """A counter that falls looks as if it had begun anew, and somebody is called at night."""
    for number in range(15):
        Lap.objects.create(ended_at=timezone.now(), found=number % 5 == 0)
    before = Lap.objects.aggregate(found=Sum("found"))["found"]
    scrubbing.go_on(Lap.objects.create(), lambda: True, 1 << 20, repair=False)
    assert Lap.objects.count() < 15
    assert Lap.objects.aggregate(found=Sum("found"))["found"] == before == 3


def test_a_walk_waits_for_others_and_can_be_switched_off(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.store(1)
    monkeypatch.setattr(processors, "busy", lambda percent: True)
    background.turn("all")
    monkeypatch.setattr(processors, "busy", lambda percent: False)
    house.set(scrub=house.settings.PACS.scrub.model_copy(update={"days": 0}))
    background.turn("all")
    assert not Lap.objects.exists()


def test_what_came_before_is_read_as_it_is_until_a_scrub(house: House) -> None:
    [row] = house.store(1)
    crcs = bytes(row.block_crcs or b"")
    Instance.objects.update(block_crcs=None)
    right = body_of(house.whole(row))
    assert status()["not_yet_checkable"] == 1
    call_command("scrub", "--dry-run", stdout=io.StringIO())
    assert Instance.objects.get().block_crcs is None
    call_command("scrub", stdout=io.StringIO())
    assert bytes(Instance.objects.get().block_crcs or b"") == crcs
    assert body_of(house.whole(row)) == right
    house.flip(row)
    answer = house.whole(row)
    assert (answer.status_code, answer.json()["code"]) == (500, "object-damaged")
    assert OutboxEntry.objects.get(kind="object_damaged").subject == row.object_key


def test_of_what_has_moved_nobody_reads_what_nobody_compares(house: House) -> None:
    with pytest.raises(ArchiveUnavailable):
        StoredSource("instances/moved.dcm", 100 << 20, b"").known()


def test_an_archive_gets_a_second_store(house: House) -> None:
    rows = house.store()
    house.two_stores()
    assert copying.waiting() == 3
    said = io.StringIO()
    call_command("copy_objects", stdout=said, stderr=io.StringIO())
    assert said.getvalue() == "0 objects are not in the second store\n"
    assert all(house.file(row, "second").read_bytes() == house.file(row).read_bytes() for row in rows)
    later = house.store(1)[-1]
    assert copying.waiting() == 1
    TASKS["copy_series"](str(later.series_id))
    assert copying.waiting() == 0
    house.file(later).unlink()
    assert house.whole(later).status_code == 200
    assert house.door.http.delete(
        f"/dicom-web/studies/{later.series.study}", headers={"origin": "http://testserver"}
    ).status_code in (204, 403)


def test_damage_is_never_copied_and_deletions_follow(house: House) -> None:
    house.two_stores()
    sound, bad = house.store(2)
    house.flip(bad)
    TASKS["copy_series"](str(Series.objects.get().pk))
    assert SecondCopy.objects.get().pk == sound.pk
    assert not house.file(bad, "second").exists()
    path = house.file(sound, "second")
    assert path.exists()
    Instance.objects.filter(pk=sound.pk).delete()
    DeletedObject.objects.create(object_key=sound.object_key, sweep_after="2020-01-01T00:00Z", deleted_by="test")
    sweep_all()
    assert not path.exists()


def test_a_second_store_is_another_place(tmp_path: Path) -> None:
    bucket = S3Config(endpoint_url="https://s3.example.org", bucket="b", prefix="p")
    cold = TiersConfig(cold=TierConfig(s3=bucket))
    Config(data=tmp_path, copies=CopiesConfig(folder=tmp_path / "second"), tiers=cold)
    Config(data=tmp_path, copies=CopiesConfig(s3=bucket.model_copy(update={"prefix": "q"})), tiers=cold)
    for copies in (CopiesConfig(folder=tmp_path / "x" / ".." / "store"), CopiesConfig(s3=bucket)):
        with pytest.raises(ValidationError, match="another place"):
            Config(data=tmp_path, copies=copies, tiers=cold)


def test_both_stores_before_the_acknowledgement(house: House) -> None:
    house.two_stores(before_acknowledgement=True)
    [row] = house.store(1)
    assert house.file(row, "second").read_bytes() == house.file(row).read_bytes()
    (house.folder / "nothing").write_text("no folder")
    house.two_stores(before_acknowledgement=True, folder=house.folder / "nothing")
    assert house.door.store([make_object()]).status_code == 503
    assert Instance.objects.count() == 1
    assert house.whole(row).status_code == 200
    house.two_stores(before_acknowledgement=False, folder=house.folder / "nothing")
    assert house.door.store([make_object()]).status_code == 200


def test_what_lies_in_another_tier_is_repaired_there(house: House) -> None:
    house.two_stores()
    warm = TierConfig(folder=house.folder / "warm")
    house.set(tiers=TiersConfig(warm=warm, rows=["* >=0d * * -> warm"]))
    house.store(1)
    call_command("move_objects", stdout=io.StringIO())
    [row] = Instance.objects.all()
    TASKS["copy_series"](str(row.series_id))
    right = house.file(row, "second").read_bytes()
    house.flip(row, "warm")
    TASKS["object_damaged"](row.object_key)
    assert Finding.objects.get().state == State.REPAIRED
    repaired = Instance.objects.get()
    assert tier_of(repaired.object_key) == "warm"
    assert repaired.object_key != row.object_key
    assert house.file(repaired, "warm").read_bytes() == house.file(repaired, "second").read_bytes() == right
    assert body_of(house.whole(repaired)) == right


def test_findings_are_listed_and_accepted(house: House, as_role: SignedIn, machine: Callable[[str], Browser]) -> None:
    first, second = house.store(2)
    for row in (first, second):
        house.flip(row)
        TASKS["object_damaged"](row.object_key)
    window, looker, program = as_role("administrator"), as_role("auditor"), machine("administrator")
    page = looker.get("/administration/findings/").content.decode()
    assert str(first) in page
    assert "Stored objects" in page
    one, other = Finding.objects.order_by("pk")
    address = f"/administration/findings/{one.pk}/"
    assert "Accept it" not in looker.get(address).content.decode()
    assert looker.post(address, {"reason": "x"}).status_code == 403
    assert window.post(address, {"reason": ""}).status_code == 400
    assert "is accepted" in window.post(address, {"reason": "known loss"}, follow=True).content.decode()
    listed = program.get("/api/findings").json()
    assert [each["id"] for each in listed] == [other.pk]
    api = f"/api/findings/{other.pk}/accept"
    assert program.post(api, {}, content_type="application/json").status_code == 400
    done = program.post(api, {"reason": "known"}, content_type="application/json")
    assert (done.status_code, done.json()["finding_state"]) == (200, "accepted")
    assert program.post(api, {"reason": "known"}, content_type="application/json").status_code == 409
    assert len(program.get("/api/findings?state=all").json()) == 2
    TASKS["object_damaged"](first.object_key)
    assert Finding.objects.get(pk=one.pk).state == State.ACCEPTED
    assert AccessEvent.objects.filter(kind="integrity", purpose="known loss").exists()


@contextmanager
def out_of_reach(path: Path) -> Iterator[None]:
    """Nobody can read what lies there, not even root; the store itself is there."""
    aside = path.with_name("aside")
    path.rename(aside)
    path.symlink_to(path.name)
    yield
    path.unlink()
    aside.rename(path)


def test_one_that_cannot_be_read_keeps_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = house.store()
    with out_of_reach(house.file(rows[0])):
        said = io.StringIO()
        with pytest.raises(SystemExit):
            call_command("scrub", stdout=said)
        assert "objects: 3" in said.getvalue()
        found = Finding.objects.get()
        assert (found.kind, found.object_key, found.state) == ("unreadable", rows[0].object_key, State.OPEN)
        monkeypatch.setattr(scrubbing, "MOST_IN_A_ROW", 1)
        with pytest.raises(ArchiveUnavailable, match="in a row"):
            scrubbing.go_on(Lap.objects.create(), lambda: True, 1 << 20, repair=False)
        assert Lap.objects.get().after == rows[0].pk
    call_command("scrub", stdout=io.StringIO())
    assert Finding.objects.get().state == State.REPAIRED
    objects = house.folder / "store" / "objects"
    objects.rename(house.folder / "unmounted")
    with pytest.raises(ArchiveUnavailable):
        scrubbing.scrub(change=True, repair=True, tell=print)
    assert Finding.objects.filter(state=State.OPEN).count() == 0


def test_what_cannot_be_read_is_repaired_from_the_second_store(house: House) -> None:
    house.two_stores()
    [row] = house.store(1)
    call_command("copy_objects", stdout=io.StringIO(), stderr=io.StringIO())
    with out_of_reach(house.file(row, "second")):
        with pytest.raises(SystemExit):
            call_command("scrub", "--no-repair", stdout=io.StringIO())
        assert Finding.objects.get(state=State.OPEN).kind == "copy_unreadable"
    right = body_of(house.whole(row))
    with out_of_reach(house.file(row)):
        TASKS["object_damaged"](row.object_key)
        repaired = Instance.objects.get()
        assert repaired.object_key != row.object_key
        assert body_of(house.whole(repaired)) == right
        assert Finding.objects.get(kind="unreadable").state == State.REPAIRED


def test_a_tier_that_is_away_keeps_nobody_of_the_others(house: House) -> None:
    house.store(1)
    house.set(tiers=TiersConfig(warm=TierConfig(folder=house.folder / "warm"), rows=["* >=0d * * -> warm"]))
    call_command("move_objects", stdout=io.StringIO())
    DeletedObject.objects.all().delete()
    house.store(1)
    objects = house.folder / "warm" / "objects"
    objects.rename(house.folder / "unmounted")
    tally = scrubbing.scrub(change=True, repair=True, tell=print)
    assert (tally.objects, tally.away, tally.wrong) == (2, 1, [])
    assert sweep_all().away == ["warm"]
    (house.folder / "unmounted").rename(objects)
    assert scrubbing.scrub(change=True, repair=True, tell=print).away == 0
