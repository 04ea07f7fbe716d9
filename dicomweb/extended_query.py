"""What a query string says of attributes that were declared at run time (``dicomweb.extended_tags``)."""

from collections.abc import Callable, Sequence

from archive.errors import InvalidQuery
from archive.extended_declaration import path_of
from archive.extended_search import ExtendedMatch
from archive.extended_tags import READY, Declared
from archive.search import searchable
from dicom.attributes import BY_TAG, Level


class ExtendedKeys:
    """Keys and includefields of one query at ``level``; ``load`` is called once, and only where it is needed."""

    def __init__(self, level: Level, load: Callable[[], Sequence[Declared]]) -> None:
        self._level = level
        self._load = load
        self._enabled: dict[str, Declared] | None = None
        self.matches: dict[str, ExtendedMatch] = {}
        self.included: dict[str, Declared] = {}

    def match(self, name: str, value: str) -> bool:
        """Take a key; ``False`` if nothing of this name can be searched. Raises ``InvalidQuery``."""
        found = self._find(name)
        if found is None:
            return False
        if found.attribute.path in self.matches:
            raise InvalidQuery(f"{found.attribute.label} is given twice")
        self.matches[found.attribute.path] = ExtendedMatch(found.attribute, value)
        return True

    def include(self, name: str) -> bool:
        """Take an includefield; ``False`` if it has to come from elsewhere.

        As long as not all is indexed, an instance is the better source of what is stored in it.
        """
        found = self._find(name)
        if found is None or (self._level == "instance" and found.status != READY):
            return False
        self.included[found.attribute.path] = found
        return True

    def include_all(self) -> None:
        """Take ``includefield=all``; what is inside sequences is answered where it is asked for."""
        for path in self._declared():
            if "." not in path:
                self.include(path)

    def used(self) -> list[Declared]:
        """The attributes that the answer depends on."""
        paths = dict.fromkeys([*self.matches, *self.included])
        return [self._declared()[path] for path in paths]

    def _find(self, name: str) -> Declared | None:
        path = path_of(name)
        # What is indexed anyway can't be declared: nothing has to be loaded to know that.
        return self._declared().get(path) if path and path not in BY_TAG else None

    def _declared(self) -> dict[str, Declared]:
        if self._enabled is None:
            levels = searchable(self._level)
            self._enabled = {
                each.attribute.path: each
                for each in self._load()
                if each.enabled and each.status != "deleting" and each.attribute.level in levels
            }
        return self._enabled
