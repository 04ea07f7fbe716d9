"""What searches of both worklists have in common: ``limit``, ``offset``, ``fuzzymatching`` (PS3.18 8.3.4)."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from archive.errors import InvalidQuery

_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_IGNORED: Final = frozenset({"accept", "charset"})  # content negotiation, read elsewhere
_MOST_PARAMETERS: Final = 100


class Paging:
    """Read while ``others`` is walked through; ``limit`` is never above ``most``."""

    def __init__(self, *, default_limit: int, most: int, longest_value: int) -> None:
        self.fuzzy = False
        self._most, self._longest = most, longest_value
        self._numbers = {"limit": default_limit, "offset": 0}

    @property
    def limit(self) -> int:
        """At most so many answers."""
        return min(self._numbers["limit"], self._most)

    @property
    def offset(self) -> int:
        """So many answers are passed over."""
        return self._numbers["offset"]

    def others(self, pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Those of ``pairs`` that are about neither this nor the form of the answer. Raises ``InvalidQuery``."""
        for count, (name, value) in enumerate(pairs):
            if count >= _MOST_PARAMETERS or len(value) > self._longest or "\0" in name + value:
                raise InvalidQuery("too many parameters, a value that is too long, or a NUL character")
            if name == "fuzzymatching":
                self.fuzzy = _flag(name, value)
            elif name in self._numbers:
                self._numbers[name] = _whole(name, value)
            elif name not in _IGNORED:
                yield name, value


def _flag(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise InvalidQuery(f"{name}: expected true or false")
    return value.lower() == "true"


def _whole(name: str, value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise InvalidQuery(f"{name}: expected a whole number from 0 to 999999999")
    return int(value)
