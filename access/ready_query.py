"""Queries that each request asks, written once a process: Django takes longer to write such a query than PostgreSQL to
answer it. What they find is never kept.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import QuerySet

_VALUE = "\ue000 the value that is asked for \ue000"


class ReadyQuery:
    """The first row of a query that differs in one text from time to time.

    ``build`` takes the text and returns the query with ``values()``; it is called once. All else in it is constant:
    the moment is ``Now()``, not the time of this process.
    """

    def __init__(self, build: Callable[[str], QuerySet[Any, Any]]) -> None:
        self._build = build

    def first(self, value: str) -> Mapping[str, Any] | None:
        """The first row for ``value`` by name; ``None`` if there is none."""
        sql, parameters, names, converters = self._written
        with connection.cursor() as cursor:
            cursor.execute(sql, [value if each == _VALUE else each for each in parameters])
            row = cursor.fetchone()
        if row is None:
            return None
        found = dict(zip(names, row, strict=True))
        for name, expression, functions in converters:
            for convert in functions:
                found[name] = convert(found[name], expression, connection)
        return found

    @cached_property
    def _written(self) -> tuple[str, tuple[Any, ...], tuple[str, ...], list[tuple[str, Any, list[Any]]]]:
        query = self._build(_VALUE)[:1].query
        compiler = query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        expressions = [selected[0] for selected in compiler.select]
        names = tuple(query.selected or ())
        converters = compiler.get_converters(expressions)
        told = [(names[at], expression, functions) for at, (functions, expression) in converters.items()]
        return sql, tuple(parameters), names, told
