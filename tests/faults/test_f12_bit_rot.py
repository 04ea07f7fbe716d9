"""F12, bit rot.

Procedure: objects of every kind are stored (native of one and of several blocks, compressed, deflated, a document); ten
of them, chosen by a seed that is printed, are damaged in the store: a bit flipped, the end cut off, removed. Then
everything is read that can be read of them (whole, by range, frames, pixel data, rendered, thumbnail, metadata), and
``scrub`` runs. Once without and once with a second store; there some copies are damaged as well. What is derived is
damaged too.

Pass: no wrong byte with 200; the scrub names ten of ten; with a second store every read is right, ten of ten are
repaired, and a second scrub finds nothing. The long form does it with twenty seeds.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pydicom
import pytest
from django.core.management import call_command
from pydicom.uid import DeflatedExplicitVRLittleEndian, EncapsulatedPDFStorage, RLELossless, generate_uid

from archive import damage, frames, payload, thumbnails
from archive.frame_cache import frame_cache
from archive.models import Instance, OutboxEntry, Representation, Series, SeriesDocument, ThumbnailPack
from archive.tasks import TASKS
from audit.models import AccessEvent, Alert
from custody.integrity.models import Finding, State
from tests.dicomweb.conftest import Door, body_of, door_for
from tests.dicomweb.objects import make_data_set, make_object, to_bytes
from tests.faults.conftest import Figure

__all__ = ["door_for"]

pytestmark = pytest.mark.django_db(transaction=True)
TEN = 10
Answer = tuple[int, bytes]


@dataclass
class House:
    """An archive with its objects in a folder of its own."""

    settings: Any
    folder: Path
    door: Door
    uids: list[str] = field(default_factory=list)
    right: dict[str, bytes] = field(default_factory=dict)

    def fill(self) -> None:
        """Twenty objects in one study, and what is read of them while they are sound."""
        study, series = generate_uid(), generate_uid()
        same = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
        objects = [make_object(**same, InstanceNumber=n, SOPInstanceUID=generate_uid()) for n in range(1, 12)]
        objects += [_large(n, **same) for n in range(12, 15)]
        objects += [_rle(n, **same) for n in range(15, 18)]
        objects += [_deflated(n, **same) for n in range(18, 20)]
        objects += [_document(20, **same)]
        answer = self.door.store(objects)
        assert answer.status_code == 200, answer.content
        for pk in Series.objects.values_list("pk", flat=True):
            for task in ("series_thumbnail", "series_metadata", "copy_series"):
                TASKS[task](str(pk))
        self.uids = list(Instance.objects.order_by("pk").values_list("sop_instance_uid", flat=True))
        for url, (status, body) in self.read().items():
            if status == 200:
                self.right[url] = body
        assert len(self.right) > 5 * len(self.uids)

    def read(self, *, of: list[str] | None = None) -> dict[str, Answer]:
        """Everything that can be read, with nothing remembered from before; -1 for a body that breaks off."""
        _forget()
        found: dict[str, Answer] = {}
        rows = Instance.objects.select_related("series__study").order_by("pk")
        for row in rows.filter(sop_instance_uid__in=of) if of is not None else rows:
            base = f"studies/{row.series.study}/series/{row.series}/instances/{row}"
            frames = "/frames/1" if row.frame_table is not None else ""
            for path, accept, more in (
                ("", "application/dicom", {}),
                ("", "application/dicom", {"range": "bytes=100-70000"}),
                (frames, "application/octet-stream", {}),
                (frames, "application/octet-stream;transfer-syntax=1.2.840.10008.1.2.1", {}),
                ("/bulkdata/7FE00010", "application/octet-stream", {}),
                ("/bulkdata/00420011", "application/octet-stream", {}),
                ("/rendered", "image/jpeg", {}),
                ("/thumbnail", "image/jpeg", {}),
                ("/metadata", "application/dicom+json", {}),
            ):
                url = f"{base}{path}"
                answer = self.door.get(url, accept, **more)
                url = f"{url} {accept} {more}"
                status = 200 if answer.status_code == 206 else answer.status_code
                try:
                    found[url] = status, body_of(answer)
                except Exception:  # noqa: BLE001 - a body that breaks off, whatever with
                    found[url] = -1, b""
        return found

    def wrong(self, found: dict[str, Answer]) -> list[str]:
        """What was answered with 200 and other bytes than before."""
        return [url for url, (status, body) in found.items() if status == 200 and self.right.get(url, b"") != body]

    def spoil(self, chance: random.Random, uids: list[str], root: str = "store") -> None:
        """Flip a bit of each third, cut each third, remove each third."""
        for number, uid in enumerate(uids):
            key = Instance.objects.get(sop_instance_uid=uid).object_key
            spoil(self.folder / root / "objects" / key, number, chance)

    def scrub(self, *words: str) -> tuple[dict[str, Any], int]:
        said, code = io.StringIO(), 0
        try:
            call_command("scrub", "--json", *words, stdout=said)
        except SystemExit as ended:
            code = int(ended.code or 0)
        answer: dict[str, Any] = orjson.loads(said.getvalue())
        return answer, code


def spoil(path: Path, number: int, chance: random.Random) -> None:
    path.chmod(0o640)
    data = bytearray(path.read_bytes())
    if number % 3 == 0:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
    elif number % 3 == 1:
        path.write_bytes(data[: chance.randrange(len(data))])
    else:
        path.unlink()


def _forget() -> None:
    """Nothing in memory hides what is on disk."""
    frame_cache.cache_clear()
    thumbnails._kept.cache_clear()
    frames._known_tables.cache_clear()
    payload._kept_crcs.cache_clear()
    damage._noted.clear()


def _large(number: int, **values: Any) -> bytes:
    pixels = (np.arange(512 * 400, dtype="<u2") % 4096).tobytes()
    return make_object(
        **values, InstanceNumber=number, SOPInstanceUID=generate_uid(), Rows=512, Columns=400, PixelData=pixels
    )


def _rle(number: int, **values: Any) -> bytes:
    found = pydicom.dcmread(io.BytesIO(make_object(**values, InstanceNumber=number, SOPInstanceUID=generate_uid())))
    found.compress(RLELossless, generate_instance_uid=False)
    return to_bytes(found, RLELossless)


def _deflated(number: int, **values: Any) -> bytes:
    found = make_data_set(**values, InstanceNumber=number, SOPInstanceUID=generate_uid())
    return to_bytes(found, DeflatedExplicitVRLittleEndian)


def _document(number: int, **values: Any) -> bytes:
    none = dict.fromkeys(("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"))
    return make_object(
        **values,
        **none,
        InstanceNumber=number,
        SOPInstanceUID=generate_uid(),
        SOPClassUID=EncapsulatedPDFStorage,
        EncapsulatedDocument=b"%PDF-1.4\n" + bytes(100_000),
        MIMETypeOfEncapsulatedDocument="application/pdf",
    )


@pytest.fixture
def house(settings: Any, tmp_path: Path, door_for: Callable[..., Door]) -> House:
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})
    return House(settings, tmp_path, door_for("technologist"))


def with_second_store(house: House) -> None:
    copies = house.settings.PACS.copies.model_copy(update={"folder": house.folder / "second"})
    house.settings.PACS = house.settings.PACS.model_copy(update={"copies": copies})


def seeds(long_form: bool) -> list[int]:
    return [random.randrange(1 << 32) for _ in range(20 if long_form else 1)]


def test_damage_is_found_and_never_served(house: House, figure: Figure, long_form: bool) -> None:
    house.fill()
    wrong = named = 0
    for seed in seeds(long_form):
        print("seed", seed)
        chance = random.Random(seed)
        chosen = chance.sample(house.uids, TEN)
        kept = {path: path.read_bytes() for path in (house.folder / "store").rglob("*.dcm")}
        house.spoil(chance, chosen)
        SeriesDocument.objects.all().delete()  # metadata have to be read from the objects
        found = house.read()
        bad = house.wrong(found)
        assert not bad, bad
        wrong += len(bad)
        for uid in chosen:
            status = next(s for url, (s, _) in found.items() if url.split(" ")[:2][0].endswith(uid))
            assert status in (500, 503, -1), (uid, status)
        assert OutboxEntry.objects.filter(kind="object_damaged").count() >= 1
        answer, code = house.scrub()
        assert code == 1
        assert {each["sop_instance_uid"] for each in answer["findings"]} == set(chosen)
        named += len({each["sop_instance_uid"] for each in answer["findings"]})
        assert Finding.objects.filter(state=State.OPEN).count() >= TEN
        for path, data in kept.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    rounds = len(seeds(long_form))
    assert Alert.objects.filter(rule="integrity").exists()
    assert AccessEvent.objects.filter(kind="integrity").exists()
    figure("F12", "wrong bytes with 200", wrong, "0")
    figure("F12", "damaged objects named", named, f"of {TEN * rounds}")


def test_a_second_store_answers_and_repairs(house: House, figure: Figure, long_form: bool) -> None:
    with_second_store(house)
    house.fill()
    repaired = wrong = 0
    for seed in seeds(long_form):
        print("seed", seed)
        chance = random.Random(seed)
        chosen = chance.sample(house.uids, TEN)
        others = [uid for uid in house.uids if uid not in chosen][:3]
        house.spoil(chance, chosen)
        house.spoil(chance, others, root="second")
        found = house.read()
        assert not house.wrong(found)
        assert {url for url, (status, _) in found.items() if status == 200} == set(house.right)
        wrong += len(house.wrong(found))
        answer, code = house.scrub()
        assert code == 1
        of_first = {e["sop_instance_uid"] for e in answer["findings"] if not e["kind"].startswith("copy_")}
        assert of_first == set(chosen)
        assert all(each["repaired"] for each in answer["findings"])
        assert {each["sop_instance_uid"] for each in answer["findings"]} == set(chosen) | set(others)
        again, code = house.scrub()
        assert (again["found"], code) == (0, 0), again
        assert not house.wrong(house.read(of=chosen))
        repaired += len(of_first)
    assert not Finding.objects.exclude(state=State.REPAIRED).exists()
    figure("F12", "wrong bytes with 200, second store", wrong, "0")
    figure("F12", "repaired from the second store", repaired, f"of {TEN * len(seeds(long_form))}")


def test_what_is_derived_is_made_again(house: House, settings: Any) -> None:
    house.fill()
    for pk in Series.objects.values_list("pk", flat=True):
        TASKS["at_rest"](str(pk))
    assert Representation.objects.exists()
    accept = "application/octet-stream;transfer-syntax=1.2.840.10008.1.2.4.90"
    row = Representation.objects.select_related("instance__series__study").earliest("pk").instance
    url = f"studies/{row.series.study}/series/{row.series}/instances/{row}/frames/1"
    right = body_of(house.door.get(url, accept))
    assert right
    chance = random.Random(1)
    for key in [
        *Representation.objects.values_list("object_key", flat=True),
        *ThumbnailPack.objects.values_list("object_key", flat=True),
        *SeriesDocument.objects.values_list("object_key", flat=True),
    ]:
        spoil(house.folder / "store" / "objects" / key, 0, chance)
    assert not house.wrong(house.read())
    _forget()
    answer = house.door.get(url, accept)
    assert answer.status_code == 500 or body_of(answer) == right
    for entry in OutboxEntry.objects.filter(kind="object_damaged"):
        TASKS["object_damaged"](entry.subject)
    house.scrub()
    for pk in Series.objects.values_list("pk", flat=True):
        for task in ("series_thumbnail", "at_rest"):
            TASKS[task](str(pk))
    _forget()
    assert body_of(house.door.get(url, accept)) == right
    assert house.scrub()[0]["representations_made_again"] == 0
