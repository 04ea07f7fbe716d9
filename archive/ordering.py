"""The order of answers: total at every level, by attributes where asked, and continued behind a row by a token.

A page that begins behind a row (keyset paging) loses nothing and repeats nothing while data arrive; counting rows off
(``offset``) can't promise that.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import orjson
from django.db.models import F, Q, Value
from django.db.models.expressions import OrderBy
from django.db.models.functions import NullIf

from archive.errors import InvalidQuery
from dicom.attributes import Attribute, Level, Matching

KeyValue = str | int | None
_LONGEST_TOKEN = 2048


@dataclass(frozen=True, slots=True)
class Order:
    """One attribute to sort by."""

    attribute: Attribute
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """One column of an order: ``text`` may be empty, ``number`` null, ``id`` is always there; no value sorts last."""

    path: str
    kind: Literal["text", "number", "id"]
    descending: bool = False

    def expression(self) -> OrderBy:
        """The ORDER BY term; the plain one wherever it says the same, since that is what an index has."""
        if self.kind == "text" and not self.descending:
            return NullIf(F(self.path), Value("")).asc(nulls_last=True)
        if self.kind == "number" and self.descending:
            return F(self.path).desc(nulls_last=True)
        return F(self.path).desc() if self.descending else F(self.path).asc()

    def later(self, value: KeyValue) -> Q | None:
        """The condition of standing behind ``value``; ``None`` where nothing can."""
        if value is None:
            return None
        found = Q(**{f"{self.path}__{'lt' if self.descending else 'gt'}": value})
        return found | Q(**{f"{self.path}__isnull": True}) if self.kind == "number" else found

    def same(self, value: KeyValue) -> Q:
        """The condition of having ``value``."""
        return Q(**{f"{self.path}__isnull": True}) if value is None else Q(**{self.path: value})

    def takes(self, value: object) -> bool:
        """Whether ``value`` can be one of this column."""
        if self.kind == "text":
            return isinstance(value, str) and "\x00" not in value
        if value is None:
            return self.kind == "number"
        return type(value) is int and -(2**63) <= value < 2**63


# Each ends in a unique key. Text of these is sorted downwards only, where the empty one is last by itself.
DEFAULT: Mapping[Level, tuple[Key, ...]] = {
    "study": (Key("study_date", "text", True), Key("study_time", "text", True), Key("id", "id", True)),
    "series": (Key("study_id", "id"), Key("series_number", "number"), Key("id", "id")),
    "instance": (Key("series_id", "id"), Key("instance_number", "number"), Key("id", "id")),
}


# Equal values of an attribute are sorted by the row that has it, then by the rows below: so indexes have them.
_OWN: Mapping[Level, tuple[Key, ...]] = {
    "patient": (Key("id", "id"),),
    "study": DEFAULT["study"],
    "series": (Key("series_number", "number"), Key("id", "id")),
    "instance": (Key("instance_number", "number"), Key("id", "id")),
}


_KINDS: Mapping[Matching, Literal["number", "id"]] = {"number": "number", "uid": "id"}


def keys(
    level: Level, orders: Sequence[Order], ways: Mapping[Level, str], *, below_study: bool = False
) -> tuple[Key, ...]:
    """The asked ``orders`` with what makes them total behind them.

    Equal values are sorted by patient, study, series and instance, each in its default order, beginning with what the
    first attribute belongs to. Instances of the whole archive with equal values (not ``below_study``) are in the order
    of their arrival: an index that had more would outgrow the rows.
    """
    if not orders:
        return DEFAULT[level]
    first = orders[0].attribute.level
    ties: list[Key] = []
    for tied, way in list(ways.items())[list(ways).index(first) :]:
        own = _OWN[tied] if tied != first or first == "patient" else DEFAULT[tied]
        if first == "instance" and not below_study:
            # One index for both directions, of what is never without a value.
            own = (Key("id", "id", orders[0].descending and orders[0].attribute.matching == "uid"),)
        ties += [replace(key, path=f"{way}{key.path}") for key in own]
    return (*(_key(order, ways[order.attribute.level]) for order in orders), *ties)


def _key(order: Order, way: str) -> Key:
    # A name is sorted as it is searched: without case and accents.
    ending = "_key" if order.attribute.matching == "person_name" else ""
    return Key(f"{way}{order.attribute.column}{ending}", _KINDS.get(order.attribute.matching, "text"), order.descending)


def behind(level: Level, values: Sequence[KeyValue]) -> Q:
    """The condition of standing behind the row with these ``values`` of the default order of ``level``."""
    first = DEFAULT[level][0]
    # Says nothing new, but is a range of the index, which the alternatives below are not.
    bound = Q(**{f"{first.path}__{'lte' if first.descending else 'gte'}": values[0]})
    found, same = Q(pk__in=[]), Q()
    for key, value in zip(DEFAULT[level], values, strict=True):
        later = key.later(value)
        if later is not None:
            found |= same & later
        same &= key.same(value)
    return bound & found


def token(level: Level, values: Sequence[KeyValue]) -> str:
    """``values`` as text for a URL; clients are told that it is opaque."""
    return base64.urlsafe_b64encode(orjson.dumps([level, *values])).rstrip(b"=").decode()


def read_token(level: Level, text: str) -> tuple[KeyValue, ...]:
    """The values of a token. Raises ``InvalidQuery`` for what isn't one of a search at ``level``."""
    refused = InvalidQuery(f"after: expected the token of a list of this level ({level})")
    if len(text) > _LONGEST_TOKEN:
        raise refused
    try:
        loaded = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise refused from error
    if not isinstance(loaded, list) or loaded[:1] != [level] or len(loaded) != len(DEFAULT[level]) + 1:
        raise refused
    values = tuple(loaded[1:])
    if not all(key.takes(value) for key, value in zip(DEFAULT[level], values, strict=True)):
        raise refused
    return values
