"""The table of roles against the matrix of expected outcomes, and the scope behind it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from access.models import Client, Grant, User
from access.policy import may, may_store, permissions, scope, visible_studies
from access.principal import Principal
from access.roles import ROLES, Permission, Scope
from archive.models import Study

A, R, G, N = Scope.ALL, Scope.REFERRED, Scope.GRANTED, Scope.NONE
# search retrieve objects store annotate update delete export break_glass report audit_read manage messages
# interfaces worklist workitems_read workitems_perform workitems_manage read_reports hold
MATRIX = {
    "administrator": (A, N, N, A, N, A, A, A, N, N, N, A, N, A, N, A, N, A, N, A),
    "radiologist": (A, A, A, N, A, N, N, A, A, A, N, N, N, N, N, A, A, N, A, N),
    "technologist": (A, A, A, A, N, A, N, N, N, N, N, N, N, N, A, A, A, A, A, N),
    "referring_physician": (R, R, R, N, N, N, N, N, A, N, N, N, N, N, N, N, N, N, R, N),
    # Without a ward, that is a limit, what was granted.
    "nurse": (G, G, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, G, N),
    "patient": (G, G, G, N, N, N, N, G, N, N, N, N, N, N, N, N, N, N, G, N),
    "ai_vendor": (G, G, N, G, N, N, N, N, N, N, N, N, N, N, N, G, G, N, N, N),
    "auditor": (N, N, N, N, N, N, N, N, N, N, A, N, N, N, N, N, N, N, N, N),
    "device": (N, N, N, A, N, N, N, N, N, N, N, N, N, N, A, N, N, N, N, N),
}


def principal(*roles: str) -> Principal:
    return Principal("person", "00000000-0000-0000-0000-000000000000", "x", roles, "session", "")


def of_user(user: User, *roles: str) -> Principal:
    return replace(principal(*roles), id=str(user.external_id))


def of_client(client: Client) -> Principal:
    return Principal("client", str(client.external_id), client.name, (client.role,), "oauth2", "")


def test_the_matrix_names_every_role() -> None:
    assert set(MATRIX) == set(ROLES)


@pytest.mark.parametrize("role", MATRIX)
def test_the_matrix(role: str) -> None:
    assert tuple(scope(principal(role), right) for right in Permission) == MATRIX[role]
    assert tuple(may(principal(role), right) for right in Permission) == tuple(reach is not N for reach in MATRIX[role])


@pytest.mark.parametrize("roles", [(), ("nobody",), ("",), ("superuser", "staff")])
def test_what_the_table_does_not_name_is_denied(roles: tuple[str, ...], make_study: Callable[..., Study]) -> None:
    make_study()
    assert not any(may(principal(*roles), right) for right in Permission)
    assert not visible_studies(principal(*roles)).exists()
    assert permissions(principal(*roles)) == {}


def test_an_unknown_right_is_denied(make_study: Callable[..., Study]) -> None:
    make_study()
    everyone = principal(*ROLES)
    for word in ("", "retrieve_all", "RETRIEVE"):
        assert not may(everyone, word)
        assert not visible_studies(everyone, word).exists()


def test_flags_of_django_give_nothing(make_person: Callable[..., User], make_study: Callable[..., Study]) -> None:
    make_study()
    user = make_person()
    user.is_superuser = user.is_staff = True
    user.save()
    assert not user.has_perm("archive.view_study") or not visible_studies(of_user(user)).exists()
    assert not visible_studies(of_user(user)).exists()


def test_granted_studies_only(make_person: Callable[..., User], make_study: Callable[..., Study]) -> None:
    mine, other = make_study(), make_study()
    doctor, colleague = make_person("referring_physician"), make_person("referring_physician")
    Grant.objects.create(study=mine, user=doctor)
    Grant.objects.create(study=other, user=colleague)
    for right in (Permission.SEARCH, Permission.RETRIEVE):
        assert [*visible_studies(of_user(doctor, "referring_physician"), right)] == [mine]
        assert [*visible_studies(of_user(colleague, "referring_physician"), right)] == [other]
        assert set(visible_studies(of_user(doctor, "radiologist"), Permission.RETRIEVE)) == {mine, other}


@pytest.mark.parametrize(
    ("begins", "ends", "seen"),
    [(-1, None, True), (-1, 1, True), (1, None, False), (-2, -1, False), (-2, 0, False)],
)
def test_a_grant_has_its_time(
    begins: int, ends: int | None, seen: bool, make_person: Callable[..., User], make_study: Callable[..., Study]
) -> None:
    now, hour = timezone.now(), timedelta(hours=1)
    patient = make_person("patient")
    Grant.objects.create(
        study=make_study(),
        user=patient,
        valid_from=now + begins * hour,
        valid_until=None if ends is None else now + ends * hour,
    )
    assert visible_studies(of_user(patient, "patient")).exists() is seen


def test_two_grants_show_a_study_once(make_person: Callable[..., User], make_study: Callable[..., Study]) -> None:
    study, patient = make_study(), make_person("patient")
    for _ in range(2):
        Grant.objects.create(study=study, user=patient)
    assert visible_studies(of_user(patient, "patient")).count() == 1


def test_each_right_has_its_own_scope(make_person: Callable[..., User], make_study: Callable[..., Study]) -> None:
    """Two roles don't add up: who finds all studies and may open those granted doesn't open all."""
    granted, other = make_study(), make_study()
    user = make_person()
    Grant.objects.create(study=granted, user=user)
    both = of_user(user, "administrator", "referring_physician")
    assert set(visible_studies(both, Permission.SEARCH)) == {granted, other}
    assert [*visible_studies(both, Permission.RETRIEVE)] == [granted]


def test_an_ai_vendor_stores_into_granted_studies_only(
    make_client: Callable[..., Client], make_study: Callable[..., Study]
) -> None:
    vendor, study = make_client("ai_vendor"), make_study()
    assert not may_store(of_client(vendor), study.study_instance_uid)
    Grant.objects.create(study=study, client=vendor)
    assert may_store(of_client(vendor), study.study_instance_uid)
    assert not may_store(of_client(vendor), "1.2.3")
    assert may_store(of_client(make_client("device")), "1.2.3")
    assert not may_store(principal("radiologist"), study.study_instance_uid)


def test_a_grant_of_a_person_is_not_one_of_a_machine(
    make_person: Callable[..., User], make_client: Callable[..., Client], make_study: Callable[..., Study]
) -> None:
    user, client, study = make_person("patient"), make_client("ai_vendor"), make_study()
    Grant.objects.create(study=study, user=user)
    assert not visible_studies(of_client(client)).exists()
    assert not visible_studies(replace(of_client(client), id=str(user.external_id))).exists()


def test_a_grant_has_exactly_one_holder(
    make_person: Callable[..., User], make_client: Callable[..., Client], make_study: Callable[..., Study]
) -> None:
    study = make_study()
    for holders in ({}, {"user": make_person(), "client": make_client("ai_vendor")}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Grant.objects.create(study=study, **holders)


def test_a_study_takes_its_grants_along(make_person: Callable[..., User], make_study: Callable[..., Study]) -> None:
    study = make_study()
    Grant.objects.create(study=study, user=make_person("patient"))
    study.delete()
    assert not Grant.objects.exists()


def test_an_identity_never_changes(make_person: Callable[..., User], make_client: Callable[..., Client]) -> None:
    other = "11111111-1111-1111-1111-111111111111"
    for holder in (make_person(), make_client("device")):
        holder.external_id = other
        with pytest.raises(Exception, match="never changes"), transaction.atomic():
            holder.save()


def test_scope_costs_one_query(
    make_person: Callable[..., User], make_study: Callable[..., Study], django_assert_num_queries: Callable[[int], Any]
) -> None:
    user = make_person("patient")
    for _ in range(5):
        Grant.objects.create(study=make_study(), user=user)
    with django_assert_num_queries(1):
        assert len(visible_studies(of_user(user, "patient"))) == 5
