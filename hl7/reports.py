"""Reports of other systems: ORU^R01. Each OBR is a report of the patient of PID."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hl7.adt import apply_patient
from hl7.effects import Arrived, Effect
from hl7.errors import Condition, Refused
from hl7.report_fields import reports
from reports import receiving
from reports.receiving import ReportRefusal, ReportRefused

# Table 0357, and the field of OBR that it is about.
REFUSALS: Final[Mapping[ReportRefusal, tuple[Condition, int]]] = {
    ReportRefusal.NO_NUMBER: (Condition.REQUIRED_FIELD_MISSING, 3),
    ReportRefusal.UNKNOWN_STATUS: (Condition.VALUE_NOT_FOUND, 25),
    ReportRefusal.ANOTHER_PATIENTS: (Condition.DUPLICATE_KEY, 3),
    ReportRefusal.ILLEGAL_MOVE: (Condition.VALUE_NOT_FOUND, 25),
}


def apply_reports(arrived: Arrived) -> Effect:
    """Raises Refused; then nothing of the message is applied."""
    found = list(reports(arrived.message))
    applied = apply_patient(arrived)
    effect = Effect.of_patient(applied, "updated")
    for obr, facts in found:
        try:
            report = receiving.apply(applied.patient, facts, arrived.moment)
        except ReportRefused as error:
            condition, field = REFUSALS[error.reason]
            raise Refused(condition, obr.place(field), str(error)) from error
        what = "known already" if report.repeated else f"version {report.version}"
        effect = effect.and_then(f"report {what}: {report.status}", order=report.order)
    return effect
