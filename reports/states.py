"""The states of a report: THE table from table 0123, and what may follow what. Each move leaves a StateEvent."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from archive.patient_facts import Moment
from reports.models import Report, ReportStatus
from worklist.models import StateEvent

# Table 0123, and of table 0085 what takes back (D, W). What isn't here is refused.
STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys("OIS", ReportStatus.REQUESTED),
        "R": ReportStatus.DRAFT,
        "P": ReportStatus.PRELIMINARY,
        "F": ReportStatus.FINAL,
        "C": ReportStatus.CORRECTED,
        "X": ReportStatus.CANCELLED,
        **dict.fromkeys("DW", ReportStatus.ENTERED_IN_ERROR),
    }
)
SIGNED: Final = (ReportStatus.FINAL, ReportStatus.CORRECTED, ReportStatus.ADDENDED)
# What nobody may rely on any more.
TAKEN_BACK: Final = (ReportStatus.CANCELLED, ReportStatus.ENTERED_IN_ERROR)
_EARLY: Final = (ReportStatus.REQUESTED, ReportStatus.DRAFT, ReportStatus.PRELIMINARY)
_ALL: Final = frozenset((*_EARLY, *SIGNED, *TAKEN_BACK))
# A report keeps its order's number: what was taken back may be written again. What was signed isn't preliminary again.
MOVES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        **dict.fromkeys(("", *_EARLY, *TAKEN_BACK), _ALL),
        **dict.fromkeys(SIGNED, _ALL - {*_EARLY, ReportStatus.FINAL}),
    }
)


def follows(before: str, told: str, *, addendum: bool, appends: bool) -> str:
    """The status of the version that comes to a report in the state ``before`` and is told to be ``told``.

    Another text after a signed one is a correction or an addendum, whatever its sender calls it.
    """
    if before not in SIGNED or told not in SIGNED:
        return told
    return ReportStatus.ADDENDED if addendum or (appends and told == ReportStatus.FINAL) else ReportStatus.CORRECTED


def moved(report: Report, before: str, moment: Moment) -> None:
    """Leave the event of a report that has just moved, if it has."""
    if before != report.status:
        StateEvent.objects.create(
            machine="report",
            subject=report.pk,
            before=before,
            after=report.status,
            actor=moment.actor,
            source_message=moment.message,
            happened_at=moment.at,
        )
