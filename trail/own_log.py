"""A patient's own log: who opened their images, as a page and as JSON.

It says who, when, what and of which of the patient's own studies; not from where, with what or what was searched for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.db.models import F
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from access.authentication import principal_of
from access.patient_log import has_own_log, own_studies
from access.principal import Principal
from access.roles import ROLES
from access.trail import event
from audit.kinds import KINDS, READ_TRAIL, REFUSED, Outcome
from audit.models import AccessEvent
from audit.newest import newest
from audit.record import record
from trail.criteria import page_start
from trail.filters import MOST_STUDIES
from trail.groups import verb
from trail.rows import labels_of

PAGE_SIZE: Final = 100
RULE: Final = "own log"
# What was seen, given away, stored or deleted (PS3.15 A.5.3.4 to A.5.3.8).
_TOLD: Final = tuple(
    kind.name for kind in KINDS.values() if kind.event_id in ("110103", "110104", "110105", "110106", "110107")
)
_BY_MACHINE: Final = {"client": "a program", "link": "a share link", "system": "this archive"}


@dataclass(frozen=True, slots=True)
class Line:
    """One event as the patient is told of it; ``studies`` are the patient's own ones."""

    at: datetime
    who: str
    role: str
    what: str
    studies: tuple[str, ...]
    in_emergency: bool


@dataclass(frozen=True, slots=True)
class Log:
    """Newest first; ``older`` is where the next page begins, None at the end."""

    lines: list[Line]
    older: int | None


View = Callable[[HttpRequest, Log], HttpResponseBase]


def for_patients(view: View) -> Callable[[HttpRequest], HttpResponseBase]:
    """A view that gets the log of who asks, whose reading is on the trail. Raises PermissionDenied for others."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponseBase:
        principal = principal_of(request)
        if not has_own_log(principal):
            refused = {"decision": "deny", "rule": RULE, "outcome": Outcome.SERIOUS_FAILURE}
            record([event(request, REFUSED, principal, **refused)])
            raise PermissionDenied("only patients with an account have a log of their own")
        log = _log(principal, page_start(request))
        record([event(request, READ_TRAIL, principal, rule=RULE, query="own log", instance_count=len(log.lines))])
        return view(request, log)

    return guarded


@require_safe
@for_patients
def page(request: HttpRequest, log: Log) -> HttpResponseBase:
    """The log as a page."""
    return render(request, "trail/own_log.html", {"log": log, "first": page_start(request) is None})


@require_safe
@for_patients
def as_json(request: HttpRequest, log: Log) -> HttpResponseBase:
    """The same for programs."""
    return JsonResponse({"events": [_json(line) for line in log.lines], "older": log.older})


def _log(principal: Principal, before: int | None) -> Log:
    own = labels_of(own_studies(principal).values_list("study_instance_uid", flat=True)[:MOST_STUDIES])
    if not own:
        return Log([], None)
    events = AccessEvent.objects.filter(
        study_uids__overlap=list(own), kind__in=_TOLD, decision="allow", outcome__lt=Outcome.SERIOUS_FAILURE
    )
    began = None
    if before is not None:
        events = events.filter(sequence__lt=before)
        began = AccessEvent.objects.filter(pk=before).values_list("recorded_at", flat=True).first()
    found = newest(events.order_by((F("sequence") + 0).desc()), PAGE_SIZE + 1, began or timezone.now())
    shown = found[:PAGE_SIZE]
    older = shown[-1].pk if len(found) > PAGE_SIZE else None
    return Log([_line(each, own) for each in shown], older)


def _line(found: AccessEvent, own: dict[str, str]) -> Line:
    # An event may name studies of other patients as well; they are nobody else's business.
    return Line(
        at=found.recorded_at,
        who=found.principal_name or "somebody unknown",
        role=_BY_MACHINE.get(found.principal_kind) or ", ".join(_title(name) for name in found.roles),
        what=verb(found.kind),
        studies=tuple(own[uid] for uid in found.study_uids if uid in own),
        in_emergency=found.rule.startswith("emergency"),
    )


def _title(name: str) -> str:
    return ROLES[name].title if name in ROLES else name


def _json(line: Line) -> dict[str, Any]:
    return {
        "at": line.at.isoformat(),
        "who": line.who,
        "role": line.role,
        "what": line.what,
        "studies": list(line.studies),
        "in_emergency": line.in_emergency,
    }
