"""The plan of every documented kind of search uses an index and reads no table from end to end.

Plans depend on how much there is and how it is spread, so they are asked of a generated archive with statistics.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker

from access.models import Grant, User, UserRole
from access.policy import visible_studies
from access.principal import Principal
from archive.models import Series, Study
from archive.search import Found, search
from dicom.attributes import Level
from dicomweb.query import parse_query
from tests.archive import scale
from tests.archive.search_kinds import Kind, kinds

STUDIES = 20_000
GRANTED = 40
_BIG = {"archive_patient", "archive_study", "archive_series", "archive_instance", "archive_requestattributes"}
_READS = ("Index Scan", "Index Only Scan", "Bitmap Index Scan")


@pytest.fixture(scope="module")
def archive(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[QuerySet[Study]]:
    """A loaded archive, and the scope of somebody who has leave for some of its studies."""
    with django_db_blocker.unblock():
        scale.load(STUDIES, instances_a_series=3)
        user = User.objects.create_user("granted", password=None)
        try:
            UserRole.objects.create(user=user, role="referring_physician")
            Grant.objects.bulk_create(Grant(study_id=pk, user=user) for pk in range(1, STUDIES, STUDIES // GRANTED))
            with connection.cursor() as cursor:
                for model in (User, UserRole, Grant):
                    cursor.execute(f"VACUUM ANALYZE {model._meta.db_table}")
            yield visible_studies(principal(user))
        finally:
            user.delete()
            scale.clear()


def principal(user: User) -> Principal:
    """The person signed in."""
    return Principal("person", str(user.external_id), user.username, ("referring_physician",), "session", "")


def found(kind: Kind, scope: QuerySet[Study]) -> Found:
    """The answers to a kind of search, parsed and searched as the door does it."""
    parsed = parse_query(
        kind.pairs,
        kind.level,
        study_instance_uid=kind.study,
        series_instance_uid=kind.series,
        default_limit=1000,
        most=10_000,
    )
    assert not parsed.unsupported
    return search(parsed.query, scope, "http://testserver/dicom-web")


def plans(kind: Kind, scope: QuerySet[Study]) -> list[dict[str, Any]]:
    """The plan of each statement that a kind of search sends."""
    with CaptureQueriesContext(connection) as sent:
        found(kind, scope)
    with connection.cursor() as cursor:
        result = []
        for query in sent.captured_queries:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {query['sql']}")
            [(plan,)] = cursor.fetchall()
            result.append((orjson.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])
    return result


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes of a plan."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def whole_tables(plan: dict[str, Any]) -> list[str]:
    """The big tables that a plan reads from end to end."""
    scanned = [node["Relation Name"] for node in nodes(plan) if "Seq Scan" in node["Node Type"]]
    return [table for table in scanned if table in _BIG]


def indexes(plan: dict[str, Any]) -> list[str]:
    """The indexes that a plan uses."""
    return [node["Index Name"] for node in nodes(plan) if node["Node Type"] in _READS]


def test_every_kind_of_search_uses_an_index_and_reads_no_table_whole(archive: QuerySet[Study], db: None) -> None:
    everything = Study.objects.all()
    bad = {}
    for kind in kinds(limit=100):
        for plan in plans(kind, archive if kind.scoped else everything):
            if (tables := whole_tables(plan)) or not indexes(plan):
                bad[kind.name] = tables
    assert not bad


def test_examples_find_something(archive: QuerySet[Study], db: None) -> None:
    """Most do; those that ask for what every row of this archive has, or for a rare hit of two, may not."""
    everything = Study.objects.all()
    nothing = [k.name for k in kinds(limit=1) if not k.scoped and not found(k, everything).answers]
    assert len(nothing) < 30, nothing


def test_a_rare_value_is_looked_up_and_not_met_on_a_walk(archive: QuerySet[Study], db: None) -> None:
    """LIMIT tempts the planner to walk the sorted list until enough was met, which is all of it for rare values."""
    for keyword, value, index in (
        ("PatientID", "P0000777", "patient_identity"),
        ("AccessionNumber", "A006153063", "study_accession_number_down"),
        ("AccessionNumber", "*153063", "study_accession_number_part"),
        ("StudyDate", "-20160110", "study_"),
        ("RequestAttributesSequence.AccessionNumber", "A006153063", "request_accession"),
    ):
        levels: tuple[Level, ...] = ("series", "instance") if "." in keyword else ("study", "series", "instance")
        for level in levels:
            [plan] = plans(Kind("", level, ((keyword, value),)), Study.objects.all())
            used = indexes(plan)
            assert any(name.startswith((index, "patient_id_")) for name in used), (
                keyword,
                level,
                used,
            )


def test_the_index_of_request_attributes_is_what_ingest_writes(archive: QuerySet[Study], db: None) -> None:
    one = Kind("", "series", (("RequestAttributesSequence.RequestedProcedureID", "RP00000777"),))
    assert len(found(one, Study.objects.all()).answers) == Series.objects.filter(study_id=777).count() > 0


def test_a_plan_that_is_kept_suits_any_value(archive: QuerySet[Study], db: None) -> None:
    """Look-ups are planned once a connection, whatever is asked for: so for no value in particular."""
    names = {"/studies PatientID one", "/studies AccessionNumber one", "/studies StudyInstanceUID one"}
    names |= {"/series SeriesInstanceUID one", "/instances SOPInstanceUID one", "/instances StudyInstanceUID one"}
    names |= {"series of a study", "instances of a study", "instances of a series"}
    asked = [kind for kind in kinds(limit=93) if kind.name in names]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        for kind in asked:
            found(kind, Study.objects.all())
            found(kind, archive)
        cursor.execute("""
            SELECT name, cardinality(parameter_types), statement FROM pg_prepared_statements
            WHERE statement LIKE '%archive_study%' AND statement LIKE '%LIMIT 94'
        """)
        kept = cursor.fetchall()
        assert len(kept) == 2 * len(asked) == 2 * len(names)
        bad = {}
        for name, number, statement in kept:
            cursor.execute(f"EXPLAIN (FORMAT JSON) EXECUTE {name} ({', '.join(['NULL'] * number)})")
            [(plan,)] = cursor.fetchall()
            top = (orjson.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
            if whole_tables(top) or not indexes(top):
                bad[statement] = top
    assert not bad
