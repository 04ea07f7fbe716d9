"""What lies ready in the transfer syntax that is asked for is sent as it lies there; nothing else changes."""

from __future__ import annotations

import hashlib
import io

import numpy
import pydicom
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydicom import Dataset
from pydicom.uid import generate_uid

from archive.at_rest_making import Outcome, represent
from archive.models import Instance, OutboxEntry, Representation
from archive.object_store import object_store
from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, JPEG_2000_LOSSLESS
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.reading import parts_of

EDGE = 48
J2K = JPEG_2000_LOSSLESS.uid
WHOLE = f"application/dicom; transfer-syntax={J2K}"
MANY = f'multipart/related; type="application/dicom"; transfer-syntax={J2K}'
FRAME = f"application/octet-stream; transfer-syntax={J2K}"


def study(door: Door, count: int) -> list[Dataset]:
    """A stored series of which each instance has a representation."""
    y, x = numpy.mgrid[0:EDGE, 0:EDGE]
    uid, series = generate_uid(), generate_uid()
    data_sets = [
        make_data_set(
            StudyInstanceUID=uid,
            SeriesInstanceUID=series,
            InstanceNumber=number,
            Rows=EDGE,
            Columns=EDGE,
            PixelData=(x * number + y * 3).astype("<u2").tobytes(),
        )
        for number in range(1, count + 1)
    ]
    assert door.store(map(to_bytes, data_sets)).status_code == 200
    for pk in Instance.objects.filter(series__series_instance_uid=series).values_list("pk", flat=True):
        assert represent(pk, JPEG_2000_LOSSLESS) is Outcome.MADE
    return data_sets


def path_of(ds: Dataset) -> str:
    return f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


def held(ds: Dataset) -> bytes:
    row = Representation.objects.get(instance__sop_instance_uid=ds.SOPInstanceUID)
    return b"".join(object_store().open_range(row.object_key))


def test_an_instance_comes_as_it_lies_there_with_length_and_ranges(technologist: Door) -> None:
    [ds] = study(technologist, 1)
    answer = technologist.get(path_of(ds), accept=WHOLE)
    body = body_of(answer)
    assert (answer["Content-Type"], int(answer["Content-Length"]), body) == (WHOLE, len(body), held(ds))
    part = technologist.get(path_of(ds), accept=WHOLE, range="bytes=100-199")
    assert (part.status_code, body_of(part)) == (206, body[100:200])
    again = technologist.get(path_of(ds), accept=WHOLE, if_none_match=answer["ETag"])
    assert again.status_code == 304


def test_who_asks_for_nothing_gets_what_was_received(technologist: Door) -> None:
    [ds] = study(technologist, 1)
    assert body_of(technologist.get(path_of(ds), accept="application/dicom")) == to_bytes(ds)
    frame = technologist.get(f"{path_of(ds)}/frames/1", accept="application/octet-stream")
    assert frame["Content-Type"] == f"application/octet-stream; transfer-syntax={EXPLICIT_VR_LITTLE_ENDIAN.uid}"
    assert body_of(frame) == ds.PixelData


def test_frames_come_from_the_representation(technologist: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    [ds] = study(technologist, 1)
    monkeypatch.setattr("archive.frames.Frames.transcoded", None)  # nobody may decode
    for accept in (FRAME, "image/jp2"):
        answer = technologist.get(f"{path_of(ds)}/frames/1", accept=accept)
        body = body_of(answer)
        assert int(answer["Content-Length"]) == len(body)
        assert body in held(ds)


def test_a_study_takes_as_many_queries_as_an_instance(technologist: Door) -> None:
    few, many = study(technologist, 2), study(technologist, 9)
    counts = []
    for data_sets in (few, many):
        technologist.get(f"studies/{data_sets[0].StudyInstanceUID}", accept=MANY)  # whatever is cached is cached now
        with CaptureQueriesContext(connection) as queries:
            answer = technologist.get(f"studies/{data_sets[0].StudyInstanceUID}", accept=MANY)
            parts = parts_of(answer)
        counts.append(len(queries))
        assert [body for _, body in parts] == [held(ds) for ds in data_sets]
    assert counts[0] == counts[1]


def test_a_missing_object_is_nobody_elses_trouble(technologist: Door) -> None:
    for resource, accept in (("", WHOLE), ("/frames/1", FRAME)):
        [ds] = study(technologist, 1)
        row = Representation.objects.get(instance__sop_instance_uid=ds.SOPInstanceUID)
        object_store().delete(row.object_key)
        answer = technologist.get(f"{path_of(ds)}{resource}", accept=accept)
        assert answer.status_code == 200
        body = body_of(answer)
        if not resource:
            assert numpy.array_equal(
                pydicom.dcmread(io.BytesIO(body)).pixel_array.ravel(), numpy.frombuffer(ds.PixelData, "<u2")
            )
        assert not Representation.objects.filter(pk=row.pk).exists()
        assert OutboxEntry.objects.filter(kind="at_rest", subject=str(row.instance.series_id)).exists()
    original = Instance.objects.get(sop_instance_uid=ds.SOPInstanceUID)
    assert hashlib.sha256(to_bytes(ds)).digest() == bytes(original.object_sha256)
