"""The query string of a search for workitems as a ``WorkItemQuery`` (PS3.18 11.9.1, 8.3.4), and UIDs in one."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from archive.errors import InvalidQuery
from dicom.uids import is_uid
from dicomweb.errors import BadRequest
from dicomweb.paging import Paging
from workitems.matching import path_of
from workitems.search import WorkItemQuery

_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A query, what it asked for in vain (to be told in ``Warning: 299``), the tags that are matched, at any depth."""

    query: WorkItemQuery
    unsupported: tuple[str, ...]
    keys: frozenset[str]


def parse(pairs: Iterable[tuple[str, str]], *, default_limit: int, most: int, longest_value: int) -> Parsed:
    """Read the ``pairs`` of a query string. Raises ``InvalidQuery``.

    Keys inside of a sequence are named by their path, ``ScheduledStationNameCodeSequence.CodeValue``.
    """
    matches: dict[str, str] = {}
    unsupported: list[str] = []
    include: set[str] | None = set()
    paging = Paging(default_limit=default_limit, most=most, longest_value=longest_value)
    for name, value in paging.others(pairs):
        if name == "includefield":
            for field in (part.strip() for part in value.split(",") if part.strip()):
                if field == "all":
                    include = None
                elif (tag := _tag(field)) is None:
                    unsupported.append(f"includefield={field}")
                elif include is not None:
                    include.add(tag)
        elif (path := path_of(name)) is None:
            unsupported.append(name)
        elif ".".join(path) in matches:
            raise InvalidQuery("a key is given twice")
        else:
            matches[".".join(path)] = value
    query = WorkItemQuery(
        matches=tuple(matches.items()),
        include=None if include is None else frozenset(include),
        fuzzy=paging.fuzzy,
        limit=paging.limit,
        offset=paging.offset,
    )
    keys = frozenset(tag for path in matches for tag in path.split("."))
    return Parsed(query, tuple(unsupported), keys)


def uid_among(pairs: Iterable[tuple[str, str]], names: frozenset[str], *others: str) -> str:
    """The UID that a request names in its query string, by one of ``names`` or alone (``?1.2.3``), or in ``others``.

    "" if it names none. Raises ``BadRequest`` for what is no UID, and for different ones.
    """
    given = {value for name, value in pairs if name.lower() in names}
    given |= {name for name, value in pairs if not value and name[:1].isdigit()}
    found = {uid.strip() for uid in (*given, *others) if uid.strip()}
    if not all(map(is_uid, found)) or len(found) > 1:
        raise BadRequest("expected one UID: digits and dots, at most 64")
    return next(iter(found), "")


def _tag(field: str) -> str | None:
    """The outermost tag of a path: whole sequences are given."""
    first = field.partition(".")[0]
    path = path_of(f"{first}.00080100") or path_of(first)
    return path[0] if path else (first.upper() if _TAG.fullmatch(first) and first != "00081195" else None)
