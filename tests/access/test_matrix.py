"""The matrix: every route, asked from the outside by every role, inside and outside of its scope."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from access.roles import ROLES
from tests.access.house import House, bare, house, is_about_a_study
from tests.access.matrix import COLUMNS, DOORS, MARKED, Door, lines

__all__ = ["house"]
pytestmark = pytest.mark.django_db
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, route)
        else:
            yield route, entry


def methods_of(entry: URLPattern) -> set[str]:
    """The methods that a class takes; of a function nobody knows."""
    view = getattr(entry.callback, "view_class", None) or getattr(entry.callback, "cls", None)
    if view is None:
        return set()
    return {name.upper() for name in view.http_method_names if hasattr(view, name)} & set(METHODS)


def test_every_route_has_its_lines() -> None:
    """Add to DOORS in tests/access/matrix.py one line for each method: ``"GET the/route": "word of ANSWERS"``."""
    named = {bare(line) for _, line, _ in lines()}
    there = {(route, frozenset(methods_of(entry))) for route, entry in patterns(get_resolver())}
    missing = [
        f'"{method} {route}": "..."'
        for route, methods in sorted(there)
        for method in sorted(methods) or ["GET"]
        if f"{method} {route}" not in named and (methods or not any(f"{m} {route}" in named for m in METHODS))
    ]
    routes = {route for route, _ in there}
    gone = [line for line in sorted(named) if line.partition(" ")[2] not in routes]
    assert not missing, "routes without a line in DOORS of tests/access/matrix.py: add\n" + "\n".join(missing)
    assert not gone, f"lines of routes that are not there any more: {gone}"


def test_every_role_has_a_column() -> None:
    assert set(COLUMNS) == {"anonymous", *ROLES, "share link", "teacher"}


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_the_matrix(house: House, door: Door) -> None:
    wrong = [text for line in door.rows for text in house.wrong(door, line)]
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("door", DOORS[:2], ids=lambda door: door.name)
def test_the_matrix_of_a_marked_study(house: House, door: Door) -> None:
    house.mark()
    about = [line for line, word in door.rows.items() if is_about_a_study(line) and word in MARKED]
    assert about
    wrong = [text for line in about for text in house.wrong_of_marked(door, line)]
    assert not wrong, "\n" + "\n".join(wrong)


def test_no_route_takes_another_method(house: House) -> None:
    """What has no line is refused: a method that is added needs one."""
    named = {bare(line): door for door, line, _ in lines()}
    taken = []
    for route, entry in patterns(get_resolver()):
        door = next(door for line, door in named.items() if line.partition(" ")[2] == route)
        for method in METHODS:
            line = f"{method} {route}"
            if line not in named and method not in methods_of(entry):
                status, _ = house.ask("administrator", door, line, house.inside)
                if status not in ("401", "403", "404", "405"):
                    taken.append(f"{line}: {status}")
    assert not taken, "methods without a line in DOORS of tests/access/matrix.py:\n" + "\n".join(taken)
