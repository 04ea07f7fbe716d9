"""Django's queries that are asked again and again, written once a process and planned once a database connection
(``audit.prepared``): Django takes longer to write such a query than PostgreSQL to answer it. What they find is never
kept.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import Expression, QuerySet

from audit.prepared import PreparedSql, Row

__all__ = ["PreparedSql", "ReadyQuery", "Row"]


class ReadyQuery:
    """A query of Django's that differs in some values from time to time.

    ``build`` takes what stands for the values, one for each of its arguments, and returns the query with ``values()``;
    it is called once. The values can be compared with columns (``filter(username=value)``). All else in the query is
    constant: the moment is ``Now()``, not the time of this process.
    """

    def __init__(self, build: Callable[..., QuerySet[Any, Any]]) -> None:
        self._build = build

    def first(self, *values: Any) -> Mapping[str, Any] | None:
        """The first row for ``values`` by name; None if there is none."""
        row = self._one.statement.row(self._one.parameters(values))
        return None if row is None else self._one.named(row)

    def all(self, *values: Any) -> list[Mapping[str, Any]]:
        """All rows for ``values`` by name."""
        return [self._every.named(row) for row in self._every.statement.rows(self._every.parameters(values))]

    @cached_property
    def _one(self) -> "_Written":
        return _written(self._query()[:1])

    @cached_property
    def _every(self) -> "_Written":
        return _written(self._query())

    def _query(self) -> QuerySet[Any, Any]:
        return self._build(*(_Placeholder(at) for at in range(len(inspect.signature(self._build).parameters))))


@dataclass(frozen=True, slots=True)
class _Written:
    """``given`` are its parameters, with placeholders among them; ``converters`` Django's, by the name of the value."""

    statement: PreparedSql
    given: tuple[Any, ...]
    names: tuple[str, ...]
    converters: tuple[tuple[str, Any, tuple[Any, ...]], ...]

    def parameters(self, values: Sequence[Any]) -> list[Any]:
        return [values[each.at] if isinstance(each, _Placeholder) else each for each in self.given]

    def named(self, row: Row) -> dict[str, Any]:
        found = dict(zip(self.names, row, strict=True))
        for name, expression, functions in self.converters:
            for convert in functions:
                found[name] = convert(found[name], expression, connection)
        return found


class _Placeholder(Expression):
    """Stands where the value number ``at`` will."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return "%s", [self]


def _written(queryset: QuerySet[Any, Any]) -> _Written:
    query = queryset.query
    compiler = query.get_compiler(connection=connection)
    sql, parameters = compiler.as_sql()
    names = tuple(query.selected or ())
    converters = compiler.get_converters([selected[0] for selected in compiler.select])
    told = tuple((names[at], expression, tuple(functions)) for at, (functions, expression) in converters.items())
    return _Written(PreparedSql(sql), tuple(parameters), names, told)
