"""Patients whom a mark closes to somebody: for what is about a patient and no study, as messages are.

The same rule as for studies (``access.restrictions``): a grant of the patient opens what is VIP or restricted, and only
an emergency access what nobody consents to any more. What is about a patient may be about any study of theirs: one that
is closed, or was when it was deleted, closes all of it.
"""

from typing import Any, Final

from django.db.models import Q, QuerySet

from access.models import Grant
from access.principal import Principal
from access.restriction_models import DeletedStudy, Mark, Restriction
from access.restrictions import marks, restricted
from access.rights import Right
from access.roles import Permission
from archive.models import Patient, Study
from archive.patient_models import PERSON

_HOLDERS: Final = {"person": "user", "client": "client", "link": "link"}
Keys = QuerySet[Any, Any]


def closed_patients(principal: Principal) -> Keys | None:
    """The keys of persons that are closed to ``principal``, as a subquery; None where nothing at all is marked."""
    if not marks.exist():
        return None
    held = Grant.objects.filter(
        **{f"{_HOLDERS[principal.kind]}__external_id": principal.id},
        rights__contains=[Right.VIEW.value],
        patient__isnull=False,
    ).active()
    opened, emergencies = held.values(person=PERSON), held.filter(emergency__isnull=False).values(person=PERSON)
    closing = Restriction.objects.active().filter(patient__isnull=False).alias(whose=PERSON)
    withdrawn = Q(mark=Mark.CONSENT_WITHDRAWN)
    closed = closing.filter((~withdrawn & ~Q(whose__in=opened)) | (withdrawn & ~Q(whose__in=emergencies)))
    by_uid = Restriction.objects.active().filter(patient__isnull=True).values("study_instance_uid")
    still_open = restricted(Study.objects.all(), principal, Permission.RETRIEVE, {Right.VIEW}).values("pk")
    studies = Study.objects.filter(study_instance_uid__in=by_uid).exclude(pk__in=still_open)
    deleted = DeletedStudy.objects.alias(whose=PERSON).filter(study_instance_uid__in=by_uid)
    gone = deleted.exclude(whose__in=opened).values(person=PERSON)
    whose = Q(pk__in=closed.values(person=PERSON)) | Q(pk__in=studies.values("patient")) | Q(pk__in=gone)
    return Patient.objects.filter(whose).values("pk")
