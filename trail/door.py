"""Who comes in here: whoever may read the trail; of others the attempt is written down."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Concatenate, Final, ParamSpec

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

from access import policy
from access.authentication import principal_of
from access.principal import Principal
from access.roles import Permission
from access.trail import event
from audit.kinds import READ_TRAIL, REFUSED, EventKind, Outcome
from audit.record import record

RULE: Final = f"right:{Permission.AUDIT_READ.value}"
Rest = ParamSpec("Rest")
View = Callable[Concatenate[HttpRequest, Principal, Rest], HttpResponseBase]


def may_read(principal: Principal) -> bool:
    """True if the whole trail is open to the principal: a token that reaches one patient only does not open it."""
    return policy.may(principal, Permission.AUDIT_READ) and principal.patient is None


def for_auditors(view: View[Rest]) -> Callable[Concatenate[HttpRequest, Rest], HttpResponseBase]:
    """A view that gets the principal, who may read the trail. Raises PermissionDenied for others, with its event."""

    def guarded(request: HttpRequest, /, *args: Rest.args, **kwargs: Rest.kwargs) -> HttpResponseBase:
        principal = principal_of(request)
        if not may_read(principal):
            refused = {"decision": "deny", "rule": RULE, "outcome": Outcome.SERIOUS_FAILURE}
            record([event(request, REFUSED, principal, **refused)])
            raise PermissionDenied("your role does not include the right to read the trail")
        return view(request, principal, *args, **kwargs)

    update_wrapper(guarded, view)
    return guarded


def write_down(
    request: HttpRequest,
    principal: Principal,
    query: str,
    *,
    shown: int = 0,
    kind: EventKind = READ_TRAIL,
    text: str = "",
) -> None:
    """The event of reading the trail, with what was asked; before the answer. Raises AuditUnavailable."""
    record(
        [
            event(
                request,
                kind,
                principal,
                rule=RULE,
                query=query,
                instance_count=shown,
                outcome_description=text,
            )
        ]
    )
