"""The pages of the bar, and who may open each: one table for all doors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest
from rest_framework.exceptions import AuthenticationFailed

from access import policy
from access.authentication import authenticate
from access.principal import Principal


@dataclass(frozen=True, slots=True)
class Entry:
    """A page of the bar: the name of its address, its title, and whether this principal may open it."""

    address: str
    title: str
    may_open: Callable[[Principal], bool]


ENTRIES: Final = (
    Entry("shared", "Shared", policy.may_end_links),
    Entry("docs", "API", lambda principal: True),
)


def bar(request: HttpRequest) -> dict[str, Any]:
    """What every page knows (a context processor): ``principal``, and the ``navigation`` that is open to it."""
    try:
        principal = authenticate(request)
    except AuthenticationFailed:
        principal = None
    if principal is None or principal.kind != "person":
        return {"navigation": ()}
    return {"principal": principal, "navigation": [entry for entry in ENTRIES if entry.may_open(principal)]}
