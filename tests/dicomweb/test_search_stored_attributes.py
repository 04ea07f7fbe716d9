"""QIDO-RS: includefield of what is stored but not indexed (PS3.18 8.3.4.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydicom.uid import generate_uid

from archive import stored_attributes
from audit.models import AccessEvent
from tests.dicomweb.conftest import Door
from tests.dicomweb.objects import make_data_set, make_object, to_bytes
from tests.dicomweb.reading import value, values


def stored(door: Door, *objects: bytes) -> None:
    response = door.store(objects)
    assert response.status_code == 200, response.content


@pytest.fixture
def study(technologist: Door) -> str:
    """Two series, slices with a private block and different thickness."""
    uid = str(generate_uid())
    for series in (generate_uid(), generate_uid()):
        for number in (1, 2):
            ds = make_data_set(StudyInstanceUID=uid, SeriesInstanceUID=series, InstanceNumber=number)
            ds.SliceThickness = number
            ds.private_block(0x0009, "LIGHTBOX TEST", create=True).add_new(0x01, "LO", f"secret {number}")
            stored(technologist, to_bytes(ds))
    return uid


@pytest.mark.parametrize("path", ["instances", "studies/{study}/instances"])
@pytest.mark.parametrize("name", ["SliceThickness", "00180050"])
def test_ps3_18_8_3_4_3_any_stored_attribute_of_an_instance(
    technologist: Door, study: str, path: str, name: str
) -> None:
    response = technologist.get(f"{path.format(study=study)}?includefield={name},PatientName&includefield=Rows")
    assert "Warning" not in response
    assert [(value(a, "00200013"), a["00180050"]) for a in response.json()] == [
        (number, {"vr": "DS", "Value": [number]}) for number in (1, 2, 1, 2)
    ]
    assert all(list(answer) == sorted(answer) for answer in response.json())
    assert all("00281050" not in answer for answer in response.json()), "what wasn't asked for"


def test_ps3_18_8_3_4_3_private_attributes_come_with_their_creator(technologist: Door, study: str) -> None:
    answers = technologist.search(f"studies/{study}/instances", includefield="00091001")
    assert values(answers, "00091001") == ["secret 1", "secret 2"] * 2
    assert set(values(answers, "00090010")) == {"LIGHTBOX TEST"}


def test_ps3_18_8_3_4_3_all_is_what_metadata_gives_besides_the_index(technologist: Door, study: str) -> None:
    answers = technologist.search("instances", includefield="all")
    metadata = {value(a, "00080018"): a for a in technologist.get(f"studies/{study}/metadata").json()}
    assert len(answers) == 4
    for answer in answers:
        whole = metadata[value(answer, "00080018")]
        assert set(whole) <= set(answer)
        assert answer["7FE00010"] == whole["7FE00010"], "a BulkDataURI, not the pixels"
        assert value(answer, "00081190"), "and what the index has"


def test_ps3_18_8_3_4_3_other_levels_and_names_are_told(technologist: Door, study: str) -> None:
    for path, name in (
        ("studies", "SliceThickness"),
        ("series", "00091001"),
        ("instances", "Nonsense"),
        ("instances", "00020010"),
        ("instances", "RequestAttributesSequence.AccessionNumber"),
    ):
        assert (
            f"The includefield={name} parameter is not supported."
            in technologist.get(f"{path}?includefield={name}")["Warning"]
        )
    assert "00180050" not in technologist.search("series", includefield="all")[0]


def test_only_who_may_retrieve_reads_what_is_stored(
    technologist: Door, study: str, door_for: Callable[..., Door]
) -> None:
    administrator = door_for("administrator")
    refused = administrator.get("instances?includefield=SliceThickness")
    assert "The includefield=00180050 parameter is not supported." in refused["Warning"]
    assert len(refused.json()) == 4
    for query in ("SliceThickness", "all"):
        assert not any("00180050" in a for a in administrator.search("instances", includefield=query))
    assert not AccessEvent.objects.filter(query="includefield").exists()


def test_reading_it_leaves_an_event(technologist: Door, study: str) -> None:
    technologist.search("instances", includefield="SliceThickness")
    [event] = AccessEvent.objects.filter(query="includefield")
    assert event.study_uids == [study]


def test_beyond_the_most_series_the_index_answers_and_says_so(technologist: Door, study: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(stored_attributes, "MOST_SERIES", 1)
    response = technologist.get("instances?includefield=SliceThickness")
    assert [value(a, "00180050") for a in response.json()] == [1, 2, None, None]
    assert "only indexed attributes" in response["Warning"]


def test_the_number_of_queries_does_not_grow_with_rows(technologist: Door, study: str) -> None:
    counts = []
    for batch in (0, 7):
        stored(technologist, *(make_object(StudyInstanceUID=study) for _ in range(batch or 1)))
        technologist.search("instances", includefield="all")
        with CaptureQueriesContext(connection) as queries:
            technologist.search("instances", includefield="all")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 7
