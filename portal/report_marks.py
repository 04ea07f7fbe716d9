"""The status of a report in words for people: THE table, for lists and pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from reports.models import ReportStatus

_EARLY: Final = "Not signed yet: it may still change."


@dataclass(frozen=True, slots=True)
class Mark:
    """``kind`` is how loudly it is said: ``early``, ``changed``, ``gone``, or "" for a final report as it should be."""

    kind: str
    title: str
    notice: str


MARKS: Final[Mapping[str, Mark]] = MappingProxyType(
    {
        ReportStatus.REQUESTED: Mark("early", "Requested", "There is no result yet."),
        ReportStatus.DRAFT: Mark("early", "Draft", _EARLY),
        ReportStatus.PRELIMINARY: Mark("early", "Preliminary", _EARLY),
        ReportStatus.FINAL: Mark("", "Final", ""),
        ReportStatus.CORRECTED: Mark("changed", "Corrected", "It replaces what was signed before."),
        ReportStatus.ADDENDED: Mark("changed", "With an addendum", "Something was added to what was signed before."),
        ReportStatus.CANCELLED: Mark("gone", "Cancelled", "Do not rely on it."),
        ReportStatus.ENTERED_IN_ERROR: Mark("gone", "Entered in error", "Do not rely on it."),
    }
)
