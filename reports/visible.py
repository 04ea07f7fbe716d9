"""Which reports a reader is shown, as one queryset; what is outside does not exist for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BooleanField, Exists, F, Func, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from access import policy
from access.closed_patients import closed_patients
from access.principal import Principal
from access.restrictions import Marks
from access.roles import Permission, Scope
from archive.locate import is_everything, is_unlimited
from archive.models import Patient, Study
from archive.ready_query import ReadyQuery
from reports.models import Report, ReportStatus, ReportStudy, ReportVersion
from reports.states import SIGNED, TAKEN_BACK

# Of patients or studies that one word names.
_MOST: Final = 1000
# Whether there are any reports at all: a house without a reporting system pays nothing for lists.
anything: Final = Marks(ReadyQuery(lambda: Report.objects.values("pk")))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched for; "" is anything. Dates are DA values of the study."""

    patient_id: str = ""
    accession_number: str = ""
    status: str = ""
    study_instance_uid: str = ""
    date_from: str = ""
    date_to: str = ""


def may_read(principal: Principal) -> bool:
    """True for those who may read reports of at least some studies."""
    return policy.may(principal, Permission.READ_REPORTS)


def visible_reports(principal: Principal, among: Sequence[int] | None = None) -> QuerySet[Report]:
    """The reports about a study whose reports the principal may read, and about none that is closed to it.

    A report whose studies haven't come is shown to nobody. Whoever is given signed ones only is not told of others:
    of what was signed and then taken back, the taking back.

    ``among`` are keys, where the caller knows which could be meant: then only their studies are looked at, at the cost
    of a query, and not all that somebody reaches, who may reach a whole site.
    """
    reports = Report.objects.all() if among is None else Report.objects.filter(pk__in=among)
    about = ReportStudy.objects.filter(report=OuterRef("pk"))
    mine, unclosed = policy.reported_studies(principal), policy.unclosed_studies(principal, Permission.READ_REPORTS)
    reaches_all, none_closed = is_everything(mine), is_unlimited(unclosed)
    if among is not None and not (reaches_all and none_closed):
        near = list(ReportStudy.objects.filter(report__in=among).values_list("study_id", flat=True))
        mine, unclosed = mine.filter(pk__in=near), unclosed.filter(pk__in=near)
    if reaches_all:
        found = _with(reports, "inside", about)
    else:
        mine_too = ReportStudy.objects.filter(_AnyOf(F("study"), ArraySubquery(mine.values("pk"))))
        found = reports.filter(_AnyOf(F("pk"), ArraySubquery(mine_too.values("report"))))
    if not none_closed:
        closed = about.exclude(study__in=unclosed.values("pk"))
        found = found.alias(closed=_one(closed)).filter(closed__isnull=True)
    if not policy.may_read_unsigned(principal):
        once = Exists(ReportVersion.objects.filter(report=OuterRef("pk"), status__in=SIGNED))
        found = found.filter(once, status__in=(*SIGNED, *TAKEN_BACK))
    return found


def reports_near(principal: Principal, study: Study) -> QuerySet[Report]:
    """The same of those about one study, whose reports may be read; the newest first."""
    about = ReportStudy.objects.filter(study=study).values_list("report_id", flat=True)
    return visible_reports(principal, list(about)).order_by("-updated_at", "-pk")


def may_match(principal: Principal) -> bool:
    """True for those who may correct studies, and read reports of all: they are told of reports without a study."""
    reads_all = policy.scope(principal, Permission.READ_REPORTS) is Scope.ALL
    return reads_all and principal.patient is None and policy.may(principal, Permission.UPDATE)


def unmatched_reports(principal: Principal) -> QuerySet[Report]:
    """The reports whose studies haven't come, of patients that aren't closed to ``principal``, who ``may_match``."""
    about = ReportStudy.objects.filter(report=OuterRef("pk"))
    found = Report.objects.alias(inside=_one(about)).filter(inside__isnull=True)
    closed = closed_patients(principal)
    if closed is None:
        return found
    return found.alias(person=Coalesce("patient__merged_into", "patient")).exclude(person__in=closed)


class _AnyOf(Func):
    """``key = ANY (array)``: the array is made once, and then each way of the view is an index look-up."""

    template = "(%(expressions)s))"
    arg_joiner = " = ANY ("
    output_field = BooleanField()


def _one(about: QuerySet[ReportStudy]) -> Subquery:
    """One study of these, asked report by report: PostgreSQL would join all reports with all studies for ``EXISTS``."""
    return Subquery(about.values("study")[:1])


def _with(reports: QuerySet[Report], name: str, about: QuerySet[ReportStudy]) -> QuerySet[Report]:
    return reports.alias(**{name: _one(about)}).filter(**{f"{name}__isnull": False})


def matching(reports: QuerySet[Report], wanted: Wanted) -> QuerySet[Report]:
    """``reports`` that match all that is wanted, the newest first. What names one study or patient is found first."""
    about = Q()
    if wanted.date_from:
        about &= Q(study__study_date__gte=wanted.date_from)
    if wanted.date_to:
        about &= Q(study__study_date__lte=wanted.date_to) & ~Q(study__study_date="")
    if wanted.study_instance_uid or wanted.accession_number:
        named = {"study_instance_uid": wanted.study_instance_uid, "accession_number": wanted.accession_number}
        studies = Study.objects.filter(**{name: value for name, value in named.items() if value})
        reports = reports.filter(pk__in=_about(list(studies.values_list("pk", flat=True)[:_MOST]), about))
    elif about:
        reports = _with(reports, "within", ReportStudy.objects.filter(about, report=OuterRef("pk")))
    if wanted.patient_id:
        patients = list(Patient.objects.filter(patient_id=wanted.patient_id).values_list("pk", flat=True)[:_MOST])
        reports = reports.filter(Q(patient__in=patients) | Q(patient__merged_into__in=patients))
    if wanted.status:
        reports = reports.filter(status=wanted.status)
    return reports.order_by("-updated_at", "-pk")


def statuses(principal: Principal, studies: list[int]) -> dict[int, str]:
    """The status of the newest report shown, by study, where there is one. Three queries, or none."""
    if not studies or not anything.exist() or not may_read(principal):
        return {}
    pairs = list(ReportStudy.objects.filter(study__in=studies).values_list("report_id", "study_id"))
    about: dict[int, list[int]] = {}
    for report, study in pairs:
        about.setdefault(report, []).append(study)
    if not about:
        return {}
    shown = visible_reports(principal, list(about)).exclude(status__in=(ReportStatus.REQUESTED, *TAKEN_BACK))
    rows = shown.order_by("updated_at", "pk")
    return {study: row.status for row in rows for study in about[row.pk]}


def _about(studies: list[int], condition: Q) -> list[int]:
    """The keys of reports about these studies."""
    rows = ReportStudy.objects.filter(condition, study__in=studies)
    return list(rows.values_list("report_id", flat=True)) if studies else []


def studies_shown(principal: Principal, report: Report) -> list[Study]:
    """Those of a report's studies that the reader may know of, the newest first."""
    return studies_by_report(principal, [report])[report.pk]


def studies_by_report(principal: Principal, reports: Sequence[Report]) -> dict[int, list[Study]]:
    """The same of several reports, by their keys. Two queries whatever their number."""
    pairs = list(ReportStudy.objects.filter(report__in=reports).values_list("report_id", "study_id"))
    mine = policy.reported_studies(principal)
    rows = (Study.objects if is_unlimited(mine) else mine).filter(pk__in={study for _, study in pairs})
    studies = {each.pk: each for each in rows.select_related("patient")}
    found: dict[int, list[Study]] = {report.pk: [] for report in reports}
    for report, study in pairs:
        if study in studies:
            found[report].append(studies[study])
    for about in found.values():
        about.sort(key=lambda study: (study.study_date, study.study_time, study.pk), reverse=True)
    return found
