"""A report that came: a new one, or a new version of one that is known. Versions are never changed or taken away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from django.utils import timezone

from archive.patient_facts import Moment
from reports.models import Report, ReportStatus, ReportVersion
from worklist.models import Order, OrderStatus, StateEvent
from worklist.order_messages import EntityIdentifier, ReportFacts
from worklist.order_rows import named
from worklist.persons import person_of
from worklist.states import may, transition

# Table 0123 -> status. What it doesn't have is refused.
STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys("OIS", ReportStatus.REQUESTED),
        "R": ReportStatus.DRAFT,
        "P": ReportStatus.PRELIMINARY,
        "F": ReportStatus.FINAL,
        "C": ReportStatus.CORRECTED,
        "X": ReportStatus.CANCELLED,
    }
)
_EARLY: Final = (ReportStatus.REQUESTED, ReportStatus.DRAFT, ReportStatus.PRELIMINARY)
_SIGNED: Final = (ReportStatus.FINAL, ReportStatus.CORRECTED)


class ReportRefusal(StrEnum):
    """Why a report isn't taken."""

    NO_NUMBER = "no_number"  # neither filler's nor placer's
    UNKNOWN_STATUS = "unknown_status"
    ANOTHER_PATIENTS = "another_patients"
    ILLEGAL_MOVE = "illegal_move"  # what was signed isn't preliminary again


class ReportRefused(Exception):
    """A report has no effect, for ``reason``. The text names no patient."""

    def __init__(self, reason: ReportRefusal, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ReportApplied:
    """What became of a report; ``repeated``: this version was known, nothing was done."""

    report: int
    status: str
    version: int
    repeated: bool = False
    order: int | None = None


def apply(patient: int, facts: ReportFacts, moment: Moment) -> ReportApplied:
    """Keep a version of a report of the locked ``patient``, in the caller's transaction. Raises ReportRefused.

    Another text under FINAL after FINAL is a correction, whatever its sender calls it.
    """
    status = STATUSES.get(facts.status)
    if status is None:
        raise ReportRefused(ReportRefusal.UNKNOWN_STATUS, "a report has no such status")
    number = facts.filler or facts.placer
    if number is None:
        raise ReportRefused(ReportRefusal.NO_NUMBER, "a report without a number can't be told from another")
    order = _order(patient, facts)
    report, _ = Report.objects.select_for_update().get_or_create(
        number=number.value, issuer=number.issuer, defaults={"patient_id": patient, "order": order}
    )
    if person_of(report.patient_id) != patient:
        raise ReportRefused(ReportRefusal.ANOTHER_PATIENTS, "the report is known as that of another patient")
    digest = _digest(facts)
    last = report.versions.order_by("-number").defer("pdf").first()
    if last is not None and bytes(last.sha256) == digest and status in (last.status, report.status):
        return ReportApplied(report.pk, report.status, last.number, repeated=True, order=report.order_id)
    if report.status in _SIGNED and status in _EARLY:
        raise ReportRefused(ReportRefusal.ILLEGAL_MOVE, "a signed report isn't preliminary again")
    if report.status in _SIGNED and status == ReportStatus.FINAL:
        status = ReportStatus.CORRECTED
    report.current += 1
    ReportVersion.objects.create(
        report=report,
        number=report.current,
        status=status,
        sections=[list(section) for section in facts.sections],
        pdf=facts.pdf,
        signed_by=facts.signed_by,
        signed_at=facts.signed_at,
        sha256=digest,
        source_message=moment.message,
    )
    before, report.status = report.status if report.current > 1 else "", status
    report.order = order or report.order
    report.study_instance_uids = sorted({*report.study_instance_uids, *facts.study_instance_uids})
    report.accession_numbers = sorted({*report.accession_numbers, *(each.value for each in facts.accessions)})
    report.updated_at = timezone.now()
    report.save()
    _event(report, before, moment)
    if status in _SIGNED and report.order is not None and may(report.order, OrderStatus.REPORTED):
        transition(report.order, OrderStatus.REPORTED, moment)
    return ReportApplied(report.pk, status, report.current, order=report.order_id)


def _order(patient: int, facts: ReportFacts) -> Order | None:
    """The order that the report answers, if it is one of this patient."""
    for number in (facts.filler, facts.placer):
        found = named(EntityIdentifier(number.value, number.issuer)) if number else None
        if found is not None and person_of(found.patient_id) == patient:
            return Order.objects.select_for_update().get(pk=found.pk)
    return None


def _digest(facts: ReportFacts) -> bytes:
    text = json.dumps([list(facts.sections), facts.signed_by, facts.signed_at])
    return sha256(text.encode() + b"\0" + (facts.pdf or b"")).digest()


def _event(report: Report, before: str, moment: Moment) -> None:
    if before != report.status:
        StateEvent.objects.create(
            machine="report",
            subject=report.pk,
            before=before,
            after=report.status,
            actor=moment.actor,
            source_message=moment.message,
            happened_at=moment.at,
        )
