"""What a mark closes, and to whom: taken off every queryset of studies that a role opens."""

import threading
import time
from collections.abc import Iterable
from typing import Any, Final

from django.db.models import Q, QuerySet

from access.models import Grant
from access.principal import Principal
from access.restriction_models import DeletedStudy, Mark, Restriction
from access.rights import Right
from access.roles import Permission
from archive.models import Study
from archive.patient_models import PERSON
from archive.ready_query import ReadyQuery
from archive.study_scope import StudyScope

# One column: UIDs of studies.
Keys = QuerySet[Any, Any]
# Storing is open whatever the mark: nothing that a modality sends is lost.
_NEVER_CLOSED: Final = frozenset({Permission.STORE})
# Those who manage still find that a study exists whose patient has withdrawn consent, and open nothing of it.
_TO_MANAGERS: Final = frozenset({Permission.SEARCH})
# How long a process goes on believing that nothing at all is marked, in seconds.
BELIEVED_SECONDS: Final = 1.0


def restricted(
    studies: StudyScope, principal: Principal, permission: str, rights: Iterable[Right], *, manages: bool = False
) -> StudyScope:
    """``studies`` without those that a mark closes to ``principal``.

    What a grant of its own that names one of ``rights`` opens stays; under ``consent withdrawn`` only what an emergency
    access opens, though whoever ``manages`` still finds such studies. Where nothing is marked the queryset comes back
    untouched. The subqueries are not correlated: each is run once, whatever the number of studies.
    """
    if permission in _NEVER_CLOSED or not marks.exist():
        return studies
    return studies.filter(_open_to(_grants(principal, rights), told=permission in _TO_MANAGERS and manages))


def untold(principal: Principal, permission: str, rights: Iterable[Right], *, manages: bool = False) -> Keys:
    """The UIDs of deleted studies of which nothing is said to ``principal``: what was marked stays so.

    The same rule as for what is stored, but that grants of a study have gone with it.
    """
    closing = Restriction.objects.active()
    if permission in _TO_MANAGERS and manages:
        closing = closing.exclude(mark=Mark.CONSENT_WITHDRAWN)
    by_uid = closing.filter(patient__isnull=True).values("study_instance_uid")
    closed = closing.filter(patient__isnull=False).values(person=PERSON)
    opened = _grants(principal, rights).filter(patient__isnull=False).values(person=PERSON)
    deleted = DeletedStudy.objects.alias(person=PERSON).filter(person__in=closed).exclude(person__in=opened)
    return by_uid.union(deleted.values("study_instance_uid"))


def remember_deleted(study_instance_uid: str, patient: int) -> None:
    """Keep whose a study was that is being deleted: the marks of its patient, those to come too, go on closing it."""
    DeletedStudy.objects.update_or_create(study_instance_uid=study_instance_uid, defaults={"patient_id": patient})


def _open_to(grants: QuerySet[Grant], *, told: bool) -> Q:
    """``told`` for whoever is told of what nobody has consented to any more."""
    emergencies = grants.filter(emergency__isnull=False)
    withdrawn = Restriction.objects.active().filter(mark=Mark.CONSENT_WITHDRAWN)
    others = Restriction.objects.active().exclude(mark=Mark.CONSENT_WITHDRAWN)
    is_open = ~_marked(others) | _opened_by(grants)
    if not told:
        is_open &= ~_marked(withdrawn) | _opened_by(emergencies)
    return is_open


def _marked(marks: QuerySet[Restriction]) -> Q:
    """What was closed under an identifier that a merge retired stays so: the whole person is."""
    by_uid = marks.filter(patient__isnull=True).values("study_instance_uid")
    persons = marks.filter(patient__isnull=False).values(person=PERSON)
    return Q(study_instance_uid__in=by_uid) | Q(patient__in=persons)


def _opened_by(grants: QuerySet[Grant]) -> Q:
    """By grants of the study or its patient; those of single series open nothing that is closed.

    A share link whose patient a merge has made another one, who may have been closed before, opens nothing of theirs.
    """
    by_study = grants.filter(study__isnull=False).values("study")
    of_person = Q(link__isnull=True) | Q(patient__merged_into__isnull=True)
    of_patients = grants.filter(of_person, patient__isnull=False).values(person=PERSON)
    return Q(pk__in=by_study) | Q(patient__in=of_patients)


def _grants(principal: Principal, rights: Iterable[Right]) -> QuerySet[Grant]:
    holder = {"person": "user", "client": "client", "link": "link"}[principal.kind]
    held = Grant.objects.filter(**{f"{holder}__external_id": principal.id, "rights__overlap": sorted(rights)})
    return held.active()


def shown(studies: StudyScope, *, corrects: bool) -> StudyScope:
    """``studies`` without those in quarantine, which only whoever ``corrects`` is shown (``worklist.reconcile``)."""
    return studies if corrects or not quarantine.exist() else studies.filter(quarantined=False)


class Marks:
    """Whether anything is marked at all, asked once a second.

    To believe that something is, where nothing is any more, costs a condition and hides nothing: which studies a mark
    closes is asked anew each time.
    """

    def __init__(self, anything: ReadyQuery) -> None:
        self._anything = anything
        self._lock = threading.Lock()
        self._believed, self._believed_until = False, 0.0

    def exist(self) -> bool:
        """True if any mark closes something now, or did a moment ago."""
        if time.monotonic() < self._believed_until:
            return self._believed
        asked_at = time.monotonic()
        found = self._anything.first() is not None
        with self._lock:
            self._believed, self._believed_until = found, asked_at + BELIEVED_SECONDS
        return found

    def forget(self) -> None:
        """Ask again: this process has just set a mark."""
        with self._lock:
            self._believed_until = 0.0


marks = Marks(ReadyQuery(lambda: Restriction.objects.active().values("pk")))
quarantine = Marks(ReadyQuery(lambda: Study.objects.filter(quarantined=True).values("pk")))
