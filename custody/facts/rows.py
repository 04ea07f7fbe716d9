"""Rows as facts have them, put into their tables: by the columns that both know."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from django.db import connection, models

Row = Mapping[str, Any]
_NUMBERS: Final = 0x4C69_6768_4E75_6D62  # "LighNumb" in ASCII
_RESERVE: Final = """
    SELECT setval(numbers, %s) FROM (SELECT pg_get_serial_sequence(%s, 'id')::regclass AS numbers) AS of_table
    WHERE COALESCE(pg_sequence_last_value(numbers), 0) < %s
"""


def insert(model: type[models.Model], rows: Sequence[Row], *, update_on: str = "") -> int:
    """Insert rows; one that meets a row with the same key of any kind is left out, or, with the same ``update_on``,
    takes its place. Returns how many were written."""
    written = 0
    for names, group in _alike(model, rows):
        if "id" in names:
            _reserve(model._meta.db_table, max(int(row["id"]) for row in group))
        others = ", ".join(f'"{name}" = EXCLUDED."{name}"' for name in names if name not in ("id", update_on))
        conflict = f'ON CONFLICT ("{update_on}") DO UPDATE SET {others}' if update_on else "ON CONFLICT DO NOTHING"
        columns = _listed(names)
        table = model._meta.db_table
        written += _execute(
            f'INSERT INTO "{table}" ({columns}) SELECT {columns} '  # noqa: S608 - columns of ours
            f'FROM json_populate_recordset(NULL::"{table}", %s::json) {conflict}',
            group,
        )
    return written


def update(model: type[models.Model], rows: Sequence[Row], key: str) -> int:
    """Bring the rows with the same ``key`` up to date; returns how many there were."""
    written = 0
    for names, group in _alike(model, rows):
        changed = [name for name in names if name not in ("id", key)]
        table = model._meta.db_table
        written += _execute(
            f'UPDATE "{table}" AS t SET {", ".join(f"{_quoted(name)} = k.{_quoted(name)}" for name in changed)} '  # noqa: S608
            f'FROM json_populate_recordset(NULL::"{table}", %s::json) AS k WHERE t."{key}" = k."{key}"',
            group,
        )
    return written


def _alike(model: type[models.Model], rows: Iterable[Row]) -> list[tuple[Sequence[str], list[Row]]]:
    """The rows by the columns that they have: those of an older release may have fewer."""
    known = {field.column for field in model._meta.concrete_fields if field.column}
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(sorted(known & row.keys())), []).append(row)
    return list(groups.items())


def _quoted(name: str) -> str:
    return f'"{name}"'


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(_quoted, names))


def _execute(sql: str, rows: Sequence[Row]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, [orjson.dumps(rows).decode()])
        return int(cursor.rowcount)


def _reserve(table: str, most: int) -> None:
    """Whoever else inserts meanwhile gets keys above ``most``. One at a time, so that the number never goes back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_NUMBERS])
        try:
            cursor.execute(_RESERVE, [most, table, most])
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_NUMBERS])


def continue_numbers(*tables: type[models.Model]) -> None:
    """Let the primary keys of new rows go on after the largest that there is."""
    with connection.cursor() as cursor:
        for model in tables:
            table = model._meta.db_table
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), "  # noqa: S608
                f"GREATEST((SELECT max(id) FROM {table}), nextval(pg_get_serial_sequence('{table}', 'id'))))"
            )
