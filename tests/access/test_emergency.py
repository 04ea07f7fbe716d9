"""Break-glass as the law asks for it: a reason, one patient, an end, an alert, and somebody who looks at it later."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as HttpClient
from django.utils import timezone

from access.acting import Acting
from access.emergency import BadReason, NotForOneself, begin, checked_reason, end, review, write_down_expired
from access.emergency_lookup import WRONG_ONES
from access.emergency_models import EmergencyAccess, Verdict
from access.marking import restrict
from access.models import Grant, User
from access.policy import may_break_glass, visible_studies
from access.principal import Principal
from access.restriction_models import Mark
from access.restrictions import marks
from access.roles import Permission
from archive.models import Patient
from audit.kinds import KINDS
from audit.models import AccessEvent
from tests.dicomweb.conftest import Door
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.test_scope import paths_of

Make = Callable[..., Any]
pytestmark = pytest.mark.django_db
REASON = "unconscious after an accident, images wanted in theatre"
API = "/api/emergency-access"


@pytest.fixture(autouse=True)
def nothing_believed() -> None:
    """That nothing was marked in the test before says nothing about this one."""
    marks.forget()


@pytest.fixture
def door(make_person: Make) -> Callable[..., Door]:
    """Somebody signed in."""

    def make(*roles: str, username: str = "") -> Door:
        http = HttpClient(headers={"origin": "http://testserver"})
        http.force_login(make_person(*roles, username=username))
        return Door(http)

    return make


@pytest.fixture
def vip(door: Callable[..., Door]) -> dict[str, str]:
    """The paths of a stored study of a patient who is marked."""
    ds = make_data_set(PatientID="VIP1", IssuerOfPatientID="HOUSE", AccessionNumber="ACC1")
    assert door("technologist").store([to_bytes(ds)]).status_code == 200
    restrict(Patient.objects.get(patient_id="VIP1"), Mark.VIP, "a well-known person")
    marks.forget()
    return paths_of(str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID))


def ask(door: Door, **wish: Any) -> Any:
    return door.http.post(API, {"reason": REASON, "patient_id": "VIP1"} | wish, content_type="application/json")


def of(user: User, *roles: str) -> Principal:
    return Principal("person", str(user.external_id), user.username, roles, "session", "")


def coded(event: AccessEvent) -> tuple[str, str]:
    return KINDS[event.kind].event_id, KINDS[event.kind].type_code


@pytest.mark.parametrize("role", ["radiologist", "referring_physician"])
def test_the_drill(door: Callable[..., Door], vip: dict[str, str], role: str) -> None:
    """45 CFR 164.312(a)(2)(ii): without a reason 400; with one the images, 110113/110127, an alert that waits to be
    looked at; after the end nothing, and 110113/110138."""
    doctor = door(role)
    shut = doctor.get(vip["instance"]).status_code
    assert shut == (403 if role == "radiologist" else 404)
    assert ask(doctor, reason="").status_code == 400
    assert ask(doctor, reason="urgent").status_code == 400
    assert doctor.get(vip["instance"]).status_code == shut
    assert not EmergencyAccess.objects.exists()

    response = ask(doctor, minutes=240)
    assert response.status_code == 201, response.content
    begun = EmergencyAccess.objects.get()
    assert response.json()["studies"] == [vip["study"].removeprefix("studies/")]
    assert timedelta(0) < begun.expires_at - timezone.now() <= timedelta(hours=4)
    started = AccessEvent.objects.get(kind="emergency_started")
    assert coded(started) == ("110113", "110127")
    assert started.patient_ids == ["VIP1"]
    assert REASON in started.purpose
    assert started.study_uids == response.json()["studies"]
    assert list(EmergencyAccess.objects.open_to_review()) == [begun]

    for name in ("instance", "study metadata", "frames", "rendered", "study thumbnail"):
        assert doctor.get(vip[name]).status_code == 200, name
    assert len(doctor.search("studies", PatientID="VIP1")) == 1

    EmergencyAccess.objects.update(expires_at=timezone.now())
    Grant.objects.filter(emergency=begun).update(valid_until=timezone.now())
    assert doctor.get(vip["instance"]).status_code == shut
    assert doctor.search("studies", PatientID="VIP1") == []
    assert write_down_expired() == 1
    assert write_down_expired() == 0
    stopped = AccessEvent.objects.get(kind="emergency_ended")
    assert coded(stopped) == ("110113", "110138")
    assert stopped.rule == started.rule == f"emergency:{begun.external_id}"
    assert list(EmergencyAccess.objects.open_to_review()) == [begun]


def test_what_is_opened_says_so_in_its_event(door: Callable[..., Door], vip: dict[str, str]) -> None:
    doctor = door("radiologist")
    other = make_data_set(PatientID="OTHER")
    assert door("technologist").store([to_bytes(other)]).status_code == 200
    begun = ask(doctor).json()
    before = AccessEvent.objects.order_by("-sequence").values_list("sequence", flat=True)[0]
    assert doctor.get(vip["instance"]).status_code == 200
    assert doctor.get(vip["study metadata"]).status_code == 200
    assert doctor.get(f"studies/{other.StudyInstanceUID}/metadata").status_code == 200
    seen = list(AccessEvent.objects.filter(sequence__gt=before).order_by("sequence"))
    assert [event.rule for event in seen] == [f"emergency:{begun['id']}"] * 2 + [""]
    assert [REASON in event.purpose for event in seen] == [True, True, False]


def test_it_is_one_person_and_one_patient(
    door: Callable[..., Door], vip: dict[str, str], make_study: Make, make_person: Make
) -> None:
    other = make_study(patient_id="P2")
    restrict(other.patient, Mark.VIP, "another one")
    doctor, colleague = door("radiologist"), door("radiologist")
    assert ask(doctor).status_code == 201
    assert colleague.get(vip["instance"]).status_code == 403
    assert doctor.get(f"studies/{other.study_instance_uid}/metadata").status_code == 403


def test_it_opens_to_view_and_to_nothing_else(make_person: Make, make_study: Make) -> None:
    study, user = make_study(), make_person("radiologist")
    restrict(study, Mark.VIP, "a well-known person")
    marks.forget()
    begin(study.patient, REASON, 5, Acting(None, of(user, "radiologist")))
    open_now = {
        permission for permission in Permission if study in visible_studies(of(user, "radiologist"), permission)
    }
    assert {Permission.SEARCH, Permission.RETRIEVE} <= open_now
    assert open_now.isdisjoint({Permission.EXPORT, Permission.DELETE, Permission.UPDATE})


@pytest.mark.parametrize("role", ["administrator", "technologist", "patient", "ai_vendor", "auditor", "device"])
def test_roles_that_may_not(door: Callable[..., Door], vip: dict[str, str], role: str) -> None:
    somebody = door(role)
    assert ask(somebody).status_code == 403
    assert somebody.http.get(API).status_code == 403
    assert somebody.http.get("/emergency/").status_code == 403
    assert not EmergencyAccess.objects.exists()
    assert set(AccessEvent.objects.filter(kind="refused").values_list("rule", flat=True)) == {"emergency"}


def test_machines_and_limited_tokens_may_not(make_client: Make, make_token: Make, make_person: Make) -> None:
    machine = HttpClient(headers={"authorization": f"Bearer {make_token(make_client('radiologist'))}"})
    wish = {"reason": REASON, "patient_id": "P1"}
    assert machine.post(API, wish, content_type="application/json").status_code == 403
    person = of(make_person("radiologist"), "radiologist")
    assert may_break_glass(person)
    narrow = Principal("person", person.id, "x", ("radiologist",), "oauth2", "", permissions=("search", "retrieve"))
    of_one = Principal("person", person.id, "x", ("radiologist",), "oauth2", "", patient=1)
    assert not may_break_glass(narrow)
    assert not may_break_glass(of_one)


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"patient_id": "VIP"}, 404),
        ({"patient_id": "vip1"}, 404),
        ({"patient_id": "VIP1", "issuer": "ELSE"}, 404),
        ({"patient_id": "VIP1", "issuer": "HOUSE"}, 201),
        ({"patient_id": "", "accession": "ACC1"}, 201),
        ({"patient_id": ""}, 400),
        ({"study": "1.2.3"}, 404),
        ({"patient_id": "twice"}, 409),
        ({"minutes": 0}, 400),
        ({"minutes": 241}, 400),
        ({"minutes": "soon"}, 400),
        ({"reason": "          x"}, 400),
        ({"reason": "aaaaaaaaaaaaaaaa"}, 400),
        ({"reason": "x" * 501}, 400),
        ({"reason": REASON + "\0"}, 400),
        ({"patient_id": "VIP1\0"}, 400),
        ({"patient_id": ["VIP1"]}, 400),
        ({"minutes": 1}, 201),
    ],
)
def test_what_is_asked_for(
    door: Callable[..., Door], vip: dict[str, str], make_study: Make, wish: dict[str, Any], status: int
) -> None:
    make_study(patient_id="twice")
    make_study(patient_id="twice")
    response = ask(door("radiologist"), **wish)
    assert response.status_code == status, response.content
    if status >= 400:
        assert response["Content-Type"] == "application/problem+json"
        assert b"VIP" not in response.content
        assert not EmergencyAccess.objects.exists()


def test_bodies_that_are_none(door: Callable[..., Door]) -> None:
    doctor = door("radiologist")
    for body in (b"", b"{", b"[]", b"null", b'"x"', b"\xff"):
        assert doctor.http.post(API, body, content_type="application/json").status_code == 400, body


def test_whoever_tries_out_identifiers_is_stopped(door: Callable[..., Door], vip: dict[str, str]) -> None:
    doctor = door("radiologist")
    answers = [ask(doctor, patient_id=f"guess{number}").status_code for number in range(WRONG_ONES + 1)]
    assert answers == [404] * WRONG_ONES + [429]
    stopped = ask(doctor)
    assert stopped.status_code == 429
    assert int(stopped["Retry-After"]) > 0
    assert ask(door("radiologist")).status_code == 201
    refused = AccessEvent.objects.filter(kind="refused", rule="emergency")
    assert refused.count() == WRONG_ONES
    assert not any("guess" in event.outcome_description + event.query for event in refused)


def test_ending_it_and_listing(door: Callable[..., Door], vip: dict[str, str]) -> None:
    doctor, other = door("radiologist"), door("radiologist")
    first, second = ask(doctor).json(), ask(doctor, minutes=10).json()
    listed = doctor.http.get(API).json()
    assert [(each["id"], each["state"]) for each in listed] == [(second["id"], "open"), (first["id"], "ended")]
    assert other.http.get(API).json() == []
    assert other.http.delete(f"{API}/{second['id']}").status_code == 404
    assert doctor.get(vip["instance"]).status_code == 200
    assert doctor.http.delete(f"{API}/{second['id']}").status_code == 204
    assert doctor.http.delete(f"{API}/{second['id']}").status_code == 204
    assert doctor.get(vip["instance"]).status_code == 403
    assert AccessEvent.objects.filter(kind="emergency_ended").count() == 2


def test_another_site_cannot_begin_one(door: Callable[..., Door], vip: dict[str, str]) -> None:
    doctor = door("radiologist")
    forged = doctor.http.post(
        API,
        {"reason": REASON, "patient_id": "VIP1"},
        content_type="application/json",
        headers={"origin": "http://else.example"},
    )
    assert forged.status_code == 403
    assert not EmergencyAccess.objects.exists()


def test_the_house_may_allow_less(door: Callable[..., Door], vip: dict[str, str], settings: Any) -> None:
    settings.PACS = settings.PACS.model_copy(update={"emergency_hours": 0.5})
    doctor = door("radiologist")
    assert ask(doctor, minutes=31).status_code == 400
    assert ask(doctor).status_code == 201
    assert EmergencyAccess.objects.get().expires_at <= timezone.now() + timedelta(minutes=30)


def test_nobody_judges_their_own(make_person: Make, make_study: Make) -> None:
    user, auditor = make_person("radiologist", "administrator"), make_person("auditor")
    begun = begin(make_study().patient, REASON, 5, Acting(None, of(user)))
    with pytest.raises(NotForOneself):
        review(begun, Verdict.JUSTIFIED, "", Acting(None, of(user)))
    assert review(begun, Verdict.NOT_JUSTIFIED, "no accident that day", Acting(None, of(auditor)))
    assert not review(begun, Verdict.JUSTIFIED, "", Acting(None, of(auditor)))
    begun.refresh_from_db()
    assert (begun.verdict, begun.reviewed_by) == ("not_justified", auditor)
    event = AccessEvent.objects.get(kind="emergency_reviewed")
    assert "not justified" in event.outcome_description
    assert "no accident" in event.outcome_description


def test_ending_twice_is_one_end(make_person: Make, make_study: Make) -> None:
    user = make_person("radiologist")
    begun = begin(make_study().patient, REASON, 5, Acting(None, of(user)))
    assert end(begun, Acting())
    assert not end(begun, Acting())
    assert AccessEvent.objects.filter(kind="emergency_ended").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_form_sent_many_times_at_once_opens_one(make_person: Make, make_study: Make) -> None:
    user, patient = make_person("radiologist"), make_study().patient
    patient.refresh_from_db()

    def ask_again(_: int) -> None:
        try:
            begin(patient, REASON, 5, Acting(None, of(user)))
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask_again, range(6)))
    assert EmergencyAccess.objects.count() == 6
    assert EmergencyAccess.objects.active().count() == 1
    assert Grant.objects.active().count() == 1


@pytest.mark.parametrize("text", ["", "urgent", "  ab  cd   ", "..........", "ababababab", "\0" * 20])
def test_reasons_that_say_nothing(text: str) -> None:
    with pytest.raises(BadReason):
        checked_reason(text)


def test_reasons_are_tidied() -> None:
    assert checked_reason("  head   injury\r\nnow ") == "head injury now"
