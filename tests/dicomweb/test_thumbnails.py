"""Thumbnails that a worker prepares, and those that are drawn on the spot (PS3.18 10.4.1.1.4, 8.3.5.2)."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from pydicom.uid import generate_uid

from archive import thumbnail_packs, thumbnail_task
from archive.delete import delete
from archive.examining import examine
from archive.locate import Address
from archive.models import DeletedObject, Instance, OutboxEntry, QualityFinding, Series, Study, ThumbnailPack
from archive.object_store import object_store
from archive.sweep import sweep_all
from archive.tasks import TASKS
from archive.thumbnails import LARGEST_EDGE
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.pixels import native_frames, packaged
from tests.dicomweb.reading import problem_of
from tests.dicomweb.test_rendered import _REPORT, picture, stored

pytestmark = pytest.mark.django_db


def shade(value: int, **values: Any) -> dict[str, Any]:
    """A slice whose pixels lie around one of 0 to 4095, so that its picture is known by its brightness."""
    pixels = np.full(12 * 16, value, "<u2")
    pixels[0] = max(0, value - 1)
    return {"PixelData": pixels.tobytes(), "WindowCenter": 2048, "WindowWidth": 4096, **values}


def brightness(response: Any) -> int:
    return round(float(np.asarray(picture(response).convert("L")).mean()) / 255 * 4095)


def a_series(door: Door, count: int, **values: Any) -> tuple[str, list[str]]:
    """Slices of rising brightness in one series; its path, and those of its instances in order."""
    study, series = generate_uid(), generate_uid()
    paths = []
    for number in range(count):
        named = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "InstanceNumber": number + 1}
        paths.append(stored(door, **shade(400 * (number + 1), **named, **values)))
    return f"studies/{study}/series/{series}", paths


def prepare() -> None:
    for series in Series.objects.order_by("pk").values_list("pk", flat=True):
        TASKS["series_thumbnail"](str(series))


def packs() -> set[str]:
    """Keys of all there are, those of other tests among them."""
    return set(object_store().keys("derived/thumbnails/"))


def nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> bytes:
        raise AssertionError("a thumbnail was drawn")

    monkeypatch.setattr("archive.thumbnails.render", never)


@pytest.mark.parametrize("prepared", [True, False])
def test_thumbnails_at_every_level(technologist: Door, prepared: bool) -> None:
    study, report, ct = generate_uid(), generate_uid(), generate_uid()
    stored(technologist, StudyInstanceUID=study, SeriesInstanceUID=report, SeriesNumber=1, **_REPORT)
    instance = stored(technologist, StudyInstanceUID=study, SeriesInstanceUID=ct, SeriesNumber=2)
    if prepared:
        prepare()
        assert (
            Series.objects.get(series_instance_uid=ct).thumbnail_instance
            == Instance.objects.get(series__series_instance_uid=ct).pk
        )
    for path in (f"studies/{study}", f"studies/{study}/series/{ct}", instance, f"{instance}/frames/1"):
        response = technologist.get(f"{path}/thumbnail", accept="image/jpeg")
        assert response["Content-Type"] == "image/jpeg", "plain body (trap 25)"
        assert picture(response).size == (256, 192)
    problem_of(technologist.get(f"studies/{generate_uid()}/thumbnail"), 404)


def test_prepared_thumbnails_are_read_and_not_drawn(technologist: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    series, slices = a_series(technologist, 5)
    prepare()
    nothing_is_drawn(monkeypatch)
    assert ThumbnailPack.objects.count() == 1
    for number, path in enumerate(slices):
        for below in ("", "/frames/1"):
            assert abs(brightness(technologist.get(f"{path}{below}/thumbnail")) - 400 * (number + 1)) < 40
    for path in (series, series.partition("/series")[0]):
        assert abs(brightness(technologist.get(f"{path}/thumbnail")) - 1200) < 40, "the middle one"


def test_the_client_asks_whether_it_has_it(technologist: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    series, slices = a_series(technologist, 3)
    prepare()
    for path in (series, slices[0], f"{slices[0]}/frames/1"):
        first = technologist.get(f"{path}/thumbnail")
        assert first["Cache-Control"] == "private, no-cache"
        again = technologist.get(f"{path}/thumbnail", **{"if-none-match": first["ETag"]})
        assert (again.status_code, body_of(again), again["ETag"]) == (304, b"", first["ETag"])
        part = technologist.get(f"{path}/thumbnail", range="bytes=0-1")
        assert (part.status_code, body_of(part)) == (206, b"\xff\xd8")
    tags = {technologist.get(f"{path}/thumbnail")["ETag"] for path in slices}
    tags |= {technologist.get(f"{slices[0]}/thumbnail?viewport={size}")["ETag"] for size in ("9,9", "10,10")}
    assert len(tags) == 5
    nothing_is_drawn(monkeypatch)
    first = technologist.get(f"{slices[0]}/frames/1/thumbnail?viewport=9,9", **{"if-none-match": "*"})
    assert first.status_code == 304


def test_a_viewport_of_their_own(technologist: Door) -> None:
    """PS3.18 8.3.5.2."""
    series, slices = a_series(technologist, 1)
    prepare()
    for path in (series, slices[0], f"{slices[0]}/frames/1"):
        assert picture(technologist.get(f"{path}/thumbnail?viewport=64,64")).size == (64, 48)
        assert picture(technologist.get(f"{path}/thumbnail?viewport=512,900")).size == (512, 384)
    for wrong in (f"{LARGEST_EDGE + 1},5", "100000,100000", "1,2,3", "1", "0,0", "a,b"):
        problem_of(technologist.get(f"{slices[0]}/thumbnail?viewport={wrong}"), 400)


def test_frames_of_a_multi_frame_are_drawn_once(technologist: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    ds, _ = native_frames(5)
    technologist.store([to_bytes(ds)])
    path = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    prepare()
    drawn = {n: body_of(technologist.get(f"{path}/frames/{n}/thumbnail")) for n in (1, 5)}
    nothing_is_drawn(monkeypatch)
    assert {n: body_of(technologist.get(f"{path}/frames/{n}/thumbnail")) for n in (1, 5)} == drawn
    picture(technologist.get(f"{path}/thumbnail"))


def test_what_comes_later_goes_into_packs_that_are_merged(technologist: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnail_packs, "_SMALL_PACKS", 3)
    study, series = generate_uid(), generate_uid()
    paths, counts, others = [], [], packs()
    for number in range(5):
        named = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "InstanceNumber": number + 1}
        paths.append(stored(technologist, **shade(400 * (number + 1), **named)))
        prepare()
        counts.append(ThumbnailPack.objects.count())
    assert counts == [1, 2, 1, 2, 1]
    nothing_is_drawn(monkeypatch)
    for number, path in enumerate(paths):
        assert abs(brightness(technologist.get(f"{path}/thumbnail")) - 400 * (number + 1)) < 40
    kept = set(ThumbnailPack.objects.values_list("object_key", flat=True))
    replaced = set(DeletedObject.objects.values_list("object_key", flat=True))
    assert packs() - others == replaced | kept, "whoever is just reading comes to the end"
    assert len(replaced) == 6
    DeletedObject.objects.update(sweep_after=F("sweep_after") - timedelta(hours=2))
    sweep_all()
    assert not packs() & replaced
    assert kept <= packs()


def test_nothing_is_drawn_twice(technologist: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    a_series(technologist, 3)
    prepare()
    before = packs()
    [key] = ThumbnailPack.objects.values_list("object_key", flat=True)
    monkeypatch.setattr(thumbnail_task, "examine", lambda *_, **__: pytest.fail("it was drawn again"))
    prepare()
    assert packs() == before
    assert ThumbnailPack.objects.get().object_key == key
    TASKS["series_thumbnail"]("999999999")


def test_a_turn_gives_way_and_the_next_goes_on(technologist: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    a_series(technologist, 4)
    series = Series.objects.get()
    OutboxEntry.objects.all().delete()
    monkeypatch.setattr(thumbnail_task, "TURN_SECONDS", 0.0)
    for done in range(1, 5):
        TASKS["series_thumbnail"](str(series.pk))
        assert len(thumbnail_packs.prepared(series.pk, 0)) == done
        assert OutboxEntry.objects.filter(kind="series_thumbnail").exists() == (done < 4)
        OutboxEntry.objects.all().delete()
        series.refresh_from_db()
        order = list(Instance.objects.order_by("instance_number").values_list("pk", flat=True))
        assert series.thumbnail_instance == order[2], "the middle one comes first"


def test_a_full_pack_is_followed_by_another(technologist: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnail_packs, "MOST_PICTURES", 2)
    _, slices = a_series(technologist, 5)
    prepare()
    assert sorted(len(p.instance_ids) for p in ThumbnailPack.objects.all()) == [1, 2, 2]
    nothing_is_drawn(monkeypatch)
    for path in slices:
        picture(technologist.get(f"{path}/thumbnail"))


def test_packs_that_are_full_of_bytes_are_not_merged_again(technologist: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnail_packs, "_SMALL_PACKS", 2)
    monkeypatch.setattr(thumbnail_packs, "MOST_BYTES", 1)
    a_series(technologist, 3)
    prepare()
    before = set(ThumbnailPack.objects.values_list("object_key", flat=True))
    assert len(before) == 3
    prepare()
    assert set(ThumbnailPack.objects.values_list("object_key", flat=True)) == before


def test_one_bad_instance_leaves_the_others_theirs(technologist: Door) -> None:
    study, series = generate_uid(), generate_uid()
    named = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
    good = stored(technologist, InstanceNumber=1, **named)
    bad = stored(technologist, InstanceNumber=2, PhotometricInterpretation="PALETTE COLOR", **named)
    lost = stored(technologist, InstanceNumber=3, **named)
    report = stored(technologist, InstanceNumber=4, **_REPORT, **named)
    object_store().delete(Instance.objects.get(instance_number=3).object_key)
    prepare()
    pictured = thumbnail_packs.prepared(Series.objects.get().pk, 0)
    numbers = {pk: number or 0 for pk, number in Instance.objects.values_list("pk", "instance_number")}
    assert {numbers[pk]: has for pk, has in pictured.items() if numbers[pk] < 4} == {1: True, 2: False, 3: False}
    found = set(QualityFinding.objects.values_list("instance__instance_number", "code"))
    assert {(2, "palette"), (3, "unreadable")} <= found
    picture(technologist.get(f"{good}/thumbnail"))
    picture(technologist.get(f"studies/{study}/thumbnail"))
    problem_of(technologist.get(f"{bad}/thumbnail"), 406)
    problem_of(technologist.get(f"{lost}/thumbnail"), 503)
    assert technologist.get(f"{report}/thumbnail").status_code in (200, 406)


def test_a_value_that_is_none_of_its_kind_holds_up_no_series(technologist: Door) -> None:
    """Two bytes as a number of four: pydicom has an error of its own for it."""
    ds = make_data_set(PixelSpacing=[0.5, 0.5], SmallestImagePixelValue=0)
    data = to_bytes(ds)
    odd = data.replace(b"\x28\x00\x06\x01US\x02\x00", b"\x28\x00\x06\x01FL\x02\x00")
    assert odd != data
    assert technologist.store([odd]).status_code in (200, 202)
    prepare()
    assert list(thumbnail_packs.prepared(Series.objects.get().pk, 0).values()) == [True]


def test_a_lost_pack_is_made_again(technologist: Door) -> None:
    series, slices = a_series(technologist, 2)
    prepare()
    object_store().delete(ThumbnailPack.objects.get().object_key)
    for path in (series, *slices):
        picture(technologist.get(f"{path}/thumbnail"))


def test_after_a_deletion_it_is_nowhere(technologist: Door) -> None:
    """The middle one goes; another stands for the series at once, and the pack is written anew without it."""
    series, slices = a_series(technologist, 3)
    prepare()
    [pack] = ThumbnailPack.objects.all()
    address = dict(zip(("study", "series", "instance"), slices[1].split("/")[1::2], strict=True))
    gone = Instance.objects.get(sop_instance_uid=address["instance"]).pk
    delete(Study.objects.all(), Address(*address.values()), deleted_by="somebody", record=lambda _: None)
    problem_of(technologist.get(f"{slices[1]}/thumbnail"), 404)
    assert abs(brightness(technologist.get(f"{series}/thumbnail")) - 1200) < 40, "before the worker comes"
    assert not QualityFinding.objects.filter(instance=gone).exists()
    prepare()
    [again] = ThumbnailPack.objects.all()
    assert gone not in again.instance_ids
    assert DeletedObject.objects.get(object_key=pack.object_key).deleted_by == "derived"
    assert Series.objects.get().thumbnail_instance in again.instance_ids
    delete(Study.objects.all(), Address(address["study"]), deleted_by="somebody", record=lambda _: None)
    assert not ThumbnailPack.objects.exists()
    assert DeletedObject.objects.filter(object_key=again.object_key).exists()


def test_a_deletion_while_a_worker_draws(technologist: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was drawn of something that is gone by then is nowhere afterwards."""
    series, slices = a_series(technologist, 2)
    seen: list[Any] = []

    def meanwhile(located: Any, **how: Any) -> Any:
        examined = examine(located, **how)
        if not seen:
            seen.append(located)
            delete(Study.objects.all(), located.address, deleted_by="somebody", record=lambda _: None)
        return examined

    monkeypatch.setattr(thumbnail_task, "examine", meanwhile)
    prepare()
    [pack] = ThumbnailPack.objects.all()
    assert seen[0].pk not in pack.instance_ids
    assert not QualityFinding.objects.filter(instance=seen[0].pk).exists()
    assert Series.objects.get().thumbnail_instance == pack.instance_ids[0]
    picture(technologist.get(f"{series}/thumbnail"))
    whole = slices[0].partition("/series")[0].partition("/")[2]

    def all_of_it(located: Any, **how: Any) -> Any:
        delete(Study.objects.all(), Address(whole), deleted_by="somebody", record=lambda _: None)
        return None

    ThumbnailPack.objects.all().delete()
    monkeypatch.setattr(thumbnail_task, "examine", all_of_it)
    prepare()
    assert not ThumbnailPack.objects.exists()


def test_images_stand_for_a_study_before_localizers_and_reports(technologist: Door) -> None:
    study = generate_uid()
    named = {"StudyInstanceUID": study}
    stored(technologist, SeriesInstanceUID=generate_uid(), SeriesNumber=1, **named, **_REPORT)
    localizer = shade(800, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesNumber=2)
    stored(technologist, SeriesInstanceUID=generate_uid(), **named, **localizer)
    stored(technologist, SeriesInstanceUID=generate_uid(), **named, **shade(2400, SeriesNumber=3))
    prepare()
    assert list(Series.objects.order_by("series_number").values_list("thumbnail_rank", flat=True))[1:] == [1, 0]
    assert abs(brightness(technologist.get(f"studies/{study}/thumbnail")) - 2400) < 40


def test_queries_do_not_grow(technologist: Door) -> None:
    study = generate_uid()
    counts: list[int] = []
    stored(technologist, StudyInstanceUID=study, SeriesInstanceUID=generate_uid(), SeriesNumber=9)
    picture(technologist.get(f"studies/{study}/thumbnail"))
    for number in (1, 10):
        for _ in range(number):
            stored(technologist, StudyInstanceUID=study, SeriesInstanceUID=generate_uid(), SeriesNumber=1, **_REPORT)
        with CaptureQueriesContext(connection) as queries:
            picture(technologist.get(f"studies/{study}/thumbnail"))
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12
    prepare()
    with CaptureQueriesContext(connection) as queries:
        picture(technologist.get(f"studies/{study}/thumbnail"))
    assert len(queries) <= 10


def test_check_images_does_what_was_there_before(technologist: Door) -> None:
    study = stored(technologist, **shade(100, WindowWidth=0)).split("/")[1]
    stored(technologist, **shade(100, RescaleSlope=0, RescaleIntercept=0))
    ThumbnailPack.objects.all().delete()
    out = io.StringIO()
    call_command("check_images", "--study", study, stdout=out)
    assert set(QualityFinding.objects.values_list("code", flat=True)) >= {"window-width"}
    assert ThumbnailPack.objects.count() == 1
    call_command("check_images", stdout=out)
    assert ThumbnailPack.objects.count() == 2
    assert {"rescale-slope", "window-width", "pixel-spacing"} <= set(
        QualityFinding.objects.values_list("code", flat=True)
    )
    made = dict(QualityFinding.objects.values_list("pk", "made_at"))
    ThumbnailPack.objects.update(checked=0)
    call_command("check_images", stdout=out)
    assert dict(QualityFinding.objects.values_list("pk", "made_at")) == made, "nothing new, nothing changed"
    assert {pack.checked for pack in ThumbnailPack.objects.all()} == {1}


def test_findings_are_listed_for_whoever_corrects(technologist: Door, door_for: Any) -> None:
    studies = [stored(technologist, **shade(100 * n + 1, RescaleSlope=0)).split("/")[1] for n in range(3)]
    prepare()

    def ask(door: Door, query: str = "", status: int = 200) -> Any:
        response = door.http.get(f"/api/quality/findings?{query}")
        assert response.status_code == status, response.content
        return response.json()

    found = ask(technologist, "code=rescale-slope")
    assert [each["study"] for each in found["findings"]] == studies[::-1]
    assert found["next"] is None
    [one] = [each for each in ask(technologist, f"study={studies[1]}")["findings"] if each["code"] == "rescale-slope"]
    assert (one["severity"], one["frame"], one["modality"], one["numbers"]) == ("error", 0, "CT", {})
    listed, query = [], "code=rescale-slope&limit=2"
    before: int | None = None
    while True:
        page = ask(technologist, query + (f"&before={before}" if before is not None else ""))
        listed += [each["study"] for each in page["findings"]]
        if (before := page["next"]) is None:
            break
    assert listed == studies[::-1]
    for wrong in (
        "code=nonsense",
        "study=Doe%5EJane",
        "before=-1",
        "before=x",
        "limit=0",
        "limit=100000",
        "before=9" * 9,
    ):
        ask(technologist, wrong, 400)
    ask(door_for("radiologist"), status=403)
    ask(technologist)  # what a process asks once
    counts = []
    for limit in (1, 100):
        with CaptureQueriesContext(connection) as queries:
            ask(technologist, f"limit={limit}")
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("name", ["examples_palette.dcm", "SC_rgb_rle_2frame.dcm", "liver_1frame.dcm"])
def test_sound_images_have_no_errors(technologist: Door, name: str) -> None:
    technologist.store([packaged(name)])
    prepare()
    assert not QualityFinding.objects.filter(severity="error").exists()
    assert all(thumbnail_packs.prepared(Series.objects.get().pk, 0).values())
