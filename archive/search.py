"""Search: a typed query plus the caller's scope become ready answers, in a total order (PS3.18 10.6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from archive import answers
from archive.locate import within
from archive.matching import any_modality, condition
from archive.models import Instance, Series, Study
from dicom.attributes import Attribute, Level


@dataclass(frozen=True, slots=True)
class Match:
    """One key of a query: the attribute and the text to match it with, by the attribute's matching type."""

    attribute: Attribute
    text: str


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What is looked for. ``include`` names further tags to return; ``None`` returns all that is indexed."""

    level: Level
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    matches: tuple[Match, ...] = ()
    modalities_in_study: frozenset[str] = frozenset()
    include: frozenset[str] | None = field(default_factory=frozenset)
    fuzzy: bool = False
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """Answers as DICOM JSON texts with absolute URLs, and whether the limit cut the list."""

    answers: tuple[str, ...]
    truncated: bool


# level -> (model, way to each level's columns, way to the study, order with a unique last key)
_PLANS: Mapping[Level, tuple[Any, Mapping[Level, str], str, tuple[str, ...]]] = {
    "study": (
        Study,
        {"patient": "patient__", "study": ""},
        "pk",
        ("-study_date", "-study_time", "-id"),
    ),
    "series": (
        Series,
        {"patient": "study__patient__", "study": "study__", "series": ""},
        "study",
        ("study_id", "series_number", "id"),
    ),
    "instance": (
        Instance,
        {"patient": "series__study__patient__", "study": "series__study__", "series": "series__", "instance": ""},
        "series__study",
        ("series_id", "instance_number", "id"),
    ),
}


def searchable(level: Level) -> Mapping[Level, str]:
    """The levels whose attributes can be matched at ``level``, with the way to their columns."""
    return _PLANS[level][1]


def search(query: SearchQuery, scope: QuerySet[Study], root: str) -> Found:
    """The answers to ``query`` within ``scope``; ``root`` is the public DICOMweb root for RetrieveURL.

    One database query whatever the number of rows. Raises ``InvalidQuery``.
    """
    model, ways, to_study, order = _PLANS[query.level]
    rows = within(model.objects.all(), scope, to_study)
    if query.study_instance_uid is not None:
        rows = rows.filter(**{f"{ways['study']}study_instance_uid": query.study_instance_uid})
    if query.series_instance_uid is not None:
        rows = rows.filter(**{f"{ways['series']}series_instance_uid": query.series_instance_uid})
    if query.modalities_in_study:
        rows = rows.filter(any_modality(f"{ways['study']}modalities_in_study", query.modalities_in_study))
    for match in query.matches:
        way = f"{ways[match.attribute.level]}{match.attribute.column}"
        found = condition(match.attribute, way, match.text, fuzzy=query.fuzzy)
        if found is not None:
            rows = rows.filter(found)
    parts = _parts(query)
    columns = [f"{ways[level]}answer" for level in parts]
    window = rows.order_by(*order).values_list(*columns)[query.offset : query.offset + query.limit + 1]
    answered = list(window)
    texts = (_text(row, tuple(parts.values())) for row in answered[: query.limit])
    return Found(tuple(answers.with_root(text, root) for text in texts), truncated=len(answered) > query.limit)


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
