"""What a mark closes, and to whom: taken off every queryset of studies that a role opens."""

import threading
import time
from typing import Final

from django.db.models import Q, QuerySet

from access.models import Grant
from access.principal import Principal
from access.restriction_models import Mark, Restriction
from access.rights import OPENS
from access.roles import Permission
from archive.study_scope import StudyScope

# Storing is open whatever the mark: nothing that a modality sends is lost.
_NEVER_CLOSED: Final = frozenset({Permission.STORE})
# Those who manage still find that a study exists whose patient has withdrawn consent, and open nothing of it.
_TO_MANAGERS: Final = frozenset({Permission.SEARCH})
# How long a process goes on believing that nothing at all is marked, in seconds.
BELIEVED_SECONDS: Final = 1.0


def restricted(studies: StudyScope, principal: Principal, permission: str, *, manages: bool = False) -> StudyScope:
    """``studies`` without those that a mark closes to ``principal``.

    What a grant of its own opens for ``permission`` stays; under ``consent withdrawn`` only what an emergency access
    opens, though whoever ``manages`` still finds such studies. Where nothing is marked the queryset comes back
    untouched. The subqueries are not correlated: each is run once, whatever the number of studies.
    """
    if permission in _NEVER_CLOSED or not marks.exist():
        return studies
    return studies.filter(_open_to(principal, permission, manages=manages))


def _open_to(principal: Principal, permission: str, *, manages: bool) -> Q:
    grants = _grants(principal, permission)
    emergencies = grants.filter(emergency__isnull=False)
    withdrawn = Restriction.objects.active().filter(mark=Mark.CONSENT_WITHDRAWN)
    others = Restriction.objects.active().exclude(mark=Mark.CONSENT_WITHDRAWN)
    is_open = ~_marked(others) | _opened_by(grants)
    if not (permission in _TO_MANAGERS and manages):
        is_open &= ~_marked(withdrawn) | _opened_by(emergencies)
    return is_open


def _marked(marks: QuerySet[Restriction]) -> Q:
    by_uid = marks.filter(patient__isnull=True).values("study_instance_uid")
    of_patients = marks.filter(patient__isnull=False).values("patient")
    return Q(study_instance_uid__in=by_uid) | Q(patient__in=of_patients)


def _opened_by(grants: QuerySet[Grant]) -> Q:
    """By grants of the study or its patient; those of single series open nothing that is closed."""
    by_study = grants.filter(study__isnull=False).values("study")
    of_patients = grants.filter(patient__isnull=False).values("patient")
    return Q(pk__in=by_study) | Q(patient__in=of_patients)


def _grants(principal: Principal, permission: str) -> QuerySet[Grant]:
    holder = {"person": "user", "client": "client", "link": "link"}[principal.kind]
    rights = sorted(OPENS.get(permission, frozenset()))
    return Grant.objects.filter(**{f"{holder}__external_id": principal.id, "rights__overlap": rights}).active()


class Marks:
    """Whether anything is marked at all. That something is, is asked anew each time; that nothing is, once a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._none_until = 0.0

    def exist(self) -> bool:
        """True if any mark closes something now, or did a moment ago."""
        if time.monotonic() < self._none_until:
            return False
        asked_at = time.monotonic()
        found = Restriction.objects.active().exists()
        with self._lock:
            self._none_until = 0.0 if found else asked_at + BELIEVED_SECONDS
        return found

    def forget(self) -> None:
        """Ask again: this process has just set a mark."""
        with self._lock:
            self._none_until = 0.0


marks = Marks()
