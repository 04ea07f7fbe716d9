"""An archive of sealed objects: every door works, nothing lies in plaintext, keys rotate, what is erased is gone."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db.models.functions import Now
from pydicom.uid import generate_uid

from archive import metadata, thumbnail_task
from archive.models import DeletedObject, Instance, Series, SeriesDocument, ThumbnailPack
from archive.object_store import keyring, object_store
from archive.object_store.keyring import Keyring, read_keyring, write_keyring
from archive.object_store.marks import seal_of
from archive.sweep import sweep_all
from audit.models import AccessEvent
from audit.record import AuditUnavailable
from custody.tiers.management.commands import encryption_keys
from pacs_project.config_s3 import S3Config
from tests.dicomweb.conftest import Door, body_of, door_for
from tests.dicomweb.objects import make_object

__all__ = ["door_for"]

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "SEALEDNAME^NOBODY"


class House:
    """One archive with its data in a folder of its own, sealed or not."""

    def __init__(self, settings: Any, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.ring = folder / "secrets" / "keyring.json"
        settings.PACS = settings.PACS.model_copy(update={"data": folder})

    def seal(self, **how: bool) -> None:
        encryption = self.settings.PACS.encryption.model_copy(update={"at_rest": True} | how)
        self.settings.PACS = self.settings.PACS.model_copy(update={"encryption": encryption})

    def plaintext(self) -> list[Path]:
        """The files that give a name away, or that are objects as they were received."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return [path for path in files if NAME.encode() in path.read_bytes() or path.read_bytes()[128:132] == b"DICM"]


def command(name: str, *words: str) -> str:
    said = io.StringIO()
    call_command(name, *words, stdout=said)
    return said.getvalue()


@pytest.fixture
def house(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(keyring, "_LOOK_SECONDS", -1.0)
    return House(settings, tmp_path)


def three(door: Door) -> tuple[str, dict[str, bytes]]:
    """A stored study of three instances: its UID, and their bytes as they come out again."""
    study, series = str(generate_uid()), generate_uid()
    objects = {
        uid: make_object(
            StudyInstanceUID=study, SeriesInstanceUID=series, SOPInstanceUID=uid, PatientName=NAME, InstanceNumber=n
        )
        for n, uid in enumerate((str(generate_uid()) for _ in range(3)), 1)
    }
    assert door.store(objects.values()).status_code == 200
    return study, objects


def assert_all_there(door: Door, study: str, objects: dict[str, bytes]) -> None:
    [series] = Series.objects.filter(study__study_instance_uid=study).values_list("series_instance_uid", flat=True)
    of_series = f"studies/{study}/series/{series}"
    whole = body_of(door.get(f"studies/{study}", 'multipart/related; type="application/dicom"; transfer-syntax=*'))
    assert all(data in whole for data in objects.values())
    for uid, data in objects.items():
        one = f"{of_series}/instances/{uid}"
        assert body_of(door.get(one, "application/dicom; transfer-syntax=*")) == data
        frame = body_of(door.get(f"{one}/frames/1", "application/octet-stream; transfer-syntax=*"))
        assert frame
        assert frame in data
        assert door.get(f"{one}/rendered", "image/png").status_code == 200
    described = body_of(door.get(f"{of_series}/metadata", "application/dicom+json"))
    assert all(uid.encode() in described for uid in objects)
    assert len(door.search("studies", StudyInstanceUID=study)) == 1


@pytest.mark.parametrize("kind", ["file", "s3"])
def test_a_whole_round_over_sealed_objects(
    house: House, kind: str, door_for: Callable[..., Door], request: pytest.FixtureRequest
) -> None:
    if kind == "s3":
        s3 = S3Config(**request.getfixturevalue("s3_settings"), prefix=f"sealed-{generate_uid()[-12:]}")
        house.settings.PACS = house.settings.PACS.model_copy(update={"object_store": "s3", "s3": s3})
    command("encryption_keys", "add")
    house.seal(only_sealed=True)
    door = door_for("technologist")
    study, objects = three(door)
    assert_all_there(door, study, objects)
    series = Series.objects.get(study__study_instance_uid=study)
    metadata.prepare(str(series.pk))
    thumbnail_task.prepare_thumbnails(str(series.pk))
    assert_all_there(door, study, objects)
    assert door.get(f"studies/{study}/series/{series.series_instance_uid}/thumbnail").status_code == 200
    active = Keyring(house.ring).active()
    for model in (Instance, SeriesDocument, ThumbnailPack):
        keys = list(model.objects.values_list("object_key", flat=True))
        assert keys
        assert {seal_of(key) for key in keys} == {active}
    assert house.plaintext() == []


def test_an_archive_is_sealed_and_rotated_while_it_is_used(house: House, door_for: Callable[..., Door]) -> None:
    door = door_for("technologist")
    study, objects = three(door)
    series = Series.objects.get(study__study_instance_uid=study)
    metadata.prepare(str(series.pk))
    assert house.plaintext()
    command("encryption_keys", "add")
    house.seal()
    first = Keyring(house.ring).active()
    assert "3 instances to write anew" in command("reseal", "--dry-run")
    # Stopped in the middle, it goes on where it was.
    assert "1 moved" in command("reseal", "--limit", "1")
    assert_all_there(door, study, objects)
    assert "3 moved" in command("reseal")
    assert "nothing to do" in command("reseal")
    assert_all_there(door, study, objects)
    assert {seal_of(key) for key in Instance.objects.values_list("object_key", flat=True)} == {first}
    assert "in plaintext: 4 deleted objects, until the sweep" in command("encryption_keys", "list")
    DeletedObject.objects.update(sweep_after=Now() - timedelta(seconds=1))
    sweep_all()
    house.seal(only_sealed=True)
    assert house.plaintext() == []
    assert_all_there(door, study, objects)

    command("encryption_keys", "rotate")
    assert_all_there(door, study, objects)
    _long_ago(house)
    with pytest.raises(CommandError, match=r"3 instances.*need this key"):
        command("encryption_keys", "destroy", first)
    assert "4 moved" in command("reseal")
    with pytest.raises(CommandError, match="deleted objects"):
        command("encryption_keys", "destroy", first)
    DeletedObject.objects.update(sweep_after=Now() - timedelta(seconds=1))
    sweep_all()
    command("encryption_keys", "destroy", first)
    assert read_keyring(house.ring)[first].secret == b""
    assert_all_there(door, study, objects)
    said = set(AccessEvent.objects.filter(kind="configuration").values_list("outcome_description", flat=True))
    assert f"key-encryption key {first} destroyed; nothing was sealed by it" in said
    runs = AccessEvent.objects.filter(kind="integrity").order_by("sequence")
    assert {(each.principal_kind, each.principal_name) for each in runs} == {("system", "command line")}
    assert [each.outcome_description for each in runs][2:4] == [
        f"stored objects written anew under {first}: began",
        f"stored objects written anew under {first}: ended, 3 moved",
    ]
    assert [each.instance_count for each in runs][1::2] == [1, 3, 0, 4]


def test_erasing_by_destroying_a_key_is_asked_for_twice_and_written_down(
    house: House, door_for: Callable[..., Door]
) -> None:
    command("encryption_keys", "add")
    house.seal()
    door = door_for("technologist")
    study, _ = three(door)
    first = Keyring(house.ring).active()
    with pytest.raises(CommandError, match="rotate first"):
        command("encryption_keys", "destroy", first)
    command("encryption_keys", "rotate")
    with pytest.raises(CommandError, match="come again"):
        command("encryption_keys", "destroy", first)
    _long_ago(house)
    with pytest.raises(CommandError, match="reason"):
        command("encryption_keys", "destroy", first, "--crypto-erase")
    with pytest.raises(CommandError, match="not confirmed"):
        command("encryption_keys", "destroy", first, "--crypto-erase", "--reason", "end", "--confirm", "k00000000")
    command("encryption_keys", "destroy", first, "--crypto-erase", "--reason", "end of contract", "--confirm", first)
    assert door.get(f"studies/{study}", 'multipart/related; type="application/dicom"').status_code == 503
    assert len(door.search("studies", StudyInstanceUID=study)) == 1
    event = AccessEvent.objects.filter(kind="configuration").latest("sequence")
    assert "with all it seals (3 instances" in event.outcome_description
    assert event.purpose == "end of contract"
    # What was erased keeps nobody from the rest.
    other, objects = three(door)
    assert "skipped until recalled: 3" in command("scrub")
    assert "3 erased" in command("reseal")
    assert_all_there(door, other, objects)


def test_a_key_that_cannot_be_written_down_is_not_made(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(events: object) -> None:
        raise AuditUnavailable("the trail can't be written")

    monkeypatch.setattr(encryption_keys, "record", away)
    with pytest.raises(CommandError, match="trail"):
        command("encryption_keys", "add")
    assert read_keyring(house.ring) == {}


def test_what_is_damaged_is_left_as_it_is(house: House, door_for: Callable[..., Door]) -> None:
    three(door_for("technologist"))
    key = Instance.objects.order_by("pk").values_list("object_key", flat=True)[1]
    path = house.folder / "store" / "objects" / key
    body = bytearray(path.read_bytes())
    body[-1] ^= 1
    path.write_bytes(body)
    command("encryption_keys", "add")
    house.seal()
    with pytest.raises(CommandError, match="not what they should be"):
        command("reseal")
    assert Instance.objects.filter(object_key=key).exists()
    assert path.read_bytes() == body


def test_without_a_key_nothing_is_stored_and_nothing_is_lost(house: House, door_for: Callable[..., Door]) -> None:
    house.seal()
    response = door_for("technologist").store([make_object()])
    assert response.status_code == 503
    assert not Instance.objects.exists()
    with pytest.raises(CommandError, match="encryption_keys add"):
        command("reseal")
    assert list(object_store().keys()) == []


def _long_ago(house: House) -> None:
    """As if the keys had their states for a day."""
    keys = read_keyring(house.ring)
    past = "2020-01-01T00:00:00+00:00"
    write_keyring(house.ring, {k.id: type(k)(k.id, k.state, past, past, k.secret) for k in keys.values()})
