"""Who is shown which reports, as requests ask: found or not there, and with its event. For pages and programs alike."""

from __future__ import annotations

from typing import Final, NoReturn

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse

from access import policy
from access.authentication import principal_of
from access.principal import Principal
from access.roles import Permission
from access.trail import event
from archive.models import Study
from audit.kinds import REFUSED, REPORT_READ, Outcome
from audit.record import record
from dicom.uids import is_uid
from reports.models import Report, ReportVersion
from reports.states import SIGNED, TAKEN_BACK
from reports.visible import may_read, studies_shown, visible_reports

RULE: Final = "reports"
_LARGEST: Final = (1 << 63) - 1
_VERIFYING_OBSERVERS: Final = "0040A073"
# What is not of ours may be anything: nothing in it runs, loads or stands in a page of ours.
_SAFE: Final = {
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}
_NAMES: Final = {"application/pdf": "report.pdf", "text/xml": "report.xml", "application/rtf": "report.rtf"}


def reader(request: HttpRequest) -> Principal:
    """Whoever may read reports of some studies. Raises PermissionDenied, with its event."""
    principal = principal_of(request)
    if not may_read(principal):
        refuse(request, principal)
    return principal


def refuse(request: HttpRequest, principal: Principal) -> NoReturn:
    """Raises PermissionDenied, with its event."""
    denied = {"decision": "deny", "rule": RULE, "outcome": Outcome.MINOR_FAILURE}
    record([event(request, REFUSED, principal, **denied)])
    raise PermissionDenied("your role does not include the right to read these reports")


def study_of(principal: Principal, uid: str) -> Study:
    """A study whose reports may be read. Raises Http404; PermissionDenied where only a mark closes it."""
    if not is_uid(uid):
        raise Http404
    found = policy.reported_studies(principal).select_related("patient").filter(study_instance_uid=uid).first()
    if found is None:
        if policy.is_closed(principal, Permission.READ_REPORTS, uid):
            raise PermissionDenied("this record is closed")
        raise Http404
    return found


def report_of(principal: Principal, number: int) -> Report:
    """Raises Http404."""
    among = [number] if number <= _LARGEST else []
    found = visible_reports(principal, among).select_related("patient", "order").first()
    if found is None:
        raise Http404
    return found


def versions_of(principal: Principal, report: Report) -> list[ReportVersion]:
    """The newest first, without their files; of those who are given signed ones only these, and what took them back."""
    found = list(report.versions.defer("pdf").order_by("-number"))
    if policy.may_read_unsigned(principal):
        return found
    told: list[ReportVersion] = []
    signed = False
    for version in reversed(found):
        # What takes back a draft repeats it.
        signed = version.status in SIGNED or (signed and version.status in TAKEN_BACK)
        told[:0] = [version] if signed else []
    return told


def version_of(principal: Principal, report: Report, number: int | None) -> ReportVersion:
    """A version with its files; the newest where ``number`` is None. Raises Http404."""
    found = next((each for each in versions_of(principal, report) if number is None or each.number == number), None)
    if found is None:
        raise Http404
    return found


def hides_staff(principal: Principal) -> bool:
    """True for whoever is not shown who verified a report."""
    return _VERIFYING_OBSERVERS in policy.withheld(principal, Permission.READ_REPORTS)


def record_read(request: HttpRequest, principal: Principal, report: Report, query: str, size: int = 0) -> list[Study]:
    """Leave the event of a report that is read; returns its studies, which it names."""
    studies = studies_shown(principal, report)
    patient = studies[0].patient if studies else report.patient
    record(
        [
            event(
                request,
                REPORT_READ,
                principal,
                query=query,
                study_uids=[study.study_instance_uid for study in studies],
                patient_ids=[patient.patient_id] if patient.patient_id else [],
                bytes=size,
            )
        ]
    )
    return studies


def file_answer(data: bytes, media_type: str, *, inline: bool = False) -> HttpResponse:
    """A file that came with a report, which no browser runs or renders as a page of ours."""
    known = media_type if media_type in _NAMES or media_type.startswith("image/") else "application/octet-stream"
    answer = HttpResponse(data, content_type=known, headers=_SAFE)
    place = "inline" if inline and known == "application/pdf" else "attachment"
    answer["Content-Disposition"] = f'{place}; filename="{_NAMES.get(known, "attachment")}"'
    return answer
