"""Search: a typed query plus the caller's scope become ready answers, in a total order (PS3.18 10.6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from functools import partial

from django.conf import settings
from django.db.models import Q, QuerySet

from archive import answers, ordering
from archive.extended_declaration import ExtendedAttribute
from archive.extended_search import ExtendedMatch, extended_condition, fragments, with_extended
from archive.matching import EMPTY, bounds, combined, condition, is_universal, modality_condition
from archive.models import Study
from archive.ordering import KeyValue, Order
from archive.part_counts import with_part_counts
from archive.request_attributes import item_condition
from archive.search_statements import PLANS, Asked, asked
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

_MOMENTS = (
    ("StudyDate", "StudyTime"),
    ("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
    ("ContentDate", "ContentTime"),
)


def searchable(level: Level) -> Mapping[Level, str]:
    """The levels whose attributes can be matched at ``level``, with the way to their columns."""
    return PLANS[level][1]


def search(query: SearchQuery, scope: QuerySet[Study], root: str, *, seconds: float | None = None) -> Found:
    """The answers to ``query`` within ``scope``; ``root`` is the public DICOMweb root for RetrieveURL.

    One database query whatever the number of rows, one more for the count, one for attributes that were declared, and
    one where studies can be reached in part. A statement that isn't a look-up gives up after ``seconds``.
    Raises ``InvalidQuery``, ``OperationalError``.
    """
    ways = PLANS[query.level][1]
    parts = _parts(query)
    extended = list(dict.fromkeys([*(match.attribute for match in query.extended), *query.extended_include]))
    owners = [f"{ways[level]}pk" for level in dict.fromkeys(attribute.level for attribute in extended)]
    columns = [f"{ways[level]}answer" for level in parts] + [key.path for key in ordering.DEFAULT[query.level]] + owners
    found = _asked(query, tuple(columns), scope, seconds)
    # Of all that match, not only of what is behind a row.
    total = _asked(replace(query, after=None), (), scope, seconds).number() if query.count else None
    answered = found.rows(query.limit + 1, query.offset)
    shown = answered[: query.limit]
    texts: Sequence[str] = [row[0] for row in shown]
    if len(parts) > 1:
        texts = [answers.merged(zip(row, parts.values(), strict=False)) for row in shown]
    if "study" in parts:
        texts = with_part_counts(texts, found.pieces)
    if extended and shown:
        texts = _with_extended(texts, [row[len(columns) - len(owners) :] for row in shown], extended)
    truncated = len(answered) > query.limit
    return Found(
        answers.with_root(texts, root),
        truncated=truncated,
        following=ordering.token(query.level, shown[-1][len(parts) : len(columns) - len(owners)])
        if truncated and shown and not query.order
        else None,
        total=total,
    )


def _asked(query: SearchQuery, columns: tuple[str, ...], scope: QuerySet[Study], seconds: float | None) -> Asked:
    """What ``query`` asks of the database."""
    ways = PLANS[query.level][1]
    conditions = _conditions(query, ways)
    if query.item_matches:
        conditions.append(item_condition(f"{ways['series']}pk", query.item_matches, empty=query.empty))
    for match in query.extended:
        way = ways[match.attribute.level]
        conditions.append(extended_condition(match, way, fuzzy=query.fuzzy, empty=query.empty, each=query.each))
    if query.after is not None:
        conditions.append(ordering.behind(query.level, query.after))
    named = query.modalities_in_study
    return asked(
        query.level,
        columns,
        query.order,
        [uid for uid in (query.study_instance_uid, query.series_instance_uid) if uid is not None],
        [condition for condition in conditions if condition is not None],
        partial(modality_condition, modalities=named, empty=query.empty, each=query.each) if named else None,
        scope,
        no_modality=query.empty and named == {EMPTY},
        seconds=seconds,
    )


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
