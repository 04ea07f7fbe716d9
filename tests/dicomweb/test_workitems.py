"""UPS-RS over HTTP: create, retrieve, update, change of state, request to cancel, search (PS3.18 11.4 to 11.9)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.utils import timezone

from access.models import Grant, User
from archive.models import Study
from audit.models import AccessEvent
from dicom.xml import from_xml, to_xml
from tests.dicomweb.conftest import Door
from tests.dicomweb.objects import make_object
from tests.dicomweb.reading import problem_of
from tests.workitems.making import STATION, data_set, performed, state, uid
from workitems.changes import Change, EventType, listen
from workitems.models import State, WorkItem, WorklistMember
from workitems.values import attribute, coded
from worklist.models import StateEvent

pytestmark = pytest.mark.django_db
Make = Callable[..., Door]
JSON, XML = "application/dicom+json", "application/dicom+xml"
INCONSISTENT = "The submitted request is inconsistent with the current state of the Workitem."
UNCLAIMED = "The target URI did not reference a claimed Workitem."
MISSING, INCORRECT = "The Transaction UID is missing.", "The Transaction UID is incorrect."
IN_PROGRESS = "IN PROGRESS"


@pytest.fixture(autouse=True)
def _empty_object_store(settings: Any, tmp_path: Path) -> None:
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})


@pytest.fixture
def performer(door_for: Make) -> Door:
    return door_for("radiologist")


def send(door: Door, method: str, path: str, body: Any = None, content_type: str = JSON) -> Any:
    data = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
    headers = {"origin": "http://testserver", "accept": "*/*"}
    return door.http.generic(
        method, f"/dicom-web/{path}", data, content_type=content_type if data else "", headers=headers
    )


def create(door: Door, named: str = "", **values: Any) -> str:
    chosen = named or uid()
    response = send(door, "POST", f"workitems?workitem={chosen}", data_set(**values))
    assert response.status_code == 201, response.content
    return chosen


def change(door: Door, named: str, to: str, transaction_uid: str = "") -> Any:
    return send(door, "PUT", f"workitems/{named}/state", state(to, transaction_uid))


def claimed(technologist: Door, performer: Door) -> tuple[str, str]:
    named, key = create(technologist), uid()
    assert change(performer, named, IN_PROGRESS, key).status_code == 200
    return named, key


def in_state(technologist: Door, performer: Door, wanted: str) -> tuple[str, str]:
    """A workitem in this state, and its Transaction UID."""
    if wanted == State.SCHEDULED:
        return create(technologist), ""
    named, key = claimed(technologist, performer)
    if wanted == State.COMPLETED:
        assert send(performer, "POST", f"workitems/{named}?transaction-uid={key}", performed()).status_code == 200
    if wanted != State.IN_PROGRESS:
        assert change(performer, named, wanted, key).status_code == 200
    return named, key


def kept(named: str) -> WorkItem:
    return WorkItem.objects.get(uid=named)


def note_down(heard: list[Change], change: Change) -> int:
    heard.append(change)
    return 1


def warned(response: Any, status: int, text: str) -> None:
    assert (response.status_code, response.headers.get("Warning")) == (status, f'299 Lightbox: "{text}"'), (
        response.content
    )


def test_a_new_workitem_has_its_place(technologist: Door) -> None:
    named = uid()
    response = send(technologist, "POST", f"workitems?workitem={named}", data_set())
    url = f"/dicom-web/workitems/{named}"
    assert (response.status_code, response.content) == (201, b"")
    assert response["Location"].endswith(url)
    assert response["Content-Location"].endswith(url)
    assert "Warning" not in response.headers
    item = kept(named)
    assert (item.state, item.worklist_label, item.priority) == (State.SCHEDULED, "AI", "MEDIUM")
    assert StateEvent.objects.get(machine="workitem", subject=item.pk).after == State.SCHEDULED
    event = AccessEvent.objects.latest("pk")
    assert (event.kind, event.action) == ("procedure_record", "C")


@pytest.mark.parametrize("query", ["?AffectedSOPInstanceUID={}", "?{}", "?workitem={}"])
def test_its_uid_is_a_parameter_however_it_is_written(technologist: Door, query: str) -> None:
    named = uid()
    assert send(technologist, "POST", "workitems" + query.format(named), data_set()).status_code == 201
    assert kept(named)


def test_its_uid_stands_in_the_body_or_is_given_to_it(technologist: Door) -> None:
    named = uid()
    assert send(technologist, "POST", "workitems", data_set(SOPInstanceUID=named)).status_code == 201
    assert kept(named)
    given = send(technologist, "POST", "workitems", data_set())["Location"].rpartition("/")[2]
    assert kept(given).data_set["00080018"]["Value"] == [given]
    other = send(technologist, "POST", f"workitems?workitem={uid()}", data_set(SOPInstanceUID=named))
    assert problem_of(other, 400)
    assert problem_of(send(technologist, "POST", "workitems?workitem=1.a.3", data_set()), 400)


def test_the_same_uid_again_is_a_conflict(technologist: Door) -> None:
    named = create(technologist)
    assert problem_of(send(technologist, "POST", f"workitems?workitem={named}", data_set()), 409)


def test_the_uid_of_a_whole_worklist_is_none_of_a_workitem(technologist: Door) -> None:
    assert problem_of(send(technologist, "POST", "workitems?1.2.840.10008.5.1.4.34.5", data_set()), 409)


@pytest.mark.parametrize(
    "values",
    [
        {"WorklistLabel": None},
        {"WorklistLabel": ""},
        {"ProcedureStepLabel": None},
        {"ScheduledProcedureStepPriority": "URGENT"},
        {"ScheduledProcedureStepStartDateTime": "tomorrow"},
        {"InputReadinessState": None},
        {"ProcedureStepState": None},
        {"ProcedureStepState": IN_PROGRESS},
        {"TransactionUID": "1.2.3"},
        {"StudyInstanceUID": "1.a.3"},
        {"ReferencedRequestSequence": attribute("AccessionNumber", "A1")},
        {"ProcedureStepProgressInformationSequence": attribute("ProcedureStepProgress", "5")},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"},
    ],
    ids=lambda values: next(iter(values)),
)
def test_what_makes_no_workitem_is_a_bad_request(technologist: Door, values: dict[str, Any]) -> None:
    response = send(technologist, "POST", f"workitems?workitem={uid()}", data_set(**values))
    problem_of(response, 400)
    assert not WorkItem.objects.exists()


def test_attributes_of_type_2_may_be_left_out_which_is_told(technologist: Door) -> None:
    named = uid()
    short = data_set(PatientSex=None, OtherPatientIDsSequence=None)
    warned(
        send(technologist, "POST", f"workitems?workitem={named}", short),
        201,
        "The Workitem was created with modifications.",
    )
    assert kept(named).data_set["00100040"] == {"vr": "CS"}


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", JSON, 400),
        (b'"text"', JSON, 400),
        (b"{}", "text/plain", 415),
        (b'{"0040100":{"vr":"CS"}}', JSON, 400),
        (b'{"00741000":{"vr":"SQ","Value":[1]}}', JSON, 400),
        (b"<NativeDicomModel>", XML, 400),
        (b'[{"00741204":{"vr":"LO","Value":["' + b"x" * (5 << 20) + b'"]}}]', JSON, 413),
    ],
    ids=["broken", "text", "type", "tag", "vr", "xml", "large"],
)
@pytest.mark.parametrize("target", ["POST workitems", "POST workitems/1.2.3", "PUT workitems/1.2.3/state"])
def test_bodies_that_cannot_be_read(
    technologist: Door, target: str, body: bytes, content_type: str, status: int
) -> None:
    method, path = target.split()
    problem_of(send(technologist, method, path, body, content_type), status)


def test_xml_goes_in_and_out(technologist: Door, performer: Door) -> None:
    named, key = uid(), uid()
    made = send(technologist, "POST", f"workitems?workitem={named}", to_xml(orjson.dumps(data_set())), XML)
    assert made.status_code == 201, made.content
    moved = send(performer, "PUT", f"workitems/{named}/state", to_xml(orjson.dumps(state(IN_PROGRESS, key))), XML)
    assert moved.status_code == 200, moved.content
    response = technologist.get(f"workitems/{named}", accept=XML)
    assert (response.status_code, response["Content-Type"]) == (200, XML)
    assert from_xml(response.content)["00741000"]["Value"] == [IN_PROGRESS]
    listed = technologist.get("workitems", accept=f'multipart/related; type="{XML}"')
    assert listed["Content-Type"].startswith("multipart/related")
    assert problem_of(technologist.get(f"workitems/{named}", accept="image/png"), 406)


def test_retrieve_never_has_the_transaction_uid(technologist: Door, performer: Door) -> None:
    named, key = claimed(technologist, performer)
    response = technologist.get(f"workitems/{named}", accept=JSON)
    assert response.status_code == 200
    assert response["Content-Location"].endswith(f"/workitems/{named}")
    [item] = orjson.loads(response.content)
    assert item["00741000"]["Value"] == [IN_PROGRESS]
    assert list(item) == sorted(item)
    everything = technologist.get("workitems?includefield=all&includefield=00081195", accept=JSON)
    for answer in (response, everything):
        assert b"00081195" not in answer.content
        assert key.encode() not in answer.content
    assert key not in str(WorkItem.objects.values().get())
    assert kept(named).claimed_by


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "workitems/1.2.3", None),
        ("POST", "workitems/1.2.3?transaction-uid=1.2.9", {}),
        ("PUT", "workitems/1.2.3/state", state(IN_PROGRESS, "1.2.9")),
        ("POST", "workitems/1.2.3/cancelrequest", {}),
    ],
)
def test_unknown_and_deleted_workitems(technologist: Door, method: str, path: str, body: Any) -> None:
    problem_of(send(technologist, method, path, body), 404)
    create(technologist, "1.2.3")
    WorkItem.objects.update(deleted_at=timezone.now(), state=State.COMPLETED, data_set={})
    problem_of(send(technologist, method, path, body), 410)
    assert technologist.get("workitems").status_code == 204


@pytest.mark.parametrize("form", ["?transaction-uid={}", "?transactionUID={}", "?{}", ""])
def test_update_by_who_claimed_it(technologist: Door, performer: Door, form: str) -> None:
    named, key = claimed(technologist, performer)
    progress = attribute("ProcedureStepProgressInformationSequence", attribute("ProcedureStepProgress", "40"))
    body = progress if form else progress | attribute("TransactionUID", key)
    response = send(performer, "POST", f"workitems/{named}{form.format(key)}", body)
    assert (response.status_code, response.content) == (200, b"")
    assert response["Content-Location"].endswith(f"/workitems/{named}")
    item = kept(named)
    assert (item.progress, item.version) == (40.0, 3)
    assert "00081195" not in item.data_set


def test_update_needs_the_transaction_uid_of_the_claim(technologist: Door, performer: Door) -> None:
    named, _ = claimed(technologist, performer)
    warned(send(performer, "POST", f"workitems/{named}", attribute("WorklistLabel", "X")), 400, MISSING)
    warned(
        send(performer, "POST", f"workitems/{named}?transaction-uid={uid()}", attribute("WorklistLabel", "X")),
        400,
        INCORRECT,
    )
    problem_of(send(performer, "POST", f"workitems/{named}?transaction-uid=x", {}), 400)
    assert kept(named).worklist_label == "AI"


def test_update_of_what_nobody_claimed(technologist: Door, performer: Door) -> None:
    named = create(technologist)
    warned(
        send(technologist, "POST", f"workitems/{named}?transaction-uid={uid()}", attribute("WorklistLabel", "X")),
        409,
        UNCLAIMED,
    )
    problem_of(send(performer, "POST", f"workitems/{named}", attribute("WorklistLabel", "X")), 403)
    assert send(technologist, "POST", f"workitems/{named}", attribute("WorklistLabel", "X")).status_code == 200
    assert kept(named).worklist_label == "X"


@pytest.mark.parametrize("end", [State.COMPLETED, State.CANCELED])
def test_update_of_what_came_to_its_end(technologist: Door, performer: Door, end: str) -> None:
    named, key = in_state(technologist, performer, end)
    warned(
        send(performer, "POST", f"workitems/{named}?transaction-uid={key}", attribute("WorklistLabel", "X")),
        400,
        INCONSISTENT,
    )


@pytest.mark.parametrize(
    "body",
    [
        attribute("PatientName", {"Alphabetic": "New^Name"}),
        attribute("PatientID", "1"),
        attribute("ProcedureStepState", "COMPLETED"),
        attribute("SOPInstanceUID", "1.2.3"),
        attribute("ReferencedRequestSequence"),
        attribute("WorklistLabel"),
        attribute("InputReadinessState", "SOON"),
        attribute("ScheduledProcedureStepStartDateTime", "2026-11-22"),
    ],
    ids=lambda body: next(iter(body)),
)
def test_what_an_update_may_not_change(technologist: Door, body: dict[str, Any]) -> None:
    named = create(technologist)
    problem_of(send(technologist, "POST", f"workitems/{named}", body), 400)


# Each state and each request, with the right Transaction UID, another one and none: PS3.4 table CC.1.1-2.
S, P, D, C = State.SCHEDULED, State.IN_PROGRESS, State.COMPLETED, State.CANCELED
ALREADY = "The UPS is already in the requested state of {}."
MACHINE: dict[tuple[str, str, str], tuple[int, str | None, str]] = {
    (S, P, "right"): (200, None, P),
    (S, P, "none"): (400, MISSING, S),
    (S, D, "right"): (409, UNCLAIMED, S),
    (S, C, "right"): (409, UNCLAIMED, S),
    (S, S, "right"): (400, INCONSISTENT, S),
    (P, P, "right"): (409, INCONSISTENT, P),
    (P, P, "wrong"): (409, INCONSISTENT, P),
    (P, P, "none"): (400, MISSING, P),
    (P, D, "right"): (409, INCONSISTENT, P),
    (P, D, "wrong"): (400, INCORRECT, P),
    (P, D, "none"): (400, MISSING, P),
    (P, C, "right"): (200, None, C),
    (P, C, "wrong"): (400, INCORRECT, P),
    (P, C, "none"): (400, MISSING, P),
    (P, S, "right"): (400, INCONSISTENT, P),
    (D, P, "wrong"): (409, INCONSISTENT, D),
    (D, D, "right"): (200, ALREADY.format(D), D),
    (D, D, "wrong"): (400, INCORRECT, D),
    (D, C, "right"): (409, INCONSISTENT, D),
    (D, S, "right"): (400, INCONSISTENT, D),
    (C, P, "wrong"): (409, INCONSISTENT, C),
    (C, C, "right"): (200, ALREADY.format(C), C),
    (C, C, "wrong"): (400, INCORRECT, C),
    (C, D, "right"): (409, INCONSISTENT, C),
    (C, S, "right"): (400, INCONSISTENT, C),
}


@pytest.mark.parametrize("case", MACHINE, ids=" ".join)
def test_the_state_machine(technologist: Door, performer: Door, case: tuple[str, str, str]) -> None:
    before, to, key = case
    status, warning, after = MACHINE[case]
    named, right = in_state(technologist, performer, before)
    given = {"right": right or uid(), "wrong": uid(), "none": ""}[key]
    response = change(performer, named, to, given)
    if warning:
        warned(response, status, warning)
    else:
        assert (response.status_code, response.content) == (status, b"")
    assert kept(named).state == after
    assert kept(named).data_set["00741000"]["Value"] == [after]


def test_completed_when_what_was_performed_is_said(technologist: Door, performer: Door) -> None:
    named, key = claimed(technologist, performer)
    refused = change(performer, named, D, key)
    assert "(0074,1216) UnifiedProcedureStepPerformedProcedureSequence" in problem_of(refused, 409)["detail"]
    assert send(performer, "POST", f"workitems/{named}?{key}", performed()).status_code == 200
    assert change(performer, named, D, key).status_code == 200
    item = kept(named)
    assert (item.state, bool(item.ended_at)) == (D, True)
    states = StateEvent.objects.filter(machine="workitem", subject=item.pk).order_by("pk")
    assert list(states.values_list("before", "after")) == [("", S), (S, P), (P, D)]


def test_cancelled_by_its_performer_it_says_when_and_why(technologist: Door, performer: Door) -> None:
    named, key = claimed(technologist, performer)
    assert change(performer, named, C, key).status_code == 200
    [progress] = kept(named).data_set["00741002"]["Value"]
    assert progress["00404052"]["Value"]
    assert progress["0074100E"]["Value"][0]["00080100"]["Value"] == ["110513"]


@pytest.mark.parametrize("body", [{}, attribute("ProcedureStepState", "DONE"), attribute("ProcedureStepState")])
def test_a_state_that_is_none(performer: Door, technologist: Door, body: dict[str, Any]) -> None:
    problem_of(send(performer, "PUT", f"workitems/{create(technologist)}/state", body), 400)


def test_the_form_with_the_title_of_who_asks(technologist: Door, performer: Door) -> None:
    named, key = create(technologist), uid()
    assert send(performer, "PUT", f"workitems/{named}/state/READER", state(P, key)).status_code == 200
    other = create(technologist)
    assert send(performer, "POST", f"workitems/{other}/cancelrequest/READER", {}).status_code == 202
    assert kept(other).state == C


@pytest.mark.parametrize("body", [None, {}, attribute("ReasonForCancellation", "no longer wanted")])
def test_a_request_to_cancel_what_nobody_claimed(technologist: Door, body: Any) -> None:
    named = create(technologist)
    response = send(technologist, "POST", f"workitems/{named}/cancelrequest", body)
    assert (response.status_code, response.content) == (202, b"")
    item = kept(named)
    assert item.state == C
    [progress] = item.data_set["00741002"]["Value"]
    assert progress["00404052"]["Value"]
    assert ("00741238" in progress) == bool(body)
    states = StateEvent.objects.filter(machine="workitem", subject=item.pk).order_by("pk")
    assert [after for (after,) in states.values_list("after")] == [S, P, C]


def test_a_request_to_cancel_what_is_at_its_end(technologist: Door, performer: Door) -> None:
    cancelled, _ = in_state(technologist, performer, C)
    warned(send(technologist, "POST", f"workitems/{cancelled}/cancelrequest", {}), 202, ALREADY.format(C))
    completed, _ = in_state(technologist, performer, D)
    warned(send(technologist, "POST", f"workitems/{completed}/cancelrequest", {}), 409, "The UPS is already COMPLETED.")


def test_a_request_to_cancel_reaches_the_performer_or_is_refused(
    technologist: Door, performer: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workitems.changes._LISTENERS", [])
    named, _ = claimed(technologist, performer)
    path = f"workitems/{named}/cancelrequest/RIS"
    warned(send(technologist, "POST", path, {}), 409, "The performer cannot be contacted.")
    heard: list[Change] = []
    listen(partial(note_down, heard))
    asked = attribute("ContactDisplayName", "Front desk")
    assert send(technologist, "POST", path, asked).status_code == 202
    assert (heard[0].event, heard[0].information["0074100C"]["Value"]) == (EventType.CANCEL_REQUESTED, ["Front desk"])
    assert kept(named).state == P


def test_each_change_is_told_inside_its_transaction(
    technologist: Door, performer: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Change] = []
    monkeypatch.setattr("workitems.changes._LISTENERS", [partial(note_down, heard)])
    named, key = claimed(technologist, performer)
    progress = attribute("ProcedureStepProgressInformationSequence", attribute("ProcedureStepProgress", "40"))
    send(performer, "POST", f"workitems/{named}?{key}", progress)
    send(performer, "POST", f"workitems/{named}?{key}", attribute("InputReadinessState", "UNAVAILABLE"))
    station = attribute("ScheduledStationNameCodeSequence", coded(("CT02", "99TEST", "CT in room two")))
    send(performer, "POST", f"workitems/{named}?{key}", station)
    send(performer, "POST", f"workitems/{named}?{key}", attribute("CommentsOnTheScheduledProcedureStep", "slow"))
    assert [change.event for change in heard] == [
        EventType.STATE_REPORT,
        EventType.ASSIGNED,
        EventType.STATE_REPORT,
        EventType.PROGRESS_REPORT,
        EventType.STATE_REPORT,
        EventType.ASSIGNED,
    ]
    assert [change.created for change in heard] == [True, False, False, False, False, False]


def found(door: Door, query: str) -> list[str]:
    response = door.get(f"workitems{query}", accept=JSON)
    if response.status_code == 204:
        return []
    assert response.status_code in (200, 206), response.content
    return [item["00741202"]["Value"][0] for item in orjson.loads(response.content)]


def test_search_by_what_a_workitem_says(technologist: Door) -> None:
    request = attribute("StudyInstanceUID", "1.2.77") | attribute("AccessionNumber", "A100")
    create(
        technologist,
        WorklistLabel="ONE",
        PatientName={"Alphabetic": "Müller^Jane"},
        PatientID="123",
        IssuerOfPatientID="HOSP",
        ReferencedRequestSequence=request,
    )
    create(
        technologist,
        WorklistLabel="TWO",
        ScheduledProcedureStepStartDateTime="20261123100000+0100",
        ScheduledStationNameCodeSequence=[coded(("CT02", "A", "x")), coded(("CT01", "B", "y"))],
        StudyInstanceUID="1.2.78",
        ScheduledProcedureStepPriority="HIGH",
    )
    for query, labels in {
        "": ["ONE", "TWO"],
        "?ProcedureStepState=SCHEDULED": ["ONE", "TWO"],
        "?00741000=COMPLETED": [],
        "?WorklistLabel=TW*": ["TWO"],
        "?PatientName=mueller*": [],
        "?PatientName=muller*": ["ONE"],
        "?PatientName=jane&fuzzymatching=true": ["ONE"],
        "?PatientID=123&IssuerOfPatientID=HOSP": ["ONE"],
        "?ScheduledProcedureStepPriority=HIGH": ["TWO"],
        "?ScheduledProcedureStepStartDateTime=20261122": ["ONE"],
        "?ScheduledProcedureStepStartDateTime=20261123090000": ["TWO"],
        "?ScheduledProcedureStepStartDateTime=20261122-": ["ONE", "TWO"],
        "?ScheduledProcedureStepStartDateTime=-20261122": ["ONE"],
        "?ScheduledStationNameCodeSequence.CodeValue=CT01": ["ONE", "TWO"],
        "?00404025.00080100=CT01&00404025.00080102=A": [],
        "?00404025.00080100=CT01&00404025.00080102=B": ["TWO"],
        "?ScheduledStationNameCodeSequence.CodeValue=CT*": ["ONE", "TWO"],
        "?ReferencedRequestSequence.AccessionNumber=A100": ["ONE"],
        "?ReferencedRequestSequence.StudyInstanceUID=1.2.77": ["ONE"],
        "?StudyInstanceUID=1.2.78": ["TWO"],
        "?CommentsOnTheScheduledProcedureStep=slow": [],
        "?limit=1": ["ONE"],
        "?limit=1&offset=1": ["TWO"],
    }.items():
        assert found(technologist, query) == labels, query
    cut = technologist.get("workitems?limit=1", accept=JSON)
    warned(cut, 206, "There are additional results that can be requested.")
    assert technologist.get("workitems?limit=2", accept=JSON).status_code == 200
    assert technologist.get("workitems?WorklistLabel=NONE").status_code == 204


def test_what_a_search_asks_in_vain(technologist: Door) -> None:
    create(technologist)
    warned(technologist.get("workitems?Nonsense=1"), 200, "The Nonsense parameter is not supported.")
    warned(technologist.get("workitems?TransactionUID=1.2.3"), 200, "The TransactionUID parameter is not supported.")
    for query in (
        "limit=many",
        "fuzzymatching=maybe",
        "StudyInstanceUID=x",
        "ScheduledProcedureStepStartDateTime=yesterday",
        "PatientID=1&PatientID=2",
        "PatientID=%00",
        "ReferencedRequestSequence.StudyInstanceUID=x",
    ):
        problem_of(technologist.get(f"workitems?{query}"), 400)


@pytest.mark.parametrize("text", ['"', "\\", "a.b", '") || (1 == 1', "$", "'", "%25_"])
def test_what_stands_in_a_key_is_no_language(technologist: Door, text: str) -> None:
    create(technologist, CommentsOnTheScheduledProcedureStep="plain")
    response = technologist.http.get(
        "/dicom-web/workitems", {"ScheduledStationNameCodeSequence.CodeValue": text}, headers={"accept": JSON}
    )
    assert response.status_code == 204, response.content


def test_includefield(technologist: Door) -> None:
    create(technologist, CommentsOnTheScheduledProcedureStep="slow")
    [short] = orjson.loads(technologist.get("workitems", accept=JSON).content)
    assert "00400400" not in short
    assert short["00404025"]["Value"] == [STATION]
    for query in ("includefield=00400400", "includefield=CommentsOnTheScheduledProcedureStep", "includefield=all"):
        [item] = orjson.loads(technologist.get(f"workitems?{query}", accept=JSON).content)
        assert item["00400400"]["Value"] == ["slow"]


def test_who_may_do_what(door_for: Make, technologist: Door) -> None:
    named = create(technologist)
    for role, allowed in {
        "radiologist": "read perform",
        "administrator": "read manage",
        "nurse": "",
        "referring_physician": "",
        "auditor": "",
        "device": "",
    }.items():
        door = door_for(role)
        assert door.get(f"workitems/{named}").status_code == (200 if "read" in allowed else 403), role
        assert door.get("workitems").status_code == (200 if "read" in allowed else 403), role
        made = send(door, "POST", f"workitems?workitem={uid()}", data_set())
        assert made.status_code == (201 if "manage" in allowed else 403), role
        moved = change(door, named, D, uid())
        assert moved.status_code == (409 if "perform" in allowed else 403), role


def test_a_vendor_sees_what_is_about_its_studies_and_of_its_worklist(door_for: Make, technologist: Door) -> None:
    granted, other = uid(), uid()
    technologist.store([make_object(StudyInstanceUID=granted), make_object(StudyInstanceUID=other)])
    vendor = door_for("ai_vendor")
    person = User.objects.latest("pk")
    Grant.objects.create(user=person, study=Study.objects.get(study_instance_uid=granted), rights=["view"])
    about = create(technologist, WorklistLabel="MINE", StudyInstanceUID=granted, PatientName={"Alphabetic": "A^B"})
    hidden = create(technologist, WorklistLabel="THEIRS", StudyInstanceUID=other)
    request = attribute("StudyInstanceUID", uid())
    unknown = create(technologist, WorklistLabel="LABEL", ReferencedRequestSequence=request)
    create(technologist, WorklistLabel="NOBODY")
    assert sorted(found(vendor, "")) == ["MINE", "NOBODY"]
    problem_of(vendor.get(f"workitems/{hidden}"), 404)
    problem_of(change(vendor, hidden, P, uid()), 404)
    problem_of(send(vendor, "POST", f"workitems/{hidden}/cancelrequest", {}), 404)
    problem_of(vendor.get(f"workitems/{unknown}"), 404)
    WorklistMember.objects.create(worklist_label="LABEL", holder=str(person.external_id))
    assert vendor.get(f"workitems/{unknown}").status_code == 200
    [item] = orjson.loads(vendor.get(f"workitems/{about}", accept=JSON).content)
    assert "00100010" not in item
    problem_of(vendor.get("workitems?PatientName=A*"), 403)
    assert change(vendor, about, P, uid()).status_code == 200


@pytest.mark.parametrize("keyword", ["WorklistLabel", "PatientID", "IssuerOfPatientID", "ProcedureStepLabel"])
def test_what_no_index_holds_is_refused(technologist: Door, keyword: str) -> None:
    long = "".join(map(str, range(3000)))
    assert send(technologist, "POST", f"workitems?{uid()}", data_set(**{keyword: long})).status_code == 400
    if keyword == "WorklistLabel":
        path = f"workitems/{create(technologist)}"
        assert send(technologist, "POST", path, attribute(keyword, long)).status_code == 400


@pytest.mark.parametrize("number", [b"1e300", b"-1e300", b"98765432109876543210"])
def test_a_number_that_no_answer_could_hold_is_refused(technologist: Door, number: bytes) -> None:
    """PostgreSQL gives it back with all its digits: every search that found the workitem would fail."""
    body = orjson.dumps(data_set() | {"00741004": {"vr": "DS", "Value": [0.5]}, "00189073": {"vr": "FD", "Value": [1]}})
    large = body.replace(b'"FD","Value":[1]', b'"FD","Value":[' + number + b"]")
    assert send(technologist, "POST", f"workitems?{uid()}", large).status_code == 400
    assert send(technologist, "POST", f"workitems?{uid()}", body).status_code == 201
    assert technologist.get("workitems?includefield=all").status_code == 200


@pytest.mark.parametrize("requester", ["A%00B", "%5C", "A" * 17])
def test_who_asks_for_a_cancellation_has_an_ae_title(technologist: Door, performer: Door, requester: str) -> None:
    named, _ = claimed(technologist, performer)
    assert send(performer, "POST", f"workitems/{named}/subscribers/WATCH").status_code == 201
    assert send(technologist, "POST", f"workitems/{named}/cancelrequest/{requester}", {}).status_code == 400
    assert send(technologist, "POST", f"workitems/{named}/cancelrequest/RIS%20", {}).status_code == 202
