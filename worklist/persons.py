"""Whose orders are: of the patient that the identifier names which the order was given under."""

from django.db.models import Q, QuerySet

from archive.models import Patient
from worklist.models import Order


def orders_of(patient: int) -> QuerySet[Order]:
    """The orders of a patient, under whichever of its identifiers they came."""
    return Order.objects.filter(Q(patient=patient) | Q(patient__merged_into=patient))


def person_of(patient: int) -> int:
    """The patient whom the identifier with this key names."""
    return Patient.objects.get(pk=patient).person
