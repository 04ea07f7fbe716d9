"""A version of a report as pages show it, beside the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.urls import reverse

from portal.report_marks import MARKS, Mark
from portal.rows import date, person_name, time
from reports.models import Report, ReportVersion
from reports.sections import Compared, Section, compared, sections_of
from reports.states import TAKEN_BACK


@dataclass(frozen=True, slots=True)
class VersionLine:
    """A line of the history; ``later`` is how long after the version before it came."""

    number: int
    mark: Mark
    at: datetime
    later: str
    signed_by: str
    shown: bool


@dataclass(frozen=True, slots=True)
class FileLine:
    """A file or a link. ``address`` is "" for what is shown as text: a link that is no web page."""

    title: str
    address: str
    link: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One version of a report: ready text."""

    report: int
    version: int
    newest: int
    mark: Mark
    sections: tuple[Section, ...]
    taken_back: bool
    signed_by: str
    signed_at: str
    received_at: datetime
    has_pdf: bool
    files: tuple[FileLine, ...]
    versions: tuple[VersionLine, ...]
    changes: tuple[Compared, ...]
    before: int

    @property
    def is_newest(self) -> bool:
        """False for a version that another one followed."""
        return self.version == self.newest


def panel(report: Report, shown: ReportVersion, versions: Sequence[ReportVersion], *, staff: bool) -> Panel:
    """``versions`` are those that the reader may know of, the newest first; ``shown`` is one of them."""
    before = next((each for each in versions if each.number < shown.number), None)
    return Panel(
        report=report.pk,
        version=shown.number,
        newest=versions[0].number,
        mark=MARKS[shown.status],
        sections=tuple(sections_of(shown)),
        taken_back=shown.status in TAKEN_BACK,
        signed_by=person_name(shown.signed_by) if staff else "",
        signed_at=" ".join(filter(None, (date(shown.signed_at[:8]), time(shown.signed_at[8:])))),
        received_at=shown.made_at,
        has_pdf=shown.pdf is not None,
        files=tuple(_files(report, shown)),
        versions=tuple(_lines(versions, shown, staff=staff)),
        changes=tuple(compared(before, shown)) if before is not None else (),
        before=before.number if before is not None else 0,
    )


def _lines(versions: Sequence[ReportVersion], shown: ReportVersion, *, staff: bool) -> list[VersionLine]:
    older = [*versions[1:], None]
    return [
        VersionLine(
            number=each.number,
            mark=MARKS[each.status],
            at=each.made_at,
            later=_span(each.made_at - before.made_at) if before is not None else "",
            signed_by=person_name(each.signed_by) if staff else "",
            shown=each.number == shown.number,
        )
        for each, before in zip(versions, older, strict=True)
    ]


def _span(passed: timedelta) -> str:
    """``2 d 3 h``: the two largest parts."""
    minutes = max(0, int(passed.total_seconds() // 60))
    parts = ((minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min"))
    return " ".join([f"{count} {unit}" for count, unit in parts if count][:2]) or "less than a minute"


def _files(report: Report, version: ReportVersion) -> list[FileLine]:
    rows = version.attachments.defer("data").order_by("place")
    return [
        FileLine(
            title=each.title or each.media_type,
            address=_web_page(each.link)
            if each.link
            else reverse("api-report-attachment", args=[report.pk, version.number, each.place]),
            link=each.link,
        )
        for each in rows
    ]


def _web_page(link: str) -> str:
    """The link where a browser may follow it: over HTTP, to a host."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return ""
    return link if parts.scheme in ("http", "https") and parts.netloc else ""
