"""The matrix against a product with one thing wrong: a few cells of it each time, which are right before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import pytest
from rest_framework.views import APIView

from access.roles import ROLES, Permission, Scope
from archive.models import Study
from tests.access.house import House, house
from tests.access.matrix import DOORS

__all__ = ["house"]
pytestmark = pytest.mark.django_db
Break = Callable[[pytest.MonkeyPatch], None]
METADATA = "GET dicom-web/studies/<uid:study>/metadata"
WHOLE = "GET dicom-web/studies/<uid:study>"
MAKING = "GET administration/people/new"
DELETE = "DELETE dicom-web/studies/<uid:study>"


@dataclass(frozen=True)
class Fault:
    """What is wrong, and the cells, by line and columns, of which each line must notice it."""

    breaks: Break
    cells: dict[str, tuple[str, ...]]
    marked: bool = False


def everything_is_in_scope(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("access.policy._reached", lambda *args, **kwargs: Study.objects.all())


def nothing_is_in_scope(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("access.policy._reached", lambda *args, **kwargs: Study.objects.none())


def everybody_may(patch: pytest.MonkeyPatch) -> None:
    for module in ("access.policy", "dicomweb.view"):
        patch.setattr(f"{module}.may", lambda principal, permission: True)


def deleting_is_searching(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("dicomweb.delete.DeleteView.permission", Permission.SEARCH)


def nurses_take_whole_objects(patch: pytest.MonkeyPatch) -> None:
    rights = MappingProxyType({**ROLES["nurse"].rights, Permission.OBJECTS: Scope.LIMITED})
    nurse = replace(ROLES["nurse"], rights=rights, withheld=frozenset())
    patch.setattr("access.held_roles.ROLES", {**ROLES, "nurse": nurse})


def limits_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    held = __import__("access.held_roles", fromlist=["held"]).held

    def without_limits(rows: Any) -> Any:
        return tuple(replace(role, limit=None) for role in held(rows))

    for module in ("access.held_roles", "access.authentication"):
        patch.setattr(f"{module}.held", without_limits)


def what_is_hidden_is_refused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("dicomweb.view.is_closed", lambda *args: True)


def programs_are_not_asked_whether_they_manage(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("administration.api.Managed.initial", APIView.initial)


def whoever_looks_may_change(patch: pytest.MonkeyPatch) -> None:
    policy = __import__("access.policy", fromlist=["may"])
    manages = policy.may

    def may(principal: Any, permission: str) -> bool:
        return bool(manages(principal, permission) or manages(principal, Permission.AUDIT_READ))

    patch.setattr("access.policy.may", may)


def links_open_every_page(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("access.middleware.is_open_to_links", lambda view: True)


def marks_close_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("access.policy.restricted", lambda studies, *args, **kwargs: studies)


def what_is_marked_is_hidden(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("dicomweb.view.is_closed", lambda *args: False)


FAULTS: dict[str, Fault] = {
    fault.breaks.__name__: fault
    for fault in (
        Fault(everything_is_in_scope, {METADATA: ("nurse", "share link"), "GET dicom-web/studies": ("patient",)}),
        Fault(nothing_is_in_scope, {METADATA: ("radiologist",), "GET sharing/<str:study>/": ("patient",)}),
        Fault(everybody_may, {"GET dicom-web/series": ("auditor", "device"), "GET administration/": ("nurse",)}),
        Fault(deleting_is_searching, {DELETE: ("technologist",)}),
        Fault(nurses_take_whole_objects, {WHOLE: ("nurse",)}),
        Fault(limits_are_forgotten, {METADATA: ("teacher",)}),
        Fault(what_is_hidden_is_refused, {METADATA: ("referring_physician", "ai_vendor")}),
        Fault(programs_are_not_asked_whether_they_manage, {"GET api/people": ("radiologist", "patient")}),
        Fault(
            whoever_looks_may_change, {"GET administration/people/new": ("auditor",), "POST api/roles": ("auditor",)}
        ),
        Fault(links_open_every_page, {"GET api/whoami": ("share link",)}),
        Fault(marks_close_nothing, {METADATA: ("radiologist", "nurse"), WHOLE: ("technologist",)}, marked=True),
        Fault(what_is_marked_is_hidden, {METADATA: ("radiologist",)}, marked=True),
    )
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_matrix_notices(house: House, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    fault = FAULTS[name]
    ask = house.wrong_of_marked if fault.marked else house.wrong
    if fault.marked:
        house.mark()
    asked = [(door, line) for door in DOORS for line in fault.cells if line in door.rows]
    assert len(asked) == len(fault.cells)
    for door, line in asked:
        assert ask(door, line, fault.cells[line]) == [], "wrong before anything is"
    fault.breaks(monkeypatch)
    for door, line in asked:
        wrong = ask(door, line, fault.cells[line])
        assert [column for column in fault.cells[line] if not any(f": {column} " in text for text in wrong)] == [], line
