"""The pages of the bar, and who may open each: one table for all doors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest
from rest_framework.exceptions import AuthenticationFailed

from access import policy
from access.authentication import authenticate
from access.patient_log import has_own_log
from access.principal import Principal
from access.roles import Permission


@dataclass(frozen=True, slots=True)
class Entry:
    """A page of the bar: the name of its address, its title, and whether this principal may open it."""

    address: str
    title: str
    may_open: Callable[[Principal], bool]


ENTRIES: Final = (
    Entry("worklist-day", "Worklist", lambda principal: policy.may(principal, Permission.WORKLIST)),
    Entry("emergency", "Emergency", policy.may_break_glass),
    Entry("shared", "Shared", policy.may_end_links),
    Entry("trail", "Trail", lambda principal: policy.may(principal, Permission.AUDIT_READ)),
    Entry("own-log", "Who opened my images", has_own_log),
    Entry("hl7-interfaces", "Interfaces", lambda principal: policy.may(principal, Permission.INTERFACES)),
    Entry("administration", "Administration", policy.may_review),
    Entry(
        "administration-holds",
        "Legal holds",
        lambda principal: policy.may(principal, Permission.HOLD) and not policy.may_review(principal),
    ),
    Entry("docs", "API", lambda principal: True),
)


def first_page(principal: Principal) -> str | None:
    """The name of the first page for people whom the study list is closed to; None if there is none for them."""
    return next((each.address for each in ENTRIES if each.address != "docs" and each.may_open(principal)), None)


def bar(request: HttpRequest) -> dict[str, Any]:
    """What every page knows (a context processor): ``principal``, and the ``navigation`` that is open to it."""
    try:
        principal = authenticate(request)
    except AuthenticationFailed:
        principal = None
    if principal is None or principal.kind != "person":
        return {"navigation": ()}
    return {"principal": principal, "navigation": [entry for entry in ENTRIES if entry.may_open(principal)]}
