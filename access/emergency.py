"""Break-glass: a person opens all studies of one patient for a short time, says why, and somebody looks at it later.

HIPAA 45 CFR 164.312(a)(2)(ii). Nothing here asks what the person could see before: whoever has the right
``break_glass`` may. What is opened is a grant like any other, to view and nothing else, that ends by itself.
"""

import logging
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from access.acting import COMMAND_LINE, Acting
from access.emergency_models import EmergencyAccess, Verdict
from access.models import Grant, User
from access.principal import Principal
from access.rights import Right
from archive.models import Patient
from audit.kinds import EMERGENCY_ENDED, EMERGENCY_REVIEWED, EMERGENCY_STARTED, EventKind
from audit.record import record
from telemetry.metrics import BREAK_GLASS

LEAST_REASON: Final = 10
MOST_REASON: Final = 500
DEFAULT_MINUTES: Final = 60
_STUDIES_NAMED: Final = 100
_log = logging.getLogger(__name__)


class BadReason(Exception):
    """The reason says nothing; the text tells what is wanted."""


class NotForOneself(Exception):
    """Nobody judges their own emergency access."""


def most_minutes() -> int:
    """The longest time for which an emergency access may be asked (``PACS.emergency_hours``, 4 h at the most)."""
    return max(1, int(settings.PACS.emergency_hours * 60))


def checked_reason(text: str) -> str:
    """The reason without surplus blanks. Raises BadReason for one shorter than ``LEAST_REASON`` characters."""
    reason = " ".join(text.replace("\0", " ").split())
    if len(reason) < LEAST_REASON or len(set(reason.casefold())) < 4:
        raise BadReason(f"say in at least {LEAST_REASON} characters why you need this now")
    if len(reason) > MOST_REASON:
        raise BadReason(f"say it in at most {MOST_REASON} characters")
    return reason


def begin(patient: Patient, reason: str, minutes: int, by: Acting) -> EmergencyAccess:
    """Open ``patient`` to the person who acts, from now on; an access of the same person to the same patient that is
    still running ends with it. Reason and minutes are checked already.
    """
    user = by.user
    if user is None:
        raise ValueError("an emergency access is a person's")
    with transaction.atomic():
        # One at a time for each person: a form sent twice opens one access, not two of which only one is ended.
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        for earlier in EmergencyAccess.objects.active().filter(user=user, patient=patient).select_for_update():
            _end(earlier, "ended: opened anew", by)
        expires = timezone.now() + timedelta(minutes=minutes)
        begun = EmergencyAccess.objects.create(user=user, patient=patient, reason=reason, expires_at=expires)
        Grant.objects.create(
            user=user,
            patient=patient,
            rights=[Right.VIEW.value],
            granted_by=user,
            emergency=begun,
            valid_until=expires,
        )
        text = f"emergency access {begun.external_id} until {expires.isoformat(timespec='minutes')}: {reason}"
        _record(EMERGENCY_STARTED, begun, text, by)
    BREAK_GLASS.inc()
    _log.warning("emergency access %s opened; it waits to be reviewed", begun.external_id)
    return begun


def end(access: EmergencyAccess, by: Acting, why: str = "ended by its person") -> bool:
    """End it, from the next request on; False if it is over already."""
    with transaction.atomic():
        running = EmergencyAccess.objects.active().select_for_update().filter(pk=access.pk).first()
        if running is None:
            return False
        _end(running, why, by)
    return True


def end_all(user: User, by: Acting, why: str) -> int:
    """End all that a person has running; how many there were."""
    running = list(EmergencyAccess.objects.active().filter(user=user))
    return sum(end(access, by, why) for access in running)


def write_down_expired() -> int:
    """The event of the end of each access whose time is over, once; how many there were. They opened nothing since."""
    with transaction.atomic():
        over = list(EmergencyAccess.objects.over().select_for_update(skip_locked=True).order_by("expires_at")[:100])
        for access in over:
            _end(access, "its time is over", COMMAND_LINE, at=access.expires_at)
    return len(over)


def review(access: EmergencyAccess, verdict: Verdict, comment: str, by: Acting) -> bool:
    """Say whether it was justified; False if somebody has said so already. Raises NotForOneself."""
    if by.is_account(access.user.external_id):
        raise NotForOneself
    with transaction.atomic():
        waiting = EmergencyAccess.objects.open_to_review().filter(pk=access.pk)
        if not waiting.update(verdict=verdict, comment=comment, reviewed_by=by.user, reviewed_at=timezone.now()):
            return False
        said = f"emergency access {access.external_id} of person {access.user.external_id}: {verdict.label.lower()}"
        _record(EMERGENCY_REVIEWED, access, f"{said}; {comment}" if comment else said, by)
    return True


def running_of(principal: Principal) -> QuerySet[EmergencyAccess]:
    """What the person has open now, the first to end first."""
    return EmergencyAccess.objects.active().filter(user__external_id=principal.id).order_by("expires_at")


def _end(access: EmergencyAccess, why: str, by: Acting, at: datetime | None = None) -> None:
    access.ended_at = at or timezone.now()
    access.save(update_fields=["ended_at"])
    Grant.objects.filter(emergency=access, valid_until__gt=access.ended_at).update(valid_until=access.ended_at)
    _record(EMERGENCY_ENDED, access, f"emergency access {access.external_id} {why}", by)


def _record(kind: EventKind, access: EmergencyAccess, text: str, by: Acting) -> None:
    named: dict[str, Any] = {
        "rule": f"emergency:{access.external_id}",
        "purpose": f"emergency: {access.reason}",
        "study_uids": list(
            access.studies.order_by("-pk").values_list("study_instance_uid", flat=True)[:_STUDIES_NAMED]
        ),
        "patient_ids": [access.patient.patient_id] if access.patient.patient_id else [],
    }
    record([by.event(kind, text, **named)])
