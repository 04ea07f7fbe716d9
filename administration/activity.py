"""What somebody did about accounts and signing in, lately. What they looked at stands in the trail, for its readers."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from access import policy
from access.roles import Permission
from access.trail import event
from administration.door import RULE, looking, page_of
from administration.person import find
from audit.kinds import READ_TRAIL
from audit.models import AccessEvent
from audit.record import record

DAYS: Final = 30
SHOWN: Final = 100
# The kinds that whoever manages may see; none of them is about a patient.
WORDS: Final = {
    "sign_in": "signed in",
    "sign_in_failed": "failed to sign in",
    "sign_out": "signed out",
    "user_changed": "changed an account",
    "roles_changed": "changed roles",
    "configuration": "changed the configuration",
    "share_ended": "ended a share link",
    "refused": "was refused something",
}


@dataclass(frozen=True, slots=True)
class Done:
    """Something that somebody did, in words."""

    at: datetime
    what: str
    about: str
    source_ip: str


@require_safe
def page(request: HttpRequest, person: UUID) -> HttpResponse:
    """The last weeks of a person; this reads the trail, and says so there."""
    principal = looking(request)
    user = find(person)
    since = timezone.now() - timedelta(days=DAYS)
    found = AccessEvent.objects.filter(
        principal_id=str(user.external_id), kind__in=WORDS, recorded_at__gte=since
    ).order_by("-sequence")[: SHOWN + 1]
    rows = [_done(each) for each in found]
    told = f"what person {user.external_id} did about accounts"
    record([event(request, READ_TRAIL, principal, rule=RULE, query=told)])
    context = {
        "user": user,
        "rows": rows[:SHOWN],
        "more": len(rows) > SHOWN,
        "days": DAYS,
        "reads_trail": policy.may(principal, Permission.AUDIT_READ),
    }
    return page_of(request, "activity.html", context)


def _done(found: AccessEvent) -> Done:
    told = found.outcome_description if found.kind in ("user_changed", "roles_changed", "sign_in_failed") else ""
    return Done(found.recorded_at, WORDS[found.kind], told, found.source_ip or "")
