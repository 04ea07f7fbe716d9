"""Marks: what they close, to whom, what still opens it, and that without any nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import QuerySet
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pydicom.uid import generate_uid

from access.acting import Acting
from access.emergency import begin
from access.links import Wish, make_link, token_principal
from access.marking import marks_of, restrict, unrestrict
from access.models import Grant, Restriction, ShareLink, User
from access.policy import may_store, shareable_studies, visible_studies
from access.principal import Principal
from access.restriction_models import Mark
from access.restrictions import marks
from access.rights import Right
from access.roles import Permission
from archive.models import Patient, Study
from audit.models import AccessEvent
from tests.dicomweb.conftest import Door
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.test_scope import paths_of

Make = Callable[..., Any]
pytestmark = pytest.mark.django_db
CLOSING = [Mark.VIP, Mark.RESTRICTED, Mark.CONSENT_WITHDRAWN]


@pytest.fixture(autouse=True)
def nothing_believed() -> None:
    """That nothing was marked in the test before says nothing about this one."""
    marks.forget()


def of(user: User, *roles: str) -> Principal:
    return Principal("person", str(user.external_id), user.username, roles, "session", "")


def close(target: Study | Patient, mark: Mark = Mark.VIP, **more: Any) -> Restriction:
    made = restrict(target, mark, "a well-known person", **more).restriction
    marks.forget()  # pytest's transaction never commits
    return made


def uids(found: QuerySet[Study]) -> set[str]:
    return set(found.values_list("study_instance_uid", flat=True))


@pytest.mark.parametrize("mark", CLOSING)
@pytest.mark.parametrize("whole_patient", [False, True])
@pytest.mark.parametrize("permission", [Permission.SEARCH, Permission.RETRIEVE, Permission.EXPORT])
def test_a_mark_closes_to_roles_that_see_all_studies(
    make_person: Make, make_study: Make, mark: Mark, whole_patient: bool, permission: Permission
) -> None:
    closed, other = make_study(), make_study()
    reader = of(make_person("radiologist"), "radiologist")
    assert uids(visible_studies(reader, permission)) == {closed.study_instance_uid, other.study_instance_uid}
    set_mark = close(closed.patient if whole_patient else closed, mark)
    assert uids(visible_studies(reader, permission)) == {other.study_instance_uid}
    assert uids(shareable_studies(reader)) == {other.study_instance_uid}
    assert unrestrict(set_mark)
    assert not unrestrict(set_mark)
    assert closed in visible_studies(reader, permission)


@pytest.mark.parametrize("mark", [Mark.VIP, Mark.RESTRICTED])
@pytest.mark.parametrize("whole_patient", [False, True])
def test_a_grant_of_ones_own_opens_it(make_person: Make, make_study: Make, mark: Mark, whole_patient: bool) -> None:
    study, user, stranger = make_study(), make_person("radiologist"), make_person("radiologist")
    close(study, mark)
    what = {"patient": study.patient} if whole_patient else {"study": study}
    grant = Grant.objects.create(user=user, rights=[Right.VIEW.value], **what)
    assert study in visible_studies(of(user, "radiologist"), Permission.RETRIEVE)
    assert study not in visible_studies(of(user, "radiologist"), Permission.EXPORT)
    assert study not in visible_studies(of(stranger, "radiologist"), Permission.RETRIEVE)
    Grant.objects.filter(pk=grant.pk).update(valid_until=timezone.now() - timedelta(seconds=1))
    assert study not in visible_studies(of(user, "radiologist"), Permission.RETRIEVE)


def test_a_grant_opens_it_to_roles_that_reach_what_was_granted(make_person: Make, make_study: Make) -> None:
    study, user = make_study(), make_person("referring_physician")
    close(study)
    assert study not in visible_studies(of(user, "referring_physician"), Permission.RETRIEVE)
    Grant.objects.create(user=user, study=study)
    assert study in visible_studies(of(user, "referring_physician"), Permission.RETRIEVE)


def test_withdrawn_consent_is_open_to_an_emergency_only(make_person: Make, make_study: Make) -> None:
    study, user = make_study(), make_person("radiologist")
    reader, manager = of(user, "radiologist"), of(make_person("administrator"), "administrator")
    Grant.objects.create(user=user, study=study)
    close(study.patient, Mark.CONSENT_WITHDRAWN)
    assert study not in visible_studies(reader, Permission.RETRIEVE)
    begin(study.patient, "a stroke, right now", 5, Acting(None, reader))
    assert study in visible_studies(reader, Permission.RETRIEVE)
    assert study not in visible_studies(reader, Permission.EXPORT)
    assert study in visible_studies(manager, Permission.SEARCH)
    assert study not in visible_studies(manager, Permission.DELETE)
    close(study)
    assert study not in visible_studies(manager, Permission.SEARCH)


def test_storing_is_never_refused_and_deleting_is(make_person: Make, make_study: Make) -> None:
    study = make_study()
    close(study.patient)
    for role in ("technologist", "administrator", "device"):
        principal = of(make_person(role), role)
        assert may_store(principal, study.study_instance_uid)
        assert study in visible_studies(principal, Permission.STORE) or role == "device"
    assert study not in visible_studies(of(make_person("administrator"), "administrator"), Permission.DELETE)
    assert study not in visible_studies(of(make_person("technologist"), "technologist"), Permission.UPDATE)


def test_a_mark_ends_by_its_day_and_share_links_end_with_it(make_person: Make, make_study: Make) -> None:
    study, other = make_study(), make_study()
    reader = of(make_person("radiologist"), "radiologist")
    links = [
        make_link(Wish(study=each, recipient="r", purpose="p", until=_soon(), rights=()), None, None, None)
        for each in (study, other)
    ]
    made = restrict(study, Mark.VIP, "for a day", _soon())
    marks.forget()
    assert made.links_ended == 1
    assert [ShareLink.objects.get(pk=link.link.pk).revoked_at is None for link in links] == [False, True]
    assert study not in visible_studies(reader)
    Restriction.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert study in visible_studies(reader)
    assert token_principal("unknown") is None


def test_marking_again_replaces(make_study: Make) -> None:
    study = make_study()
    first, second = close(study), close(study)
    assert [mark.pk for mark in marks_of(study)] == [second.pk]
    assert Restriction.objects.get(pk=first.pk).ended_at is not None
    close(study, Mark.CONSENT_WITHDRAWN)
    assert marks_of(study).count() == 2


def test_a_mark_outlives_the_study(make_person: Make, make_study: Make) -> None:
    study = make_study()
    uid, patient = study.study_instance_uid, study.patient
    close(study)
    study.delete()
    again = Study.objects.create(study_instance_uid=uid, patient=patient)
    assert again not in visible_studies(of(make_person("radiologist"), "radiologist"))


def test_without_marks_nothing_is_added_to_a_query(make_person: Make, make_study: Make) -> None:
    make_study()
    reader = of(make_person("radiologist"), "radiologist")
    with CaptureQueriesContext(connection) as asked:
        assert not visible_studies(reader).query.where
        assert not visible_studies(reader, Permission.RETRIEVE).query.where
    assert len(asked) == 1, "that nothing is marked is believed for a moment"
    close(make_study())
    with CaptureQueriesContext(connection) as asked:
        assert visible_studies(reader).query.where
        assert visible_studies(reader).query.where
    assert len(asked) == 1, "so is that something is: which studies it closes is part of each query"


def test_the_subqueries_run_once_however_many_studies_there_are(make_person: Make, make_study: Make) -> None:
    for _ in range(30):
        make_study()
    close(make_study())
    close(make_study().patient)
    studies = visible_studies(of(make_person("radiologist"), "radiologist"), Permission.RETRIEVE)
    plan = studies.order_by("-study_date", "-study_time", "-id")[:10].explain(analyze=True)
    assert "hashed SubPlan" in plan
    for line in plan.splitlines():
        if "access_restriction" in line and "actual" in line:
            assert "loops=1)" in line, plan


class TestDoors:
    """403 for whoever could see it but for the mark, 404 for everybody else, and nothing in lists."""

    @pytest.fixture
    def door(self, make_person: Make) -> Callable[..., Door]:
        def make(*roles: str) -> Door:
            http = HttpClient()
            http.force_login(make_person(*roles))
            return Door(http)

        return make

    @pytest.fixture
    def paths(self, door: Callable[..., Door]) -> dict[str, str]:
        """A stored study of a closed patient."""
        ds = make_data_set(PatientID="VIP1")
        assert door("technologist").store([to_bytes(ds)]).status_code == 200
        close(Patient.objects.get(patient_id="VIP1"))
        return paths_of(str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID))

    @pytest.mark.parametrize(
        ("role", "status"),
        [("radiologist", 403), ("technologist", 403), ("administrator", 403), ("referring_physician", 404),
         ("patient", 404), ("ai_vendor", 404), ("auditor", 403), ("device", 403)],
    )  # fmt: skip
    def test_retrieve(self, door: Callable[..., Door], paths: dict[str, str], role: str, status: int) -> None:
        reader = door(role)
        objects = ("study", "instance") if role != "ai_vendor" else ()  # which this role is never given
        for name in (*objects, "study metadata", "frames", "rendered", "study thumbnail"):
            response = reader.get(paths[name])
            assert response.status_code == status, (name, response.content)
            assert b"VIP1" not in response.content
            assert b"Doe" not in response.content
        missing = reader.get(f"studies/{generate_uid()}/metadata")
        assert missing.status_code == (404 if role not in ("administrator", "auditor", "device") else 403)

    def test_it_is_in_no_list_and_no_feed(self, door: Callable[..., Door], paths: dict[str, str]) -> None:
        reader = door("radiologist")
        uid = paths["study"].removeprefix("studies/")
        for path in ("studies", "series", "instances", f"studies/{uid}/series"):
            assert reader.search(path) == [], path
        assert uid not in reader.get("changefeed").content.decode()
        assert b"VIP1" not in reader.http.get("/").content

    def test_the_refusal_is_on_the_trail(self, door: Callable[..., Door], paths: dict[str, str]) -> None:
        assert door("radiologist").get(paths["study"]).status_code == 403
        event = AccessEvent.objects.get(kind="refused")
        assert (event.rule, event.decision, event.study_uids) == (
            "restriction",
            "deny",
            [paths["study"].removeprefix("studies/")],
        )

    def test_storing_goes_on(self, door: Callable[..., Door], paths: dict[str, str]) -> None:
        study = paths["study"].removeprefix("studies/")
        more = make_data_set(PatientID="VIP1", StudyInstanceUID=study)
        assert door("technologist").store([to_bytes(more)]).status_code == 200
        assert Study.objects.get(study_instance_uid=study).number_of_study_related_instances == 2
        refused = door("administrator").http.delete(
            f"/dicom-web/{paths['study']}", headers={"origin": "http://testserver"}
        )
        assert refused.status_code == 403


class TestCommands:
    """``restrict`` and ``unrestrict``."""

    def test_a_study(self, make_study: Make, capsys: pytest.CaptureFixture[str]) -> None:
        study = make_study()
        call_command("restrict", study.study_instance_uid, "--mark", "vip", "--reason", "why", "--until", "2999-01-01")
        assert [mark.mark for mark in marks_of(study)] == ["vip"]
        event = AccessEvent.objects.get(kind="restricted")
        assert (event.study_uids, event.purpose) == ([study.study_instance_uid], "why")
        call_command("unrestrict", study.study_instance_uid)
        assert "1 marks taken away" in capsys.readouterr().out
        assert not marks_of(study).exists()
        assert AccessEvent.objects.filter(kind="unrestricted").count() == 1

    def test_a_patient(self, make_study: Make) -> None:
        study = make_study(patient_id="P77")
        call_command("restrict", "--patient", "P77", "--mark", "consent_withdrawn", "--reason", "why")
        assert [mark.mark for mark in marks_of(study.patient)] == ["consent_withdrawn"]
        event = AccessEvent.objects.get(kind="restricted")
        assert (event.patient_ids, event.study_uids) == (["P77"], [study.study_instance_uid])
        assert "P77" not in event.outcome_description

    @pytest.mark.parametrize(
        "arguments",
        [("1.2.3",), ("--patient", "nobody"), ("--patient", "twice"), (), ("1.2.3", "--patient", "P")],
    )
    def test_what_is_not_there(self, make_study: Make, arguments: tuple[str, ...]) -> None:
        for _ in range(2):
            make_study(patient_id="twice")
        with pytest.raises(CommandError):
            call_command("restrict", *arguments, "--mark", "vip", "--reason", "why")
        assert not Restriction.objects.exists()


def _soon() -> Any:
    return timezone.now() + timedelta(days=1)
