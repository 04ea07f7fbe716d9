"""Search: a typed query plus the caller's scope become ready answers, in a total order (PS3.18 10.6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import partial
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet

from archive import answers, ordering
from archive.extended_declaration import ExtendedAttribute
from archive.extended_search import ExtendedMatch, extended_condition, fragments, with_extended
from archive.locate import within
from archive.matching import EMPTY, bounds, combined, condition, is_universal, modality_condition
from archive.models import Instance, Series, Study
from archive.ordering import KeyValue, Order
from archive.part_counts import with_part_counts
from archive.part_modalities import with_modalities
from archive.request_attributes import item_condition
from archive.time_zones import KEYWORD as OFFSET
from archive.time_zones import Clock, period, read_offset, site_zone, with_sign
from dicom.attributes import BY_KEYWORD, Attribute, Level


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
    ``extended`` are keys that were declared at run time, ``extended_include`` such attributes to return.
    """

    level: Level
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    matches: tuple[Match, ...] = ()
    modalities_in_study: frozenset[str] = frozenset()
    item_matches: tuple[tuple[str, str], ...] = ()
    extended: tuple[ExtendedMatch, ...] = ()
    extended_include: tuple[ExtendedAttribute, ...] = ()
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


_Key = tuple[Attribute, str, str]  # attribute, way to its column, text

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

    One database query whatever the number of rows, one more for the count, one for attributes that were declared, and
    one where studies can be reached in part.
    Raises ``InvalidQuery``.
    """
    rows = _matching(query, scope)
    total = rows.count() if query.count else None
    ways = _PLANS[query.level][1]
    keys = ordering.keys(query.level, query.order, ways, below_study=query.study_instance_uid is not None)
    if query.after is not None:
        rows = rows.filter(ordering.behind(query.level, query.after))
    parts = _parts(query)
    extended = list(dict.fromkeys([*(match.attribute for match in query.extended), *query.extended_include]))
    owners = [f"{ways[level]}pk" for level in dict.fromkeys(attribute.level for attribute in extended)]
    columns = [f"{ways[level]}answer" for level in parts] + [key.path for key in ordering.DEFAULT[query.level]] + owners
    ordered = rows.order_by(*(key.expression() for key in keys)).values_list(*columns)
    answered = list(ordered[query.offset : query.offset + query.limit + 1])
    shown = answered[: query.limit]
    texts: Sequence[str] = [_text(row[: len(parts)], tuple(parts.values())) for row in shown]
    if parts.keys() & {"study"}:
        texts = with_part_counts(texts, scope)
    if extended and shown:
        texts = _with_extended(texts, [row[len(columns) - len(owners) :] for row in shown], extended)
    truncated = len(answered) > query.limit
    return Found(
        tuple(answers.with_root(text, root) for text in texts),
        truncated=truncated,
        following=ordering.token(query.level, shown[-1][len(parts) : len(columns) - len(owners)])
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
    if named := query.modalities_in_study:
        of = partial(modality_condition, modalities=named, empty=query.empty, each=query.each)
        rows = with_modalities(rows, scope, to_study, of, empty=query.empty and named == {EMPTY})
    if query.item_matches:
        conditions.append(item_condition(f"{ways['series']}pk", query.item_matches, empty=query.empty))
    for match in query.extended:
        way = ways[match.attribute.level]
        conditions.append(extended_condition(match, way, fuzzy=query.fuzzy, empty=query.empty, each=query.each))
    for found in conditions:
        if found is not None:
            rows = rows.filter(found)
    return rows


def _conditions(query: SearchQuery, ways: Mapping[Level, str]) -> list[Q | None]:
    """What the keys of ``query`` ask for: a date and its time together where both are ranges, else each by itself.

    With an offset the dates are by that clock, as far as there are any.
    """
    keys: dict[str, _Key] = {
        m.attribute.keyword: (m.attribute, f"{ways[m.attribute.level]}{m.attribute.column}", m.text)
        for m in query.matches
    }
    dated = [pair for pair in _MOMENTS if pair[0] in keys and not is_universal(keys[pair[0]][2].strip())]
    zone = _zone(keys, dated=bool(dated), empty=query.empty)
    conditions: list[Q | None] = []
    for date, time in _MOMENTS:
        if zone is not None and (date, time) in dated and not (query.empty and keys[date][2].strip() == EMPTY):
            conditions.append(_by_clock(keys, date, time, zone, ways))
        elif date in keys and time in keys and (found := combined(keys[date], keys[time])) is not None:
            conditions.append(found)
            del keys[date], keys[time]
    conditions += [condition(*key, fuzzy=query.fuzzy, empty=query.empty) for key in keys.values()]
    return conditions


def _zone(keys: dict[str, _Key], *, dated: bool, empty: bool) -> tzinfo | None:
    """The zone of the dates that are asked for. Without dates the offset is matched like any attribute, and stays."""
    attribute, path, text = keys.get(OFFSET, (None, "", ""))
    if attribute is None or is_universal(text.strip()) or (empty and text.strip() == EMPTY):
        return None
    zone = read_offset(text)
    if dated:
        del keys[OFFSET]
        return zone
    keys[OFFSET] = (attribute, path, with_sign(text))
    return None


def _by_clock(keys: dict[str, _Key], date: str, time: str, zone: tzinfo, ways: Mapping[Level, str]) -> Q:
    """The condition of a date by the clock of ``zone``, and of its time where both are one period; these are settled.

    They are one period if the date is a single one, or a range with the same open ends as that of the time.
    """
    of_date, date_path, date_text = keys.pop(date)
    days = bounds(of_date, date_text.strip())
    times = ("", "")
    if time in keys and (text := keys[time][2].strip()) and not is_universal(text) and text != EMPTY:
        asked = bounds(keys[time][0], text)
        both_ranges = "-" in date_text and "-" in text and [bool(d) for d in days] == [bool(t) for t in asked]
        if days[0] == days[1] or both_ranges:
            times = asked
            del keys[time]
    paths = (
        date_path,
        f"{date_path.removesuffix(of_date.column)}{BY_KEYWORD[time].column}",
        f"{ways['study']}{BY_KEYWORD[OFFSET].column}",
    )
    first, last = (Clock(day, at) for day, at in zip(days, times, strict=True))
    return period(first, last, zone, site_zone(settings.PACS.time_zone), paths)


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


def _with_extended(
    texts: Sequence[str], rows: Sequence[tuple[int, ...]], extended: Sequence[ExtendedAttribute]
) -> list[str]:
    """Answers with the values of ``extended``; each row has the owners by the levels of these, in their order."""
    levels = list(dict.fromkeys(attribute.level for attribute in extended))
    owners = [dict(zip(levels, row, strict=True)) for row in rows]
    found = fragments(extended, {level: [row[level] for row in owners] for level in levels})
    return [
        with_extended(text, [(each, found.get((each.id, row[each.level]), ())) for each in extended])
        for text, row in zip(texts, owners, strict=True)
    ]
