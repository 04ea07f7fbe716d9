"""Which orders somebody reaches who reads the worklist, and what was said to be performed of them.

All of them, or those within the limits of the roles: by the institution and department that the order names, by who
issued the patient's identifier. A mark closes no order: an examination that nobody can find is not done, or is done
under another name.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from django.db.models import Q, QuerySet

from access.policy import limits
from access.principal import LimitKind, Principal
from access.roles import Permission
from worklist.models import Order, PerformedProcedureStep


def visible_orders(principal: Principal) -> QuerySet[Order]:
    """The orders whose steps the principal is shown; what is outside does not exist for it."""
    found = limits(principal, Permission.WORKLIST)
    if found is None:
        return Order.objects.all()
    reached = Q(pk__in=[])
    for limit in found:
        reached |= _WITHIN[limit.kind](list(limit.values))
    return Order.objects.filter(reached)


def visible_performed(principal: Principal) -> QuerySet[PerformedProcedureStep]:
    """The performed procedure steps that the principal made, or that are about orders that it reaches."""
    if limits(principal, Permission.WORKLIST) is None:
        return PerformedProcedureStep.objects.all()
    about = PerformedProcedureStep.objects.filter(steps__procedure__order__in=visible_orders(principal))
    return PerformedProcedureStep.objects.filter(Q(made_by=principal.id) | Q(pk__in=about.values("pk")))


def _of_issuer(values: list[str]) -> Q:
    """By the identifier that leads the patient now, whichever the order came under."""
    leads = Q(patient__merged_into=None, patient__issuer_of_patient_id__in=values)
    return leads | Q(patient__merged_into__issuer_of_patient_id__in=values)


_WITHIN: Final[Mapping[LimitKind, Callable[[list[str]], Q]]] = MappingProxyType(
    {
        LimitKind.SITE: lambda values: Q(attributes__InstitutionName__in=values),
        LimitKind.DEPARTMENT: lambda values: Q(attributes__InstitutionalDepartmentName__in=values),
        LimitKind.ISSUER: _of_issuer,
    }
)
