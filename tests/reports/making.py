"""Reports made on the spot."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from archive.models import Study
from archive.patient_facts import Moment
from reports import receiving
from reports.facts import ReportFacts
from reports.models import Report
from worklist.order_messages import EntityIdentifier

NOON = datetime(2025, 1, 10, 12, tzinfo=UTC)
FINDINGS, IMPRESSION = "59776-5", "19005-8"


def reported(study: Study, text: str = "Normal.", status: str = "F", number: str = "", **facts: Any) -> Report:
    """A version of the report about a study, of its patient."""
    told = ReportFacts(
        status=status,
        study_instance_uids=facts.pop("study_instance_uids", (study.study_instance_uid,)),
        filler=EntityIdentifier(number or f"F{study.pk}", "RIS"),
        sections=((FINDINGS, "No bleed."), (IMPRESSION, text)),
        signed_by="RAD^RITA",
        signed_at="20250110111500",
        **facts,
    )
    with transaction.atomic():
        applied = receiving.apply(study.patient_id, told, Moment(NOON, "ris", "M1"))
    return Report.objects.get(pk=applied.report)
