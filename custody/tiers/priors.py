"""Priors come back before they are asked for: the studies of patients who have an order that is due soon."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from django.conf import settings

from archive.models import Study
from archive.outbox import Wish
from custody.tiers.recalling import wish_for
from worklist.models import ScheduledProcedureStep

RECALL_PRIORS: Final = "recall_priors"
_STEP: Final = 500


def recall_priors(today: date | None = None) -> int:
    """Wish for what lies elsewhere of these patients; how many series that is."""
    days = settings.PACS.tiers.recall_priors_days
    if not days:
        return 0
    begin = today or date.today()
    due = ScheduledProcedureStep.objects.filter(
        start_date__gte=f"{begin:%Y%m%d}", start_date__lte=f"{begin + timedelta(days=days):%Y%m%d}"
    )
    patients = due.order_by().values("procedure__order__patient")
    studies = list(Study.objects.filter(patient__in=patients).values_list("pk", flat=True))
    return sum(wish_for(studies[at : at + _STEP]) for at in range(0, len(studies), _STEP))


def look() -> Iterator[Wish]:
    """The wish of the relay, now and then."""
    if any(tier.recall for tier in (settings.PACS.tiers.warm, settings.PACS.tiers.cold)):
        yield Wish(RECALL_PRIORS, "all")


def recall_due(subject: str) -> None:
    """The task; ``subject`` says nothing."""
    recall_priors()
