"""Search: a typed query plus the caller's scope become ready answers, in a total order (PS3.18 10.6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, QuerySet

from archive import answers, ordering
from archive.locate import within
from archive.matching import combined, condition, modality_condition
from archive.models import Instance, Series, Study
from archive.ordering import KeyValue, Order
from archive.request_attributes import item_condition
from dicom.attributes import Attribute, Level


@dataclass(frozen=True, slots=True)
class Match:
    """One key of a query: the attribute and the text to match it with, by the attribute's matching type."""

    attribute: Attribute
    text: str


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What is looked for. ``include`` names further tags to return; ``None`` returns all that is indexed.

    ``item_matches`` are pairs of a tag and a text that one item of Request Attributes Sequence must match together.
    ``empty`` and ``each`` ask for Empty and for Multiple Value Matching (PS3.4 C.2.2.2.7, C.2.2.2.8). ``after`` begins
    the list behind a row, in the default order only. ``count`` asks how many answers there are in all.
    """

    level: Level
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    matches: tuple[Match, ...] = ()
    modalities_in_study: frozenset[str] = frozenset()
    item_matches: tuple[tuple[str, str], ...] = ()
    include: frozenset[str] | None = field(default_factory=frozenset)
    fuzzy: bool = False
    empty: bool = False
    each: bool = False
    order: tuple[Order, ...] = ()
    after: tuple[KeyValue, ...] | None = None
    count: bool = False
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """Answers as DICOM JSON texts with absolute URLs, and whether the limit cut the list.

    ``following`` is the token that continues a cut list in the default order; ``total`` the number asked for.
    """

    answers: tuple[str, ...]
    truncated: bool
    following: str | None
    total: int | None


# level -> (model, way to each level's columns, way to the study)
_PLANS: Mapping[Level, tuple[Any, Mapping[Level, str], str]] = {
    "study": (
        Study,
        {"patient": "patient__", "study": ""},
        "pk",
    ),
    "series": (
        Series,
        {"patient": "study__patient__", "study": "study__", "series": ""},
        "study",
    ),
    "instance": (
        Instance,
        {"patient": "series__study__patient__", "study": "series__study__", "series": "series__", "instance": ""},
        "series__study",
    ),
}


_MOMENTS = (
    ("StudyDate", "StudyTime"),
    ("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
    ("ContentDate", "ContentTime"),
)


def searchable(level: Level) -> Mapping[Level, str]:
    """The levels whose attributes can be matched at ``level``, with the way to their columns."""
    return _PLANS[level][1]


def search(query: SearchQuery, scope: QuerySet[Study], root: str) -> Found:
    """The answers to ``query`` within ``scope``; ``root`` is the public DICOMweb root for RetrieveURL.

    One database query whatever the number of rows, and one more for the count. Raises ``InvalidQuery``.
    """
    rows = _matching(query, scope)
    total = rows.count() if query.count else None
    ways = _PLANS[query.level][1]
    keys = ordering.keys(query.level, query.order, ways)
    if query.after is not None:
        rows = rows.filter(ordering.behind(query.level, query.after))
    parts = _parts(query)
    columns = [f"{ways[level]}answer" for level in parts] + [key.path for key in ordering.DEFAULT[query.level]]
    ordered = rows.order_by(*(key.expression() for key in keys)).values_list(*columns)
    answered = list(ordered[query.offset : query.offset + query.limit + 1])
    shown = answered[: query.limit]
    texts = (_text(row[: len(parts)], tuple(parts.values())) for row in shown)
    truncated = len(answered) > query.limit
    return Found(
        tuple(answers.with_root(text, root) for text in texts),
        truncated=truncated,
        following=ordering.token(query.level, shown[-1][len(parts) :])
        if truncated and shown and not query.order
        else None,
        total=total,
    )


def _matching(query: SearchQuery, scope: QuerySet[Study]) -> QuerySet[Any]:
    """The rows that ``query`` is about, in no order."""
    model, ways, to_study = _PLANS[query.level]
    rows = within(model.objects.all(), scope, to_study)
    if query.study_instance_uid is not None:
        rows = rows.filter(**{f"{ways['study']}study_instance_uid": query.study_instance_uid})
    if query.series_instance_uid is not None:
        rows = rows.filter(**{f"{ways['series']}series_instance_uid": query.series_instance_uid})
    conditions = _conditions(query, ways)
    if query.modalities_in_study:
        path = f"{ways['study']}modalities_in_study"
        conditions.append(modality_condition(path, query.modalities_in_study, empty=query.empty, each=query.each))
    if query.item_matches:
        conditions.append(item_condition(f"{ways['series']}request_attributes", query.item_matches, empty=query.empty))
    for found in conditions:
        if found is not None:
            rows = rows.filter(found)
    return rows


def _conditions(query: SearchQuery, ways: Mapping[Level, str]) -> list[Q | None]:
    """What the keys of ``query`` ask for: a date and its time together where both are ranges, else each by itself."""
    keys = {
        m.attribute.keyword: (m.attribute, f"{ways[m.attribute.level]}{m.attribute.column}", m.text)
        for m in query.matches
    }
    conditions: list[Q | None] = []
    for date, time in _MOMENTS:
        if date in keys and time in keys and (found := combined(keys[date], keys[time])) is not None:
            conditions.append(found)
            del keys[date], keys[time]
    conditions += [condition(*key, fuzzy=query.fuzzy, empty=query.empty) for key in keys.values()]
    return conditions


def _parts(query: SearchQuery) -> dict[Level, frozenset[str] | None]:
    """The levels whose ready answers make up one answer, and which of their tags (``None``: all).

    A search below named parents returns its own level, in which the parents' UIDs are; of a parent that isn't named
    all attributes are returned as well (PS3.18 10.6.3.3); of a named one those that includefield asks for.
    """
    named = {"study": query.study_instance_uid, "series": query.series_instance_uid}
    parts: dict[Level, frozenset[str] | None] = {}
    upper: tuple[Level, ...] = ("study", "series")
    for level in upper[: upper.index(query.level) if query.level in upper else None]:
        wanted = None if named[level] is None else query.include
        if wanted is None or wanted:
            parts[level] = wanted
    return {**parts, query.level: None}


def _text(row: tuple[str, ...], wanted: tuple[frozenset[str] | None, ...]) -> str:
    return row[0] if len(row) == 1 else answers.merged(zip(row, wanted, strict=True))
