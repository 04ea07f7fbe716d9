"""From a request to an AccessEvent: who, from where, with which request."""

from dataclasses import replace
from typing import Any

from django.http import HttpRequest

from access.emergency_rule import rule_of
from access.principal import Principal
from audit.kinds import EventKind
from audit.record import NewAccessEvent


def event(request: HttpRequest, kind: EventKind, principal: Principal | None, **fields: Any) -> NewAccessEvent:
    """An event about ``request``; ``fields`` are further fields of NewAccessEvent.

    ``path`` is the route's template, so that no identifier stands in it; what was asked belongs in ``query``. What is
    done through a share link is by the rule of that link, and what is done about a patient who is open to the person by
    an emergency access by the rule and for the purpose of that, unless ``fields`` name another.
    """
    match = request.resolver_match
    described = NewAccessEvent(
        kind=kind,
        principal_kind=principal.kind if principal else "anonymous",
        principal_id=principal.id if principal else "",
        principal_name=principal.name if principal else "",
        auth_method=principal.auth_method if principal else "",
        token_id=principal.token_id if principal else "",
        roles=principal.roles if principal else (),
        source_ip=getattr(request, "client_address", ""),
        user_agent=request.headers.get("User-Agent", "")[:512],
        request_id=getattr(request, "request_id", ""),
        method=request.method or "",
        path=f"/{match.route}" if match else "",
        rule=f"link:{principal.id}" if principal and principal.kind == "link" else "",
    )
    if principal and principal.kind == "person" and fields.get("study_uids") and "rule" not in fields:
        described = replace(described, **rule_of(principal, fields["study_uids"]))
    return replace(described, **fields)


def system_event(kind: EventKind, description: str, **fields: Any) -> NewAccessEvent:
    """An event of the command line or a worker, where nobody signed in."""
    return replace(
        NewAccessEvent(kind=kind, principal_kind="system", principal_name="command line", auth_method="shell"),
        outcome_description=description,
        **fields,
    )
