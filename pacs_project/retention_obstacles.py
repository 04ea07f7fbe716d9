"""What keeps a study besides: the rows of ``custody.retention.obstacles`` about reports and workitems."""

from collections.abc import Collection

from archive.models import Study
from custody.retention.obstacles import OBSTACLES
from reports.models import ReportStatus, ReportStudy
from workitems.models import State, WorkItem

_UNFINISHED = (ReportStatus.REQUESTED, ReportStatus.DRAFT, ReportStatus.PRELIMINARY)
_AT_WORK = (State.SCHEDULED, State.IN_PROGRESS)


def install() -> None:
    """Put the rows into the table."""
    OBSTACLES["a report on it is not final"] = reported
    OBSTACLES["a workitem about it is open"] = worked_on


def reported(pks: Collection[int]) -> Collection[int]:
    """Those of the studies on which a report is still being written."""
    about = ReportStudy.objects.filter(study__in=pks, report__status__in=_UNFINISHED)
    return set(about.values_list("study_id", flat=True))


def worked_on(pks: Collection[int]) -> Collection[int]:
    """Those of the studies about which somebody, or an AI vendor, still has something to do."""
    uids = dict(Study.objects.filter(pk__in=pks).values_list("study_instance_uid", "pk"))
    open_ones = WorkItem.objects.filter(study_instance_uids__overlap=list(uids), state__in=_AT_WORK)
    named = open_ones.values_list("study_instance_uids", flat=True)
    return {uids[uid] for each in named for uid in each if uid in uids}
