"""How PostgreSQL runs every statement of the requests in the table: by indexes, whatever the table.

``auto_explain`` tells the plan of each statement just as it is run, prepared ones and those inside functions too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import orjson
import pytest
from django.db import connection
from psycopg.errors import Diagnostic

from tests.archive import scale
from tests.archive.test_search_plans import indexes, nodes, whole_tables
from tests.guard.requests import Site, asks

pytestmark = pytest.mark.django_db(transaction=True)
# So many that reading all of them is never the cheapest way to a hundred rows, which PostgreSQL takes any batch for.
STUDIES: Final = 30_000
# A plan that fits all values is chosen after the fifth time.
_WARM: Final = 6
_BEGIN: Final = (
    "LOAD 'auto_explain'",
    "SET auto_explain.log_min_duration = 0",
    "SET auto_explain.log_format = json",
    "SET auto_explain.log_nested_statements = on",
    "SET client_min_messages = log",
)
_END: Final = ("SET auto_explain.log_min_duration = -1", "RESET client_min_messages")
# What has to be found by its key, whatever else is asked for it.
EXPECTED: Final = {
    "frame, by a token": {"archive_instance_sop_instance_uid_key"},
    "search by Patient ID": {"patient_id_down"},
    "studies of a period": {"study_list"},
    "series of a study": {"series_order"},
}
# Whose rows come out of an index in the order of the list.
UNSORTED: Final = ("study list", "studies of a period")


@contextmanager
def explained() -> Iterator[list[dict[str, Any]]]:
    """Every plan that is run meanwhile on Django's connection of this thread."""
    found: list[dict[str, Any]] = []

    def told(message: Diagnostic) -> None:
        _, plan, text = (message.message_primary or "").partition("plan:\n")
        if plan:
            found.append(orjson.loads(text))

    given = connection.connection
    _run(_BEGIN)
    given.add_notice_handler(told)
    try:
        yield found
    finally:
        given.remove_notice_handler(told)
        _run(_END)


def _run(statements: tuple[str, ...]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def plans_of(ask: Callable[[], object]) -> list[dict[str, Any]]:
    """The plan and the text of each statement of a request that has been made before."""
    for _ in range(_WARM):
        ask()
    with explained() as found:
        ask()
    return found


def used(plans: list[dict[str, Any]]) -> set[str]:
    """The indexes of the archive's big tables that are used, by their names."""
    return {name for each in plans for name in indexes(each["Plan"])}


def test_no_request_reads_a_table_from_end_to_end() -> None:
    scale.load(STUDIES, instances_a_series=1)
    site = Site.made()
    _run(("VACUUM ANALYZE",))
    requests = asks(site)
    wrong: list[object] = []
    for name, ask in requests.items():
        plans = plans_of(ask)
        print(f"    {name!r}: {sorted(used(plans))},")
        wrong += [] if plans else [(name, "nothing was explained")]
        wrong += [(name, tables, each["Query Text"]) for each in plans if (tables := whole_tables(each["Plan"]))]
        if name in UNSORTED:
            of_list = [each["Plan"] for each in plans if 'FROM "archive_study"' in each["Query Text"]]
            wrong += [(name, "sorted") for plan in of_list for n in nodes(plan) if "Sort" in n["Node Type"]]
            wrong += [] if of_list else [(name, "the list was not explained")]
        wrong += [(name, missing) for missing in EXPECTED.get(name, set()) - used(plans)]
    # Of small tables the planner reads every row by choice; where it may not, there has to be an index.
    _run(("SET enable_seqscan = off", "DISCARD PLANS"))
    try:
        for name, ask in requests.items():
            for each in plans_of(ask):
                whole = [n["Relation Name"] for n in nodes(each["Plan"]) if n["Node Type"] == "Seq Scan"]
                wrong += [(name, whole, each["Query Text"])] if whole else []
    finally:
        _run(("RESET enable_seqscan",))
    assert not wrong


def test_what_is_prepared_is_not_planned_anew_for_each_request() -> None:
    """PostgreSQL plans a prepared statement five times for its values, and then only while that looks cheaper."""
    scale.load(STUDIES // 10, instances_a_series=1)
    site = Site.made()
    _run(("VACUUM ANALYZE", "DISCARD PLANS"))
    anew: dict[str, list[str]] = {}
    for name, ask in asks(site).items():
        for _ in range(2 * _WARM):
            ask()
        before = _planned()
        ask()
        anew |= {name: texts} if (texts := [text for text, own in _planned().items() if own > before[text]]) else {}
    assert not anew, "\n".join(f"{name}: {text[:200]}" for name, texts in anew.items() for text in texts)


def _planned() -> dict[str, int]:
    """How often each statement that this connection knows was planned for its values."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement, custom_plans FROM pg_prepared_statements")
        return dict(cursor.fetchall())
