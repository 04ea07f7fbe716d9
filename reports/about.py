"""Which studies a report is about, and which reports there are about a study (``reports.models.ReportStudy``)."""

from __future__ import annotations

from django.db.models import QuerySet

from archive.models import Study
from reports.models import Report, ReportStudy


def studies_of(report: Report) -> QuerySet[Study]:
    """The studies that a report is about; none while their images haven't come."""
    return Study.objects.filter(pk__in=ReportStudy.objects.filter(report=report).values("study"))


def reports_of(study: Study) -> QuerySet[Report]:
    """The reports about a study, the newest first. The caller has asked whether the study may be seen."""
    about = ReportStudy.objects.filter(study=study).values("report")
    return Report.objects.filter(pk__in=about).order_by("-updated_at", "-pk")
