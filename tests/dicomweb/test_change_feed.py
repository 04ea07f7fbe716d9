"""The change feed: order, windows, scope, and that no reader ever misses an entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pydicom.uid import generate_uid

from access.models import Grant, User
from archive.change_feed import Window, changes
from archive.models import ChangeFeedEntry, Study
from audit.models import AccessEvent
from tests.dicomweb.conftest import Door
from tests.dicomweb.objects import make_object
from tests.dicomweb.reading import problem_of, value

pytestmark = pytest.mark.django_db
Make = Callable[..., Door]
Entries = list[dict[str, Any]]


@pytest.fixture
def administrator(door_for: Make) -> Door:
    return door_for("administrator", "radiologist")


def store(door: Door, **values: Any) -> tuple[str, str, str]:
    uids = {
        name: values.pop(name, None) or generate_uid()
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    }
    assert door.store([make_object(**uids, **values)]).status_code == 200
    study, series, instance = uids.values()
    return study, series, instance


def erase(door: Door, study: str, *more: str) -> None:
    path = "".join(f"/{name}/{uid}" for name, uid in zip(("series", "instances"), more, strict=False))
    response = door.http.delete(f"/dicom-web/studies/{study}{path}", headers={"origin": "http://testserver"})
    assert response.status_code == 204


def feed(door: Door, **query: Any) -> Entries:
    response = door.http.get("/dicom-web/changefeed", query)
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/json"
    found: Entries = response.json()
    return found


def test_what_happened_in_order(administrator: Door) -> None:
    first, second = store(administrator), store(administrator)
    erase(administrator, *first)
    store(administrator, StudyInstanceUID=first[0], SeriesInstanceUID=first[1], SOPInstanceUID=first[2], Rows=12)
    erase(administrator, *second)
    entries = feed(administrator)
    assert [(e["sequence"], e["action"], e["state"], e["sopInstanceUid"]) for e in entries] == [
        (1, "create", "replaced", first[2]),
        (2, "create", "deleted", second[2]),
        (3, "delete", "replaced", first[2]),
        (4, "create", "current", first[2]),
        (5, "delete", "deleted", second[2]),
    ]
    assert set(entries[0]) == {
        "sequence",
        "studyInstanceUid",
        "seriesInstanceUid",
        "sopInstanceUid",
        "action",
        "timestamp",
        "state",
    }
    assert (entries[0]["studyInstanceUid"], entries[0]["seriesInstanceUid"]) == first[:2]
    times = [datetime.fromisoformat(e["timestamp"]) for e in entries]
    assert times == sorted(times)
    assert all(e["timestamp"].endswith("Z") for e in entries)
    assert abs(times[0] - datetime.now(UTC)) < timedelta(minutes=1)


def test_paging_meets_every_entry_once(administrator: Door) -> None:
    study = generate_uid()
    administrator.store([make_object(StudyInstanceUID=study, InstanceNumber=n) for n in range(7)])
    for name in ("since", "offset"):
        seen: list[int] = []
        while page := feed(administrator, limit=3, **{name: seen[-1] if seen else 0}):
            seen += [e["sequence"] for e in page]
        assert seen == list(range(1, 8))


def test_a_window_of_time(administrator: Door) -> None:
    store(administrator), store(administrator), store(administrator)
    day = datetime(2026, 3, 1, tzinfo=UTC)
    for entry in ChangeFeedEntry.objects.order_by("sequence"):
        ChangeFeedEntry.objects.filter(pk=entry.pk).update(created_at=day)
        day += timedelta(days=1)

    def found(**query: Any) -> list[int]:
        return [e["sequence"] for e in feed(administrator, **query)]

    assert found(startTime="2026-03-02T00:00:00Z") == [2, 3]
    assert found(endTime="2026-03-02T00:00:00Z") == [1]
    assert found(startTime="2026-03-01T00:00:00", endTime="2026-03-03T00:00:00") == [1, 2]
    assert found(startTime="2026-03-02T01:00:00+01:00", endTime="2026-03-02T00:00:01Z") == [2]
    assert found(startTime="2026-03-01T00:00:00Z", offset=1, limit=1) == [2]
    assert found(startTime="2026-03-01T00:00:00Z", since=1, offset=1) == [3]
    response = administrator.http.get("/dicom-web/changefeed?startTime=2026-03-02T01:00:00+01:00")
    assert [e["sequence"] for e in response.json()] == [2, 3]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=ten",
        "limit=",
        "limit=1&limit=2",
        "since=-1",
        "since=1.5",
        "offset=99999999999999999999",
        "offset=%D9%A1",
        "startTime=yesterday",
        "startTime=0001-01-01T00:00:00%2B14:00",
        "endTime=2026-13-01T00:00:00Z",
        "startTime=2026-01-02T00:00:00Z&endTime=2026-01-02T00:00:00Z",
        "includemetadata=maybe",
        "sinc=5",
        "Since=1&since=2",
    ],
)
def test_malformed(query: str, administrator: Door) -> None:
    problem_of(administrator.http.get(f"/dicom-web/changefeed?{query}"), 400)


def test_json_only(administrator: Door) -> None:
    assert administrator.get("changefeed", accept="application/json").status_code == 200
    problem_of(administrator.get("changefeed", accept="text/xml"), 406)


def test_the_latest(administrator: Door) -> None:
    response = administrator.get("changefeed/latest")
    assert (response.status_code, response.content) == (204, b"")
    store(administrator)
    last = store(administrator)
    found = administrator.get("changefeed/latest").json()
    assert (found["sequence"], found["sopInstanceUid"]) == (2, last[2])
    found = administrator.get("changefeed/latest?includemetadata=true").json()
    assert value(found["metadata"], "00080018") == last[2]
    problem_of(administrator.get("changefeed/latest?limit=1"), 400)


def test_metadata_of_what_is_there(administrator: Door) -> None:
    first, second = (
        store(administrator, PatientName="Ärger^Jörg", SpecificCharacterSet="ISO_IR 100"),
        store(administrator),
    )
    erase(administrator, *first)
    entries = feed(administrator, includeMetadata="true")
    assert ["metadata" in e for e in entries] == [False, True, False]
    metadata = administrator.get(f"studies/{second[0]}/series/{second[1]}/instances/{second[2]}/metadata").json()
    assert entries[1]["metadata"] == metadata[0]
    event = AccessEvent.objects.filter(kind="access", query="metadata", path="/dicom-web/changefeed").get()
    assert (event.study_uids, event.instance_count) == ([second[0]], 1)


def test_metadata_needs_the_right_to_retrieve(administrator: Door, door_for: Make) -> None:
    store(administrator)
    manager = door_for("administrator")
    assert len(feed(manager)) == 1
    problem_of(manager.get("changefeed?includemetadata=true"), 403)


def test_a_search_in_the_trail(administrator: Door) -> None:
    store(administrator), store(administrator)
    feed(administrator, since=1)
    event = AccessEvent.objects.latest("sequence")
    assert (event.kind, event.query, event.instance_count, event.path) == (
        "search",
        "since=1",
        1,
        "/dicom-web/changefeed",
    )


def test_scope(administrator: Door, door_for: Make) -> None:
    granted, hidden = store(administrator), store(administrator)
    gone = store(administrator, StudyInstanceUID=granted[0])
    erase(administrator, *gone)
    referrer = door_for("referring_physician")
    assert feed(referrer) == []
    assert referrer.get("changefeed/latest").status_code == 204
    user = User.objects.latest("pk")
    Grant.objects.create(study=Study.objects.get(study_instance_uid=granted[0]), user=user, valid_from=timezone.now())
    [entry] = feed(referrer, includemetadata="true")
    assert (entry["sopInstanceUid"], entry["state"]) == (granted[2], "current")
    assert value(entry["metadata"], "0020000D") == granted[0]
    assert referrer.get("changefeed/latest").json()["sopInstanceUid"] == granted[2]
    assert len(feed(administrator)) == 4
    assert hidden[2] in {e["sopInstanceUid"] for e in feed(administrator)}


@pytest.mark.parametrize("role", ["auditor", "device"])
def test_not_for_who_may_not_search(role: str, door_for: Make) -> None:
    problem_of(door_for(role).get("changefeed"), 403)


def test_queries_do_not_grow_with_entries(administrator: Door) -> None:
    def queries(**query: Any) -> int:
        feed(administrator, **query)
        with CaptureQueriesContext(connection) as captured:
            feed(administrator, **query)
        return len(captured)

    store(administrator)
    one = queries(), queries(includemetadata="true")
    administrator.store([make_object() for _ in range(12)])
    assert (queries(), queries(includemetadata="true")) == one


class TestWritersAtWork:
    """What a transaction that is still open has in store for the readers."""

    pytestmark = pytest.mark.django_db(transaction=True)

    @staticmethod
    def everything() -> list[str]:
        return [change.sop_instance_uid for change in changes(Study.objects.all(), Window(limit=1000))]

    @staticmethod
    def write(*uids: str) -> None:
        for uid in uids:
            ChangeFeedEntry.objects.create(
                action="create", study_instance_uid="1", series_instance_uid="2", sop_instance_uid=uid
            )

    def hold(self, uids: Sequence[str], written: Event, may_commit: Event) -> None:
        try:
            with transaction.atomic():
                self.write(*uids)
                written.set()
                assert may_commit.wait(60)
        finally:
            connection.close()

    def test_neither_hidden_nor_skipped(self) -> None:
        """The open writer has the smaller sequence: the later one shows at once, and the earlier one after it."""
        written, may_commit = Event(), Event()
        with ThreadPoolExecutor(1) as threads:
            slow = threads.submit(self.hold, ["1.1", "1.2"], written, may_commit)
            assert written.wait(60)
            self.write("2.1")
            assert self.everything() == ["2.1"]
            last = changes(Study.objects.all(), Window())[-1].position
            may_commit.set()
            slow.result(60)
        sequences = dict(ChangeFeedEntry.objects.values_list("sop_instance_uid", "sequence"))
        assert sequences["1.1"] < sequences["1.2"] < sequences["2.1"]
        news = changes(Study.objects.all(), Window(since=last))
        assert [(c.position, c.sop_instance_uid) for c in news] == [(2, "1.1"), (3, "1.2")]

    def test_a_rollback_leaves_no_gap(self) -> None:
        self.write("1.1")
        with transaction.atomic():
            self.write("1.2", "1.3")
            transaction.set_rollback(True)
        self.write("1.4")
        assert [c.position for c in changes(Study.objects.all(), Window())] == [1, 2]
        assert (
            ChangeFeedEntry.objects.latest("sequence").sequence - ChangeFeedEntry.objects.earliest("sequence").sequence
            == 3
        )

    def test_readers_that_follow_meet_everything_once(self) -> None:
        """Writers that keep their transactions open for a while, and readers that page behind them."""
        writers, readers, each = 4, 3, 12
        done = Event()

        def write(number: int) -> None:
            try:
                for turn in range(each):
                    with transaction.atomic():
                        self.write(f"{number}.{turn}.1")
                        Event().wait(0.005 * (number + turn % 3))
                        self.write(f"{number}.{turn}.2")
            finally:
                connection.close()

        def follow(limit: int) -> list[tuple[int, str]]:
            seen: list[tuple[int, str]] = []
            try:
                while True:
                    last_turn = done.is_set()
                    page = changes(Study.objects.all(), Window(since=seen[-1][0] if seen else 0, limit=limit))
                    seen += [(c.position, c.sop_instance_uid) for c in page]
                    if last_turn and not page:
                        return seen
            finally:
                connection.close()

        with ThreadPoolExecutor(writers + readers) as threads:
            following = [threads.submit(follow, limit) for limit in (1, 5, 1000)]
            writing = [threads.submit(write, number) for number in range(writers)]
            for one in writing:
                one.result(120)
            done.set()
            seen = [one.result(120) for one in following]
        assert seen[0] == seen[1] == seen[2]
        assert [position for position, _ in seen[0]] == list(range(1, writers * each * 2 + 1))
        assert len({uid for _, uid in seen[0]}) == writers * each * 2
