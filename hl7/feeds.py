"""How each interface runs: what came today and in the last hour, when something came last, and whether it fell silent.

A feed is silent when nothing came for three times as long as usual at this hour. What is usual is counted on the days
before; where less than a message an hour is, silence says nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Count, F, OuterRef, Q, Subquery

from archive.time_zones import site_zone
from hl7.message_search import OPEN, AckCode
from hl7.models import Hl7Interface, Hl7Message

DAYS: Final = 7
USUAL: Final = 3
_HOUR: Final = timedelta(hours=1)
NO_ANSWER: Final = "none"


@dataclass(frozen=True, slots=True)
class Answered:
    """Messages with one answer: today by the site's clock, and in the last hour."""

    ack: str
    today: int
    hour: int


@dataclass(frozen=True, slots=True)
class Feed:
    """One interface, or with ``interface`` None the senders whom nobody knows.

    ``usual`` is how many messages come in an hour at this time of day, None where that isn't known yet.
    """

    interface: Hl7Interface | None
    counts: tuple[Answered, ...]
    last_at: datetime | None
    last: int | None
    last_type: str
    waiting: int
    usual: float | None
    silent: bool

    @property
    def today(self) -> int:
        """All that came today."""
        return sum(each.today for each in self.counts)

    @property
    def hour(self) -> int:
        """All that came in the last hour."""
        return sum(each.hour for each in self.counts)


def feeds(now: datetime) -> list[Feed]:
    """All interfaces by name, then unknown senders if any message of one was kept. Five queries at the most."""
    newest = Hl7Message.objects.filter(interface=OuterRef("pk")).order_by("-pk")
    interfaces = list(
        Hl7Interface.objects.order_by("-active", "name").annotate(
            last=Subquery(newest.values("pk")[:1]),
            last_at=Subquery(newest.values("received_at")[:1]),
            last_type=Subquery(newest.values("type")[:1]),
        )
    )
    counts, waiting, before = _counts(now), _waiting(), _before(now)
    found = []
    for each in interfaces:
        days = min(DAYS, (now - each.created_at).days)
        usual = before.get(each.pk, 0) / days if days else None
        silent = each.active and _is_silent(now, each.last_at, usual)
        known = (each, tuple(counts[each.pk]), each.last_at, each.last, each.last_type or "")
        found.append(Feed(*known, waiting.get(each.pk, 0), usual, silent))
    stranger = Hl7Message.objects.filter(interface=None).order_by("-pk").values("pk", "received_at", "type").first()
    if stranger:
        last = (stranger["received_at"], stranger["pk"], stranger["type"])
        found.append(Feed(None, tuple(counts[None]), *last, waiting.get(None, 0), None, silent=False))
    return found


def _is_silent(now: datetime, last: datetime | None, usual: float | None) -> bool:
    if usual is None or usual < 1:
        return False
    return last is None or now - last > USUAL * _HOUR / usual


def _counts(now: datetime) -> Mapping[int | None, list[Answered]]:
    midnight = now.astimezone(site_zone(settings.PACS.time_zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = (
        Hl7Message.objects.filter(received_at__gte=min(midnight, now - _HOUR))
        .values("interface", ack=AckCode(F("answer")))
        .annotate(
            today=Count("pk", filter=Q(received_at__gte=midnight)),
            hour=Count("pk", filter=Q(received_at__gte=now - _HOUR)),
        )
        .order_by("interface", "ack")
    )
    found: dict[int | None, list[Answered]] = defaultdict(list)
    for row in rows:
        found[row["interface"]].append(Answered(row["ack"] or NO_ANSWER, row["today"], row["hour"]))
    return found


def _waiting() -> dict[int | None, int]:
    rows = Hl7Message.objects.filter(state__in=OPEN).values("interface").annotate(count=Count("pk")).order_by()
    return {row["interface"]: row["count"] for row in rows}


def _before(now: datetime) -> dict[int, int]:
    """How many came in this hour of the days before, together."""
    hours = Q()
    for day in range(1, DAYS + 1):
        end = now - timedelta(days=day)
        hours |= Q(received_at__gt=end - _HOUR, received_at__lte=end)
    rows = Hl7Message.objects.filter(hours, interface__isnull=False).values("interface").annotate(count=Count("pk"))
    return {row["interface"]: row["count"] for row in rows.order_by()}
