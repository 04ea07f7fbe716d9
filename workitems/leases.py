"""Claims that lapsed: whoever works on a workitem and says nothing for long may have gone (PS3.4 CC.2.1.3).

A claim is good until ``lease_until``, which each update moves on. When it has passed, subscribers are told once (and
``lease_until`` is empty until the next update); the claim still stands, until who manages workitems takes it away.
"""

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from archive.errors import Conflict
from workitems import states
from workitems.changes import Change, EventType, tell
from workitems.changing import locked
from workitems.columns import fill
from workitems.models import State, WorkItem
from workitems.reports import state_report
from workitems.values import ascending, attribute

_AT_ONCE = 100


def lapsed() -> QuerySet[WorkItem]:
    """Workitems whose claims have lapsed, those first that were heard of longest ago."""
    over = Q(lease_until=None) | Q(lease_until__lt=timezone.now())
    return WorkItem.objects.filter(over, state=State.IN_PROGRESS).order_by("updated_at", "pk")


def tell_of_lapsed() -> int:
    """A UPS State Report for each claim that has lapsed since the last time; their number."""
    text = f"the claim has lapsed: no update for {settings.PACS.workitems.lease_minutes} minutes"
    keys = lapsed().filter(lease_until__isnull=False).values_list("pk", flat=True)[:_AT_ONCE]
    told = 0
    for key in list(keys):
        with transaction.atomic():
            rows = lapsed().select_for_update(no_key=True).filter(pk=key, lease_until__isnull=False)
            if (item := rows.first()) is None:
                continue  # the performer was heard of in the meantime
            item.lease_until = None
            item.save(update_fields=["lease_until"])
            information = ascending(state_report(item) | attribute("ReasonForCancellation", text))
            tell(Change(EventType.STATE_REPORT, item, information))
            told += 1
    return told


@transaction.atomic
def release(scope: QuerySet[WorkItem], uid: str, actor: str) -> WorkItem:
    """Take the workitem away from who claimed it; anybody may claim it then, and the old Transaction UID opens nothing.

    Raises ``NotFound``, ``Gone``, ``WorkItemRefused`` where nobody has it, ``Conflict`` while the claim is good.
    """
    item = locked(scope, uid)
    if item.state == State.IN_PROGRESS and item.lease_until is not None and item.lease_until > timezone.now():
        raise Conflict(f"the claim is good until {item.lease_until.isoformat(timespec='seconds')}")
    states.release(item, actor)
    fill(item)
    item.save()
    tell(Change(EventType.STATE_REPORT, item, state_report(item), actor))
    return item
