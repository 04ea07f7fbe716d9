"""The report that a message is about, and the order that it answers."""

from __future__ import annotations

from reports.facts import ReportFacts
from reports.models import NumberedBy, Report, ReportVersion
from worklist.models import Order
from worklist.order_messages import EntityIdentifier
from worklist.order_rows import named
from worklist.persons import person_of


def number_of(facts: ReportFacts) -> tuple[NumberedBy, EntityIdentifier] | None:
    """By what a report that nobody knows yet will be known; None where it has no number of any kind."""
    if facts.document is not None:
        return NumberedBy.DOCUMENT, facts.document
    number = facts.filler or facts.placer
    return (NumberedBy.ORDER, number) if number is not None else None


def known(facts: ReportFacts) -> Report | None:
    """The report meant, locked: by the document, the one that it replaces or adds to, or the order's number."""
    for document in (facts.document, facts.parent):
        if document is not None:
            came = ReportVersion.objects.filter(document_number=document.value, document_issuer=document.issuer)
            if (version := came.order_by("-pk").only("report").first()) is not None:
                return Report.objects.select_for_update(of=("self",)).get(pk=version.report_id)
    found = number_of(facts)
    if found is None:
        return None
    by, number = found
    rows = Report.objects.select_for_update(of=("self",))
    return rows.filter(numbered_by=by, number=number.value, issuer=number.issuer).first()


def order_of(patient: int, facts: ReportFacts) -> Order | None:
    """The order that the report answers, locked, if it is one of this patient."""
    for number in (facts.filler, facts.placer):
        found = named(EntityIdentifier(number.value, number.issuer)) if number else None
        if found is not None and person_of(found.patient_id) == patient:
            return Order.objects.select_for_update(of=("self",)).get(pk=found.pk)
    return None
