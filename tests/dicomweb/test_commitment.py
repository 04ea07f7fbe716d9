"""Storage commitment over DICOMweb (PS3.18 13)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pydicom.uid import CTImageStorage, MRImageStorage, generate_uid

from access.models import Grant, User
from archive.models import CommitmentRequest, Instance, Study
from archive.object_store import object_store
from archive.sweep import sweep_all
from audit.models import AccessEvent
from tests.dicomweb.conftest import Door
from tests.dicomweb.objects import make_object
from tests.dicomweb.reading import problem_of

pytestmark = pytest.mark.django_db
Make = Callable[..., Door]
KEPT, FAILED, REASON = "00081199", "00081198", "00081197"


@pytest.fixture(autouse=True)
def _empty_object_store(settings: Any, tmp_path: Path) -> None:
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})


@pytest.fixture
def uids(technologist: Door) -> list[str]:
    """Three stored CT slices."""
    made = [str(generate_uid()) for _ in range(3)]
    study = generate_uid()
    assert (
        technologist.store([make_object(StudyInstanceUID=study, SOPInstanceUID=uid) for uid in made]).status_code == 200
    )
    return made


def module(uids: Iterable[str], sop_class: str = CTImageStorage) -> dict[str, Any]:
    items = [
        {"00081150": {"vr": "UI", "Value": [str(sop_class)]}, "00081155": {"vr": "UI", "Value": [uid]}} for uid in uids
    ]
    return {KEPT: {"vr": "SQ", "Value": items}}


def ask(door: Door, transaction: str, body: Any, content_type: str = "application/dicom+json") -> Any:
    return door.http.post(
        f"/dicom-web/commitment-requests/{transaction}",
        data=body if isinstance(body, bytes) else orjson.dumps(body),
        content_type=content_type,
        headers={"origin": "http://testserver", "accept": "application/dicom+json"},
    )


def verdicts(response: Any) -> tuple[list[str], dict[str, int]]:
    """The UIDs that are kept, and the reasons of those that are not."""
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/dicom+json"
    result = response.json()
    kept = [item["00081155"]["Value"][0] for item in result.get(KEPT, {}).get("Value", [])]
    failed = {
        item["00081155"]["Value"][0]: item[REASON]["Value"][0] for item in result.get(FAILED, {}).get("Value", [])
    }
    assert set(result) == {tag for tag, found in ((KEPT, kept), (FAILED, failed)) if found}
    return kept, failed


def test_what_is_kept(uids: list[str], technologist: Door) -> None:
    transaction = generate_uid()
    response = ask(technologist, transaction, [module(uids)])
    assert verdicts(response) == (uids, {})
    assert verdicts(technologist.get(f"commitment-requests/{transaction}")) == (uids, {})
    event = AccessEvent.objects.filter(query="storage commitment").get()
    assert (event.kind, event.instance_count, event.outcome) == ("search", 3, 0)
    assert event.study_uids == [Study.objects.get().study_instance_uid]


def test_what_is_not(uids: list[str], technologist: Door) -> None:
    [short, lost, whole], unknown = uids, generate_uid()
    keys = dict(Instance.objects.values_list("sop_instance_uid", "object_key"))
    object_store().delete(keys[lost])
    size = object_store().size(keys[short])
    object_store().delete(keys[short])
    object_store().put(keys[short], b"x" * (size - 1))
    kept, failed = verdicts(ask(technologist, generate_uid(), module([*uids, unknown])))
    assert kept == [whole]
    assert failed == {short: 0x0110, lost: 0x0110, unknown: 0x0112}
    event = AccessEvent.objects.filter(query="storage commitment").get()
    assert (event.instance_count, event.outcome) == (1, 4)
    assert verdicts(ask(technologist, generate_uid(), module([whole], MRImageStorage))) == ([], {whole: 0x0119})


def test_every_byte_where_the_installation_asks_for_it(uids: list[str], technologist: Door, settings: Any) -> None:
    key = Instance.objects.get(sop_instance_uid=uids[0]).object_key
    data = b"".join(object_store().open_range(key))
    object_store().delete(key)
    object_store().put(key, data[:-1] + bytes([data[-1] ^ 1]))
    assert verdicts(ask(technologist, generate_uid(), module(uids)))[0] == uids
    settings.PACS = settings.PACS.model_copy(update={"commitment_reads_objects": True})
    assert verdicts(ask(technologist, generate_uid(), module(uids))) == (uids[1:], {uids[0]: 0x0110})


def test_the_same_request_again(uids: list[str], technologist: Door) -> None:
    transaction = generate_uid()
    first = ask(technologist, transaction, module(uids))
    Instance.objects.filter(sop_instance_uid=uids[0]).delete()
    again = ask(technologist, transaction, module([*reversed(uids), uids[0]]))
    assert (again.status_code, again.content) == (200, first.content)
    assert AccessEvent.objects.filter(query="storage commitment").count() == 1
    assert AccessEvent.objects.filter(query="storage commitment again").count() == 1
    assert CommitmentRequest.objects.count() == 1
    problem_of(ask(technologist, transaction, module(uids[:2])), 409)
    assert verdicts(ask(technologist, generate_uid(), module(uids))) == (uids[1:], {uids[0]: 0x0112})


def test_a_result_is_for_who_asked(uids: list[str], technologist: Door, door_for: Make) -> None:
    transaction, other = generate_uid(), door_for("technologist")
    ask(technologist, transaction, module(uids))
    problem_of(other.get(f"commitment-requests/{transaction}"), 404)
    problem_of(ask(other, transaction, module(uids)), 409)
    problem_of(technologist.get(f"commitment-requests/{generate_uid()}"), 404)


def test_results_are_forgotten_one_day(uids: list[str], technologist: Door) -> None:
    old, new = generate_uid(), generate_uid()
    for transaction in (old, new):
        ask(technologist, transaction, module(uids))
    CommitmentRequest.objects.filter(transaction_uid=old).update(created_at=timezone.now() - timedelta(days=91))
    sweep_all()
    problem_of(technologist.get(f"commitment-requests/{old}"), 404)
    assert technologist.get(f"commitment-requests/{new}").status_code == 200


def test_scope(uids: list[str], door_for: Make, technologist: Door) -> None:
    vendor = door_for("ai_vendor")
    assert verdicts(ask(vendor, generate_uid(), module(uids))) == ([], dict.fromkeys(uids, 0x0112))
    user = User.objects.latest("pk")
    Grant.objects.create(study=Study.objects.get(), user=user, valid_from=timezone.now())
    assert verdicts(ask(vendor, generate_uid(), module(uids))) == (uids, {})
    assert verdicts(ask(door_for("device"), generate_uid(), module(uids))) == (uids, {})
    for role in ("radiologist", "referring_physician", "auditor", "patient"):
        problem_of(ask(door_for(role), generate_uid(), module(uids)), 403)


@pytest.mark.parametrize(
    "body",
    [
        b" ",
        b"{",
        b"[]",
        b"[{},{}]",
        b"3",
        b"[" * 5000,
        b"{}",
        b'{"00081199":{"vr":"SQ"}}',
        b'{"00081199":{"vr":"SQ","Value":[]}}',
        b'{"00081199":{"vr":"SQ","Value":[3]}}',
        b'{"00081199":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2"]}}]}}',
        b'{"00081199":{"vr":"SQ","Value":[{"00081150":{"vr":"UI","Value":["1.2"]},"00081155":{"vr":"UI","Value":["x"]}}]}}',
        b'{"00081199":{"vr":"SQ","Value":[{"00081150":{"Value":["1.2"]},"00081155":{"Value":["1.2","1.3"]}}]}}',
        b'{"00081110":{"vr":"SQ","Value":[{}]}}',
        b'{"00081110":{"vr":"SQ","Value":[{"0020000D":{"vr":"UI","Value":["1.2"]}}]}}',
        b'{"00081110":{"vr":"SQ","Value":[{"0020000D":{"Value":["1.2"]},"00081115":{"Value":[3]}}]}}',
    ],
)
def test_malformed(body: bytes, technologist: Door) -> None:
    problem_of(ask(technologist, generate_uid(), body), 400)
    assert not CommitmentRequest.objects.exists()


def in_series(item: dict[str, Any], *uids: str) -> dict[str, Any]:
    """The item of a Referenced Study Sequence with one series and one class."""

    def ui(value: str) -> dict[str, Any]:
        return {"vr": "UI", "Value": [str(value)]}

    study, series, sop_class = item["study"], item["series"], item["class"]
    group = {"00081150": ui(sop_class), "0008114A": {"vr": "SQ", "Value": [{"00081155": ui(uid)} for uid in uids]}}
    of_series = {"0020000E": ui(series), "00081112": {"vr": "SQ", "Value": [group]}}
    return {"0020000D": ui(study), "00081115": {"vr": "SQ", "Value": [of_series]}}


def test_by_study(uids: list[str], technologist: Door) -> None:
    """J.2: the answer names what is kept and what is not in the form of the question, both with their study."""
    found = Instance.objects.select_related("series__study").get(sop_instance_uid=uids[0]).series
    here = {
        "study": found.study.study_instance_uid,
        "series": found.series_instance_uid,
        "class": CTImageStorage,
    }
    elsewhere, unknown = here | {"series": str(generate_uid())}, str(generate_uid())
    items = [in_series(here, uids[0], unknown), in_series(elsewhere, uids[0])]
    asked = {"00081110": {"vr": "SQ", "Value": items}} | module(uids[1:2])
    response = ask(technologist, generate_uid(), asked)
    assert response.status_code == 200, response.content
    result = response.json()
    assert set(result) == {"00081110", "0008119B", KEPT}
    assert result["00081110"] == {"vr": "SQ", "Value": [in_series(here, uids[0])]}
    [failed] = result["0008119B"]["Value"]
    reasons = [
        (series["0020000E"]["Value"], item["00081155"]["Value"], item[REASON]["Value"])
        for series in failed["00081115"]["Value"]
        for group in series["00081112"]["Value"]
        for item in group["0008114A"]["Value"]
    ]
    assert reasons == [([here["series"]], [unknown], [0x0112]), ([elsewhere["series"]], [uids[0]], [0x0112])]
    assert result[KEPT] == module(uids[1:2])[KEPT]


def test_other_types_and_sizes(technologist: Door, settings: Any) -> None:
    problem_of(ask(technologist, generate_uid(), b"<x/>", "application/dicom+xml"), 415)
    limits = settings.PACS.limits.model_copy(update={"commitment_references": 2, "commitment_bytes": 2000})
    settings.PACS = settings.PACS.model_copy(update={"limits": limits})
    problem_of(ask(technologist, generate_uid(), module(["1.2", "1.3", "1.4"])), 413)
    problem_of(ask(technologist, generate_uid(), b" " * 2001), 413)
    assert ask(technologist, generate_uid(), module(["1.2", "1.3"])).status_code == 200


def test_queries_do_not_grow_with_references(uids: list[str], technologist: Door) -> None:
    def queries(wanted: list[str]) -> int:
        with CaptureQueriesContext(connection) as captured:
            ask(technologist, generate_uid(), module(wanted))
        return len(captured)

    assert queries(uids[:1]) == queries([*uids, generate_uid()])
