"""Rows of models by statements that are planned once a connection and never put together anew (``audit.prepared``).

For what every message asks and writes: Django takes several times longer to write such a statement than PostgreSQL to
carry it out. What Django sends signals for, nothing here does.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, models
from django.db.models.expressions import DatabaseDefault

from audit.prepared import PreparedSql

M = TypeVar("M", bound=models.Model)


class PreparedRows(Generic[M]):
    """The rows of ``model`` that ``clause`` finds: all that follows FROM, in PostgreSQL's own words, with ``%s``."""

    def __init__(self, model: type[M], clause: str) -> None:
        self._model = model
        self._clause = clause

    def __call__(self, *parameters: Any) -> list[M]:
        """The rows, as ``QuerySet`` would give them."""
        names, sql, converters = self._made
        found = []
        for row in sql.rows(parameters):
            values: Sequence[Any] = row
            if converters:
                values = list(row)
                for at, convert in converters:
                    values[at] = convert(values[at], None, connection)
            found.append(self._model.from_db(DEFAULT_DB_ALIAS, names, values))
        return found

    def first(self, *parameters: Any) -> M | None:
        """The first of them; None where there is none."""
        return next(iter(self(*parameters)), None)

    @cached_property
    def _made(self) -> tuple[list[str], PreparedSql, list[tuple[int, Callable[..., Any]]]]:
        fields = self._model._meta.concrete_fields
        table = self._model._meta.db_table
        columns = ", ".join(f'"{table}"."{field.column}"' for field in fields)
        converters = [
            (at, convert) for at, field in enumerate(fields) if (convert := getattr(field, "from_db_value", None))
        ]
        sql = PreparedSql(f'SELECT {columns} FROM "{table}" {self._clause}')  # noqa: S608 - columns of ours
        return [field.attname for field in fields], sql, converters


def insert(row: models.Model) -> None:
    """``row.save(force_insert=True)``: its key, and what the database gives it, is in it afterwards."""
    fields: list[models.Field[Any, Any]] = []
    values: list[Any] = []
    for field in row._meta.local_concrete_fields:
        value = field.pre_save(row, True)
        if not (isinstance(value, DatabaseDefault) or (field.primary_key and value is None)):
            fields.append(field)
            values.append(field.get_db_prep_save(value, connection))
    returned = row._meta.db_returning_fields
    found = _insertion(type(row), tuple(field.column for field in fields)).rows(values)[0]
    for field, value in zip(returned, found, strict=True):
        setattr(row, field.attname, value)
    row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def update(row: models.Model, *names: str) -> None:
    """``row.save(update_fields=names)`` of a row that is there."""
    fields = [row._meta.get_field(name) for name in names]
    values = [field.get_db_prep_save(field.pre_save(row, False), connection) for field in fields]  # type: ignore[union-attr]
    _update(type(row), names).run([*values, row.pk])


@lru_cache
def _insertion(model: type[models.Model], columns: tuple[str, ...]) -> PreparedSql:
    meta = model._meta
    named = ", ".join(f'"{column}"' for column in columns)
    returned = ", ".join(f'"{field.column}"' for field in meta.db_returning_fields)
    places = ", ".join(["%s"] * len(columns))
    return PreparedSql(f'INSERT INTO "{meta.db_table}" ({named}) VALUES ({places}) RETURNING {returned}')  # noqa: S608


@lru_cache
def _update(model: type[models.Model], names: tuple[str, ...]) -> PreparedSql:
    meta = model._meta
    changed = ", ".join(f'"{meta.get_field(name).column}" = %s' for name in names)  # type: ignore[union-attr]
    return PreparedSql(f'UPDATE "{meta.db_table}" SET {changed} WHERE id = %s')  # noqa: S608
