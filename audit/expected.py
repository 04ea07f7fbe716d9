"""A statement that will most likely be asked next, sent along with the one before it: one round trip instead of two.

What it finds is of this very moment, counts once, and only if just this statement is asked with the same values by the
same thread. Whether it may be asked is decided as always, before it is: what was found for nothing is dropped unseen.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from audit.exchange import Found


class _Expected(threading.local):
    """What this thread expects: ``send`` until it was sent, ``found`` from then on."""

    statement: tuple[str, tuple[Any, ...]] | None = None
    send = False
    found: Found | None = None
    was_asked = False

    def taken(self, sql: str, parameters: Sequence[Any]) -> Found | None:
        """What was found of a statement that is now asked; it is not expected again."""
        if self.statement is None or self.statement[0] is not sql or self.statement[1] != tuple(parameters):
            return None
        found = self.found
        self.statement, self.found, self.send, self.was_asked = None, None, False, True
        return found

    def to_send(self) -> tuple[tuple[str, tuple[Any, ...]], ...]:
        """What goes along with the statement that is asked now; each goes once."""
        if not self.send or self.statement is None:
            return ()
        self.send = False
        return (self.statement,)


expected = _Expected()


@contextmanager
def expecting(sql: str, parameters: tuple[Any, ...], *, send: bool) -> Iterator[_Expected]:
    """Within it this statement is expected; ``was_asked`` says afterwards whether it was. Else it is only noticed."""
    expected.statement, expected.send, expected.found, expected.was_asked = (sql, parameters), send, None, False
    try:
        yield expected
    finally:
        expected.statement, expected.send, expected.found = None, False, None
