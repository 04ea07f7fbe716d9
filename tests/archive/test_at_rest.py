"""Transcoding at rest against the real index, object store and codecs: what is made, compared, served and let go."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy
import pydicom
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from archive import at_rest, at_rest_dropping, at_rest_making, metadata, outbox
from archive.at_rest_checking import KEPT, check
from archive.at_rest_equal import compare as compare_objects
from archive.at_rest_making import Outcome, represent
from archive.at_rest_pace import _PLACES, alone_with, pause, place
from archive.delete import delete
from archive.errors import ArchiveUnavailable
from archive.frame_cache import frame_cache
from archive.frames import frames_of
from archive.locate import Address, locate
from archive.models import (
    DeletedObject,
    DroppedOriginal,
    Instance,
    OutboxEntry,
    Representation,
    Series,
    Study,
    TranscodingAttempt,
)
from archive.object_store import object_store
from archive.quota import stored_bytes
from archive.representations import forget, held_frames
from archive.retrieve import open_bulk_value
from archive.store import Batching, Stored, store
from archive.sweep import sweep_all
from archive.tasks import TASKS
from archive.transcoding import transcode
from archive.undelete import undelete
from audit.models import AccessEvent
from dicom.transfer_syntaxes import BY_UID, EXPLICIT_VR_LITTLE_ENDIAN, HTJ2K_LOSSLESS_RPCL, JPEG_2000_LOSSLESS
from tests.dicomweb.objects import make_data_set, to_bytes

pytestmark = pytest.mark.django_db(transaction=True)

BATCHING = Batching(instances=64, total_bytes=1 << 28, object_bytes=1 << 28)
ROWS, COLUMNS = 64, 64
SIGNED = {"PixelRepresentation": 1, "BitsStored": 16, "HighBit": 15}


@pytest.fixture(autouse=True)
def _empty_object_store(settings: Any, tmp_path: Path) -> None:
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})


def configure(settings: Any, **values: Any) -> None:
    at_rest_settings = settings.PACS.at_rest.model_copy(update=values)
    settings.PACS = settings.PACS.model_copy(update={"at_rest": at_rest_settings})


def smooth(number: int = 0, *, bits: int = 12) -> bytes:
    """A frame that any codec makes smaller, another one for each number."""
    y, x = numpy.mgrid[0:ROWS, 0:COLUMNS]
    values = (numpy.sin(x / 9 + number) + numpy.cos(y / 7)) * (1 << bits - 3) + (1 << bits - 1)
    return bytes(values.astype("<u2" if bits > 8 else "u1").tobytes())


def slices(count: int = 3, **values: Any) -> list[Dataset]:
    study, series = generate_uid(), generate_uid()
    return [
        make_data_set(
            StudyInstanceUID=study,
            SeriesInstanceUID=series,
            InstanceNumber=number,
            Rows=ROWS,
            Columns=COLUMNS,
            PixelData=smooth(number),
            **values,
        )
        for number in range(1, count + 1)
    ]


def store_all(objects: Sequence[bytes]) -> list[Stored]:
    return list(store([iter([data]) for data in objects], batching=BATCHING, record=lambda batch: None))


def stored(data_sets: Sequence[Dataset], syntax: Any = ExplicitVRLittleEndian) -> Series:
    assert all(s.failure_reason is None for s in store_all([to_bytes(ds, syntax) for ds in data_sets]))
    return Series.objects.get(series_instance_uid=data_sets[0].SeriesInstanceUID)


def run_task(series: Series) -> None:
    """The outbox entry of the series, through the table of tasks, as a worker does it."""
    outbox.run(OutboxEntry.objects.get(kind=outbox.AT_REST, subject=str(series.pk)).pk, TASKS)


def bytes_of(key: str) -> bytes:
    return b"".join(object_store().open_range(key))


def time_passes(seconds: float = 61) -> None:
    for row in TranscodingAttempt.objects.all():
        TranscodingAttempt.objects.filter(pk=row.pk).update(updated_at=row.updated_at - timedelta(seconds=seconds))


def test_a_quiet_series_gets_a_representation_of_each_instance() -> None:
    data_sets = slices()
    series = stored(data_sets)
    entry = OutboxEntry.objects.get(kind=outbox.AT_REST)
    assert timedelta(seconds=290) < entry.not_before - entry.created_at <= timedelta(seconds=300)
    before = {i.object_key: bytes(i.object_sha256) for i in series.instances.all()}
    kept = frame_cache().size
    run_task(series)
    assert frame_cache().size == kept  # a task process keeps no frames that nobody asks it for
    assert not OutboxEntry.objects.filter(kind=outbox.AT_REST).exists()
    assert not TranscodingAttempt.objects.exists()
    rows = Representation.objects.select_related("instance").order_by("instance__instance_number")
    assert len(rows) == 3
    for ds, row in zip(data_sets, rows, strict=True):
        data = bytes_of(row.object_key)
        assert row.object_key.startswith("derived/transcoded/")
        assert (len(data), hashlib.sha256(data).digest()) == (row.object_size, bytes(row.object_sha256))
        assert row.object_size < row.source_size == row.instance.object_size
        assert (bytes(row.source_sha256), row.exact) == (bytes(row.instance.object_sha256), True)
        read = pydicom.dcmread(object_store_file(row.object_key))
        assert read.file_meta.TransferSyntaxUID == JPEG_2000_LOSSLESS.uid
        assert read.SOPInstanceUID == ds.SOPInstanceUID
        read.pixel_array_options(decoding_plugin="pylibjpeg")
        assert numpy.array_equal(read.pixel_array, numpy.frombuffer(ds.PixelData, "<u2").reshape(ROWS, COLUMNS))
    after = {i.object_key: bytes(i.object_sha256) for i in series.instances.all()}
    assert after == before
    assert all(hashlib.sha256(bytes_of(key)).digest() == digest for key, digest in before.items())


def object_store_file(key: str) -> Any:
    return io.BytesIO(bytes_of(key))


@pytest.mark.parametrize(
    ("values", "syntax", "changed"),
    [
        ({}, ImplicitVRLittleEndian, {}),
        ({}, ExplicitVRBigEndian, {}),
        (
            {
                "SamplesPerPixel": 3,
                "PhotometricInterpretation": "RGB",
                "PlanarConfiguration": 1,
                "BitsAllocated": 8,
                "BitsStored": 8,
                "HighBit": 7,
                "PixelData": smooth(1, bits=8) + smooth(2, bits=8) + smooth(3, bits=8),
            },
            ExplicitVRLittleEndian,
            {"PlanarConfiguration": ["1", "0"]},
        ),
        (
            {"NumberOfFrames": 3, "PixelData": smooth(1) + smooth(2) + smooth(3), **SIGNED},
            ExplicitVRLittleEndian,
            {},
        ),
    ],
)
@pytest.mark.parametrize("target", ["JPEG2000Lossless", "HTJ2KLosslessRPCL"])
def test_every_form_is_equal_in_every_frame(
    settings: Any, values: dict[str, Any], syntax: Any, changed: dict[str, list[str]], target: str
) -> None:
    configure(settings, transfer_syntax=target)
    ds = make_data_set(**{"Rows": ROWS, "Columns": COLUMNS, "PixelData": smooth(), **values})
    plain = to_bytes(ds)
    if syntax == ExplicitVRBigEndian:
        ds.PixelData = numpy.frombuffer(ds.PixelData, "<u2").byteswap().tobytes()
    series = stored([ds], syntax)
    run_task(series)
    [row] = Representation.objects.all()
    assert (row.exact, row.changed) == (True, changed)
    read = pydicom.dcmread(object_store_file(row.object_key))
    assert read.file_meta.TransferSyntaxUID.keyword == target
    [located] = locate(Study.objects.all(), Address(ds.StudyInstanceUID))
    made = held_frames(frames_of(located), BY_UID[row.transfer_syntax_uid])
    assert made.count == int(values.get("NumberOfFrames", 1))
    pixels = pydicom.dcmread(io.BytesIO(plain))
    expected = pixels.pixel_array.reshape(made.count, ROWS, COLUMNS, -1)
    for number in range(1, made.count + 1):
        assert numpy.array_equal(made.decode(number).array.reshape(ROWS, COLUMNS, -1), expected[number - 1])


def test_lossy_sources_video_and_the_compressed_are_left_alone() -> None:
    for name in ("SC_rgb_jpeg_dcmtk.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm", "JPEG-lossy.dcm"):
        path = get_testdata_file(name, download=False)
        assert path
        assert store_all([Path(str(path)).read_bytes()])[0].failure_reason is None
    for series in Series.objects.all():
        if OutboxEntry.objects.filter(kind=outbox.AT_REST, subject=str(series.pk)).exists():
            run_task(series)
    assert Instance.objects.filter(frame_table__isnull=False).count() == 4
    assert not Representation.objects.exists()
    assert not TranscodingAttempt.objects.exists()


def test_off_wishes_for_nothing(settings: Any) -> None:
    configure(settings, transfer_syntax="off")
    stored(slices(1))
    assert not OutboxEntry.objects.filter(kind=outbox.AT_REST).exists()


def test_what_would_grow_is_written_down_and_not_tried_again() -> None:
    noise = numpy.random.default_rng(1).integers(0, 1 << 16, ROWS * COLUMNS, numpy.uint16).tobytes()
    series = stored([make_data_set(Rows=ROWS, Columns=COLUMNS, BitsStored=16, HighBit=15, PixelData=noise)])
    run_task(series)
    [attempt] = TranscodingAttempt.objects.all()
    assert (attempt.outcome, attempt.tries) == (Outcome.LARGER, 1)
    outbox.wish([outbox.Wish(outbox.AT_REST, str(series.pk))])
    run_task(series)
    assert [(a.outcome, a.tries) for a in TranscodingAttempt.objects.all()] == [(Outcome.LARGER, 1)]
    assert not Representation.objects.exists()
    assert not list(object_store().keys("derived/transcoded/"))


def test_bits_beyond_bits_stored_are_not_lost() -> None:
    """Signed samples with an overlay in the bits above: equal as numbers, but not byte for byte."""
    cells = numpy.frombuffer(smooth(), "<u2") // 4 | 0x8000
    ds = make_data_set(Rows=ROWS, Columns=COLUMNS, PixelRepresentation=1, PixelData=cells.tobytes())
    run_task(stored([ds]))
    assert [row.exact for row in Representation.objects.all()] == [False]


class _Killed(BaseException):
    """As SIGKILL has it: nobody gets to clean up."""


def test_whoever_is_killed_goes_on_where_the_last_instance_was_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    series = stored(slices(4))
    real, made = compare_objects, []

    def compare(*args: Any) -> Any:
        made.append(args[1])
        if len(made) == 3:
            raise _Killed
        return real(*args)

    monkeypatch.setattr(at_rest_making, "compare", compare)
    with pytest.raises(_Killed):
        run_task(series)
    entry = OutboxEntry.objects.get(kind=outbox.AT_REST)
    assert (entry.attempts, entry.dead) == (1, False)
    assert Representation.objects.count() == 2
    assert [(a.tries, a.outcome) for a in TranscodingAttempt.objects.all()] == [(1, "")]
    time_passes()
    run_task(series)
    assert Representation.objects.count() == 4
    assert not TranscodingAttempt.objects.exists()
    assert not OutboxEntry.objects.filter(kind=outbox.AT_REST).exists()
    assert sweep_all().noted == 1
    orphan = DeletedObject.objects.get(deleted_by="orphan")
    assert orphan.object_key not in Representation.objects.values_list("object_key", flat=True)


def test_one_poisonous_instance_is_left_alone_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    series = stored(slices(3))
    poison = series.instances.get(instance_number=1)
    real = transcode

    def deadly(instance: Any, target: Any) -> Any:
        if instance.pk == poison.pk:
            raise _Killed
        return real(instance, target)

    monkeypatch.setattr(at_rest_making, "transcode", deadly)
    for _ in range(3):
        with pytest.raises(_Killed):
            run_task(series)
        time_passes()
    run_task(series)
    [attempt] = TranscodingAttempt.objects.all()
    assert (attempt.instance_id, attempt.outcome) == (poison.pk, Outcome.FAILED)
    assert "lost 3 times" in attempt.reason
    assert Representation.objects.count() == 2
    assert not OutboxEntry.objects.filter(kind=outbox.AT_REST).exists()


def test_a_representation_that_differs_is_never_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    series = stored(slices(1))
    real = transcode
    other = stored(slices(1))
    [wrong] = locate(Study.objects.all(), Address(other.study.study_instance_uid))

    monkeypatch.setattr(at_rest_making, "transcode", lambda instance, target: real(wrong, target))
    for _ in range(3):
        run_task(series)
        time_passes()
    [attempt] = TranscodingAttempt.objects.all()
    assert (attempt.outcome, attempt.reason) == (Outcome.FAILED, "it is another instance")
    assert not list(object_store().keys("derived/transcoded/"))


@pytest.mark.parametrize("now", ["off", "HTJ2KLossless"])
def test_a_failed_try_in_a_transfer_syntax_that_nobody_wants_any_more_is_not_waited_for(
    settings: Any, monkeypatch: pytest.MonkeyPatch, now: str
) -> None:
    series = stored(slices(1))
    with monkeypatch.context() as patch:
        patch.setattr(at_rest_making, "transcode", None)  # whoever calls it is lost
        with pytest.raises(TypeError):
            represent(series.instances.get().pk, JPEG_2000_LOSSLESS)
    configure(settings, transfer_syntax=now)
    run_task(series)
    assert TranscodingAttempt.objects.get().outcome == ""
    assert not OutboxEntry.objects.filter(kind=outbox.AT_REST).exists()


def test_an_original_that_is_missing_does_not_hold_up_the_others() -> None:
    series = stored(slices(2))
    object_store().delete(series.instances.get(instance_number=1).object_key)
    run_task(series)
    assert Representation.objects.get().instance.instance_number == 2
    assert "missing" in TranscodingAttempt.objects.get(outcome=Outcome.FAILED).reason


def test_a_pause_a_busy_place_and_a_second_worker_put_it_off() -> None:
    series = stored(slices(1))
    pause(on=True)
    run_task(series)
    assert not Representation.objects.exists()
    assert OutboxEntry.objects.get(kind=outbox.AT_REST).attempts == 0
    pause(on=False)
    with other_session() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_PLACES])
        run_task(series)
        assert not Representation.objects.exists()
    run_task(series)
    assert Representation.objects.count() == 1


@contextlib.contextmanager
def other_session() -> Iterator[Any]:
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            yield cursor
    finally:
        other.close()


def test_places_are_counted_and_given_back() -> None:
    with place(1) as free, alone_with(7) as mine:
        assert (free, mine) == (True, True)
    with place(1) as free:
        assert free


def test_a_long_series_lets_others_go_first(settings: Any) -> None:
    configure(settings, turn_seconds=0.000001)
    series = stored(slices(3))
    for count in (1, 2, 3):
        run_task(series)
        assert Representation.objects.count() == count
    assert not OutboxEntry.objects.filter(kind=outbox.AT_REST).exists()


def test_readers_get_the_representation_as_it_lies_there(monkeypatch: pytest.MonkeyPatch) -> None:
    data_sets = slices(3)
    series = stored(data_sets)
    run_task(series)
    monkeypatch.setattr("archive.frames.Frames.transcoded", None)  # nobody may decode
    with CaptureQueriesContext(connection) as queries:
        found = locate(Study.objects.all(), Address(data_sets[0].StudyInstanceUID))
    assert len(queries) == 1
    for located, row in zip(found, Representation.objects.order_by("instance__instance_number"), strict=True):
        given = transcode(located, JPEG_2000_LOSSLESS)
        assert given.length == row.object_size
        assert b"".join(given.pieces()) == bytes_of(row.object_key)
        frames = held_frames(frames_of(located), JPEG_2000_LOSSLESS)
        codestream = b"".join(frames.open(1, JPEG_2000_LOSSLESS).open())
        assert codestream.startswith(b"\xff\x4f\xff\x51")
        assert codestream in bytes_of(row.object_key)
        assert held_frames(frames_of(located), HTJ2K_LOSSLESS_RPCL).transfer_syntax == EXPLICIT_VR_LITTLE_ENDIAN


def test_a_lost_representation_falls_back_and_is_made_again() -> None:
    data_sets = slices(1)
    series = stored(data_sets)
    run_task(series)
    [row] = Representation.objects.all()
    object_store().delete(row.object_key)
    [located] = locate(Study.objects.all(), Address(data_sets[0].StudyInstanceUID))
    given = b"".join(transcode(located, JPEG_2000_LOSSLESS).pieces())
    read = pydicom.dcmread(io.BytesIO(given))
    assert numpy.array_equal(read.pixel_array.ravel(), numpy.frombuffer(data_sets[0].PixelData, "<u2"))
    assert not Representation.objects.exists()
    run_task(series)
    assert Representation.objects.get().object_key != row.object_key


def test_check_finds_what_is_damaged_and_has_it_made_again(tmp_path: Path) -> None:
    series = stored(slices(2))
    run_task(series)
    broken = Representation.objects.order_by("pk")[0]
    [path] = tmp_path.rglob(Path(broken.object_key).name)
    data = bytearray(path.read_bytes())
    data[-40] ^= 0xFF
    path.chmod(0o600)
    path.write_bytes(data)
    found = dict(check(None))
    assert found[broken.instance.sop_instance_uid] == "the object has not the bytes that were written"
    assert sorted(found.values())[0] == ""
    run_task(series)
    assert set(dict(check(None)).values()) == {""}


@pytest.mark.parametrize("damage", ["bits", "missing"])
def test_a_representation_is_kept_where_it_is_the_original_that_is_damaged(
    settings: Any, tmp_path: Path, damage: str
) -> None:
    configure(settings, drop_originals=True, drop_after_days=1)
    series = stored(slices(2))
    run_task(series)
    broken = Instance.objects.order_by("instance_number")[0]
    spoil(tmp_path, broken.object_key, damage)
    found = dict(check(None))
    assert found.pop(broken.sop_instance_uid) == KEPT
    assert list(found.values()) == [""]
    configure(settings, drop_originals=True, drop_after_days=0)
    run_task(series)
    [row] = Representation.objects.all()
    assert row.instance_id == broken.pk
    assert hashlib.sha256(bytes_of(row.object_key)).digest() == bytes(row.object_sha256)
    assert DroppedOriginal.objects.get().sop_instance_uid != broken.sop_instance_uid
    assert not DeletedObject.objects.filter(object_key__in=[row.object_key, broken.object_key]).exists()


def spoil(data: Path, key: str, damage: str) -> None:
    """Turn a bit among the pixels of an object, or remove it."""
    if damage == "missing":
        object_store().delete(key)
        return
    [path] = data.rglob(Path(key).name)
    content = bytearray(path.read_bytes())
    content[-40] ^= 0x04
    path.chmod(0o600)
    path.write_bytes(content)


def test_a_representation_that_was_let_go_meanwhile_takes_no_place(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(settings, drop_originals=True, drop_after_days=1)
    series = stored(slices(1))
    run_task(series)
    configure(settings, drop_originals=True, drop_after_days=0)
    [located] = locate(Study.objects.all(), Address(series.study.study_instance_uid))
    real = compare_objects

    def compare(*args: Any) -> Any:
        equal = real(*args)
        forget(located.held[0], series.pk)
        sweep_all()
        return equal

    monkeypatch.setattr(at_rest_dropping, "compare", compare)
    assert at_rest_dropping.drop_originals(series.pk)[0] == 0
    assert not DroppedOriginal.objects.exists()
    assert bytes_of(Instance.objects.get().object_key)


def test_an_original_that_was_noted_as_an_orphan_while_it_was_stored_is_dropped_all_the_same(settings: Any) -> None:
    series = stored(slices(1))
    key = series.instances.get().object_key
    DeletedObject.objects.create(object_key=key, sweep_after=timezone.now() + timedelta(hours=1), deleted_by="orphan")
    configure(settings, drop_originals=True, drop_after_days=0)
    run_task(series)
    noted = DeletedObject.objects.get(object_key=key)
    assert (noted.deleted_by, noted.size) == ("at rest", DroppedOriginal.objects.get().object_size)
    assert noted.sweep_after > timezone.now() + timedelta(days=6)


def test_delete_lets_go_of_it_and_undelete_has_it_made_anew(settings: Any) -> None:
    data_sets = slices(2)
    series = stored(data_sets)
    run_task(series)
    kept = {bytes_of(i.object_key) for i in series.instances.all()}
    keys = set(Representation.objects.values_list("object_key", flat=True))
    counted = stored_bytes()
    assert counted == sum(map(len, kept)) + sum(Representation.objects.values_list("object_size", flat=True))
    delete(
        Study.objects.all(), Address(data_sets[0].StudyInstanceUID), deleted_by="somebody", record=lambda deleted: None
    )
    assert not Representation.objects.exists()
    assert (
        set(
            DeletedObject.objects.filter(deleted_by="derived", object_key__in=keys).values_list("object_key", flat=True)
        )
        == keys
    )
    assert stored_bytes() == counted
    assert len(list(undelete(data_sets[0].StudyInstanceUID))) == 2
    series = Series.objects.get(series_instance_uid=data_sets[0].SeriesInstanceUID)
    run_task(series)
    assert Representation.objects.filter(instance__series=series).count() == 2
    for row in DeletedObject.objects.all():
        DeletedObject.objects.filter(pk=row.pk).update(sweep_after=row.sweep_after - timedelta(days=60))
    sweep_all()
    assert not keys & set(object_store().keys())
    assert stored_bytes() == sum(map(len, kept)) + sum(Representation.objects.values_list("object_size", flat=True))


def test_an_original_goes_only_by_policy_after_a_second_comparison(settings: Any) -> None:
    data_sets = slices(2)
    series = stored(data_sets)
    run_task(series)
    outbox.wish([outbox.Wish(outbox.AT_REST, str(series.pk))])
    run_task(series)
    assert not DroppedOriginal.objects.exists(), "not by default"
    originals = {i.sop_instance_uid: i for i in series.instances.all()}
    text = metadata.series_document(series, "http://root").text().decode()
    assert text.count(ExplicitVRLittleEndian) == 2
    configure(settings, drop_originals=True, drop_after_days=30)
    outbox.wish([outbox.Wish(outbox.AT_REST, str(series.pk))])
    run_task(series)
    assert not DroppedOriginal.objects.exists(), "not before its time"
    assert OutboxEntry.objects.get(kind=outbox.AT_REST).not_before > originals[
        data_sets[0].SOPInstanceUID
    ].created_at + timedelta(days=29)
    configure(settings, drop_after_days=0)
    counted = stored_bytes()
    run_task(series)
    assert DroppedOriginal.objects.count() == 2
    assert not Representation.objects.exists()
    assert stored_bytes() == counted
    for row in DroppedOriginal.objects.all():
        old, new = originals[row.sop_instance_uid], Instance.objects.get(sop_instance_uid=row.sop_instance_uid)
        assert (bytes(row.object_sha256), bytes(row.stored_sha256)) == (
            bytes(old.object_sha256),
            bytes(new.object_sha256),
        )
        assert (new.transfer_syntax_uid, new.pk) == (JPEG_2000_LOSSLESS.uid, old.pk)
        assert hashlib.sha256(bytes_of(new.object_key)).digest() == bytes(new.object_sha256)
        gone = DeletedObject.objects.get(object_key=old.object_key)
        assert gone.sweep_after - gone.deleted_at > timedelta(days=6)
        assert bytes_of(old.object_key), "it goes with its grace"
    [event] = AccessEvent.objects.filter(kind="delete_instances")
    assert (event.principal_name, event.instance_count) == ("at rest", 2)
    series.refresh_from_db()
    series = Series.objects.get(pk=series.pk)
    text = metadata.series_document(series, "http://root").text().decode()
    assert text.count(JPEG_2000_LOSSLESS.uid) == 2
    assert ExplicitVRLittleEndian + '"' not in text
    for located, ds in zip(locate(Study.objects.all(), Address(data_sets[0].StudyInstanceUID)), data_sets, strict=True):
        given = b"".join(transcode(located, EXPLICIT_VR_LITTLE_ENDIAN).pieces())
        assert pydicom.dcmread(io.BytesIO(given)).PixelData == ds.PixelData
    again = store_all([to_bytes(ds) for ds in data_sets])
    assert [(s.failure_reason, s.duplicate) for s in again] == [(None, True)] * 2
    assert sweep_keys() <= set(object_store().keys())
    delete(
        Study.objects.all(), Address(data_sets[0].StudyInstanceUID), deleted_by="somebody", record=lambda deleted: None
    )
    assert [s.failure_reason for s in undelete(data_sets[0].StudyInstanceUID)] == [None, None]
    assert set(Instance.objects.values_list("transfer_syntax_uid", flat=True)) == {JPEG_2000_LOSSLESS.uid}


def test_who_located_an_instance_before_its_original_was_dropped_reads_the_original(settings: Any) -> None:
    values = b"\1\2\3\4" * 2000
    [ds] = data_sets = slices(1)
    ds.add_new(0x00420011, "OB", values)
    series = stored(data_sets)
    [located] = locate(Study.objects.all(), Address(ds.StudyInstanceUID))
    configure(settings, drop_originals=True, drop_after_days=0)
    run_task(series)
    assert DroppedOriginal.objects.get().object_key == located.object_key
    frames = frames_of(located)
    assert b"".join(frames.open(1, EXPLICIT_VR_LITTLE_ENDIAN).open()) == ds.PixelData
    assert b"".join(open_bulk_value(located, "00420011").open()) == values
    [anew] = locate(Study.objects.all(), Address(ds.StudyInstanceUID))
    assert b"".join(open_bulk_value(anew, "00420011").open()) == values


def test_what_was_received_is_known_again_after_two_replacements(settings: Any) -> None:
    ds = make_data_set(Rows=ROWS, Columns=COLUMNS, PixelData=bytes(ROWS * COLUMNS) + smooth()[: ROWS * COLUMNS])
    configure(settings, transfer_syntax="RLELossless", drop_originals=True, drop_after_days=0)
    series = stored([ds])
    run_task(series)
    configure(settings, transfer_syntax="JPEG2000Lossless", rows=["* * * compressed -> JPEG2000Lossless"])
    outbox.wish([outbox.Wish(outbox.AT_REST, str(series.pk))])
    run_task(series)
    assert DroppedOriginal.objects.count() == 2
    assert [s.duplicate for s in store_all([to_bytes(ds)])] == [True]
    other = make_data_set(SOPInstanceUID=ds.SOPInstanceUID, StudyInstanceUID=ds.StudyInstanceUID)
    assert store_all([to_bytes(other)])[0].failure_reason is not None


def sweep_keys() -> set[str]:
    """Keys of all instances after a sweep of everything that is due."""
    sweep_all()
    return set(Instance.objects.values_list("object_key", flat=True))


def test_what_is_no_longer_equal_is_not_dropped(settings: Any, tmp_path: Path) -> None:
    configure(settings, drop_originals=True, drop_after_days=1)
    series = stored(slices(1))
    run_task(series)
    [row] = Representation.objects.all()
    [path] = tmp_path.rglob(Path(row.object_key).name)
    path.chmod(0o600)
    path.write_bytes(bytes_of(row.object_key)[:-20] + bytes(20))
    configure(settings, drop_after_days=0)
    run_task(series)
    assert not DroppedOriginal.objects.exists()
    assert Instance.objects.get().transfer_syntax_uid == ExplicitVRLittleEndian
    assert not Representation.objects.exists()
    run_task(series)
    assert DroppedOriginal.objects.get().object_key not in (row.object_key, Instance.objects.get().object_key)


def test_a_full_archive_waits(settings: Any) -> None:
    series = stored(slices(1))
    limits = settings.PACS.limits.model_copy(update={"archive_bytes": 1})
    settings.PACS = settings.PACS.model_copy(update={"limits": limits})
    run_task(series)
    assert not Representation.objects.exists()
    entry = OutboxEntry.objects.get(kind=outbox.AT_REST)
    assert (entry.dead, entry.attempts) == (False, 0)
    assert entry.not_before - entry.created_at > timedelta(minutes=50)


def test_an_outage_of_the_object_store_does_not_count_as_a_try(monkeypatch: pytest.MonkeyPatch) -> None:
    series = stored(slices(1))

    def away(*args: Any) -> Any:
        raise ArchiveUnavailable("the object store can't be reached now")

    with monkeypatch.context() as patch:
        patch.setattr(at_rest_making, "transcode", away)
        for _ in range(4):
            run_task(series)
    assert TranscodingAttempt.objects.get().tries == 0
    run_task(series)
    assert Representation.objects.count() == 1


def test_an_instance_that_is_gone_is_no_failure() -> None:
    assert represent(-1, JPEG_2000_LOSSLESS) is Outcome.GONE
    at_rest.transcode_series("-1")
