"""Which studies a report is about, and which reports there are about a study: of the same person, never of another.

By the studies' own UIDs where the report names some, else by accession numbers, else by what is linked to its order.
"""

from __future__ import annotations

from django.db.models import Q, QuerySet

from archive.models import Patient, Study
from reports.models import Report


def studies_of(report: Report) -> QuerySet[Study]:
    """The studies that a report is about; none while their images haven't come."""
    person = report.patient.person
    mine = Study.objects.filter(Q(patient_id=person) | Q(patient__merged_into=person))
    if report.study_instance_uids:
        return mine.filter(study_instance_uid__in=report.study_instance_uids)
    if report.accession_numbers:
        return mine.filter(accession_number__in=report.accession_numbers)
    return mine.filter(order_links__procedure__order=report.order_id).distinct()


def reports_of(study: Study) -> QuerySet[Report]:
    """The reports about a study, the newest first. The caller has asked whether the study may be seen."""
    person = Patient.objects.only("merged_into_id").get(pk=study.patient_id).person
    named = Q(study_instance_uids__contains=[study.study_instance_uid])
    if study.accession_number:
        named |= Q(study_instance_uids=[], accession_numbers__contains=[study.accession_number])
    ordered = Q(study_instance_uids=[], accession_numbers=[], order__procedures__study_links__study=study)
    found = Report.objects.filter(named | ordered)
    return found.filter(Q(patient_id=person) | Q(patient__merged_into=person)).distinct().order_by("-updated_at")
