"""Two at once: a role that is given while it is deleted, one name made twice, a sign-in while being switched off.

Each test holds the first of the two in the middle of its transaction until the second waits for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from django.test import Client as Browser

from access import names
from access.clients import create_app, create_device
from access.custom_roles import create_role, delete_role, holders
from access.managers import managers
from access.models import Client, CustomRole, User, UserRole
from access.people import create_client, create_user, set_roles
from access.refused_change import NameTaken, RefusedChange
from access.roles import Permission, Scope
from access.smart import DEFAULT_OF_APPS
from access.switching import set_active
from tests.access.conftest import MakePerson

LONG = 60.0
READING = {Permission.SEARCH: Scope.ALL}


def waits() -> bool:
    """Whether some other connection waits for a lock in this database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # within a transaction it would stay as it was
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        [(count,)] = cursor.fetchall()
    return bool(count)


def together(first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Any, Any]:
    """``first`` in a transaction that is committed when ``second`` waits for it, or is over; what each gave."""
    done = threading.Event()

    def alone() -> Any:
        try:
            return outcome(second)
        finally:
            done.set()
            connections.close_all()

    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            given = outcome(first)
            running = other.submit(alone)
            until = time.monotonic() + LONG
            while not done.is_set() and not waits() and time.monotonic() < until:
                time.sleep(0.02)
        return given, running.result(LONG)


def outcome(change: Callable[[], Any]) -> Any:
    try:
        return change()
    except (RefusedChange, DatabaseError) as error:
        return error


@pytest.mark.django_db(transaction=True)
def test_a_role_is_given_while_it_is_deleted(make_person: MakePerson) -> None:
    user = make_person("nurse")
    ways: dict[str, Callable[[], Any]] = {
        "person": lambda: set_roles(user, ["teacher"]),
        "machine": lambda: create_client("gateway", "teacher"),
        "device": lambda: create_device("scanner", "CT1", role="teacher"),
    }
    for name, give in ways.items():
        role = create_role("teacher", "Teacher", READING)
        _, refused = together(give, lambda role=role: delete_role(role))  # type: ignore[misc]
        assert isinstance(refused, RefusedChange), (name, refused)
        assert "1 people and clients have this role" in str(refused)
        UserRole.objects.all().delete()
        Client.objects.all().delete()
        _, refused = together(lambda role=role: delete_role(role), give)  # type: ignore[misc]
        assert isinstance(refused, RefusedChange), (name, refused)
        assert "there is no role teacher any more" in str(refused)
        assert not CustomRole.objects.exists()
        assert holders("teacher") == 0


@pytest.mark.django_db(transaction=True)
def test_one_name_is_made_once_in_whatever_case() -> None:
    made, refused = together(lambda: create_user("Rita", ["nurse"]), lambda: create_user("rita", ["nurse"]))
    assert made[0].username == "Rita"
    assert isinstance(refused, NameTaken), refused
    assert User.objects.count() == 1
    ways: list[Callable[[str], Any]] = [
        lambda name: create_client(name, "nurse"),
        lambda name: create_app(name, ["https://app.example/"], DEFAULT_OF_APPS, public=True),
        lambda name: create_device(name, name.upper()),
    ]
    for number, make in enumerate(ways):
        _, refused = together(lambda m=make, n=number: m(f"Gateway{n}"), lambda m=make, n=number: m(f"gateway{n}"))  # type: ignore[misc]
        assert isinstance(refused, NameTaken), refused
    assert Client.objects.count() == len(ways)
    made, refused = together(lambda: create_role("a_role", "A", READING), lambda: create_role("a_role", "B", READING))
    assert isinstance(refused, NameTaken), refused
    assert CustomRole.objects.get().title == "A"


@pytest.mark.django_db
def test_the_database_itself_refuses_a_name_twice(make_person: MakePerson) -> None:
    make_person("nurse", username="rita")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(username="RITA")
    # What is no question of the name is told as it is.
    with pytest.raises(IntegrityError), names.once_only(names.people_called("new")):
        User.objects.create(username="rita")


@pytest.mark.django_db
def test_a_role_that_somebody_has_deleted(make_person: MakePerson) -> None:
    role = create_role("teacher", "Teacher", READING)
    delete_role(role)
    role.pk = 0
    with pytest.raises(RefusedChange, match="somebody has deleted"):
        delete_role(role)


@pytest.mark.django_db(transaction=True)
def test_the_last_two_who_manage_do_not_unmake_each_other(make_person: MakePerson) -> None:
    one, other = make_person("administrator"), make_person("administrator")
    _, refused = together(lambda: set_roles(one, ["nurse"]), lambda: set_active(other, active=False))
    assert isinstance(refused, RefusedChange), refused
    assert managers() == {other.pk}


@pytest.mark.django_db(transaction=True)
def test_whoever_signs_in_while_being_switched_off_keeps_nothing(make_person: MakePerson) -> None:
    make_person("administrator")
    rita = make_person("radiologist", username="rita", password="correct horse battery staple")
    window = Browser(HTTP_HOST="127.0.0.1", raise_request_exception=False)
    form = {"username": "rita", "password": "correct horse battery staple"}
    _, signed = together(lambda: set_active(rita, active=False), lambda: window.post("/accounts/login/", form))
    set_active(rita, active=True)
    assert window.get("/api/whoami").status_code == 401, signed
    assert not Session.objects.filter(of_person__user=rita).exists()
    assert window.post("/accounts/login/", form).status_code == 302
    assert window.get("/api/whoami").status_code == 200
