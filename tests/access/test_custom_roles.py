"""Roles of a house's own: made by whoever manages, of the permissions there are, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from django.test import Client as Browser

from access.acting import Acting
from access.attribute_groups import Group
from access.authentication import person
from access.custom_roles import change_role, create_role, delete_role, holders, is_role
from access.models import CustomRole, User, UserRole
from access.policy import permissions, visible_studies, withheld
from access.principal import Principal
from access.refused_change import NameTaken, RefusedChange
from access.roles import ROLES, Permission, Scope
from audit.models import AccessEvent
from tests.access.conftest import MakeClient, MakePerson, MakeStudy, MakeToken

pytestmark = pytest.mark.django_db
READING: Mapping[Permission, Scope] = {Permission.SEARCH: Scope.ALL, Permission.RETRIEVE: Scope.GRANTED}


def acting(user: User) -> Acting:
    return Acting(None, person(user, ""))


def test_a_role_from_its_making_to_its_end(make_person: MakePerson, make_study: MakeStudy) -> None:
    admin = make_person("administrator")
    make_study()
    role = create_role("teacher", " Teacher ", READING, withheld=[Group.IDENTITY], by=acting(admin))
    assert (role.title, role.rights, role.withheld) == (
        "Teacher",
        {"search": "ALL", "retrieve": "GRANTED"},
        ["identity"],
    )
    assert role.made_by == admin
    assert is_role("teacher")
    user = make_person("teacher")
    principal = person(user, "")
    assert permissions(principal) == {"search": "all", "retrieve": "granted"}
    assert visible_studies(principal, "search").count() == 1
    assert not visible_studies(principal, "retrieve").exists()
    assert "00100010" in withheld(principal, "search")

    assert change_role(role, "Teacher", {Permission.SEARCH: Scope.ALL}, by=acting(admin))
    assert not change_role(role, "Teacher", {Permission.SEARCH: Scope.ALL}, by=acting(admin))
    assert permissions(person(user, "")) == {"search": "all"}
    assert withheld(person(user, ""), "search") == frozenset()

    assert holders("teacher") == 1
    with pytest.raises(RefusedChange, match="1 people and clients"):
        delete_role(role, by=acting(admin))
    UserRole.objects.filter(user=user).delete()
    delete_role(role, by=acting(admin))
    assert not is_role("teacher")
    told = list(
        AccessEvent.objects.filter(kind="roles_changed")
        .order_by("sequence")
        .values_list("outcome_description", flat=True)
    )
    assert told == [
        "role teacher made: retrieve granted, search all; withheld: identity",
        "role teacher changed: search all; before: retrieve granted, search all; withheld: identity",
        "role teacher deleted",
    ]


def test_a_change_counts_at_the_next_request(
    make_person: MakePerson, make_client: MakeClient, make_token: MakeToken, browser: Browser
) -> None:
    role = create_role("teacher", "Teacher", READING)
    browser.force_login(make_person("teacher"))
    token = make_token(make_client("teacher"))
    by_token = {"authorization": f"Bearer {token}"}
    assert browser.get("/api/whoami").json()["permissions"] == {"search": "all", "retrieve": "granted"}
    assert browser.get("/dicom-web/studies", headers=by_token).status_code == 200
    change_role(role, "Teacher", {Permission.AUDIT_READ: Scope.ALL})
    assert browser.get("/api/whoami").json()["permissions"] == {"audit_read": "all"}
    assert browser.get("/dicom-web/studies").status_code == 403
    assert browser.get("/dicom-web/studies", headers=by_token).status_code == 403


@pytest.mark.parametrize("name", ["", "T", "Teacher", "1st", "a b", "x" * 41, "tea-cher", "é1"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(RefusedChange):
        create_role(name, "Teacher", READING)


@pytest.mark.parametrize("name", ROLES)
def test_built_in_roles_keep_their_names(name: str, make_person: MakePerson) -> None:
    with pytest.raises(NameTaken):
        create_role(name, "Other", READING)
    # Nor does a row that came by another way change what the name means.
    CustomRole.objects.create(name=name, title="x", rights={right.value: "ALL" for right in Permission})
    found = person(make_person(name), "")
    assert permissions(found) == permissions(Principal("person", found.id, "x", (name,), "session", ""))


def test_a_name_is_taken_once() -> None:
    create_role("teacher", "Teacher", READING)
    with pytest.raises(NameTaken):
        create_role("teacher", "Other", READING)


@pytest.mark.parametrize(
    "rights",
    [
        {},
        {Permission.SEARCH: Scope.NONE},
        {Permission.MANAGE: Scope.GRANTED},
        {Permission.AUDIT_READ: Scope.LIMITED},
        {Permission.RETRIEVE: Scope.ALL},
        {Permission.SEARCH: Scope.ALL, Permission.OBJECTS: Scope.GRANTED},
        {Permission.SEARCH: Scope.GRANTED, Permission.RETRIEVE: Scope.ALL},
    ],
)
def test_rights_that_make_no_role(rights: Mapping[Permission, Scope]) -> None:
    with pytest.raises(RefusedChange):
        create_role("teacher", "Teacher", rights)
    role = create_role("other", "Other", READING)
    with pytest.raises(RefusedChange):
        change_role(role, "Other", rights)
    assert CustomRole.objects.get().rights == {"search": "ALL", "retrieve": "GRANTED"}


@pytest.mark.parametrize("title", ["", "  ", "x" * 61])
def test_titles_that_are_none(title: str) -> None:
    with pytest.raises(RefusedChange):
        create_role("teacher", title, READING)


def test_only_who_manages_makes_roles(make_person: MakePerson) -> None:
    role = create_role("teacher", "Teacher", READING)
    others = make_person(*(set(ROLES) - {"administrator"}))
    for attempt in (
        lambda by: create_role("own", "Own", {Permission.MANAGE: Scope.ALL}, by=by),
        lambda by: change_role(role, "Teacher", {Permission.MANAGE: Scope.ALL}, by=by),
        lambda by: delete_role(role, by=by),
    ):
        with pytest.raises(RefusedChange):
            attempt(acting(others))
    assert CustomRole.objects.get().rights == {"search": "ALL", "retrieve": "GRANTED"}


def test_nobody_changes_a_role_they_have(make_person: MakePerson) -> None:
    role = create_role("keeper", "Keeper", {Permission.MANAGE: Scope.ALL})
    keeper = make_person("keeper")
    with pytest.raises(RefusedChange, match="nobody changes a role they have"):
        change_role(role, "Keeper", {**READING, Permission.MANAGE: Scope.ALL}, by=acting(keeper))
    # Nor is anybody left behind without somebody who manages.
    with pytest.raises(RefusedChange):
        change_role(role, "Keeper", READING)
    make_person("administrator")
    assert change_role(role, "Keeper", READING)


def test_words_that_are_none_any_more(make_person: MakePerson) -> None:
    """A row of another release: what isn't known opens nothing, and withholds everything."""
    CustomRole.objects.create(
        name="old", title="Old", rights={"search": "ALL", "fly": "ALL", "store": "SOME"}, withheld=["shoe_size"]
    )
    found = person(make_person("old"), "")
    assert permissions(found) == {"search": "all"}
    assert {"00100010", "00101040", "00080090"} <= withheld(found, "search")
