"""The indexes that searches need, per column: what finds a value, what sorts by it, what finds a part of it.

A sort that puts what has no value last needs an index of its own for each direction, since PostgreSQL walks backwards
only with the empty ones turned over too. The index for sorting downwards also finds single values, ranges, beginnings
and the empty ones; the trigrams find any three letters in a row. ``archive.ordering`` must ask for the same terms.
"""

from collections.abc import Sequence

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db.models import F, Index, Value
from django.db.models.expressions import OrderBy
from django.db.models.functions import NullIf

# A column, "-" before those that run downwards.
Ties = Sequence[str]


def text_orders(table: str, columns: Sequence[str], ties: Ties) -> list[Index]:
    """Both directions of each text column, equal values by ``ties``; an empty text counts as no value."""
    return [
        index
        for column in columns
        for index in (
            Index(NullIf(F(column), Value("")).asc(nulls_last=True), *_terms(ties), name=_name(table, column, "up")),
            Index(F(column).desc(), *_terms(ties), name=_name(table, column, "down")),
        )
    ]


def number_orders(table: str, columns: Sequence[str], ties: Ties) -> list[Index]:
    """Both directions of each numeric column, equal values by ``ties``."""
    return [
        index
        for column in columns
        for index in (
            Index(F(column).asc(), *_terms(ties), name=_name(table, column, "up")),
            Index(F(column).desc(nulls_last=True), *_terms(ties), name=_name(table, column, "down")),
        )
    ]


def trigrams(table: str, columns: Sequence[str]) -> list[Index]:
    """For wild cards anywhere in each of the text columns."""
    return [GinIndex(OpClass(column, name="gin_trgm_ops"), name=_name(table, column, "part")) for column in columns]


def _terms(ties: Ties) -> list[OrderBy]:
    return [F(tie[1:]).desc() if tie.startswith("-") else F(tie).asc() for tie in ties]


def _name(table: str, column: str, kind: str) -> str:
    """``study_accession_number_up``; long ones shortened (``series_ppss_date_up``): Django allows 30 characters."""
    words = column.removesuffix("_key").removeprefix(f"{table}_").split("_")
    if len(words) > 2:
        words = ["".join(word[0] for word in words[:-1]), words[-1]]
    return "_".join((table, *words, kind))
