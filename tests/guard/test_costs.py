"""No request costs more than the table says, whatever is stored."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from tests.guard.costs import COSTS, Cost
from tests.guard.requests import Site, asks
from tests.guard.wire import cost_of

pytestmark = pytest.mark.django_db(transaction=True)
_WARM = 3
_STUDIES = 40


def measured(site: Site) -> dict[str, Cost]:
    """What each request costs once it has been asked before."""
    found = {}
    for name, ask in asks(site).items():
        for _ in range(_WARM):
            ask()
        found[name] = cost_of(ask)
    return found


def dearer(found: dict[str, Cost], allowed: dict[str, Cost]) -> list[str]:
    """What costs more than is allowed, in words."""
    return [
        f"{name}: {count} {what}, at most {most}"
        for name in found
        for (what, count), most in zip(asdict(found[name]).items(), asdict(allowed[name]).values(), strict=True)
        if count > most
    ]


def test_no_request_costs_more_than_the_table_says() -> None:
    site = Site.made()
    found = measured(site)
    print("\n".join(f'    "{name}": {cost},' for name, cost in found.items()))
    assert set(found) == set(COSTS)
    assert not dearer(found, dict(COSTS))
    for _ in range(_STUDIES - 1):
        site.add()
    assert not dearer(measured(site), found), "it grew with what is stored"
