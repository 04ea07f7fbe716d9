"""Reports as programs are given them: the JSON, and how the API's documentation describes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.urls import reverse
from rest_framework import serializers

from archive.models import Study
from reports.models import Report, ReportStatus, ReportVersion
from reports.sections import sections_of
from reports.states import SIGNED

STATUSES = [str(status) for status in ReportStatus]


class OrderNumbers(serializers.Serializer):  # type: ignore[type-arg]
    """The numbers of the order that a report answers, "" where it has none."""

    placer = serializers.CharField()
    filler = serializers.CharField()


class ReportAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A report: what it is about and how far it is. ``studies`` are those that the caller may know of.

    The accession numbers are those of the studies, else those that the report names.
    """

    id = serializers.IntegerField()
    number = serializers.CharField()
    status = serializers.ChoiceField(choices=STATUSES)
    signed = serializers.BooleanField()
    version = serializers.IntegerField()
    studies = serializers.ListField(child=serializers.CharField())
    accession_numbers = serializers.ListField(child=serializers.CharField())
    patient_id = serializers.CharField()
    issuer_of_patient_id = serializers.CharField()
    order = OrderNumbers()
    made_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    url = serializers.CharField()


class ReportsAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A page of reports, the newest first; ``next`` is the ``before`` of the next page, null on the last."""

    reports = ReportAnswer(many=True)
    next = serializers.CharField(allow_null=True)


class SectionAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A section; ``code`` is that of LOINC where the sender has one."""

    code = serializers.CharField()
    title = serializers.CharField()
    text = serializers.CharField()


class AttachmentAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A file or a link that came with a report; ``url`` is where the file is, "" for a link, which is as it came."""

    title = serializers.CharField()
    media_type = serializers.CharField()
    link = serializers.CharField()
    url = serializers.CharField()


class VersionRow(serializers.Serializer):  # type: ignore[type-arg]
    """A version without its text. ``signed_at`` is a DT value (PS3.5 6.2), "" where it isn't known."""

    version = serializers.IntegerField()
    status = serializers.ChoiceField(choices=STATUSES)
    signed_by = serializers.CharField()
    signed_at = serializers.CharField()
    received_at = serializers.DateTimeField()
    url = serializers.CharField()


class VersionAnswer(VersionRow):
    """A version as it came; ``document`` is where its PDF is, null where it has none."""

    sections = SectionAnswer(many=True)
    document = serializers.CharField(allow_null=True)
    attachments = AttachmentAnswer(many=True)


class WholeReport(ReportAnswer):
    """A report with its newest version, and which versions there are."""

    newest = VersionAnswer()
    versions = VersionRow(many=True)


def report_answer(report: Report, studies: Sequence[Study]) -> dict[str, Any]:
    """``ReportAnswer``."""
    patient = studies[0].patient if studies else report.patient
    return {
        "id": report.pk,
        "number": report.number,
        "status": report.status,
        "signed": report.status in SIGNED,
        "version": report.current,
        "studies": [study.study_instance_uid for study in studies],
        "accession_numbers": sorted({study.accession_number for study in studies} - {""}) or report.accession_numbers,
        "patient_id": patient.patient_id,
        "issuer_of_patient_id": patient.issuer_of_patient_id,
        "order": {"placer": report.placer_number, "filler": report.filler_number},
        "made_at": report.made_at,
        "updated_at": report.updated_at,
        "url": reverse("api-report", args=[report.pk]),
    }


def version_row(version: ReportVersion, *, staff: bool) -> dict[str, Any]:
    """``VersionRow``; who signed only where ``staff`` may be named."""
    return {
        "version": version.number,
        "status": version.status,
        "signed_by": version.signed_by if staff else "",
        "signed_at": version.signed_at,
        "received_at": version.made_at,
        "url": reverse("api-report-version", args=[version.report_id, version.number]),
    }


def version_answer(version: ReportVersion, *, staff: bool) -> dict[str, Any]:
    """``VersionAnswer``."""
    at = [version.report_id, version.number]
    return version_row(version, staff=staff) | {
        "sections": [
            {"code": section.code, "title": section.title, "text": section.text} for section in sections_of(version)
        ],
        "document": reverse("api-report-document", args=at) if version.pdf else None,
        "attachments": [
            {
                "title": each.title,
                "media_type": each.media_type,
                "link": each.link,
                "url": "" if each.link else reverse("api-report-attachment", args=[*at, each.place]),
            }
            for each in version.attachments.defer("data").order_by("place")
        ],
    }
