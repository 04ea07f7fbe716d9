"""The query string of a search of the modality worklist as a ``WorklistQuery`` (PS3.18 14.4.1, 8.3.4)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.datadict import keyword_for_tag, tag_for_keyword

from archive.errors import InvalidQuery
from dicomweb.paging import Paging
from worklist.worklist_search import KEYS, OF_STEPS, SEQUENCE, WorklistQuery

_TAG = re.compile(r"[0-9A-Fa-f]{8}")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A query, and what it asked for in vain (to be told in ``Warning: 299``); ``keys`` are tags that are matched.

    ``include`` are tags asked for by ``includefield``: all that is known of a step is given anyway.
    """

    query: WorklistQuery
    unsupported: tuple[str, ...]
    include: frozenset[str]
    keys: frozenset[str]


def parse(pairs: Iterable[tuple[str, str]], *, default_limit: int, most: int, longest_value: int) -> Parsed:
    """Read the ``pairs`` of a query string. Raises ``InvalidQuery``.

    Keys of the Scheduled Procedure Step Sequence are named by a path (``00400100.00080060``), or alone.
    """
    matches: dict[str, str] = {}
    unsupported: list[str] = []
    include: set[str] = set()
    paging = Paging(default_limit=default_limit, most=most, longest_value=longest_value)
    for name, value in paging.others(pairs):
        if name == "includefield":
            include |= {tag for part in value.split(",") if part.strip() and (tag := _tag(part.strip()))}
        elif (keyword := _key(name)) is None:
            unsupported.append(name)
        elif keyword in matches:
            raise InvalidQuery(f"{keyword} is given twice")
        else:
            matches[keyword] = value
    query = WorklistQuery(matches, paging.fuzzy, paging.limit, paging.offset)
    return Parsed(query, tuple(unsupported), frozenset(include), frozenset(KEYS[each].tag for each in matches))


def _key(name: str) -> str | None:
    """The keyword of ``KEYS`` that a name means, by keyword or tag; ``None`` for what is not matched."""
    outer, dot, inner = name.rpartition(".")
    tag = _tag(inner)
    keyword = keyword_for_tag(int(tag, 16)) if tag else ""
    if keyword not in KEYS or (dot and (_tag(outer) != _tag(SEQUENCE) or keyword not in OF_STEPS)):
        return None
    return keyword


def _tag(name: str) -> str | None:
    if _TAG.fullmatch(name):
        return name.upper()
    tag = tag_for_keyword(name.rpartition(".")[2])
    return f"{tag:08X}" if tag is not None else None
