"""The SQL of a search, written once a process for all searches of one shape.

Django takes longer to write such a query than PostgreSQL to answer it. A shape is all of a search but its values, and
so is all that its SQL depends on: what is kept is never outdated, and of ``KEPT`` shapes at the most, each of
``KEPT_VALUES`` values at the most: that of a list of thousands of UIDs takes a megabyte, and one UID more is another.

With values PostgreSQL plans anew, since a plan depends on how rare they are. The plan of a look-up by a key and of the
list without conditions is the same whatever is asked for, and made once a connection (``audit.prepared``). These walk
an index as far as there are answers, so that the time for a search is no limit that they need. That of the studies of a
period is nearly always the same too, but a long one is read within the limit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any, Final

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Model, Q, QuerySet, Subquery

from archive import ordering
from archive.locate import is_reached, lies_within
from archive.models import Instance, Series, Study
from archive.ordering import Order
from archive.part_modalities import with_modalities
from archive.ready_query import Placeholder
from archive.scope_sql import PARTS, Piece, Pieces, Written, pieces_of, written
from archive.search_outline import Outline, condition_of, outline
from audit.bounded import bounded
from audit.prepared import PreparedSql, Row
from dicom.attributes import Level

KEPT: Final = 1024
KEPT_VALUES: Final = 100
_PARTS: Final = tuple(map(Piece, PARTS))

# level -> (model, way to each level's columns, way to the study)
PLANS: Mapping[Level, tuple[type[Model], Mapping[Level, str], str]] = {
    "study": (Study, {"patient": "patient__", "study": ""}, "pk"),
    "series": (Series, {"patient": "study__patient__", "study": "study__", "series": ""}, "study"),
    "instance": (
        Instance,
        {"patient": "series__study__patient__", "study": "series__study__", "series": "series__", "instance": ""},
        "series__study",
    ),
}
# Look-ups of which each finds few rows, whatever the value, or has an index with its rows in the order of the list.
_KEYS: Final = ("study_instance_uid", "series_instance_uid", "sop_instance_uid", "patient__patient_id")
_ORDERED_KEYS: Final = frozenset({"accession_number"})
# The list of studies is in this order, so that a period is a piece of its index.
_PERIOD: Final = frozenset({"study_date__gt", "study_date__gte", "study_date__lte"})


@dataclass(frozen=True, slots=True)
class Shape:
    """A search without its values: ``parents`` is how many UIDs its address names, ``modalities`` what is asked of an
    array at a path (which is that it is empty, if ``no_modality``), ``pieces`` which queries limit it.
    """

    level: Level
    columns: tuple[str, ...]
    order: tuple[Order, ...]
    parents: int
    conditions: tuple[Outline, ...]
    modalities: Outline | None
    no_modality: bool
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """One search. ``conditions`` are those that have no outline. What isn't a look-up gives up after ``seconds``."""

    shape: Shape
    values: Sequence[Any]
    conditions: Sequence[Q]
    pieces: Pieces
    seconds: float | None

    def rows(self, limit: int, offset: int) -> list[Row]:
        """``limit`` rows behind the first ``offset``, in order. One statement."""
        written = self._written(counted=False)
        if written is None:
            return []
        sql, parameters = written.filled(self.values, self.pieces)
        sql += f" LIMIT {limit} OFFSET {offset}" if offset else f" LIMIT {limit}"
        if not self.conditions and not offset and _is_look_up(self.shape):
            return PreparedSql(sql).rows(parameters)
        with bounded(statement_seconds=self.seconds):
            if not self.conditions and not offset and _is_of_a_period(self.shape):
                return PreparedSql(sql).rows(parameters)
            return _rows(sql, parameters)

    def number(self) -> int:
        """How many rows there are in all. One statement."""
        written = self._written(counted=True)
        if written is None:
            return 0
        sql, parameters = written.filled(self.values, self.pieces)
        with bounded(statement_seconds=self.seconds):
            [(number,)] = _rows(f"SELECT COUNT(*) FROM ({sql}) AS found", parameters)  # noqa: S608 - what Django wrote
        return int(number)

    def _written(self, *, counted: bool) -> Written | None:
        if self.conditions or len(self.values) > KEPT_VALUES:
            return _write(self.shape, self.conditions, counted=counted)
        return _kept(self.shape, counted)


def asked(
    level: Level,
    columns: tuple[str, ...],
    order: tuple[Order, ...],
    uids: Sequence[str],
    conditions: Sequence[Q],
    modalities: Callable[[str], Q] | None,
    scope: QuerySet[Study],
    *,
    no_modality: bool = False,
    seconds: float | None = None,
) -> Asked:
    """A search at ``level`` below what ``uids`` name: ``columns`` of what meets all ``conditions`` within ``scope``.

    ``modalities`` gives the condition on those of the study, which are an array at a path; ``no_modality`` says that
    it is to be empty.
    """
    values: list[Any] = list(uids)
    outlines: list[Outline] = []
    others: list[Q] = []
    for condition in conditions:
        own: list[Any] = []
        found = outline(condition, own)
        if found is None:
            others.append(condition)
        else:
            outlines.append(found)
            values += own
    of_modalities = None if modalities is None else outline(modalities(""), values)
    pieces = pieces_of(scope)
    shape = Shape(level, columns, order, len(uids), tuple(outlines), of_modalities, no_modality, tuple(pieces))
    return Asked(shape, values, others, pieces, seconds)


@lru_cache(maxsize=KEPT)
def _kept(shape: Shape, counted: bool) -> Written | None:
    return _write(shape, (), counted=counted)


def _write(shape: Shape, conditions: Sequence[Q], *, counted: bool) -> Written | None:
    """The SQL of ``shape`` with further ``conditions``; None if nothing can match."""
    rows = _matching(shape, conditions)
    ways = PLANS[shape.level][1]
    keys = ordering.keys(shape.level, shape.order, ways, below_study=shape.parents > 0)
    ordered = rows.order_by(*(key.expression() for key in keys)).values_list(*shape.columns)
    with suppress(EmptyResultSet):
        return written(rows.values("pk") if counted else ordered)
    return None


def _matching(shape: Shape, conditions: Sequence[Q]) -> QuerySet[Any]:
    """The rows of ``shape``, in no order, with placeholders for values and pieces of the scope."""
    model, _, to_study = PLANS[shape.level]
    at = count()
    rows: QuerySet[Any] = model._default_manager.all()
    in_parts = len(shape.pieces) > 1
    if shape.parents:
        rows = rows.filter(_below(shape, at))
    elif shape.pieces:
        rows = rows.filter(lies_within(to_study, Piece("studies"), _PARTS if in_parts else ()))
    for of in shape.conditions:
        rows = rows.filter(condition_of(of, at))
    if (wanted := shape.modalities) is not None:
        first = next(at)
        scope = Study.objects.all()
        if in_parts:
            series: Any = Series.objects.filter(pk__in=Piece("series"))
            partial: Any = Piece("partial")
            whole: Any = Piece("whole")
            scope = scope.in_parts(partial, series, whole)
        rows = with_modalities(
            rows, scope, to_study, lambda path: condition_of(wanted, count(first), path), empty=shape.no_modality
        )
    for condition in conditions:
        rows = rows.filter(condition)
    return rows


def _below(shape: Shape, at: Iterator[int]) -> Q:
    """What the UIDs of the address say, within the scope: keys that PostgreSQL looks up first, and once, so that an
    index has the rows in order.
    """
    of_scope = lies_within("pk", Piece("studies")) if shape.pieces else Q()
    parts = _PARTS if len(shape.pieces) > 1 else ()
    study = Subquery(Study.objects.filter(of_scope, study_instance_uid=Placeholder(next(at))).values("pk"))
    to_study = PLANS[shape.level][2]
    if shape.parents == 1:
        below = Q(**{to_study: study})
        return below & is_reached(to_study, parts) if parts else below
    series = Series.objects.filter(study=study, series_instance_uid=Placeholder(next(at)))
    return Q(series=Subquery(series.filter(is_reached("study", parts) if parts else Q()).values("pk")))


def _is_look_up(shape: Shape) -> bool:
    """Whether every condition, if there is any, names one value of a key, and the order is the default one.

    Of a limited list the plan depends on how much its scope has.
    """
    if shape.order or shape.modalities is not None or (shape.pieces and not shape.parents and not shape.conditions):
        return False
    return all(_all_of(condition, _is_key) for condition in shape.conditions)


def _is_of_a_period(shape: Shape) -> bool:
    """Whether a list of studies without limits is asked for a period of dates, and nothing else."""
    if shape.level != "study" or shape.order or shape.modalities is not None or shape.pieces:
        return False
    return len(shape.conditions) == 1 and _all_of(shape.conditions[0], lambda look_up, *_: look_up in _PERIOD)


def _all_of(condition: Outline, are: Callable[..., bool]) -> bool:
    connector, negated, parts = condition
    return connector == Q.AND and not negated and all(are(*part) for part in parts)


def _is_key(look_up: Any, number: Any, *more: Any) -> bool:
    named = str(look_up).removesuffix("__in")
    return not more and number in (None, 1) and (named.endswith(_KEYS) or named in _ORDERED_KEYS)


def _rows(sql: str, parameters: Sequence[Any]) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found: list[Row] = cursor.fetchall()
    return found
