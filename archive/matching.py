"""Attribute matching of PS3.4 C.2.2.2 as database conditions: one function per matching type, chosen by the table."""

import re
from collections.abc import Callable, Collection, Mapping

from django.contrib.postgres.fields import ArrayField
from django.db.models import CharField, Lookup, Q, TextField

from archive.errors import InvalidQuery
from archive.names import fold, groups
from dicom.attributes import Attribute, Matching

_DATE = re.compile(r"[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])")
_TIME = re.compile(r"([01][0-9]|2[0-3])([0-5][0-9](([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?")
_UID = re.compile(r"[0-9.]{1,64}")
_WHOLE = re.compile(r"[+-]?[0-9]{1,12}")
_BETWEEN_WORDS = re.compile(r"[\s^=\\.,'*?-]+")
_MOST_WORDS = 20
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


@ArrayField.register_lookup
class AnyLike(Lookup):
    """Some element of the array ``LIKE`` some one of the patterns."""

    lookup_name = "any_like"
    prepare_rhs = False

    def as_sql(self, compiler, connection):  # type: ignore[no-untyped-def]
        """The SQL of the comparison."""
        left, params = self.process_lhs(compiler, connection)
        sql = f"EXISTS (SELECT 1 FROM unnest({left}) AS element WHERE element LIKE ANY (%s::text[]))"  # noqa: S608
        return sql, [*params, self.rhs]


def pattern(text: str) -> str:
    """Wild card matching (PS3.4 C.2.2.2.4) as a LIKE pattern: ``*`` any run, ``?`` any one character."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return re.sub(r"\*+", "%", escaped).replace("?", "_")


def has_wildcard(text: str) -> bool:
    """Whether ``text`` is a wild card rather than a single value."""
    return "*" in text or "?" in text


def condition(attribute: Attribute, path: str, text: str, *, fuzzy: bool = False) -> Q | None:
    """The condition that ``attribute`` (its column reached by ``path``) matches ``text``.

    ``None`` is universal matching: an empty value or a lone ``*``. Spaces around ``text`` don't count (PS3.5 6.2).
    Raises ``InvalidQuery``.
    """
    text = text.strip()
    if not text or set(text) == {"*"}:
        return None
    if attribute.matching == "person_name":
        return _fuzzy_name(path, text) if fuzzy else _person_name(path, text)
    return _MATCHERS[attribute.matching](attribute, path, text)


def _single(attribute: Attribute, path: str, text: str) -> Q:
    return Q(**{path: text})


def _wildcard(attribute: Attribute, path: str, text: str) -> Q:
    return Q(**{f"{path}__like": pattern(text)}) if has_wildcard(text) else Q(**{path: text})


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


def _date(attribute: Attribute, path: str, text: str) -> Q:
    return _range(attribute, path, text.replace(".", ""), _DATE, "a date YYYYMMDD or a range of two")


def _time(attribute: Attribute, path: str, text: str) -> Q:
    return _range(attribute, path, text.replace(":", ""), _TIME, "a time HHMMSS or a range of two")


def _range(attribute: Attribute, path: str, text: str, form: re.Pattern[str], expected: str) -> Q:
    """Range matching (PS3.4 C.2.2.2.5): ``a-b``, ``a-``, ``-b``, or one value. A missing value never matches."""
    low, dash, high = text.partition("-")
    low, high = low.strip(), high.strip()
    if not (low or high) or any(part and not form.fullmatch(part) for part in (low, high)):
        raise InvalidQuery(f"{attribute.keyword}: expected {expected}")
    if not dash:
        high = low
    # 101530.500 begins where 101530.5 does, and 101530.000 where 101530 does.
    low = re.sub(r"\.?0+$", "", low) if "." in low else low
    found = Q(**{f"{path}__gte": low}) if low else Q(**{f"{path}__gt": ""})
    return found & Q(**{f"{path}__lte": high + _AFTER}) if high else found


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


def any_modality(path: str, modalities: Collection[str]) -> Q:
    """Some modality of the study (the array at ``path``) is one of these, wild cards included."""
    if any(has_wildcard(modality) for modality in modalities):
        return Q(**{f"{path}__any_like": sorted(pattern(modality) for modality in modalities)})
    return Q(**{f"{path}__overlap": sorted(modalities)})


_MATCHERS: Mapping[Matching, Callable[[Attribute, str, str], Q]] = {
    "single": _single,
    "wildcard": _wildcard,
    "uid": _uid,
    "number": _number,
    "date": _date,
    "time": _time,
}
