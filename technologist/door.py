"""The door of the technologist's pages: who comes in, and the event of each answer.

The worklist is for whoever has the right to it; the queue for whoever may correct studies as well. Studies are those
that may be corrected, orders those that the right to the worklist reaches.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import update_wrapper
from typing import Any, Concatenate, Final, ParamSpec

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from access import policy
from access.authentication import principal_of
from access.principal import Principal
from access.roles import Permission
from access.trail import event
from archive.study_scope import StudyScope
from audit.kinds import REFUSED, SEARCH, EventKind, Outcome
from audit.record import record

RULE: Final = "worklist"
Rest = ParamSpec("Rest")
View = Callable[Concatenate[HttpRequest, Principal, Rest], HttpResponseBase]
Guarded = Callable[Concatenate[HttpRequest, Rest], HttpResponseBase]


def may_read(principal: Principal) -> bool:
    """True for whoever has the right to the worklist."""
    return policy.may(principal, Permission.WORKLIST)


def may_judge(principal: Principal) -> bool:
    """True for whoever may say which order a study answers."""
    return may_read(principal) and policy.may(principal, Permission.UPDATE)


def corrected(principal: Principal) -> StudyScope:
    """The studies that the principal may correct."""
    return policy.visible_studies(principal, Permission.UPDATE)


def for_readers(view: View[Rest]) -> Guarded[Rest]:
    """A page for people who have the right to the worklist. Raises PermissionDenied for others, with its event."""
    return _guarded(view, may_read)


def for_judges(view: View[Rest]) -> Guarded[Rest]:
    """A page for people who may judge studies, in the same way."""
    return _guarded(view, may_judge)


def _guarded(view: View[Rest], allowed: Callable[[Principal], bool]) -> Guarded[Rest]:
    def guarded(request: HttpRequest, /, *args: Rest.args, **kwargs: Rest.kwargs) -> HttpResponseBase:
        principal = principal_of(request)
        if principal.kind != "person" or not allowed(principal):
            refuse(request, principal)
        return view(request, principal, *args, **kwargs)

    update_wrapper(guarded, view)
    return guarded


def refuse(request: HttpRequest, principal: Principal) -> None:
    """Raises PermissionDenied, with its event."""
    record([event(request, REFUSED, principal, decision="deny", rule=RULE, outcome=Outcome.MINOR_FAILURE)])
    raise PermissionDenied("your roles don't include this")


def write_down(
    request: HttpRequest,
    principal: Principal,
    what: str,
    *,
    kind: EventKind = SEARCH,
    study_uids: Iterable[str] = (),
    patient_ids: Iterable[str] = (),
    text: str = "",
) -> None:
    """The event of an answer, before it, with whom and what it is about. Raises AuditUnavailable."""
    about = {
        "study_uids": list(dict.fromkeys(study_uids)),
        "patient_ids": tuple(dict.fromkeys(each for each in patient_ids if each)),
    }
    record([event(request, kind, principal, rule=RULE, query=what, outcome_description=text, **about)])


def show(
    request: HttpRequest, principal: Principal, template: str, context: Mapping[str, Any], *, status: int = 200
) -> HttpResponse:
    """The page, of which the event is written already."""
    shown = {"may_judge": may_judge(principal), **context}
    return render(request, f"technologist/{template}", shown, status=status)
