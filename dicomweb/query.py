"""The query string of a search as a typed ``SearchQuery`` (PS3.18 8.3.4, 10.6.1.2), parsed once at the door."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.datadict import tag_for_keyword

from archive.errors import InvalidQuery
from archive.search import Match, SearchQuery, searchable
from dicom.attributes import BY_KEYWORD, BY_TAG, Attribute, Level

MODALITIES_IN_STUDY = "00080061"
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_OFTEN = 500  # includefields or keys in one request
_LONGEST = 4096
# Not indexed, but in every answer of a study, or of each level.
_OF_STUDIES = frozenset({MODALITIES_IN_STUDY, "00201206", "00201208"})
_ALWAYS = frozenset({"00080005", "00080056", "00081190", "00201209", "00400275"})
_IGNORED = frozenset({"accept", "charset"})  # content negotiation, read elsewhere


@dataclass(frozen=True, slots=True)
class Parsed:
    """A query, the names of what it asked for in vain (to be told in ``Warning: 299``), and the limit asked for."""

    query: SearchQuery
    unsupported: tuple[str, ...]
    asked: int | None


def parse_query(
    pairs: Iterable[tuple[str, str]],
    level: Level,
    *,
    study_instance_uid: str | None,
    series_instance_uid: str | None,
    default_limit: int,
    most: int,
) -> Parsed:
    """Read the ``pairs`` of a query string. Raises ``InvalidQuery`` for what is malformed.

    A parameter that is unknown or can't be matched at ``level`` is left out and named.
    """
    include: set[str] | None = set()
    matches: dict[str, Match] = {}
    modalities: frozenset[str] = frozenset()
    unsupported: list[str] = []
    numbers: dict[str, int] = {}
    fuzzy = False
    for count, (name, value) in enumerate(pairs):
        if count >= _OFTEN or len(value) > _LONGEST:
            raise InvalidQuery(f"more than {_OFTEN} parameters, or a value longer than {_LONGEST} characters")
        if "\x00" in name or "\x00" in value:
            raise InvalidQuery("a parameter holds a NUL character")
        if name == "includefield":
            wanted, unknown = _include(value, level)
            unsupported += unknown
            include = None if wanted is None or include is None else include | wanted
        elif name == "fuzzymatching":
            fuzzy = _boolean(name, value)
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
        else:
            unsupported.append(name)
    query = SearchQuery(
        level=level,
        study_instance_uid=study_instance_uid,
        series_instance_uid=series_instance_uid,
        matches=tuple(matches.values()),
        modalities_in_study=modalities,
        include=None if include is None else frozenset(include),
        fuzzy=fuzzy,
        limit=min(numbers.get("limit", default_limit), most),
        offset=numbers.get("offset", 0),
    )
    return Parsed(query, tuple(unsupported), numbers.get("limit"))


def _tag(name: str) -> str | None:
    """The tag of a keyword or of eight hex digits; ``None`` for anything else."""
    if _TAG.fullmatch(name):
        return name.upper()
    tag = tag_for_keyword(name)
    return f"{tag:08X}" if tag is not None else None


def _attribute(name: str) -> Attribute | None:
    return BY_KEYWORD.get(name) or BY_TAG.get(_tag(name) or "")


def _include(value: str, level: Level) -> tuple[set[str] | None, list[str]]:
    """Tags to return besides the default ones, and names that no answer can have; ``None`` is ``all``."""
    wanted: set[str] = set()
    unknown: list[str] = []
    for name in (part.strip() for part in value.split(",") if part.strip()):
        if name == "all":
            return None, []
        tag = _tag(name)
        attribute = BY_TAG.get(tag or "")
        if attribute is not None and attribute.level in searchable(level):
            # An attribute of the answer's own level is in it anyway.
            if attribute.level != level and (level, attribute.level) != ("study", "patient"):
                wanted.add(attribute.tag)
        elif tag in _OF_STUDIES:
            wanted.add(tag)
        elif tag not in _ALWAYS:
            unknown.append(f"includefield={name}")
    return wanted, unknown


def _boolean(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise InvalidQuery(f"{name}: expected true or false")
    return value.lower() == "true"


def _count(name: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise InvalidQuery(f"{name}: expected a whole number from 0 to 999999999")
    return int(value)
