"""The rules: what is unusual becomes one alert and one event, soon; what is usual does not."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone

from access.models import Restriction
from audit.kinds import ACCESS, EMERGENCY_STARTED, REFUSED, SEARCH, SIGN_IN_FAILED, STORE
from audit.models import AccessEvent, Alert
from tests.access.conftest import MakePerson, MakeStudy
from tests.trail.conftest import Happen, identity
from trail import watch
from trail.rules import RULES
from trail.watch import Watch, look

pytestmark = pytest.mark.django_db
DAY = datetime(2030, 1, 31, 14, 0, tzinfo=UTC)


def reads(happen: Happen, count: int, *, at: datetime = DAY, who: str = "rita", **fields: object) -> None:
    made = [happen(who=who, study_uids=[f"1.2.{number}", "1.2.0"], at=at, **fields) for number in range(1)]
    AccessEvent.objects.bulk_create(
        AccessEvent(
            kind=made[0].kind, action="R", principal_kind=made[0].principal_kind, principal_id=made[0].principal_id,
            principal_name=who, study_uids=[f"1.2.{number}"], recorded_at=at,
        )
        for number in range(1, count)
    )  # fmt: skip


def rules(alerts: list[Alert]) -> list[tuple[str, str, int]]:
    return [(alert.rule, alert.principal_name, alert.count) for alert in alerts]


class TestManyStudies:
    """More than 200 studies in five minutes."""

    def test_one_alert_with_its_event(self, happen: Happen) -> None:
        reads(happen, 201)
        made = look(DAY + timedelta(minutes=1))
        assert rules(made) == [("many_studies", "rita", 201)]
        event = AccessEvent.objects.get(kind="alert")
        assert (event.rule, event.principal_kind) == ("many_studies", "system")
        assert event.outcome_description == (
            f"alert {made[0].pk}: 201 studies opened within five minutes, by person {identity('rita')}"
        )
        assert look(DAY + timedelta(minutes=2)) == []
        assert look(DAY + timedelta(minutes=4)) == []
        assert Alert.objects.count() == AccessEvent.objects.filter(kind="alert").count() == 1

    def test_again_when_it_goes_on_after_the_quiet_hour(self, happen: Happen) -> None:
        reads(happen, 201)
        look(DAY)
        reads(happen, 201, at=DAY + timedelta(minutes=30))
        assert look(DAY + timedelta(minutes=31)) == []
        reads(happen, 201, at=DAY + timedelta(hours=2))
        assert rules(look(DAY + timedelta(hours=2))) == [("many_studies", "rita", 201)]

    def test_what_is_usual(self, happen: Happen) -> None:
        reads(happen, 200)
        reads(happen, 150, who="otto")
        reads(happen, 150, who="otto", at=DAY - timedelta(minutes=6))
        for number in range(250):
            happen(who="nina", study_uids=["1.2.3"], at=DAY) if number < 3 else None
        happen(STORE, who="modality", study_uids=[f"1.3.{number}" for number in range(300)], at=DAY)
        happen(SEARCH, who="lea", study_uids=[f"1.3.{number}" for number in range(300)], at=DAY)
        assert look(DAY) == []

    def test_machines_and_links_count_as_well(self, happen: Happen) -> None:
        reads(happen, 201, who="ai", principal_kind="client")
        assert rules(look(DAY)) == [("many_studies", "ai", 201)]


def test_at_night_twenty_are_many(happen: Happen, settings: object) -> None:
    night = datetime(2030, 1, 31, 23, 30, tzinfo=UTC)
    reads(happen, 21, at=night)
    reads(happen, 20, at=night, who="otto")
    reads(happen, 30, at=night, who="robot", principal_kind="client")
    assert rules(look(night)) == [("night", "rita", 21)]
    AccessEvent.objects.count()
    reads(happen, 21, at=DAY, who="nina")
    assert look(DAY) == []


@pytest.mark.parametrize(("zone", "found"), [("+0900", 1), ("America/New_York", 0), ("", 0)])
def test_the_night_of_this_house(zone: str, found: int, happen: Happen, settings: object) -> None:
    settings.PACS = settings.PACS.model_copy(update={"time_zone": zone})  # type: ignore[attr-defined]
    reads(happen, 25)
    assert len(look(DAY)) == found


def test_same_family_name(happen: Happen, make_person: MakePerson, make_study: MakeStudy) -> None:
    rita = make_person("radiologist", username="rita")
    rita.last_name = "Müller"
    rita.save()
    nobody = make_person("radiologist", username="otto")
    for uid, name in (
        ("1.2.1", "MULLER^Anna"),
        ("1.2.2", "Mullers^Ann"),
        ("1.2.3", "^Müller"),
        ("1.2.4", "Li^X=Müller^安"),
    ):
        make_study(uid, name=name, patient_id=uid)
    for person in (rita, nobody):
        happen(who=person.username, principal_id=str(person.external_id), at=DAY,
               study_uids=["1.2.1", "1.2.2", "1.2.3", "1.2.4"])  # fmt: skip
    made = look(DAY)
    assert rules(made) == [("same_surname", "rita", 2)]
    assert made[0].study_uids == ["1.2.1", "1.2.4"]
    told = AccessEvent.objects.filter(kind="alert").values()
    assert not any("ller" in str(value).lower() for event in told for value in event.values())
    assert look(DAY + timedelta(minutes=1)) == []
    make_study("1.2.5", name="Muller^Carl", patient_id="1.2.5")
    happen(ACCESS, who="rita", principal_id=str(rita.external_id), at=DAY, study_uids=["1.2.5"])
    assert [alert.rule for alert in look(DAY + timedelta(minutes=1))] == ["same_surname"]


def test_closed_records(happen: Happen, make_study: MakeStudy) -> None:
    of_patient, by_uid, ended, other = (make_study(f"1.2.{number}", patient_id=f"P{number}") for number in range(4))
    Restriction.objects.create(mark="vip", patient=of_patient.patient, reason="x")
    Restriction.objects.create(mark="restricted", study_instance_uid=by_uid.study_instance_uid, reason="x")
    Restriction.objects.create(mark="vip", patient=ended.patient, reason="x", ended_at=timezone.now())
    for study in (of_patient, by_uid, ended, other):
        happen(study_uids=[study.study_instance_uid], at=DAY)
    happen(REFUSED, decision="deny", study_uids=["1.2.0"], who="otto", at=DAY)
    made = look(DAY)
    assert rules(made) == [("restricted", "rita", 2)]
    assert made[0].study_uids == ["1.2.0", "1.2.1"]


def test_many_refusals(happen: Happen) -> None:
    for number in range(20):
        happen(REFUSED, who="evil", decision="deny", outcome=4, at=DAY)
        happen(
            SIGN_IN_FAILED,
            who=f"guess{number}",
            principal_id="",
            principal_kind="anonymous",
            source_ip="192.0.2.66",
            at=DAY,
        )
        if number < 19:
            happen(REFUSED, who="clumsy", decision="deny", outcome=4, at=DAY)
    made = look(DAY)
    assert rules(made) == [("refusals", "", 20), ("refusals", "evil", 20)]
    assert made[0].source_ip == "192.0.2.66"
    assert look(DAY + timedelta(seconds=30)) == []


def test_passwords_tried_by_going_through_the_names(happen: Happen) -> None:
    for number in range(20):
        happen(SIGN_IN_FAILED, who=f"known{number}", principal_kind="anonymous", source_ip="192.0.2.66", at=DAY)
    (alert,) = look(DAY)
    assert (alert.rule, alert.principal_id, alert.source_ip, alert.count) == ("refusals", "", "192.0.2.66", 20)
    assert look(DAY + timedelta(seconds=30)) == []


def test_one_name_tried_from_many_addresses(happen: Happen) -> None:
    for number in range(20):
        happen(SIGN_IN_FAILED, who="rita", principal_kind="anonymous", source_ip=f"192.0.2.{number}", at=DAY)
    (alert,) = look(DAY)
    assert (alert.rule, alert.principal_id, alert.source_ip, alert.count) == ("refusals", identity("rita"), None, 20)


def test_emergencies_of_one_person_at_two_machines(happen: Happen) -> None:
    for number in (1, 2):
        at = DAY - timedelta(seconds=number)
        happen(EMERGENCY_STARTED, patient_ids=["P-1"], source_ip=f"192.0.2.{number}", at=at)
    (alert,) = look(DAY)
    assert (alert.rule, alert.count) == ("emergency", 2)


def test_every_emergency(happen: Happen) -> None:
    happen(EMERGENCY_STARTED, patient_ids=["P-1"], at=DAY)
    assert rules(look(DAY)) == [("emergency", "rita", 1)]
    assert look(DAY + timedelta(seconds=30)) == []
    happen(EMERGENCY_STARTED, patient_ids=["P-2"], at=DAY + timedelta(minutes=1))
    assert [alert.rule for alert in look(DAY + timedelta(minutes=1))] == ["emergency"]


def test_rules_have_names_of_their_own() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)


class TestPages:
    """The list of alerts."""

    def test_look_at_one(self, reading: Browser, happen: Happen) -> None:
        reads(happen, 201)
        (alert,) = look(DAY)
        page = reading.get("/trail/alerts/").content.decode()
        assert "Very many studies" in page
        assert "201 studies opened within five minutes" in page
        assert '<span class="trail-count">1</span>' in page
        assert reading.post(f"/trail/alerts/{alert.pk}/", {"comment": ""}).status_code == 302
        alert.refresh_from_db()
        assert alert.seen_at is None
        reading.post(f"/trail/alerts/{alert.pk}/", {"comment": "a planned export"})
        reading.post(f"/trail/alerts/{alert.pk}/", {"comment": "somebody else's words"})
        alert.refresh_from_db()
        assert (alert.seen_by, alert.comment) == ("ada", "a planned export")
        event = AccessEvent.objects.get(kind="trail_reviewed")
        assert event.outcome_description == f"alert {alert.pk}: a planned export"
        assert "No open alerts" in reading.get("/trail/alerts/").content.decode()
        assert "a planned export" in reading.get("/trail/alerts/?seen=1").content.decode()
        assert reading.post("/trail/alerts/999999/", {"comment": "x"}).status_code == 404

    def test_the_way_to_what_was_done(self, reading: Browser, happen: Happen) -> None:
        reads(happen, 201, at=DAY)
        look(DAY)
        row = reading.get("/trail/alerts/").context["rows"][0]
        assert "rita" in reading.get(f"/trail/?{row.events}").content.decode()

    def test_many(self, reading: Browser) -> None:
        Alert.objects.bulk_create(Alert(rule="gone", since=DAY, until=DAY, description=f"d{n}.") for n in range(120))
        first = reading.get("/trail/alerts/")
        assert "99+" in first.content.decode()
        assert "d69." in reading.get(f"/trail/alerts/?before={first.context['older']}").content.decode()


@pytest.mark.django_db(transaction=True)
def test_the_watch_runs_by_itself(happen: Happen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PAUSE", 0.05)
    reads(happen, 201, at=timezone.now())
    found = Alert.objects.filter(rule="many_studies")
    with Watch(threading.Event()):
        ends = time.monotonic() + 60
        while not found.exists():
            assert time.monotonic() < ends, "no alert"
            time.sleep(0.05)
    assert found.count() == 1


def test_two_relays_make_one_alert(happen: Happen) -> None:
    """The second one waits for the first, and then sees its alert."""
    reads(happen, 201)
    assert len(look(DAY)) == 1
    assert look(DAY) == []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            " AND (classid::bigint << 32) + objid::bigint = %s",
            [watch._LOCK],
        )
        assert cursor.fetchone() == (1,)


class TestWhenNobodyLooked:
    """A relay that was down for an hour still sees that hour."""

    def test_what_happened_meanwhile_is_found_once(self, happen: Happen) -> None:
        look(DAY - timedelta(minutes=10))
        reads(happen, 201)
        assert rules(look(DAY + timedelta(hours=1))) == [("many_studies", "rita", 201)]
        assert Alert.objects.get().until == DAY
        assert look(DAY + timedelta(hours=1, minutes=1)) == []

    def test_each_rule_has_its_own_position(self, happen: Happen) -> None:
        look(DAY - timedelta(minutes=10))
        reads(happen, 201)
        for rule in RULES:
            if rule.name != "many_studies":  # that one failed meanwhile
                watch.ask(rule, DAY + timedelta(hours=1))
        assert rules(look(DAY + timedelta(hours=2))) == [("many_studies", "rita", 201)]

    def test_a_night_is_judged_by_its_own_hour(self, happen: Happen) -> None:
        midnight = DAY.replace(hour=0)
        look(midnight - timedelta(hours=1))
        reads(happen, 21, at=midnight + timedelta(minutes=20))
        assert rules(look(midnight + timedelta(hours=11))) == [("night", "rita", 21)]

    def test_a_new_watch_does_not_begin_with_the_past(self, happen: Happen) -> None:
        reads(happen, 201)
        assert look(DAY + timedelta(hours=1)) == []

    def test_very_long_ago_is_no_news(self, happen: Happen) -> None:
        look(DAY - timedelta(days=30))
        reads(happen, 201, at=DAY - timedelta(days=20))
        assert look(DAY) == []
