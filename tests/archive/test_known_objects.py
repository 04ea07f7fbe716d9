"""The look-up that begins every Store."""

from __future__ import annotations

import pytest
from django.db import connection

from archive.store import _KNOWN, known_objects

pytestmark = pytest.mark.django_db
# From the sixth time on PostgreSQL takes the plan that fits all values, if it costs no more than planning again.
_OFTEN = 8


@pytest.mark.parametrize("count", [1, 50])
def test_it_is_not_planned_anew_for_each_request(count: int) -> None:
    uids = [f"1.2.3.{number}" for number in range(count)]
    # The connection may have asked before, as some other test: that was planned for five times too.
    for _ in range(_OFTEN):
        assert known_objects(uids) == {}
    told = _plans()
    known_objects(uids)
    assert _plans() == (told[0] + 1, told[1])


def _plans() -> tuple[int, int]:
    """How often it ran by the plan for all values, and how often by one of its own."""
    beginning = _KNOWN.sql.partition("%s")[0]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(generic_plans)::int, sum(custom_plans)::int FROM pg_prepared_statements "
            "WHERE starts_with(statement, %s)",
            [beginning],
        )
        [(every, own)] = cursor.fetchall()
    return every, own
