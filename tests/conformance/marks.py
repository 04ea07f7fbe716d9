"""Ties a test to the clauses it is about; ``test_table`` holds the tests and the table together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Test = TypeVar("Test", bound=Callable[..., None])
ATTRIBUTE = "clauses_of_ps3_18"


def clause(*keys: str) -> Callable[[Test], Test]:
    """``@clause("8.3.4.2")``, ``@clause("8.5-404", "10.4.3.1-404")``: keys of ``clauses.CLAUSES``."""

    def mark(test: Test) -> Test:
        setattr(test, ATTRIBUTE, keys)
        return test

    return mark
