"""From the UIDs of a URL to rows, within the caller's scope: what is outside it does not exist (``NotFound``)."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from django.db.models import Q, QuerySet

from archive import located_rows
from archive.errors import NotFound
from archive.located import Address as Address
from archive.located import Held as Held
from archive.located import Located as Located
from archive.located import LocatedSeries as LocatedSeries
from archive.located import patient_ids as patient_ids
from archive.located_rows import whole_look_up as whole_look_up
from archive.models import Instance, QualityFinding, Series, Study
from archive.study_scope import ReadyScope, StudyScope

Model = TypeVar("Model", Study, Series, Instance, QualityFinding)
# way to the study -> way to the series; None where rows are studies
_TO_SERIES: Mapping[str, str | None] = {
    "pk": None,
    "study": "pk",
    "series__study": "series",
    "instance__series__study": "instance__series",
}


def within(rows: QuerySet[Model], scope: QuerySet[Study], path: str) -> QuerySet[Model]:
    """``rows`` whose study (reached by ``path``) lies in ``scope``; an unlimited scope adds nothing to the query.

    Of a study that is reached in part only what is in these series: here, and nowhere else, the series count.
    """
    if is_unlimited(scope):
        return rows
    parts = scope.parts if isinstance(scope, StudyScope) else None
    return rows.filter(lies_within(path, scope, parts or ()))


def lies_within(path: str, studies: Any, parts: Sequence[Any] = ()) -> Q:
    """The condition that the study reached by ``path`` is one of ``studies``, whose ``parts`` are those of a scope."""
    found = Q(**{f"{path}__in": studies})
    return found & is_reached(path, parts) if _TO_SERIES[path] is not None and parts else found


def is_reached(path: str, parts: Sequence[Any]) -> Q:
    """The condition that the series of what is in a study of a scope with these ``parts`` is reached."""
    partial, series, whole = parts
    # In this order: PostgreSQL looks at what comes later only for studies that are reached in part.
    return ~Q(**{f"{path}__in": partial}) | Q(**{f"{_TO_SERIES[path]}__in": series}) | Q(**{f"{path}__in": whole})


def is_unlimited(scope: QuerySet[Study]) -> bool:
    """True for a scope of all studies without exception."""
    return not isinstance(scope, ReadyScope) and not scope.query.where


def is_everything(scope: QuerySet[Study]) -> bool:
    """True for a scope of all studies, with or without exceptions: whoever has it is told of what is gone as well."""
    return is_unlimited(scope) or (isinstance(scope, StudyScope) and scope.everything)


def untold(scope: QuerySet[Study]) -> QuerySet[Any] | None:
    """The UIDs of deleted studies of which a scope of everything is not told; None where it is told of all."""
    return scope.untold if isinstance(scope, StudyScope) else None


def locate(scope: QuerySet[Study], address: Address) -> list[Located]:
    """The instances at ``address`` in series and instance order. Raises ``NotFound`` when there are none."""
    found = located_rows.instances_at(address, scope)
    if not found:
        raise NotFound("nothing is stored under these UIDs")
    return found


def locate_by_pk(pk: int) -> Located:
    """One instance for the archive's own work, outside any caller's scope. Raises ``Instance.DoesNotExist``."""
    for found in located_rows.instances_of([pk]):
        return found
    raise Instance.DoesNotExist


def locate_many(pks: Sequence[int]) -> list[Located]:
    """Those instances that are still there, in this order, for the archive's own work. One query."""
    found = {each.pk: each for each in located_rows.instances_of(pks)} if pks else {}
    return [found[pk] for pk in pks if pk in found]


def locate_series(scope: QuerySet[Study], address: Address) -> list[LocatedSeries]:
    """The series at ``address`` in order. Raises ``NotFound`` when there are none."""
    found = located_rows.series_at(address, scope)
    if not found:
        raise NotFound("nothing is stored under these UIDs")
    return found
