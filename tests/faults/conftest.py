"""What every fault script asks for: its form, a place for its figures, and a judge of what was stored.

A script ``test_fNN_words.py`` has a short form, which runs with all other tests, and a long one with the full figures
(``./pacs test --faults``). Its docstring says the procedure and when it passes.
"""

from __future__ import annotations

from typing import Protocol

import pytest

from tests.faults.figures import PROPERTY
from tests.faults.oracle import Oracle
from tests.live.conftest import any_store, file_store
from tests.live.own_postgres import own_postgres

__all__ = ["any_store", "file_store", "own_postgres"]


class Figure(Protocol):
    """``figure("F12", "objects named", 10, "of 10")``: printed at the end of the run, and kept by ``--figures``."""

    def __call__(self, fault: str, what: str, value: object, goal: str) -> None: ...


@pytest.fixture
def long_form(request: pytest.FixtureRequest) -> bool:
    """Whether the full figures are asked for (``--faults``)."""
    return bool(request.config.getoption("--faults"))


@pytest.fixture
def figure(request: pytest.FixtureRequest, long_form: bool) -> Figure:
    """Keep a figure: the fault, what was measured, how much, and the goal in words."""

    def keep(fault: str, what: str, value: object, goal: str) -> None:
        plain = value if isinstance(value, int | float) else str(value)
        told = {"fault": fault, "what": what, "value": plain, "goal": goal, "form": "long" if long_form else "short"}
        request.node.user_properties.append((PROPERTY, told))
        print(f"{fault} {what}: {plain} ({goal})")

    return keep


@pytest.fixture
def oracle() -> Oracle:
    """Keeps what was acknowledged and what was not, and judges it afterwards."""
    return Oracle()
