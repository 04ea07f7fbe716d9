"""The query string of a search as a typed ``SearchQuery`` (PS3.18 8.3.4, 10.6.1.2), parsed once at the door."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pydicom.datadict import tag_for_keyword

from archive import request_attributes
from archive.errors import InvalidQuery
from archive.extended_tags import Declared
from archive.ordering import Order, read_token
from archive.search import Match, SearchQuery, searchable
from dicom.attributes import BY_KEYWORD, BY_TAG, Attribute, Level
from dicomweb.extended_query import ExtendedKeys

MODALITIES_IN_STUDY = "00080061"
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_MOST_ORDERS = 8
_FIRST_OF_DATA_SETS = "00080000"  # groups below are of commands, files and directories
# Not indexed, but in every answer of a study, or of each level.
_OF_STUDIES = frozenset({MODALITIES_IN_STUDY, "00201206", "00201208"})
_ALWAYS = frozenset({"00080005", "00080056", "00081190", "00201209", "00400275"})
_FLAGS = frozenset({"fuzzymatching", "emptyvaluematching", "multiplevaluematching", "count"})
_IGNORED = frozenset({"accept", "charset"})  # content negotiation, read elsewhere


@dataclass(frozen=True, slots=True)
class Parsed:
    """A query, the names of what it asked for in vain (to be told in ``Warning: 299``), and the limit asked for.

    ``stored`` names tags that are not in the index but may be in the stored instances; ``None`` asks for all of them.
    ``extended`` are the attributes declared at run time that the query is about.
    """

    query: SearchQuery
    unsupported: tuple[str, ...]
    asked: int | None
    stored: frozenset[str] | None = frozenset()
    extended: tuple[Declared, ...] = ()


def parse_query(
    pairs: Iterable[tuple[str, str]],
    level: Level,
    *,
    study_instance_uid: str | None,
    series_instance_uid: str | None,
    default_limit: int,
    most: int,
    most_parameters: int = 500,
    longest_value: int = 4096,
    declared: Callable[[], Sequence[Declared]] = list,
) -> Parsed:
    """Read the ``pairs`` of a query string. Raises ``InvalidQuery`` for what is malformed, and beyond the bounds.

    A parameter that is unknown or can't be matched at ``level`` is left out and named. ``declared`` gives those
    declared at run time; it is called once, and only for a name that isn't in the tables.
    """
    extended = ExtendedKeys(level, declared)
    include: set[str] | None = set()
    stored: set[str] = set()
    matches: dict[str, Match] = {}
    modalities: frozenset[str] = frozenset()
    unsupported: list[str] = []
    numbers: dict[str, int] = {}
    flags: dict[str, bool] = {}
    items: dict[str, str] = {}
    orders: dict[str, Order] = {}
    after: str | None = None
    for count, (name, value) in enumerate(pairs):
        if count >= most_parameters or len(value) > longest_value:
            raise InvalidQuery(
                f"more than {most_parameters} parameters, or a value of more than {longest_value} characters"
            )
        if "\x00" in name or "\x00" in value:
            raise InvalidQuery("a parameter holds a NUL character")
        if name == "includefield":
            wanted, further, unknown = _include(value, level, extended)
            stored |= further
            unsupported += unknown
            include = None if wanted is None or include is None else include | wanted
        elif name in _FLAGS:
            flags[name] = _boolean(name, value)
        elif name == "orderby":
            unsupported += _orders(value, level, orders)
        elif name == "after":
            after = value
        elif name in ("limit", "offset"):
            numbers[name] = _count(name, value)
        elif name in _IGNORED:
            continue
        elif _tag(name) == MODALITIES_IN_STUDY:
            modalities |= {part.strip() for part in re.split(r"[,\\]", value) if part.strip(" *")}
        elif (attribute := _attribute(name)) and attribute.level in searchable(level):
            if attribute.keyword in matches:
                raise InvalidQuery(f"{attribute.keyword} is given twice")
            matches[attribute.keyword] = Match(attribute, value)
        elif (item_key := _item_key(name)) and "series" in searchable(level):
            if item_key in items:
                raise InvalidQuery(f"RequestAttributesSequence.{item_key} is given twice")
            items[item_key] = value.strip()
        elif not extended.match(name, value):
            unsupported.append(name)
    if after is not None and (orders or numbers.get("offset")):
        raise InvalidQuery("after: goes on in the default order, so not together with orderby or offset")
    query = SearchQuery(
        level=level,
        study_instance_uid=study_instance_uid,
        series_instance_uid=series_instance_uid,
        matches=tuple(matches.values()),
        modalities_in_study=modalities,
        include=None if include is None else frozenset(include),
        item_matches=tuple(items.items()),
        extended=tuple(extended.matches.values()),
        extended_include=tuple(each.attribute for each in extended.included.values()),
        fuzzy=flags.get("fuzzymatching", False),
        empty=flags.get("emptyvaluematching", False),
        each=flags.get("multiplevaluematching", False),
        order=tuple(orders.values()),
        after=None if after is None else read_token(level, after),
        count=flags.get("count", False),
        limit=min(numbers.get("limit", default_limit), most),
        offset=numbers.get("offset", 0),
    )
    of_instances = frozenset(stored) if include is not None or level != "instance" else None
    return Parsed(query, tuple(unsupported), numbers.get("limit"), of_instances, tuple(extended.used()))


def _tag(name: str) -> str | None:
    """The tag of a keyword or of eight hex digits; ``None`` for anything else."""
    if _TAG.fullmatch(name):
        return name.upper()
    tag = tag_for_keyword(name)
    return f"{tag:08X}" if tag is not None else None


def _attribute(name: str) -> Attribute | None:
    return BY_KEYWORD.get(name) or BY_TAG.get(_tag(name) or "")


def _item_key(name: str) -> str | None:
    """The tag of a key inside Request Attributes Sequence, named by a dotted path (PS3.18 8.3.4.1)."""
    sequence, dot, key = name.partition(".")
    tag = _tag(key) if dot and _tag(sequence) == request_attributes.SEQUENCE else None
    return tag if tag in request_attributes.KEYS else None


def _orders(value: str, level: Level, orders: dict[str, Order]) -> list[str]:
    """Add what ``value`` says to sort by; gives back what can't be sorted by at ``level``."""
    unknown: list[str] = []
    for part in value.split(","):
        name = part.strip()
        bare = name.removeprefix("-")
        if not bare or bare.startswith("-"):
            raise InvalidQuery("orderby: expected attributes separated by commas, a - before those to be descending")
        attribute = _attribute(bare)
        if attribute is None or attribute.level not in searchable(level):
            unknown.append(f"orderby={name}")
        elif attribute.keyword in orders:
            raise InvalidQuery(f"orderby: {attribute.keyword} is given twice")
        else:
            orders[attribute.keyword] = Order(attribute, descending=name.startswith("-"))
    if len(orders) > _MOST_ORDERS:
        raise InvalidQuery(f"orderby: more than {_MOST_ORDERS} attributes")
    return unknown


def _include(value: str, level: Level, extended: ExtendedKeys) -> tuple[set[str] | None, set[str], list[str]]:
    """Tags to return besides the default ones (``None`` is ``all``), those of the stored instances, and unknown names.

    Attributes declared at run time are given to ``extended``.
    Only an answer about one instance can have whatever is stored in it, private attributes included.
    """
    wanted: set[str] = set()
    stored: set[str] = set()
    unknown: list[str] = []
    for name in (part.strip() for part in value.split(",") if part.strip()):
        if name == "all":
            extended.include_all()
            return None, set(), []
        tag = _tag(name)
        attribute = BY_TAG.get(tag or "")
        if attribute is not None and attribute.level in searchable(level):
            # An attribute of the answer's own level is in it anyway.
            if attribute.level != level and (level, attribute.level) != ("study", "patient"):
                wanted.add(attribute.tag)
        elif tag in _OF_STUDIES:
            wanted.add(tag)
        elif tag in _ALWAYS or extended.include(name):
            continue
        elif level == "instance" and tag is not None and tag >= _FIRST_OF_DATA_SETS:
            stored |= {tag, *_creator(tag)}
        else:
            unknown.append(f"includefield={name}")
    return wanted, stored, unknown


def _creator(tag: str) -> set[str]:
    """The Private Creator that says what a private attribute means (PS3.5 7.8.1)."""
    return {f"{tag[:4]}00{tag[4:6]}"} if int(tag[:4], 16) % 2 and tag[4:6] != "00" else set()


def _boolean(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise InvalidQuery(f"{name}: expected true or false")
    return value.lower() == "true"


def _count(name: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise InvalidQuery(f"{name}: expected a whole number from 0 to 999999999")
    return int(value)
