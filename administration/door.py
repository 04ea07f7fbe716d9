"""The door of the administration: who may look, who may change, and the event of each page before it is shown."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from access import policy
from access.acting import Acting
from access.authentication import principal_of
from access.principal import Principal
from access.roles import Permission
from access.trail import event
from administration.sections import SECTIONS
from administration.words import LIMIT_WORDS
from audit.kinds import REFUSED, SEARCH, Outcome
from audit.record import record

RULE = "manage"


def may_look(principal: Principal) -> bool:
    """True for whoever manages, and for whoever reads the trail: auditors look and change nothing."""
    return policy.may(principal, Permission.MANAGE) or policy.may(principal, Permission.AUDIT_READ)


def looking(request: HttpRequest, right: Permission = Permission.MANAGE) -> Principal:
    """The person who may see these pages, or just those of ``right``. Raises PermissionDenied, with its event."""
    principal = principal_of(request)
    if principal.kind != "person" or not (may_look(principal) or policy.may(principal, right)):
        refuse(request, principal)
    return principal


def managing(request: HttpRequest, right: Permission = Permission.MANAGE) -> Acting:
    """The person who may change something here. Raises PermissionDenied, with its event."""
    principal = principal_of(request)
    if principal.kind != "person" or not policy.may(principal, right):
        refuse(request, principal)
    return Acting(request, principal)


def refuse(request: HttpRequest, principal: Principal) -> None:
    """Raises PermissionDenied, with its event."""
    record([event(request, REFUSED, principal, decision="deny", rule=RULE, outcome=Outcome.MINOR_FAILURE)])
    raise PermissionDenied


def show(
    request: HttpRequest,
    template: str,
    what: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
    study_uids: list[str] | None = None,
) -> HttpResponse:
    """The page, after its event: ``what`` was looked at, and the studies that are named on it."""
    principal = principal_of(request)
    record([event(request, SEARCH, principal, rule=RULE, query=what, study_uids=study_uids or [])])
    return page_of(request, template, context, status=status)


def page_of(request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    """The page, of which the event is written already."""
    principal = principal_of(request)
    shown = {
        "sections": [each for each in SECTIONS if may_look(principal) or policy.may(principal, each.right)],
        "may_change": policy.may(principal, Permission.MANAGE),
        "principal": principal,
        "limit_words": LIMIT_WORDS.items(),
        **context,
    }
    return render(request, f"administration/{template}", shown, status=status)
