"""What a patient may know of who opened their images: which studies are theirs to ask about."""

from dataclasses import replace

from django.db.models import Q

from access.models import Grant
from access.policy import roles_of, visible_studies
from access.principal import Principal
from access.rights import Right
from access.roles import Permission
from archive.patient_models import PERSON
from archive.study_scope import StudyScope

PATIENT = "patient"


def has_own_log(principal: Principal) -> bool:
    """True for a person with an account and the role of a patient, whatever other roles they have."""
    return principal.kind == "person" and principal.patient is None and PATIENT in principal.roles


def own_studies(principal: Principal) -> StudyScope:
    """The studies that were granted to the person as a patient: what other roles reach, or an emergency access opens,
    is not theirs.
    """
    held = tuple(role for role in roles_of(principal) if role.name == PATIENT)
    opened = visible_studies(replace(principal, roles=(PATIENT,), held=held), Permission.RETRIEVE)
    granted = Grant.objects.active().filter(
        user__external_id=principal.id, emergency__isnull=True, rights__contains=[Right.VIEW.value]
    )
    return opened.filter(
        Q(pk__in=granted.filter(study__isnull=False).values("study"))
        | Q(pk__in=granted.filter(series__isnull=False).values("series__study"))
        | Q(patient__in=granted.filter(patient__isnull=False).values(person=PERSON))
    )
