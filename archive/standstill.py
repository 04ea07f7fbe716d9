"""Whether objects may be written now. Doors ask rooms above; commands of this room ask here, before each object.

Those who know a reason why nothing may be stored (read-only mode) add themselves to ``REASONS``.
"""

from collections.abc import Callable
from typing import Final

from archive.errors import ArchiveError

# Each tells why nothing is stored now, "" where it knows no reason; asked for each object, so it has to be quick.
REASONS: Final[list[Callable[[], str]]] = []


class Standstill(ArchiveError):
    """Nothing is stored now. The message says why."""


def refuse_writing() -> None:
    """Raises ``Standstill`` while nothing may be stored."""
    for reason in REASONS:
        if text := reason():
            raise Standstill(text)
