"""Reports of other systems, ORU^R01 and MDM: each OBR, or the document, is a report of the patient of PID."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hl7.adt import apply_patient
from hl7.effects import Arrived, Effect
from hl7.errors import Condition, Refused
from hl7.message import Segment
from hl7.report_fields import reports
from reports import receiving
from reports.facts import ReportFacts
from reports.receiving import ReportRefusal, ReportRefused

# Table 0357, and the fields of OBR and TXA that it is about.
REFUSALS: Final[Mapping[ReportRefusal, tuple[Condition, Mapping[str, int]]]] = {
    ReportRefusal.NO_NUMBER: (Condition.REQUIRED_FIELD_MISSING, {"OBR": 3, "TXA": 12}),
    ReportRefusal.TOO_LONG: (Condition.DATA_TYPE, {"OBR": 3, "TXA": 12}),
    ReportRefusal.UNKNOWN_STATUS: (Condition.VALUE_NOT_FOUND, {"OBR": 25, "TXA": 17}),
    ReportRefusal.UNKNOWN_REPORT: (Condition.UNKNOWN_KEY, {"OBR": 3, "TXA": 12}),
    ReportRefusal.ANOTHER_PATIENTS: (Condition.DUPLICATE_KEY, {"OBR": 3, "TXA": 12}),
    ReportRefusal.ILLEGAL_MOVE: (Condition.VALUE_NOT_FOUND, {"OBR": 25, "TXA": 17}),
}


def apply_reports(arrived: Arrived) -> Effect:
    """ORU^R01. Raises Refused; then nothing of the message is applied."""
    return take(arrived, list(reports(arrived.message, arrived.profile)))


def take(arrived: Arrived, found: Sequence[tuple[Segment, ReportFacts]]) -> Effect:
    """Keep these reports, each with the segment in which its faults are shown. Raises Refused."""
    applied = apply_patient(arrived)
    effect = Effect.of_patient(applied, "updated")
    for segment, facts in found:
        try:
            report = receiving.apply(applied.patient, facts, arrived.moment)
        except ReportRefused as error:
            condition, fields = REFUSALS[error.reason]
            raise Refused(condition, segment.place(fields[segment.name]), str(error)) from error
        what = "known already" if report.repeated else f"version {report.version}"
        effect = effect.and_then(f"report {what}: {report.status}", order=report.order)
    return effect
