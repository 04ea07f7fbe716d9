"""What is no longer kept: finished workitems that nobody holds, and events that had their time (PS3.4 CC.2.3.1)."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from workitems.models import WorkItem
from workitems.subscription_models import EventReport, WorkItemSubscription

_AT_ONCE = 1000
# What is left of a workitem says whom it may be told that it is gone, and nothing of what was done.
_EMPTIED = (
    *("transaction_hash", "worklist_label", "procedure_step_label", "priority", "input_readiness_state"),
    *("scheduled_start", "expected_completion", "expiration", "modified"),
    *("patient_name", "patient_name_key", "patient_birth_date", "patient_sex", "admission_id"),
)


def remove_ended() -> int:
    """Empty workitems that ended long ago and that no deletion lock holds; their number, at most 1,000."""
    now = timezone.now()
    locks = WorkItemSubscription.objects.filter(workitem=OuterRef("pk"), deletion_lock=True)
    ended = WorkItem.objects.filter(
        ~Exists(locks), deleted_at=None, ended_at__lt=now - timedelta(days=settings.PACS.workitems.keep_days)
    )
    with transaction.atomic():
        rows = ended.order_by("ended_at").select_for_update(no_key=True, skip_locked=True, of=("self",))
        keys = list(rows.values_list("pk", flat=True)[:_AT_ONCE])
        emptied: dict[str, Any] = dict.fromkeys(_EMPTIED, "") | {"data_set": {}, "progress": None, "deleted_at": now}
        WorkItem.objects.filter(pk__in=keys).update(**emptied)
        WorkItemSubscription.objects.filter(workitem__in=keys).delete()
    return len(keys)


def remove_events() -> int:
    """Events that are older than they may be; their number, at most 1,000."""
    over = timezone.now() - timedelta(days=settings.PACS.workitems.event_days)
    keys = EventReport.objects.filter(made_at__lt=over).order_by("made_at").values("pk")[:_AT_ONCE]
    return EventReport.objects.filter(pk__in=keys).delete()[0]
