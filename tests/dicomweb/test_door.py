"""The way in to DICOMweb: its own table of resources, and look-ups that go along with the question who asks."""

from __future__ import annotations

import re

import pytest
from django.urls import resolve

from audit.expected import expecting
from audit.prepared import PreparedSql
from dicomweb.routes import PREFIX, Routes
from dicomweb.urls import urlpatterns

SAMPLES = {"uid": "1.2.3", "str": "7", "path": "a/b/c", "int": "7", "uuid": "00000000-0000-0000-0000-000000000000"}
ROUTES = [str(entry.pattern) for entry in urlpatterns]


def path_of(route: str) -> str:
    return re.sub(r"<(\w+):\w+>", lambda found: SAMPLES.get(found[1], "X"), route)


@pytest.mark.parametrize("route", ROUTES)
def test_every_resource_is_the_one_that_django_finds(route: str) -> None:
    path = path_of(route)
    found, expected = Routes(urlpatterns).find(path), resolve(f"/{PREFIX}{path}")
    assert found is not None
    assert (found.func, found.kwargs, found.route) == (expected.func, expected.kwargs, expected.route)


@pytest.mark.parametrize(
    "path", ["nothing", "studies/", "studies//series", "studies/x", "studies/1.2.3/frames", "series/1"]
)
def test_what_is_no_resource_is_not_found(path: str) -> None:
    assert Routes(urlpatterns).find(path) is None


@pytest.mark.django_db
def test_what_is_expected_counts_once_and_only_as_it_was_sent() -> None:
    first, then = PreparedSql("SELECT %s::int"), PreparedSql("SELECT %s::int + count(*) FROM audit_notice")
    more = PreparedSql("INSERT INTO audit_notice (subject, channel) SELECT 'x', %s")
    with expecting(then.sql, (1,), send=True) as expected:
        assert first.row([5]) == (5,)
        more.run(["mail"])
        assert then.row([2]) == (3,), "of other values nothing is taken for the answer"
        assert not expected.was_asked
        assert then.row([1]) == (1,), "found with the first statement"
        assert expected.was_asked
        assert then.row([1]) == (2,), "it counts once"
    with expecting(then.sql, (1,), send=True):
        first.row([5])
    assert then.row([1]) == (2,), "nothing is left of it"
