"""Attribute matching of PS3.4 C.2.2.2 as database conditions: one function per matching type, chosen by the table."""

import re
from collections.abc import Callable, Collection, Mapping

from django.contrib.postgres.fields import ArrayField
from django.db import connection
from django.db.models import CharField, Lookup, Q, TextField

from archive.errors import InvalidQuery
from archive.names import fold, groups
from dicom.attributes import Attribute, Matching
from dicom.uids import UID_PATTERN

_DATE = re.compile(r"[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])")
_TIME = re.compile(r"([01][0-9]|2[0-3])([0-5][0-9](([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?")
# matching -> what may stand between the digits, their form, how it is explained
_DIGITS: Mapping[Matching, tuple[str, re.Pattern[str], str]] = {
    "date": (".", _DATE, "a date YYYYMMDD or a range of two"),
    "time": (":", _TIME, "a time HHMMSS or a range of two"),
}
_UID = re.compile(UID_PATTERN)
_WHOLE = re.compile(r"[+-]?[0-9]{1,12}")
_BETWEEN_WORDS = re.compile(r"[\s^=\\.,'*?-]+")
_MOST_WORDS = 20
# Two quotation marks: Empty Value Matching (PS3.4 C.2.2.2.7).
EMPTY = '""'
_OPEN_END = re.compile(r"(\^\**)+$")
# Sorts after every character a date or time can go on with, so that an upper bound of 10 takes in 10:59:59.
_AFTER = "~"


@TextField.register_lookup
@CharField.register_lookup
class Like(Lookup):
    """``column LIKE pattern`` with the pattern as given; ``\\`` escapes."""

    lookup_name = "like"

    def as_sql(self, compiler, connection):  # type: ignore[no-untyped-def]
        """The SQL of the comparison."""
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"{left} LIKE {right}", [*left_params, *right_params]


# The modalities that series have, in as many steps of the index as there are different ones.
_MODALITIES = r"""
    WITH RECURSIVE known (name) AS (
        (SELECT modality FROM archive_series ORDER BY modality DESC LIMIT 1)
        UNION ALL
        SELECT (SELECT e.modality FROM archive_series e WHERE e.modality < known.name ORDER BY e.modality DESC LIMIT 1)
        FROM known WHERE known.name <> ''
    )
"""


@ArrayField.register_lookup
class AnyLike(Lookup):
    """Some element of the array, which are modalities, is ``LIKE`` some one of the patterns."""

    lookup_name = "any_like"
    prepare_rhs = False

    def as_sql(self, compiler, connection):  # type: ignore[no-untyped-def]
        """The SQL of the comparison: first which modalities are meant, then the studies that an index has of them."""
        left, params = self.process_lhs(compiler, connection)
        names = """SELECT one COLLATE "default" FROM known, unnest(string_to_array(known.name, '\\')) AS one"""
        return f"{left} && ARRAY({_MODALITIES} {names} WHERE one LIKE ANY (%s::text[]))", [*params, self.rhs]


def pattern(text: str) -> str:
    """Wild card matching (PS3.4 C.2.2.2.4) as a LIKE pattern: ``*`` any run, ``?`` any one character."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return re.sub(r"\*+", "%", escaped).replace("?", "_")


def has_wildcard(text: str) -> bool:
    """Whether ``text`` is a wild card rather than a single value."""
    return "*" in text or "?" in text


def is_universal(text: str) -> bool:
    """Whether ``text`` matches everything (PS3.4 C.2.2.2.3): nothing, or a lone ``*``."""
    return not text or set(text) == {"*"}


def condition(attribute: Attribute, path: str, text: str, *, fuzzy: bool = False, empty: bool = False) -> Q | None:
    """The condition that ``attribute`` (its column reached by ``path``) matches ``text``.

    ``None`` is universal matching. Spaces around ``text`` don't count (PS3.5 6.2). With ``empty``, ``""`` matches what
    has no value. Raises ``InvalidQuery``.
    """
    text = text.strip()
    if is_universal(text):
        return None
    if empty and text == EMPTY:
        return _empty(attribute, path)
    if attribute.matching == "person_name":
        return _fuzzy_name(path, text) if fuzzy else _person_name(path, text)
    return _MATCHERS[attribute.matching](attribute, path, text)


def _empty(attribute: Attribute, path: str) -> Q:
    """Empty Value Matching (PS3.4 C.2.2.2.7): the attribute is absent or has no value."""
    if attribute.matching == "number":
        return Q(**{f"{path}__isnull": True})
    return Q(**{f"{path}_key" if attribute.matching == "person_name" else path: ""})


def _single(attribute: Attribute, path: str, text: str) -> Q:
    return Q(**{path: text})


def _wildcard(attribute: Attribute, path: str, text: str) -> Q:
    if not has_wildcard(text):
        return Q(**{path: text})
    if attribute.keyword == "Modality":
        # Two letters have no trigram, so those that there are come first; named, the planner knows how rare they are.
        return Q(**{f"{path}__in": modalities_like(pattern(text))})
    return Q(**{f"{path}__like": pattern(text)})


def modalities_like(like: str) -> list[str]:
    """The modalities that series have, as far as they match a LIKE pattern. One database query."""
    with connection.cursor() as cursor:
        cursor.execute(f"{_MODALITIES} SELECT name FROM known WHERE name LIKE %s", [like])  # noqa: S608
        return [name for (name,) in cursor.fetchall()]


def _uid(attribute: Attribute, path: str, text: str) -> Q:
    """List of UID matching (PS3.4 C.2.2.2.2); clients separate by comma or by backslash."""
    uids = [uid.strip() for uid in re.split(r"[,\\]", text) if uid.strip()]
    for uid in uids:
        if not _UID.fullmatch(uid):
            raise InvalidQuery(f"{attribute.keyword}: a UID has digits and dots only, at most 64")
    return Q(**{f"{path}__in": uids})


def _number(attribute: Attribute, path: str, text: str) -> Q:
    if not _WHOLE.fullmatch(text):
        raise InvalidQuery(f"{attribute.keyword}: expected a whole number")
    value = int(text)
    return Q(**{path: value}) if -(2**31) <= value < 2**31 else Q(pk__in=[])


def bounds(attribute: Attribute, text: str) -> tuple[str, str]:
    """First and last value of a date or time as digits, empty where open."""
    separator, form, expected = _DIGITS[attribute.matching]
    low, dash, high = text.replace(separator, "").partition("-")
    low, high = low.strip(), high.strip()
    if not (low or high) or any(part and not form.fullmatch(part) for part in (low, high)):
        raise InvalidQuery(f"{attribute.keyword}: expected {expected}")
    if not dash:
        high = low
    # 101530.500 begins where 101530.5 does, and 101530.000 where 101530 does.
    low = re.sub(r"\.?0+$", "", low) if "." in low else low
    return low, high


def _range(attribute: Attribute, path: str, text: str) -> Q:
    """Range matching (PS3.4 C.2.2.2.5): ``a-b``, ``a-``, ``-b``, or one value. A missing value never matches."""
    low, high = bounds(attribute, text)
    found = Q(**{f"{path}__gte": low}) if low else Q(**{f"{path}__gt": ""})
    return found & Q(**{f"{path}__lte": high + _AFTER}) if high else found


def combined(date: tuple[Attribute, str, str], time: tuple[Attribute, str, str]) -> Q | None:
    """The condition of a date and a time, each (attribute, path, text), that are ranges of the same form.

    They are matched as one moment (PS3.4 C.2.2.2.5.4, which PS3.18 8.3.4.1.1 demands). ``None`` if they aren't such
    ranges. On the first and the last day a missing time never matches. Raises ``InvalidQuery``.
    """
    (of_date, date_path, date_text), (of_time, time_path, time_text) = date, time
    if "-" not in date_text or "-" not in time_text:
        return None
    low_date, high_date = bounds(of_date, date_text)
    low_time, high_time = bounds(of_time, time_text)
    if (bool(low_date), bool(high_date)) != (bool(low_time), bool(high_time)):
        return None
    found = _range(of_date, date_path, date_text)
    if low_date:
        found &= Q(**{f"{date_path}__gt": low_date}) | Q(**{f"{time_path}__gte": low_time})
    if high_date:
        on_time = Q(**{f"{time_path}__gt": "", f"{time_path}__lte": high_time + _AFTER})
        found &= Q(**{f"{date_path}__lt": high_date}) | on_time
    return found


def _person_name(path: str, text: str) -> Q:
    """Case- and accent-insensitive; each group of ``text`` is a group of the name (PS3.5 6.2.1.1).

    Trailing components that are empty or any don't count: ``Doe^*`` is ``Doe`` with or without a given name.
    """
    found = Q()
    for group in groups(text):
        shorter = _OPEN_END.sub("", group)
        one = Q(**{f"{path}_key__like": f"%={pattern(group)}=%"})
        found &= one | Q(**{f"{path}_key__like": f"%={pattern(shorter)}=%"}) if shorter != group else one
    return found


def _fuzzy_name(path: str, text: str) -> Q:
    """Each word begins some word of the name, in any order (what users mean by fuzzymatching=true)."""
    words = {word for word in _BETWEEN_WORDS.split(fold(text)) if word}
    if len(words) > _MOST_WORDS:
        raise InvalidQuery(f"a name of more than {_MOST_WORDS} words")
    found = Q()
    for word in sorted(words):
        found &= Q(**{f"{path}_key__regex": rf"[=^ .,'-]{re.escape(word)}"})
    return found


def modality_condition(path: str, modalities: Collection[str], *, empty: bool = False, each: bool = False) -> Q:
    """What the modalities of the study (the array at ``path``) are: some one of these, wild cards included.

    With ``each``, Multiple Value Matching (PS3.4 C.2.2.2.8): every one of them is there, wild cards not allowed. With
    ``empty``, ``""`` alone matches a study without any. Raises ``InvalidQuery``.
    """
    if empty and set(modalities) == {EMPTY}:
        return Q(**{path: []})
    wild = any(has_wildcard(modality) for modality in modalities)
    if each and len(modalities) > 1:
        if wild:
            raise InvalidQuery("ModalitiesInStudy: several values to be matched together have no wild cards")
        return Q(**{f"{path}__contains": sorted(modalities)})
    if wild:
        return Q(**{f"{path}__any_like": sorted(pattern(modality) for modality in modalities)})
    return Q(**{f"{path}__overlap": sorted(modalities)})


_MATCHERS: Mapping[Matching, Callable[[Attribute, str, str], Q]] = {
    "single": _single,
    "wildcard": _wildcard,
    "uid": _uid,
    "number": _number,
    "date": _range,
    "time": _range,
}
