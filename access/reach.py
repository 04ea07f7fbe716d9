"""The studies that grants, referrals and limits reach, as querysets; which of them count is ``access.policy``'s.

Their SQL is written once for all who reach studies in the same ways, of ``KEPT`` of them at the most; it follows from
these alone, so that it is never outdated. Whose grants and names count is a parameter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BooleanField, F, Func, Q, QuerySet

from access.models import Grant, GrantQuery, PhysicianName
from access.principal import Limit, LimitKind, Principal
from access.rights import Right
from archive.models import Patient, Series, Study
from archive.patient_models import PERSON
from archive.ready_query import Placeholder
from archive.scope_sql import Written, written_pieces
from archive.study_scope import ReadyScope, StudyScope

KEPT: Final = 256
# One column: keys of studies.
Keys = QuerySet[Any, Any]
_HOLDERS = {
    "person": "user__external_id",
    "client": "client__external_id",
    "link": "link__external_id",
}


@dataclass(frozen=True, slots=True)
class Ways:
    """How a principal reaches studies other than all of them: by grants that name one of ``rights``, by the names under
    which a person refers, by the limits of roles."""

    rights: frozenset[Right]
    referrals: bool
    limits: tuple[Limit, ...]


def reached(principal: Principal, ways: Ways) -> StudyScope:
    """What is reached by any of ``ways``; of studies of which only series were granted, these series."""
    pieces = {name: each.filled((principal.id,)) for name, each in _written(principal.kind, ways).items()}
    return ReadyScope.of(Study, pieces, partial(_reached, principal.kind, principal.id, ways))


def reached_whole(principal: Principal, ways: Ways) -> StudyScope:
    """The same without studies of which only series were granted."""
    grants = _grants(principal.kind, principal.id, ways.rights)
    return _of(ways.limits, _whole(principal.kind, principal.id, grants, ways))


@lru_cache(maxsize=KEPT)
def _written(kind: str, ways: Ways) -> Mapping[str, Written]:
    """The queries of everybody who reaches studies in the same ways; what they find is asked each time."""
    return written_pieces(_reached(kind, Placeholder(0), ways))


def _reached(kind: str, holder: str | Placeholder, ways: Ways) -> StudyScope:
    grants = _grants(kind, holder, ways.rights)
    whole = _whole(kind, holder, grants, ways)
    by_series = grants.filter(series__isnull=False)
    parts = by_series.values("series__study")
    series = Series.objects.filter(pk__in=by_series.values("series"))
    return _of(ways.limits, [*whole, parts]).in_parts(parts, series, _of(ways.limits, whole))


def _grants(kind: str, holder: str | Placeholder, rights: Iterable[Right]) -> GrantQuery:
    named = Grant.objects.filter(rights__overlap=sorted(rights), **{_HOLDERS[kind]: holder})
    return named.active()


def _whole(kind: str, holder: str | Placeholder, grants: GrantQuery, ways: Ways) -> list[Keys]:
    """Querysets of keys of studies, each found by an index of its own."""
    found: list[Keys] = [
        grants.filter(study__isnull=False).values("study"),
        # Granted under an identifier that a merge has retired since: of the person whom it names now.
        Study.objects.filter(patient__in=grants.filter(patient__isnull=False).values(person=PERSON)).values("pk"),
    ]
    if ways.referrals and kind == "person":
        names = PhysicianName.objects.filter(user__external_id=holder).values("name_key")
        found.append(Study.objects.filter(referring_physician_name_key__in=names).values("pk"))
    return found


def _of(limits: Iterable[Limit], keys: list[Keys]) -> StudyScope:
    """The keys are an array that PostgreSQL makes once: an index serves it even beside an OR, and the plan doesn't
    depend on how many rows it takes a table to have that nobody counted yet.
    """
    keys_of_all = keys[0].union(*keys[1:], all=True)
    found = Q(_AnyOf(F("pk"), ArraySubquery(keys_of_all)))
    for limit in limits:
        found |= _within(limit)
    return Study.objects.filter(found)


def _within(limit: Limit) -> Q:
    match limit.kind:
        case LimitKind.SITE:
            return Q(institution_name__in=limit.values)
        case LimitKind.DEPARTMENT:
            return Q(institutional_department_name__in=limit.values)
        case LimitKind.ISSUER:
            patients = Patient.objects.filter(issuer_of_patient_id__in=limit.values)
            return Q(_AnyOf(F("patient_id"), ArraySubquery(patients.values("pk"))))


class _AnyOf(Func):
    """``key = ANY (array)``: an index look-up even beside an OR, which IN with a query is not."""

    template = "(%(expressions)s))"
    arg_joiner = " = ANY ("
    output_field = BooleanField()
