"""The FHIR door of the trail: search and read of AuditEvents, and what the server can do."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe
from rest_framework.exceptions import PermissionDenied as Forged

from access.authentication import refuse_forged
from access.principal import Principal
from audit.bounded import bounded
from audit.models import AccessEvent
from audit.record import AuditUnavailable
from trail.door import for_auditors, write_down
from trail.fhir import BALP, PATTERNS, Json, audit_event
from trail.fhir_search import PARAMETERS, BadSearch, is_id, parsed
from trail.subjects import source, subjects

MEDIA_TYPE: Final = "application/fhir+json"
VERSION: Final = "4.0.1"
_KINDS_OF_PARAMETERS: Final = {"_count": "number", "date": "date", "patient": "reference", "entity": "reference"}
# What goes wrong, as the status and the code of an OperationOutcome (R4 issue-type).
_OUTCOMES: Final[dict[type[Exception], tuple[int, str]]] = {
    BadSearch: (400, "invalid"),
    PermissionDenied: (403, "forbidden"),
    Forged: (403, "forbidden"),
    Http404: (404, "not-found"),
    AuditUnavailable: (503, "transient"),
    OperationalError: (503, "too-costly"),
}
_TEXTS: Final[dict[type[Exception], str]] = {
    Http404: "there is no such AuditEvent",
    AuditUnavailable: "the access trail can't be written, so nothing is shown",
    OperationalError: "the database can't answer this in time: ask about a shorter time",
}
View = Callable[..., HttpResponseBase]


def in_fhir(view: View) -> View:
    """Errors of ``view`` as OperationOutcome."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except tuple(_OUTCOMES) as error:
            status, code = next(found for kind, found in _OUTCOMES.items() if isinstance(error, kind))
            text = next((text for kind, text in _TEXTS.items() if isinstance(error, kind)), str(error))
            return _outcome(status, code, text)

    return guarded


@require_safe
@in_fhir
@for_auditors
def search(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """A Bundle of the events that match, newest first (IHE ITI-81)."""
    return _bundle(request, principal, dict(request.GET.lists()))


@csrf_exempt
@require_POST
@in_fhir
@for_auditors
def search_by_post(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """The same with the parameters as a form, so that none of them stands in an address (R4 3.1.1.1)."""
    if "Authorization" not in request.headers:
        refuse_forged(request)
    given = {name: [*request.GET.getlist(name), *request.POST.getlist(name)] for name in {*request.GET, *request.POST}}
    given.pop("csrfmiddlewaretoken", None)
    return _bundle(request, principal, given)


@require_safe
@in_fhir
@for_auditors
def read(request: HttpRequest, principal: Principal, event: str) -> HttpResponseBase:
    """One event by its sequence. Raises Http404."""
    found = AccessEvent.objects.filter(pk=int(event)).first() if is_id(event) else None
    if found is None:
        raise Http404
    write_down(request, principal, f"event {found.pk}", shown=1)
    return _answer(audit_event(found, source(), subjects(found.study_uids)))


@require_safe
@in_fhir
@for_auditors
def metadata(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """What this server can do (R4 CapabilityStatement)."""
    profiles = sorted({f"{BALP}.{part}{each.profile}" for each in PATTERNS.values() for part in ("", "Patient")})
    parameters = [
        {"name": name, "type": _KINDS_OF_PARAMETERS.get(name.partition(".")[0], "token")} for name in PARAMETERS
    ]
    return _answer(
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": "2026-11-22",
            "kind": "instance",
            "software": {"name": "Lightbox"},
            "implementation": {
                "description": "The access trail of Lightbox",
                "url": f"{settings.PACS.public_root}/fhir",
            },
            "fhirVersion": VERSION,
            "format": [MEDIA_TYPE],
            "rest": [
                {
                    "mode": "server",
                    "resource": [
                        {
                            "type": "AuditEvent",
                            "supportedProfile": profiles,
                            "interaction": [{"code": "read"}, {"code": "search-type"}],
                            "searchParam": parameters,
                        }
                    ],
                }
            ],
        }
    )


def _bundle(request: HttpRequest, principal: Principal, given: dict[str, list[str]]) -> HttpResponseBase:
    asked = parsed(given)
    with bounded(statement_seconds=settings.PACS.limits.search_seconds):
        found = asked.wanted.newest(asked.count + 1, before=asked.before, more=asked.more)
    shown = found[: asked.count]
    known = subjects(uid for event in shown for uid in event.study_uids)
    text = "&".join(f"{name}={value}" for name, values in asked.asked.items() for value in values)
    write_down(request, principal, text, shown=len(shown))
    root = f"{settings.PACS.public_root}/fhir/AuditEvent"
    links = [{"relation": "self", "url": f"{root}?_page={asked.page(asked.before)}"}]
    if len(found) > asked.count:
        links.append({"relation": "next", "url": f"{root}?_page={asked.page(shown[-1].pk)}"})
    ours = source()
    entries = [
        {"fullUrl": f"{root}/{event.pk}", "resource": audit_event(event, ours, known), "search": {"mode": "match"}}
        for event in shown
    ]
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "link": links}
    return _answer(bundle | ({"entry": entries} if entries else {"total": 0}))


def _answer(resource: Json, status: int = 200) -> JsonResponse:
    return JsonResponse(resource, status=status, content_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


def _outcome(status: int, code: str, text: str) -> JsonResponse:
    issue = {"severity": "error", "code": code, "diagnostics": text or HTTPStatus(status).phrase}
    response = _answer({"resourceType": "OperationOutcome", "issue": [issue]}, status)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response["Retry-After"] = "5"
    return response
