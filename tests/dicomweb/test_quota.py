"""The quota of the archive: PACS_LIMITS__ARCHIVE_BYTES (PS3.18 10.5.3, table I.2-2: A700)."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, models

from archive.models import DeletedObject, Instance
from archive.quota import stored_bytes
from tests.dicomweb.conftest import Door
from tests.dicomweb.objects import make_data_set, make_object, to_bytes
from tests.dicomweb.reading import problem_of


def really_stored() -> int:
    kept = Instance.objects.aggregate(total=models.Sum("object_size"))["total"] or 0
    return int(kept + (DeletedObject.objects.aggregate(total=models.Sum("size"))["total"] or 0))


@pytest.fixture
def limit(settings: Any) -> Any:
    def change(**values: int) -> None:
        limits = settings.PACS.limits.model_copy(update=values)
        settings.PACS = settings.PACS.model_copy(update={"limits": limits})

    return change


def test_what_goes_beyond_is_refused_one_by_one(technologist: Door, limit: Any) -> None:
    first = make_object()
    assert technologist.store([first]).status_code == 200
    data_sets = [make_data_set() for _ in range(4)]
    sizes = [len(to_bytes(ds)) for ds in data_sets]
    limit(archive_bytes=len(first) + sum(sizes[:2]) + 10, store_batch_instances=1)
    response = technologist.store([to_bytes(data_sets[0]), first, *map(to_bytes, data_sets[1:])])
    assert response.status_code == 202
    answer = response.json()
    assert [item["00081155"]["Value"] for item in answer["00081198"]["Value"]] == [
        [ds.SOPInstanceUID] for ds in data_sets[2:]
    ]
    assert {item["00081197"]["Value"][0] for item in answer["00081198"]["Value"]} == {0xA700}
    assert len(answer["00081199"]["Value"]) == 3
    assert stored_bytes() == really_stored() == len(first) + sum(sizes[:2])


def test_nothing_stored_is_507(technologist: Door, limit: Any) -> None:
    limit(archive_bytes=10)
    for _ in range(2):
        assert problem_of(technologist.store([make_object(), make_object()]), 507)["code"] == "archive-full"
        limit(archive_bytes=max(stored_bytes(), 1))
    assert not Instance.objects.exists()
    limit(archive_bytes=0)
    assert technologist.store([make_object()]).status_code == 200
    limit(archive_bytes=stored_bytes())
    assert problem_of(technologist.store([make_object()]), 507)["detail"] == "the archive's quota is used up"


def test_nothing_but_too_large_objects_is_413(technologist: Door, limit: Any) -> None:
    limit(store_part_bytes=200)
    assert problem_of(technologist.store([make_object(), make_object()]), 413)["code"] == "too-large"


def test_deleted_objects_count_until_they_are_swept(technologist: Door, door_for: Any) -> None:
    data_sets = [make_data_set() for _ in range(2)]
    assert technologist.store(map(to_bytes, data_sets)).status_code == 200
    before = stored_bytes()
    assert before == really_stored() > 0
    http = door_for("administrator").http
    path = f"/dicom-web/studies/{data_sets[0].StudyInstanceUID}"
    assert http.delete(path, headers={"origin": "http://testserver"}).status_code == 204
    assert stored_bytes() == before == really_stored()
    DeletedObject.objects.all().delete()
    assert stored_bytes() == really_stored() == Instance.objects.get().object_size
    DeletedObject.objects.create(object_key="a", size=5, sweep_after="2030-01-01T00:00Z", deleted_by="x")
    DeletedObject.objects.update(size=11)
    assert stored_bytes() == really_stored()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("TRUNCATE archive_deletedobject, archive_instance CASCADE")
    assert stored_bytes() == 0
