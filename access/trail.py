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
    known: dict[str, Any] = {
        "source_ip": getattr(request, "client_address", ""),
        "user_agent": request.META.get("HTTP_USER_AGENT", "")[:512],
        "request_id": getattr(request, "request_id", ""),
        "method": request.method or "",
        "path": f"/{match.route}" if match else "",
    }
    if principal is None:
        known["principal_kind"] = "anonymous"
    else:
        known |= {
            "principal_kind": principal.kind,
            "principal_id": principal.id,
            "principal_name": principal.name,
            "auth_method": principal.auth_method,
            "token_id": principal.token_id,
            "roles": principal.roles,
        }
        if principal.kind == "link":
            known["rule"] = f"link:{principal.id}"
        elif principal.kind == "person" and fields.get("study_uids") and "rule" not in fields:
            known |= rule_of(principal, fields["study_uids"])
    return NewAccessEvent(kind=kind, **(known | fields))


def system_event(kind: EventKind, description: str, **fields: Any) -> NewAccessEvent:
    """An event of the command line or a worker, where nobody signed in."""
    return replace(
        NewAccessEvent(kind=kind, principal_kind="system", principal_name="command line", auth_method="shell"),
        outcome_description=description,
        **fields,
    )
