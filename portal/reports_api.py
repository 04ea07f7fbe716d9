"""Reports for programs: searched, read by versions, and their files."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import Http404, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.principal import Principal
from access.trail import event
from audit.bounded import bounded
from audit.kinds import SEARCH
from audit.record import record
from dicom.uids import UID_PATTERN, is_uid
from portal.api import AlwaysJson
from portal.emergency_api import BadWish
from portal.report_rules import (
    RULE,
    file_answer,
    hides_staff,
    reader,
    record_read,
    refuse,
    report_of,
    study_of,
    version_of,
    versions_of,
)
from portal.reports_answers import (
    STATUSES,
    ReportsAnswer,
    VersionAnswer,
    WholeReport,
    report_answer,
    version_answer,
    version_row,
)
from reports.models import Report
from reports.visible import (
    Wanted,
    matching,
    may_match,
    reports_near,
    studies_by_report,
    unmatched_reports,
    visible_reports,
)

NO_STORE: Final = {"Cache-Control": "no-store"}
_DEFAULT_LIMIT: Final = 50
_MOST: Final = 200
_BEFORE: Final = r"[0-9]{1,20}-[0-9]{1,18}"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TAGS: Final = ["Reports"]
_DATE: Final = {"type": "string", "format": "date"}
_STUDY: Final = OpenApiParameter(
    "study", {"type": "string", "pattern": f"^{UID_PATTERN}$"}, OpenApiParameter.PATH, description="Study Instance UID"
)
_LACKING: Final = OpenApiResponse(description="The role lacks the right to read reports, or the record is closed")
_MISSING: Final = OpenApiResponse(description="There is no such thing that the caller may read")
_NOT_UNDERSTOOD: Final = OpenApiResponse(description="A parameter is not understood")
_FILE: Final = {
    (200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY, "The file as it came"),
    403: _LACKING,
    404: _MISSING,
}


def _number(name: str) -> OpenApiParameter:
    return OpenApiParameter(name, {"type": "string", "pattern": "^[0-9]{1,18}$"}, OpenApiParameter.PATH)


_PAGING: Final = [
    OpenApiParameter("status", {"type": "string", "enum": STATUSES}, description="only in this status"),
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": _MOST, "default": _DEFAULT_LIMIT}),
    OpenApiParameter("before", {"type": "string", "pattern": f"^{_BEFORE}$"}, description="`next` of the page before"),
]


class Asked(serializers.Serializer):  # type: ignore[type-arg]
    """Which reports: all filters hold together; the dates are those of studies."""

    patient = serializers.CharField(required=False, max_length=64)
    accession = serializers.CharField(required=False, max_length=16)
    study = serializers.CharField(required=False, max_length=64)
    status = serializers.ChoiceField(choices=STATUSES, required=False)
    date_from = serializers.DateField(required=False)
    date_to = serializers.DateField(required=False)
    limit = serializers.IntegerField(required=False, min_value=1, max_value=_MOST, default=_DEFAULT_LIMIT)
    before = serializers.RegexField(f"^{_BEFORE}$", required=False)
    matched = serializers.BooleanField(required=False, default=True)

    def validate_study(self, text: str) -> str:
        """A UID."""
        if not is_uid(text):
            raise serializers.ValidationError("expected a Study Instance UID")
        return text


class _ReportsView(APIView):
    content_negotiation_class = AlwaysJson

    def listed(self, request: Request, study: str = "") -> Response:
        """A page of what the caller may read."""
        principal = reader(request._request)
        named = study_of(principal, study) if study else None
        asked = _asked(request)
        limit: int = asked["limit"]
        wanted = Wanted(
            patient_id=asked.get("patient", ""),
            accession_number=asked.get("accession", ""),
            status=asked.get("status", ""),
            study_instance_uid=study or asked.get("study", ""),
            date_from=_day(asked.get("date_from")),
            date_to=_day(asked.get("date_to")),
        )
        if named is not None:
            shown = reports_near(principal, named)
        else:
            shown = visible_reports(principal) if asked["matched"] else _unmatched(request, principal)
        rows = matching(shown, wanted).select_related("patient")
        with bounded(statement_seconds=settings.PACS.limits.search_seconds):
            found = list(rows.filter(_earlier(asked.get("before", "")))[: limit + 1])
            about = studies_by_report(principal, found[:limit])
        page = [report_answer(report, about[report.pk]) for report in found[:limit]]
        uids = sorted({uid for each in page for uid in each["studies"]})
        told = "&".join(f"{name}={value}" for name, value in asked.items() if name not in ("limit", "before"))
        # Of a report without a study nothing else says whose it is.
        whose = tuple(sorted({each["patient_id"] for each in page if not each["studies"]} - {""}))
        what = f"reports {told}".strip()
        record([event(request._request, SEARCH, principal, rule=RULE, query=what, study_uids=uids, patient_ids=whose)])
        following = _cursor(found[limit - 1]) if len(found) > limit else None
        return Response({"reports": page, "next": following}, headers=NO_STORE)


class Reports(_ReportsView):
    """``/api/reports``."""

    @extend_schema(
        operation_id="reports_search",
        parameters=[
            OpenApiParameter("patient", {"type": "string", "maxLength": 64}, description="Patient ID (0010,0020)"),
            OpenApiParameter("accession", {"type": "string", "maxLength": 16}, description="of a study"),
            OpenApiParameter("study", {"type": "string", "pattern": f"^{UID_PATTERN}$"}, description="its UID"),
            OpenApiParameter(
                "matched",
                {"type": "boolean", "default": True},
                description="false: those whose studies haven't come, for whoever may correct studies",
            ),
            OpenApiParameter("date_from", _DATE, description="of a study, this day or later"),
            OpenApiParameter("date_to", _DATE, description="of a study, this day or earlier"),
            *_PAGING,
        ],
        responses={
            200: OpenApiResponse(ReportsAnswer, "A page, the newest first"),
            400: _NOT_UNDERSTOOD,
            403: _LACKING,
        },
        tags=_TAGS,
        summary="Search reports",
    )
    def get(self, request: Request) -> Response:
        """Reports about studies that the caller may read reports of."""
        return self.listed(request)


class ReportsOfStudy(_ReportsView):
    """``/api/studies/<study>/reports``."""

    @extend_schema(
        operation_id="reports_of_study",
        parameters=[_STUDY, *_PAGING],
        responses={
            200: OpenApiResponse(ReportsAnswer, "A page, the newest first"),
            400: _NOT_UNDERSTOOD,
            403: _LACKING,
            404: _MISSING,
        },
        tags=_TAGS,
        summary="The reports about a study",
    )
    def get(self, request: Request, study: str) -> Response:
        """The reports about one study."""
        return self.listed(request, study)


class _OneReport(APIView):
    content_negotiation_class = AlwaysJson

    def found(self, request: Request, report: int) -> tuple[Principal, Report]:
        """Who reads which report. Raises PermissionDenied, Http404."""
        principal = reader(request._request)
        return principal, report_of(principal, report)


class OneReport(_OneReport):
    """``/api/reports/<report>``."""

    @extend_schema(
        operation_id="report",
        parameters=[_number("report")],
        responses={200: OpenApiResponse(WholeReport, "The report"), 403: _LACKING, 404: _MISSING},
        tags=_TAGS,
        summary="A report with its newest version",
    )
    def get(self, request: Request, report: int) -> Response:
        """A report."""
        principal, found = self.found(request, report)
        newest = version_of(principal, found, None)
        studies = record_read(request._request, principal, found, f"report {found.pk} version {newest.number}")
        staff = not hides_staff(principal)
        rows = [version_row(each, staff=staff) for each in versions_of(principal, found)]
        body = report_answer(found, studies) | {"newest": version_answer(newest, staff=staff), "versions": rows}
        return Response(body, headers=NO_STORE)


class OneVersion(_OneReport):
    """``/api/reports/<report>/versions/<version>``."""

    @extend_schema(
        operation_id="report_version",
        parameters=[_number("report"), _number("version")],
        responses={200: OpenApiResponse(VersionAnswer, "The version as it came"), 403: _LACKING, 404: _MISSING},
        tags=_TAGS,
        summary="One version of a report",
    )
    def get(self, request: Request, report: int, version: int) -> Response:
        """A version, which never changes."""
        principal, found = self.found(request, report)
        one = version_of(principal, found, version)
        record_read(request._request, principal, found, f"report {found.pk} version {one.number}")
        return Response(version_answer(one, staff=not hides_staff(principal)), headers=NO_STORE)


class Document(_OneReport):
    """``/api/reports/<report>/versions/<version>/document``."""

    @extend_schema(
        operation_id="report_document",
        parameters=[_number("report"), _number("version")],
        responses={
            (200, "application/pdf"): OpenApiResponse(OpenApiTypes.BINARY, "The document of this version"),
            403: _LACKING,
            404: _MISSING,
        },
        tags=_TAGS,
        summary="The PDF of a version",
    )
    def get(self, request: Request, report: int, version: int) -> HttpResponse:
        """The PDF byte for byte, as a file to be saved."""
        principal, found = self.found(request, report)
        one = version_of(principal, found, version)
        if one.pdf is None:
            raise Http404
        data = bytes(one.pdf)
        record_read(request._request, principal, found, f"report {found.pk} version {version} PDF", len(data))
        return file_answer(data, "application/pdf")


class Attached(_OneReport):
    """``/api/reports/<report>/versions/<version>/attachments/<place>``."""

    @extend_schema(
        operation_id="report_attachment",
        parameters=[_number("report"), _number("version"), _number("place")],
        responses=_FILE,
        tags=_TAGS,
        summary="A file that came with a version",
    )
    def get(self, request: Request, report: int, version: int, place: int) -> HttpResponse:
        """The file byte for byte, to be saved; links have none."""
        principal, found = self.found(request, report)
        one = version_of(principal, found, version)
        file = one.attachments.filter(place=place, data__isnull=False).first() if place < 1 << 31 else None
        if file is None or file.data is None:
            raise Http404
        data = bytes(file.data)
        record_read(request._request, principal, found, f"report {found.pk} version {version} file {place}", len(data))
        return file_answer(data, file.media_type)


def _asked(request: Request) -> dict[str, Any]:
    form = Asked(data=request._request.GET.dict())
    if not form.is_valid():
        raise BadWish("; ".join(f"{name}: {' '.join(map(str, told))}" for name, told in form.errors.items()))
    checked: dict[str, Any] = form.validated_data
    return checked


def _unmatched(request: Request, principal: Principal) -> QuerySet[Report]:
    if not may_match(principal):
        refuse(request._request, principal)
    return unmatched_reports(principal)


def _day(value: Any) -> str:
    return f"{value:%Y%m%d}" if value else ""


def _cursor(report: Report) -> str:
    """Microseconds of its last change, and its number: the order of the list."""
    return f"{(report.updated_at - _EPOCH) // timedelta(microseconds=1)}-{report.pk}"


def _earlier(before: str) -> Q:
    found = re.fullmatch(r"([0-9]+)-([0-9]+)", before)
    if found is None:
        return Q()
    try:
        at = _EPOCH + timedelta(microseconds=int(found[1]))
    except OverflowError:
        raise BadWish("before: not a `next` of ours") from None
    return Q(updated_at__lt=at) | Q(updated_at=at, pk__lt=int(found[2]))
