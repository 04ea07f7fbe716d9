"""Leave that names a patient follows a merge, and comes back when it is taken back; a closed record stays closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import RequestFactory
from django.utils import timezone

from access.acting import Acting
from access.emergency import begin
from access.emergency_models import EmergencyAccess
from access.emergency_rule import rule_of
from access.grants import revoke_study
from access.marking import restrict
from access.models import Grant, ShareLink, User
from access.policy import visible_studies
from access.principal import Principal
from access.restriction_models import Mark
from access.restrictions import marks
from archive import patients
from archive.models import Patient, Study
from archive.patient_facts import PatientFacts
from tests.worklist.making import A, B, at, image

pytestmark = pytest.mark.django_db


def of(user: User, role: str = "patient") -> Principal:
    return Principal("person", str(user.external_id), "x", (role,), "session", "")


def merge() -> None:
    """B becomes A."""
    with transaction.atomic():
        patients.merge(B, PatientFacts((A,)), at(1))


def seen(principal: Principal) -> set[str]:
    return set(visible_studies(principal).values_list("study_instance_uid", flat=True))


@pytest.fixture
def studies() -> tuple[Study, Study]:
    return image(A), image(B)


@pytest.fixture
def user() -> User:
    return User.objects.create_user("holder", password=None)


def test_a_grant_of_a_patient_is_of_the_person_and_back_again(studies: tuple[Study, Study], user: User) -> None:
    one, other = studies
    Grant.objects.create(user=user, patient=other.patient, granted_by=None)
    assert seen(of(user)) == {other.study_instance_uid}
    merge()
    assert seen(of(user)) == {one.study_instance_uid, other.study_instance_uid}
    with transaction.atomic():
        patients.restore_identifier(B, at(2))
    assert seen(of(user)) == {other.study_instance_uid}
    merge()
    assert revoke_study(user.username, one.study_instance_uid) == 1
    assert seen(of(user)) == set()


def test_a_token_of_a_patient(studies: tuple[Study, Study], user: User) -> None:
    token = replace(of(user, "radiologist"), patient=studies[1].patient_id)
    assert seen(token) == {studies[1].study_instance_uid}
    merge()
    assert seen(token) == {each.study_instance_uid for each in studies}


def test_an_emergency_opens_what_is_closed_after_a_merge_too(
    studies: tuple[Study, Study], make_person: Callable[..., User]
) -> None:
    radiologist = make_person("radiologist")
    by = Acting(RequestFactory().get("/"), of(radiologist, "radiologist"))
    access = begin(studies[1].patient, "she is bleeding", 30, by)
    merge()
    restrict(Patient.objects.get(pk=studies[0].patient_id), Mark.VIP, "well known")
    marks.forget()
    principal = replace(of(radiologist, "radiologist"), emergencies=(access.pk,))
    assert seen(principal) == {each.study_instance_uid for each in studies}
    access = EmergencyAccess.objects.get(pk=access.pk)
    assert {study.pk for study in access.studies} == {each.pk for each in studies}
    assert rule_of(principal, [studies[0].study_instance_uid])["rule"] == f"emergency:{access.external_id}"


def test_a_link_of_a_retired_identifier_opens_nothing_that_was_closed(studies: tuple[Study, Study]) -> None:
    link = ShareLink.objects.create(secret_digest="x", recipient="somebody", purpose="a second opinion")
    until = timezone.now() + timedelta(days=1)
    Grant.objects.create(link=link, patient=studies[1].patient, rights=["view"], valid_until=until)
    holder = Principal("link", str(link.external_id), "x", (), "link", "", rights=("view",))
    assert seen(holder) == {studies[1].study_instance_uid}
    restrict(Patient.objects.get(pk=studies[0].patient_id), Mark.VIP, "well known")
    marks.forget()
    merge()
    assert seen(holder) == set()
    # Marked anew, the person's links end, under whichever identifier they were made.
    assert restrict(Patient.objects.get(pk=studies[0].patient_id), Mark.VIP, "well known").links_ended == 1
