"""WADO-RS metadata (PS3.18 10.4.1.1.2): one prepared document a series, whole and current whoever reads or builds."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import orjson
import pytest
from django.db import connection
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from archive import metadata
from archive.locate import Address, locate_series
from archive.models import MetadataFragment, Series, SeriesDocument, Study
from archive.object_store import object_store
from archive.tasks import TASKS
from tests.dicomweb.conftest import Door
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.reading import parts_of, problem_of, value, values


def slices(study: str, series: str, numbers: list[int], **more: Any) -> list[Dataset]:
    return [make_data_set(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=n, **more) for n in numbers]


def stored(door: Door, *data_sets: Dataset) -> None:
    assert door.store(to_bytes(ds) for ds in data_sets).status_code == 200


def with_bulk() -> Dataset:
    """A slice with bulk values at the top, two levels down and in private elements."""
    ds = make_data_set(StudyDescription="lightbox:root/studies", StudyID="http://x")
    ds.add_new(0x60003000, "OW", bytes(range(256)) * 20)
    ds.add_new(0x60000010, "US", 16)
    inner, outer = Dataset(), Dataset()
    inner.add_new(0x54001010, "OW", np.arange(3000, dtype="<i2").tobytes())
    outer.WaveformSequence = Sequence([inner])
    ds.WaveformSequence = Sequence([Dataset(), inner])
    ds.IconImageSequence = Sequence([outer])
    block = ds.private_block(0x0029, "LIGHTBOX TEST", create=True)
    block.add_new(1, "OB", b"\1\2" * 4000)
    return ds


def bulk_uris(node: Any) -> list[str]:
    found = []
    if isinstance(node, dict):
        found += [node["BulkDataURI"]] if isinstance(node.get("BulkDataURI"), str) else []
        for child in node.values():
            found += bulk_uris(child)
    elif isinstance(node, list):
        for child in node:
            found += bulk_uris(child)
    return found


def test_metadata_at_every_level_in_order(technologist: Door) -> None:
    study, first, second = generate_uid(), generate_uid(), generate_uid()
    stored(technologist, *slices(study, second, [1], SeriesNumber=2), *slices(study, first, [3, 1, 2]))
    whole = technologist.get(f"studies/{study}/metadata")
    assert whole["Content-Type"] == "application/dicom+json"
    assert values(whole.json(), "0020000E") == [first] * 3 + [second]
    assert values(whole.json(), "00200013") == [1, 2, 3, 1]
    series = technologist.get(f"studies/{study}/series/{first}/metadata").json()
    assert series == whole.json()[:3]
    uid = value(series[1], "00080018")
    assert technologist.get(f"studies/{study}/series/{first}/instances/{uid}/metadata").json() == [series[1]]
    problem_of(technologist.get(f"studies/{study}/series/{second}/instances/{uid}/metadata"), 404)
    problem_of(technologist.get(f"studies/{study}/series/{first}/instances/{generate_uid()}/metadata"), 404)


def test_metadata_is_the_data_set_without_bulk(technologist: Door) -> None:
    ds = make_data_set()
    stored(technologist, ds)
    [answer] = technologist.get(f"studies/{ds.StudyInstanceUID}/metadata").json()
    assert list(answer) == sorted(answer)
    assert answer["00083002"] == {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]}
    loaded = Dataset.from_json(json.dumps(answer), lambda uri: b"")
    for element in ds:
        if element.keyword != "PixelData":
            assert loaded[element.tag].value == element.value, element.keyword


def test_an_instance_is_told_from_one_whose_uid_it_begins(technologist: Door) -> None:
    study, series = generate_uid(), generate_uid()
    short = "1.2.3.4"
    stored(
        technologist,
        *(
            make_data_set(StudyInstanceUID=study, SeriesInstanceUID=series, SOPInstanceUID=f"{short}{n}")
            for n in ("", "5", ".6")
        ),
    )
    base = f"studies/{study}/series/{series}/instances"
    for uid in (short, f"{short}5", f"{short}.6"):
        assert values(technologist.get(f"{base}/{uid}/metadata").json(), "00080018") == [uid]


def test_every_bulk_data_uri_works_nested_ones_too(technologist: Door) -> None:
    """Traps 12 and 13: absolute, below the root the client uses, and each gives the value."""
    ds = with_bulk()
    stored(technologist, ds)
    [answer] = technologist.get(f"studies/{ds.StudyInstanceUID}/metadata").json()
    uris = bulk_uris(answer)
    expected = {
        "7FE00010": ds.PixelData,
        "60003000": ds[0x60003000].value,
        "54000100/2/54001010": ds.WaveformSequence[1][0x54001010].value,
        "00880200/1/54000100/1/54001010": ds.WaveformSequence[1][0x54001010].value,
        "00291001": ds[0x00291001].value,
    }
    assert {uri.partition("/bulkdata/")[2] for uri in uris} == set(expected)
    for uri in uris:
        assert uri.startswith(f"http://testserver/dicom-web/studies/{ds.StudyInstanceUID}/series/")
        path = uri.removeprefix("http://testserver/dicom-web/")
        [(headers, payload)] = parts_of(technologist.get(path))
        assert payload == expected[uri.partition("/bulkdata/")[2]]
        assert headers["content-type"].startswith("application/octet-stream")
    assert value(answer, "00081030") == "lightbox:root/studies", "a text that looks like the placeholder stays"


def test_bulk_data_uris_follow_the_host_the_client_uses(technologist: Door, settings: Any) -> None:
    """Trap 12: the configured root, and another allowed host name so that a viewer stays on its own origin."""
    root = f"{settings.PACS.public_root}/dicom-web"
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "pacs.example.org"]
    ds = with_bulk()
    ds.StudyDescription = f"see {root}/studies"
    stored(technologist, ds)
    path = f"/dicom-web/studies/{ds.StudyInstanceUID}/metadata"
    hosts = {
        settings.PACS.public_root.partition("//")[2]: root,
        settings.PACS.public_root.partition("//")[2].rpartition(":")[0]: root,
        "pacs.example.org": "http://pacs.example.org/dicom-web",
        "pacs.example.org:8080": "http://pacs.example.org:8080/dicom-web",
    }
    tags = set()
    for host, expected in hosts.items():
        response = technologist.http.get(path, headers={"host": host})
        [answer] = response.json()
        assert all(uri.startswith(f"{expected}/studies/") for uri in bulk_uris(answer)), host
        assert value(answer, "00081030") == f"see {root}/studies"
        tags.add(response["ETag"])
        found = technologist.http.get("/dicom-web/studies", headers={"host": host}).json()
        assert value(found[0], "00081190") == f"{expected}/studies/{ds.StudyInstanceUID}"
    assert len(tags) == 3, "the two names of the configured root share one document"
    assert technologist.http.get(path, headers={"host": "evil.example.org"}).status_code == 400


def test_gzip_and_identity_are_the_same_text(technologist: Door) -> None:
    ds = make_data_set()
    stored(technologist, ds)
    path = f"studies/{ds.StudyInstanceUID}/metadata"
    plain = technologist.get(path)
    packed = technologist.get(path, **{"accept-encoding": "br, gzip"})
    assert "Content-Encoding" not in plain
    assert packed["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content
    assert "Accept-Encoding" in packed["Vary"]
    assert packed["ETag"] != plain["ETag"], "two representations (RFC 9110 8.8.3)"
    for refused in ("gzip;q=0", "gzip; q=0.000", "identity", "x-gzip2"):
        assert "Content-Encoding" not in technologist.get(path, **{"accept-encoding": refused})


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_an_unchanged_document_is_304(technologist: Door, level: str) -> None:
    ds = make_data_set()
    stored(technologist, ds)
    below = {"study": "", "series": f"/series/{ds.SeriesInstanceUID}"}
    below["instance"] = f"{below['series']}/instances/{ds.SOPInstanceUID}"
    path = f"studies/{ds.StudyInstanceUID}{below[level]}/metadata"
    first = technologist.get(path)
    etag = first["ETag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}'):
        again = technologist.get(path, **{"if-none-match": known})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)
        assert again["Cache-Control"] == "private, no-cache"
    assert technologist.get(path, **{"if-none-match": '"other"'}).status_code == 200
    stored(technologist, *slices(ds.StudyInstanceUID, ds.SeriesInstanceUID, [2]))
    grown = technologist.get(path, **{"if-none-match": etag})
    assert grown.status_code == (304 if level == "instance" else 200)


def test_a_document_that_the_client_has_is_not_even_read(technologist: Door) -> None:
    ds = make_data_set()
    stored(technologist, ds)
    path = f"studies/{ds.StudyInstanceUID}/metadata"
    etag = technologist.get(path)["ETag"]
    object_store().delete(SeriesDocument.objects.get().object_key)
    assert technologist.get(path, **{"if-none-match": etag}).status_code == 304
    elsewhere = technologist.get(path, host="localhost")
    assert elsewhere["ETag"] != etag
    object_store().delete(SeriesDocument.objects.get().object_key)
    known = technologist.get(path, host="localhost", **{"if-none-match": elsewhere["ETag"]})
    assert (known.status_code, known["ETag"]) == (304, elsewhere["ETag"])


def test_a_growing_series_gets_new_versions_and_the_old_document_goes(technologist: Door) -> None:
    study, series = generate_uid(), generate_uid()
    path = f"studies/{study}/series/{series}/metadata"
    keys = []
    for number in (1, 2, 3):
        stored(technologist, *slices(study, series, [number]))
        assert MetadataFragment.objects.count() == 1
        assert values(technologist.get(path).json(), "00200013") == list(range(1, number + 1))
        assert MetadataFragment.objects.count() == 0
        document = SeriesDocument.objects.get()
        assert document.version == Series.objects.get().version == number
        keys.append(document.object_key)
    kept = set(object_store().keys("derived/metadata/"))
    assert not kept & set(keys[:2])
    assert keys[2] in kept


def test_the_task_prepares_what_readers_then_find(technologist: Door) -> None:
    study, series = generate_uid(), generate_uid()
    stored(technologist, *slices(study, series, [1, 2]))
    pk = str(Series.objects.get().pk)
    TASKS["series_metadata"](pk)
    document = SeriesDocument.objects.get()
    TASKS["series_metadata"](pk)
    TASKS["series_metadata"]("999999999")
    assert SeriesDocument.objects.get().object_key == document.object_key
    response = technologist.get(f"studies/{study}/metadata", **{"accept-encoding": "gzip"})
    assert len(orjson.loads(gzip.decompress(response.content))) == 2


@pytest.mark.parametrize("damage", [None, b"", b"short", b"x" * 100_000])
def test_a_lost_or_damaged_document_is_made_again_from_the_objects(technologist: Door, damage: bytes | None) -> None:
    """What is derived can be derived again: spoiling every document loses nothing."""
    ds = with_bulk()
    path = f"studies/{ds.StudyInstanceUID}/metadata"
    stored(technologist, ds, *slices(ds.StudyInstanceUID, ds.SeriesInstanceUID, [2]))
    before = technologist.get(path).json()
    lost = SeriesDocument.objects.get().object_key
    object_store().delete(lost)
    if damage is not None:
        object_store().put(lost, damage)
    assert technologist.get(path).json() == before
    assert SeriesDocument.objects.get().object_key != lost
    object_store().delete(SeriesDocument.objects.get().object_key)
    stored(technologist, *slices(ds.StudyInstanceUID, ds.SeriesInstanceUID, [3]))
    assert technologist.get(path).json()[:2] == before
    assert len(technologist.get(path).json()) == 3


def test_queries_do_not_grow_with_instances_or_series(technologist: Door) -> None:
    study = generate_uid()
    counts = []
    for number in (1, 20):
        for _ in range(number):
            stored(technologist, *slices(study, generate_uid(), [1, 2]))
        technologist.get(f"studies/{study}/metadata")
        with CaptureQueriesContext(connection) as queries:
            assert technologist.get(f"studies/{study}/metadata").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 5


@pytest.mark.django_db(transaction=True)
def test_readers_builders_and_writers_together_never_see_half(door_for: Callable[..., Door]) -> None:
    """Each reader gets at least what was acknowledged before it asked, each document is whole, and none fails."""
    writer = door_for("technologist")
    study, series = generate_uid(), generate_uid()
    stored(writer, *slices(study, series, [1]))
    pk = str(Series.objects.get().pk)
    acknowledged = [1]
    path = f"/dicom-web/studies/{study}/series/{series}/metadata"

    def read(_: int) -> list[str]:
        http = HttpClient()
        http.cookies = writer.http.cookies
        faults = []
        try:
            for _round in range(8):
                least = acknowledged[-1]
                response = http.get(path)
                if response.status_code != 200:
                    faults.append(f"status {response.status_code}: {response.content[:200]!r}")
                    continue
                numbers = values(response.json(), "00200013")
                if numbers != list(range(1, len(numbers) + 1)) or len(numbers) < least:
                    faults.append(f"{numbers} while {least} were acknowledged")
        finally:
            connection.close()
        return faults

    def build(_: int) -> list[str]:
        try:
            for _round in range(8):
                TASKS["series_metadata"](pk)
        finally:
            connection.close()
        return []

    def write(_: int) -> list[str]:
        try:
            for number in range(2, 8):
                stored(writer, *slices(study, series, [number]))
                acknowledged.append(number)
        finally:
            connection.close()
        return []

    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(work, n) for n, work in enumerate((read, write, build, read, build, read))]
        faults = [fault for future in running for fault in future.result(timeout=120)]
    assert faults == []
    assert values(writer.http.get(path).json(), "00200013") == list(range(1, 8))
    document = SeriesDocument.objects.get()
    assert list(object_store().keys(document.object_key)) == [document.object_key]


def test_the_archive_reads_metadata_without_any_root(technologist: Door) -> None:
    ds = with_bulk()
    stored(technologist, ds)
    [series] = locate_series(Study.objects.all(), Address(ds.StudyInstanceUID))
    found = metadata.instance_values(series, ds.SOPInstanceUID)
    assert value(found, "00080018") == ds.SOPInstanceUID
    assert all(uri.startswith("/studies/") for uri in bulk_uris(found))
