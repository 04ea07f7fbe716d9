"""What is done under an emergency access says so in its event."""

from collections.abc import Sequence
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef

from access.emergency_models import EmergencyAccess
from access.models import User
from access.principal import Principal
from archive.models import Study
from archive.patient_models import PERSON


def running_of_people(user: str = "pk") -> ArraySubquery:
    """An annotation: the keys of each person's running emergency accesses; ``user`` is the way to the person's key."""
    return ArraySubquery(EmergencyAccess.objects.active().filter(user=OuterRef(user)).values("pk"))


def running_of(user: User) -> tuple[int, ...]:
    """The same of a person who is at hand: brought along with them, or asked for."""
    brought = getattr(user, "running_emergencies", None)
    if brought is None:
        brought = EmergencyAccess.objects.active().filter(user=user).values_list("pk", flat=True)
    return tuple(brought)


def rule_of(principal: Principal, study_uids: Sequence[str]) -> dict[str, Any]:
    """Rule and purpose of an event about these studies; {} where none is of a patient that the principal has opened.

    Sessions bring what is running along; of a person's tokens, which are rare, it is asked.
    """
    of_session = principal.auth_method == "session"
    if of_session and not principal.emergencies:
        return {}
    of_person = {"pk__in": principal.emergencies} if of_session else {"user__external_id": principal.id}
    running = EmergencyAccess.objects.active().filter(**of_person)
    patients = Study.objects.filter(study_instance_uid__in=study_uids).values("patient")
    found = running.alias(person=PERSON).filter(person__in=patients).values_list("external_id", "reason").first()
    return {"rule": f"emergency:{found[0]}", "purpose": f"emergency: {found[1]}"} if found else {}
