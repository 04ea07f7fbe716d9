"""What events do to visits (HL7 v2 chapter 3). None of them deletes a patient, an order or an image."""

from collections.abc import Mapping
from types import MappingProxyType

from archive.patient_facts import Moment
from archive.prepared_rows import PreparedRows, insert, update
from worklist.models import Order, OrderStatus, ScheduledProcedureStep, StepStatus, Visit, VisitStatus
from worklist.order_messages import EntityIdentifier, VisitEffect, VisitFacts, VisitRefused
from worklist.persons import orders_of, person_of
from worklist.states import born, may, transition

# effect -> the state it leads to; the others leave the state as it is
_LEADS_TO: Mapping[VisitEffect, str] = MappingProxyType(
    {
        VisitEffect.OPEN: VisitStatus.ACTIVE,
        VisitEffect.REGISTER: VisitStatus.ACTIVE,
        VisitEffect.PRE_ADMIT: VisitStatus.EXPECTED,
        VisitEffect.DISCHARGE: VisitStatus.DISCHARGED,
        VisitEffect.UNDISCHARGE: VisitStatus.ACTIVE,
        VisitEffect.ARRIVE: VisitStatus.ACTIVE,
        VisitEffect.CANCEL: VisitStatus.CANCELED,
    }
)
# LO (PS3.5 6.2); what is longer is no number of a visit.
_LONGEST = 64
# what is told -> column
_COLUMNS = {
    "patient_class": "patient_class",
    "location": "location",
    "attending": "attending_physician_name",
    "referring": "referring_physician_name",
    "ambulatory": "ambulatory",
    "admitted": "admitted",
}
_WRITTEN = ("patient", *_COLUMNS.values(), "pregnant")
_KNOWN = PreparedRows(Visit, "WHERE number = %s AND number <> '' AND issuer = %s FOR UPDATE")


def apply(patient: int, facts: VisitFacts, effect: VisitEffect, moment: Moment) -> int | None:
    """Take up or change a visit of the locked ``patient``; returns its key, None where the message names no visit.

    With ``ARRIVE`` the scheduled steps of the visit, or where it has none those of the day, are ARRIVED. Raises
    ``VisitRefused`` for a number that is known as another patient's: nothing was changed.
    """
    visit = _visit(patient, facts, moment)
    if visit is not None and (to := _LEADS_TO.get(effect)) is not None and may(visit, to):
        transition(visit, to, moment)
    if effect is VisitEffect.ARRIVE:
        _arrive(patient, visit, moment)
    return visit.pk if visit is not None else None


def renumber(patient: int, old: EntityIdentifier, new: EntityIdentifier, moment: Moment) -> bool:
    """What was the visit or account ``old`` of the locked ``patient`` is ``new`` from now on (MRG-3, PID-18).

    Where both are known the orders of the old one go to the new one, and the old one is CANCELED. Returns whether
    there was anything to do. Raises ``VisitRefused`` where one of them is another patient's.
    """
    visit, present = (_KNOWN.first(number.value, number.issuer) for number in (old, new))
    if visit is None or old == new or _is_too_long(new):
        return False
    for known in (visit, present):
        if known is not None and known.patient_id != patient and person_of(known.patient_id) != patient:
            raise VisitRefused("the number of the visit is known as that of another patient's")
    if present is None:
        visit.number, visit.issuer = new.value, new.issuer
        visit.save(update_fields=["number", "issuer"])
        return True
    Order.objects.filter(visit=visit).update(visit=present)
    if may(visit, VisitStatus.CANCELED):
        transition(visit, VisitStatus.CANCELED, moment)
    return True


def _is_too_long(number: EntityIdentifier) -> bool:
    return max(len(number.value), len(number.issuer)) > _LONGEST


def _visit(patient: int, facts: VisitFacts, moment: Moment) -> Visit | None:
    if facts.number is None or not facts.number.value or _is_too_long(facts.number):
        return None
    key = {"number": facts.number.value, "issuer": facts.number.issuer}
    visit = _KNOWN.first(*key.values())
    if visit is None:
        visit = Visit(patient_id=patient, **key)
        insert(visit)
        born(visit, moment)
    elif visit.patient_id != patient and person_of(visit.patient_id) != patient:
        raise VisitRefused("the number of the visit is known as that of another patient's")
    told = {column: value for name, column in _COLUMNS.items() if (value := getattr(facts, name)) is not None}
    told |= {"pregnant": facts.pregnant or visit.pregnant, "patient_id": patient}
    changed = [column for column, value in told.items() if getattr(visit, column) != value]
    for column in changed:
        setattr(visit, column, told[column])
    if changed:
        update(visit, *_WRITTEN)
    return visit


def _arrive(patient: int, visit: Visit | None, moment: Moment) -> None:
    """Scheduled steps of the visit, else those of the day, are ARRIVED, and so are their orders."""
    orders = orders_of(patient).filter(status=OrderStatus.SCHEDULED).select_for_update(of=("self",)).order_by("pk")
    of_visit = list(orders.filter(visit=visit)) if visit is not None else []
    day = {} if of_visit else {"start_date": f"{moment.at:%Y%m%d}"}
    for order in of_visit or orders:
        steps = ScheduledProcedureStep.objects.select_for_update(of=("self",)).filter(procedure__order=order, **day)
        arrived = list(steps.filter(status=StepStatus.SCHEDULED).order_by("pk"))
        for step in arrived:
            transition(step, StepStatus.ARRIVED, moment)
        if arrived:
            transition(order, OrderStatus.ARRIVED, moment)
