"""A report that came: a new one, or a new version of one that is known. Versions are never changed or taken away."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

from django.dispatch import Signal
from django.utils import timezone

from archive.patient_facts import Moment
from reports.facts import ReportFacts
from reports.finding import known, number_of, order_of
from reports.models import Report, ReportAttachment, ReportStatus, ReportVersion
from reports.states import MOVES, SIGNED, STATUSES, follows, moved
from telemetry.metrics import REPORTS
from worklist.models import Order, OrderStatus
from worklist.order_messages import EntityIdentifier
from worklist.persons import person_of
from worklist.states import may, transition

# Sent in the transaction that keeps a version, after it is kept and with the report as it then is: ``report`` and
# ``version`` are the rows, ``moment`` who told it and when. A receiver that raises undoes the version.
version_kept: Final = Signal()
# As HL7 has it for EI (2.A.28), and well within what an index holds.
_LONGEST_NUMBER: Final = 200


class ReportRefusal(StrEnum):
    """Why a report isn't taken."""

    NO_NUMBER = "no_number"  # neither of an order nor of a document
    TOO_LONG = "too_long"  # a number, or who gave it, has more than 200 characters
    UNKNOWN_STATUS = "unknown_status"
    UNKNOWN_REPORT = "unknown_report"  # it would change one that isn't there
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
    """Keep a version of a report of the locked ``patient``, in the caller's transaction. Raises ReportRefused."""
    told = STATUSES.get(facts.status)
    if told is None:
        raise ReportRefused(ReportRefusal.UNKNOWN_STATUS, "a report has no such status")
    report = _report(patient, facts)
    last = report.versions.order_by("-number").defer("pdf").first()
    before = report.status if last is not None else ""
    digest = _digest(facts)
    if last is not None and _is_known(report, last, facts, told, digest):
        return ReportApplied(report.pk, report.status, last.number, repeated=True, order=report.order_id)
    status = follows(before, told, addendum=facts.addendum, appends=facts.appends)
    if status not in MOVES[before]:
        raise ReportRefused(ReportRefusal.ILLEGAL_MOVE, "a signed report isn't preliminary again")
    report.current += 1
    report.status = status
    _write(report, patient, facts)
    version = _keep(report, last, facts, digest, moment)
    moved(report, before, moment)
    if report.order is not None:
        tell_order(report, report.order, moment)
    REPORTS.labels(str(status).lower()).inc()
    version_kept.send(sender=Report, report=report, version=version, moment=moment)
    return ReportApplied(report.pk, status, report.current, order=report.order_id)


def tell_order(report: Report, order: Order, moment: Moment) -> None:
    """The locked order of a signed report is REPORTED."""
    if report.status in SIGNED and may(order, OrderStatus.REPORTED):
        transition(order, OrderStatus.REPORTED, moment)


def _report(patient: int, facts: ReportFacts) -> Report:
    named = number_of(facts)
    if named is None:
        raise ReportRefused(ReportRefusal.NO_NUMBER, "a report without a number can't be told from another")
    numbers = [each for each in (facts.placer, facts.filler, facts.document, facts.parent) if each is not None]
    if any(len(part) > _LONGEST_NUMBER for each in numbers for part in (each.value, each.issuer)):
        raise ReportRefused(ReportRefusal.TOO_LONG, f"a number has more than {_LONGEST_NUMBER} characters")
    report = known(facts)
    if report is None and facts.known:
        raise ReportRefused(ReportRefusal.UNKNOWN_REPORT, "no report has this number")
    if report is None:
        by, number = named
        rows = Report.objects.select_for_update(of=("self",))
        key = {"numbered_by": by, "number": number.value, "issuer": number.issuer}
        report, _ = rows.get_or_create(**key, defaults={"patient_id": patient})
    if person_of(report.patient_id) != patient:
        raise ReportRefused(ReportRefusal.ANOTHER_PATIENTS, "the report is known as that of another patient")
    return report


def _is_known(report: Report, last: ReportVersion, facts: ReportFacts, told: str, digest: bytes) -> bool:
    """Whether this came before: as the newest version, or, of somebody who appends, as any."""
    if facts.appends and told in SIGNED:
        return any(bytes(each) == digest for each in report.versions.values_list("sha256", flat=True))
    same = facts.status_only or bytes(last.sha256) == digest
    return same and told in (last.status, report.status)


def _write(report: Report, patient: int, facts: ReportFacts) -> None:
    """What the report is about: what it named before stays."""
    report.order = order_of(patient, facts) or report.order
    for kind, number in (("placer", facts.placer), ("filler", facts.filler)):
        if number is not None:
            setattr(report, f"{kind}_number", number.value)
            setattr(report, f"{kind}_issuer", number.issuer)
    report.study_instance_uids = sorted({*report.study_instance_uids, *facts.study_instance_uids})
    report.accession_numbers = sorted({*report.accession_numbers, *(each.value for each in facts.accessions)})
    report.updated_at = timezone.now()
    report.save()


def _keep(
    report: Report, last: ReportVersion | None, facts: ReportFacts, digest: bytes, moment: Moment
) -> ReportVersion:
    # An addendum that comes as a document of its own is never the whole text, signed before or not.
    alone = facts.appends and (report.status == ReportStatus.ADDENDED or (facts.addendum and facts.parent is not None))
    stays = last is not None and (facts.status_only or alone)
    sections = [list(section) for section in facts.sections]
    document = facts.document or EntityIdentifier("")
    version = ReportVersion.objects.create(
        report=report,
        number=report.current,
        status=report.status,
        sections=[*last.sections, *sections] if stays and last is not None else sections,
        pdf=facts.pdf or (last.pdf if stays and last is not None else None),
        document_number=document.value,
        document_issuer=document.issuer,
        signed_by=facts.signed_by or (last.signed_by if stays and last is not None else ""),
        signed_at=facts.signed_at or (last.signed_at if stays and last is not None else ""),
        sha256=digest,
        source_message=moment.message,
    )
    rows = [
        ReportAttachment(
            version=version,
            place=place,
            media_type=each.media_type,
            title=each.title,
            data=None if each.link else each.data,
            link=each.link,
        )
        for place, each in enumerate(facts.attachments, 1)
    ]
    ReportAttachment.objects.bulk_create(rows)
    return version


def _digest(facts: ReportFacts) -> bytes:
    files = [(each.media_type, each.title, each.link, sha256(each.data).hexdigest()) for each in facts.attachments]
    text = json.dumps([list(facts.sections), facts.signed_by, facts.signed_at, *([files] if files else [])])
    return sha256(text.encode() + b"\0" + (facts.pdf or b"")).digest()
