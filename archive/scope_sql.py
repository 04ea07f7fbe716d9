"""SQL that is written once, with gaps for values and for the queries of a scope, which are put in each time.

Who may see what is asked each time, so its queries are never part of what is kept.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Expression, QuerySet
from psycopg.sql import Literal

from archive.models import Study
from archive.study_scope import ReadyScope, StudyScope

# A query and its parameters.
Sql = tuple[str, tuple[Any, ...]]
# The queries of a scope by their names, as ``StudyScope`` has them: none if it has all studies, "studies" alone if all
# that it has is reached whole.
Pieces = Mapping[str, Sql]
PARTS: Final = ("partial", "series", "whole")

_NO_PIECES: Final[Pieces] = MappingProxyType({})
_NOTHING: Final[Sql] = ("SELECT NULL::bigint WHERE false", ())
_GAP: Final = "\ue000{}\ue000"
_FOR_A_PIECE: Final = re.compile("\ue000([a-z]+)\ue000")
_PARAMETER: Final = re.compile("%%|%s")


class Placeholder(Expression):
    """Stands where the value number ``at`` will."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """``%s`` with itself as the parameter."""
        return "%s", [self]


class Piece(Expression):
    """Stands where a query of the scope will, as in ``study__in``."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """The gap, in parentheses."""
        return f"({_GAP.format(self.name)})", []


@dataclass(frozen=True, slots=True)
class Written:
    """SQL with ``%s``, in texts with gaps between them; ``given`` is what each of these stands for, in their order."""

    texts: tuple[str, ...]
    given: tuple[Placeholder | str, ...]

    def filled(self, values: Sequence[Any], pieces: Pieces = _NO_PIECES) -> Sql:
        """The SQL without gaps, and its parameters."""
        texts = iter(self.texts)
        sql = [next(texts)]
        parameters: list[Any] = []
        for each in self.given:
            if isinstance(each, Placeholder):
                parameters.append(values[each.at])
            else:
                piece, of_piece = pieces[each]
                sql += piece, next(texts)
                parameters += of_piece
        return "".join(sql), tuple(parameters)


def written(rows: QuerySet[Any, Any]) -> Written:
    """The SQL of ``rows``, whose conditions have placeholders and pieces. Raises ``EmptyResultSet``.

    What doesn't differ from time to time becomes part of it, as it is part of the indexes.
    """
    sql, parameters = rows.query.sql_with_params()
    given: list[Placeholder | str] = []
    left = iter(parameters)

    def bound(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%%"
        value = next(left)
        if isinstance(value, Placeholder):
            given.append(value)
            return "%s"
        return Literal(value).as_string(connection.connection).replace("%", "%%")

    texts: list[str] = []
    # Gaps are looked for before values become part of it: these may look like one. Each second text is a name.
    for number, text in enumerate(_FOR_A_PIECE.split(sql)):
        if number % 2:
            given.append(text)
        else:
            texts.append(_PARAMETER.sub(bound, text))
    return Written(tuple(texts), tuple(given))


def pieces_of(scope: QuerySet[Study]) -> Pieces:
    """The queries of ``scope``."""
    if isinstance(scope, ReadyScope) and scope.pieces is not None:
        return scope.pieces
    if not scope.query.where:
        return {}
    return {name: _sql(rows) for name, rows in _keys(scope).items()}


def written_pieces(scope: StudyScope) -> Mapping[str, Written]:
    """The queries of a limited ``scope``, whose conditions have placeholders."""
    found = {}
    for name, rows in _keys(scope).items():
        try:
            found[name] = written(rows)
        except EmptyResultSet:
            found[name] = Written((_NOTHING[0],), ())
    return found


def _keys(scope: QuerySet[Study]) -> Mapping[str, QuerySet[Any, Any]]:
    """The queries by their names, each for one column: the one that was chosen, or the primary key."""
    found: dict[str, QuerySet[Any, Any]] = {"studies": scope}
    if isinstance(scope, StudyScope) and scope.parts is not None:
        found |= zip(PARTS, scope.parts, strict=True)
    return {name: rows if rows.query.has_select_fields else rows.values("pk") for name, rows in found.items()}


def _sql(rows: QuerySet[Any, Any]) -> Sql:
    try:
        sql, parameters = rows.query.sql_with_params()
    except EmptyResultSet:
        return _NOTHING
    return sql, tuple(parameters)
