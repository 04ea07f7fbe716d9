"""What was deleted and can still be brought back: listed by study, and brought back by a worker when somebody asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Count, Max, Min, Sum
from django.utils import timezone

from access.acting import Acting
from archive import outbox
from archive.errors import NotFound
from archive.models import OutboxEntry
from archive.outbox import Wish
from archive.undelete import returnable, undelete
from audit.kinds import STORE
from audit.record import record
from dicom.uids import is_uid

UNDELETE: Final = "undelete"


@dataclass(frozen=True, slots=True)
class Deletion:
    """What was deleted of one study and is not swept: until when it can be brought back, and whether that is asked.

    ``held``: ``until`` is over, and a legal hold keeps it.
    """

    study_instance_uid: str
    instances: int
    bytes: int
    deleted_at: datetime
    until: datetime
    held: bool
    asked: bool


def in_window(*, limit: int, offset: int = 0, study_instance_uid: str = "") -> Sequence[Deletion]:
    """What can be brought back, study by study, the newest deletion first; ``limit`` of them, or of one study."""
    rows = returnable().exclude(sop_instance_uid="")
    if study_instance_uid:
        rows = rows.filter(study_instance_uid=study_instance_uid)
    grouped = rows.values("study_instance_uid").annotate(
        number=Count("sop_instance_uid", distinct=True), size=Sum("size"), at=Max("deleted_at"), end=Min("sweep_after")
    )
    found = list(grouped.order_by("-at", "study_instance_uid")[offset : offset + limit])
    uids = [row["study_instance_uid"] for row in found]
    asked = set(
        OutboxEntry.objects.filter(kind=UNDELETE, subject__in=uids, dead=False).values_list("subject", flat=True)
    )
    return [
        Deletion(
            row["study_instance_uid"],
            row["number"],
            row["size"],
            row["at"],
            row["end"],
            row["end"] <= timezone.now(),
            row["study_instance_uid"] in asked,
        )
        for row in found
    ]


def ask(study_instance_uid: str, *, by: Acting) -> None:
    """Let a worker bring back what was deleted of a study. Raises ``NotFound`` where nothing can be."""
    found = in_window(limit=1, study_instance_uid=study_instance_uid) if is_uid(study_instance_uid) else []
    if not found:
        raise NotFound("nothing of this study was deleted and is not yet swept")
    with transaction.atomic():
        text = "asked that what was deleted be brought back"
        record([by.event(STORE, text, study_uids=[study_instance_uid], instance_count=found[0].instances, action="U")])
        outbox.wish([Wish(UNDELETE, study_instance_uid)])


def bring_back(subject: str) -> None:
    """The task: ``subject`` is the Study Instance UID. What is gone meanwhile is gone; safe to repeat."""
    try:
        for _ in undelete(subject, UNDELETE):
            pass
    except NotFound:
        return
