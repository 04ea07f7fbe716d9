"""Every scope is found by an index, among 20,000 studies, in the same number of queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker

from access.models import Grant, PhysicianName, User, UserRole
from access.policy import visible_studies
from access.principal import HeldRole, Limit, LimitKind, Principal
from access.roles import ROLES
from archive.errors import NotFound
from archive.locate import Address, locate, locate_series
from archive.models import Instance, Series, Study
from archive.study_scope import StudyScope
from portal.studies import one_page
from tests.archive import scale
from tests.archive.search_kinds import kinds
from tests.archive.test_search_plans import found, indexes, whole_tables

STUDIES = 20_000
_PLACES = """
    UPDATE archive_study SET institution_name = 'Site ' || id % 50,
        institutional_department_name = CASE WHEN id % 2 = 0 THEN 'Big' ELSE 'Small ' || id % 400 END;
    UPDATE archive_patient SET issuer_of_patient_id = 'Issuer ' || id % 300;
"""
_MOVE = Callable[[], object]


@pytest.fixture(scope="module")
def user(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[User]:
    """Somebody with a study, a series, a patient and a physician's name."""
    with django_db_blocker.unblock():
        scale.load(STUDIES, instances_a_series=2)
        with connection.cursor() as cursor:
            cursor.execute(_PLACES)
            cursor.execute("VACUUM ANALYZE archive_study")
            cursor.execute("VACUUM ANALYZE archive_patient")
        user = User.objects.create_user("limited", password=None)
        try:
            UserRole.objects.create(user=user, role="referring_physician")
            Grant.objects.bulk_create(Grant(study_id=pk, user=user) for pk in range(1, STUDIES, STUDIES // 40))
            Grant.objects.create(user=user, series=Series.objects.order_by("pk")[77])
            Grant.objects.create(user=user, patient=Study.objects.get(pk=4321).patient)
            key = Study.objects.exclude(referring_physician_name_key="").first().referring_physician_name_key  # type: ignore[union-attr]
            PhysicianName.objects.create(user=user, name="x", name_key=key)
            with connection.cursor() as cursor:
                # What other tests left in these tables, or autovacuum believes of them, decides plans otherwise.
                for model in (User, UserRole, Grant, PhysicianName):
                    cursor.execute(f"VACUUM ANALYZE {model._meta.db_table}")
            yield user
        finally:
            user.delete()
            scale.clear()


LIMITS = {
    "site": (Limit(LimitKind.SITE, ("Site 7",)),),
    "two sites": (Limit(LimitKind.SITE, ("Site 7", "Site 8")),),
    "small department": (Limit(LimitKind.DEPARTMENT, ("Small 77",)),),
    "big department": (Limit(LimitKind.DEPARTMENT, ("Big",)),),
    "issuer": (Limit(LimitKind.ISSUER, ("Issuer 7",)),),
    "site and department": (Limit(LimitKind.SITE, ("Site 7",)), Limit(LimitKind.DEPARTMENT, ("Small 77",))),
    "nothing": (Limit(LimitKind.SITE, ("nowhere",)),),
}


def scope_of(user: User, name: str) -> StudyScope:
    roles: tuple[HeldRole, ...] = (HeldRole("referring_physician", ROLES["referring_physician"].rights),)
    if name in LIMITS:
        roles = tuple(HeldRole("technologist", ROLES["technologist"].rights, limit) for limit in LIMITS[name])
    principal = Principal(
        "person",
        str(user.external_id),
        "x",
        ("x",),
        "session",
        "",
        held=roles,
        patient=Study.objects.get(pk=4321).patient_id if name == "one patient" else None,
    )
    return visible_studies(principal, "retrieve")


def plans(move: _MOVE) -> list[dict[str, Any]]:
    with CaptureQueriesContext(connection) as sent, suppress(NotFound):
        move()
    result = []
    with connection.cursor() as cursor:
        for query in sent.captured_queries:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {query['sql']}")
            [(plan,)] = cursor.fetchall()
            result.append((orjson.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])
    return result


@pytest.mark.parametrize("name", ["granted and referred", "one patient", *LIMITS])
def test_every_scope_uses_an_index_and_reads_no_table_whole(user: User, db: None, name: str) -> None:
    scope = scope_of(user, name)
    study = Study.objects.get(pk=777)
    instance = Instance.objects.select_related("series").filter(series__study=study).first()
    assert instance is not None
    address = Address(study.study_instance_uid, instance.series.series_instance_uid, instance.sop_instance_uid)
    moves: dict[str, _MOVE] = {
        "page": lambda: one_page(scope, 1),
        "instance": lambda: locate(scope, address),
        "study": lambda: locate(scope, Address(study.study_instance_uid)),
        "series": lambda: locate_series(scope, Address(study.study_instance_uid)),
        "one": lambda: scope.filter(study_instance_uid=study.study_instance_uid).exists(),
    }
    for kind in kinds(limit=100):
        # All series of half an archive are a table's worth.
        if kind.scoped and (kind.level == "study" or name not in LIMITS):
            moves[kind.name] = partial(found, kind, scope)
    bad = {}
    for move, of_move in ((name, plans(move)) for name, move in moves.items()):
        for plan in of_move:
            if (tables := whole_tables(plan)) or not indexes(plan):
                bad[move] = tables
        # A page asks as well which series of its studies are reached.
        if move in ("page", "instance", "study", "series", "one") and len(of_move) != 1 + (move == "page"):
            bad[move] = [f"{len(of_move)} queries"]
    assert not bad


def test_what_is_found_is_right(user: User, db: None) -> None:
    in_site = set(Study.objects.filter(institution_name="Site 7").values_list("pk", flat=True))
    grants = Grant.objects.filter(user=user)
    granted = set(Study.objects.filter(grants__in=grants).values_list("pk", flat=True))
    granted |= set(Study.objects.filter(patient__grants__in=grants).values_list("pk", flat=True))
    granted |= set(Study.objects.filter(series__grants__in=grants).values_list("pk", flat=True))
    assert set(scope_of(user, "site").values_list("pk", flat=True)) == in_site | granted
    key = PhysicianName.objects.get().name_key
    referred = set(Study.objects.filter(referring_physician_name_key=key).values_list("pk", flat=True))
    assert set(scope_of(user, "granted and referred").values_list("pk", flat=True)) == granted | referred
    assert referred - granted
