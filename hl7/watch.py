"""Those who should know are told when messages wait, were given up, can't be sent, or don't come any more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Count, Max, Min
from django.utils import timezone

from audit.companion import Companion
from audit.raising import Cause, raise_alert
from hl7.feeds import feeds
from hl7.models import Hl7Interface, Hl7Message, MessageState
from hl7.outbound_models import OPEN, DeliveryState, Destination, OutboundMessage

PAUSE: Final = 30.0
# Shorter silences of a busy feed are nothing.
SHORTEST_SILENCE: Final = timedelta(minutes=15)
# Counting what is usual looks at a week of messages.
_SILENCE_EVERY: Final = timedelta(minutes=5)


class Hl7Watch(Companion):
    """Looks twice a minute, for silence every five minutes (``RELAY_THREADS``)."""

    name = "hl7 watch"
    failing = "the HL7 interfaces can't be looked at"
    pause = PAUSE
    _silence_at: datetime | None = None

    def work(self) -> None:
        """Raise what there is to raise."""
        now = timezone.now()
        found = [*parked(), *dead(), *blocked(now)]
        if self._silence_at is None or now >= self._silence_at:
            self._silence_at = now + _SILENCE_EVERY
            found += silent(now)
        for cause in found:
            raise_alert(cause, now)


def parked() -> Iterator[Cause]:
    """Messages that can't be applied, by the interface."""
    rows = (
        Hl7Message.objects.filter(state=MessageState.PARKED, finished_at__isnull=False)
        .values("interface", "interface__name")
        .annotate(count=Count("pk"), since=Min("finished_at"), newest=Max("finished_at"))
        .order_by("interface")
    )
    for row in rows:
        subject = f"interface {row['interface'] or 'unknown'}"
        name = row["interface__name"] or "unknown sender"
        text = f"messages from {name} can't be applied and wait for somebody: {row['count']}"
        yield Cause("hl7_parked", subject, name, text, row["count"], row["since"], row["newest"], row["newest"])


def dead() -> Iterator[Cause]:
    """Messages that a destination refused, or that were given up."""
    rows = (
        OutboundMessage.objects.filter(state=DeliveryState.DEAD, finished_at__isnull=False)
        .values("destination", "destination__name")
        .annotate(count=Count("pk"), since=Min("finished_at"), newest=Max("finished_at"))
        .order_by("destination")
    )
    for row in rows:
        name = row["destination__name"]
        text = f"messages to {name} were refused or given up: {row['count']}"
        subject = f"destination {row['destination']}"
        yield Cause("hl7_dead", subject, name, text, row["count"], row["since"], row["newest"], row["newest"])


def blocked(now: datetime) -> Iterator[Cause]:
    """Destinations for which a message has waited too long."""
    long_ago = now - timedelta(seconds=settings.PACS.hl7_out.blocked_seconds)
    for each in Destination.objects.filter(enabled=True).order_by("pk"):
        waiting = each.messages.filter(state__in=OPEN).aggregate(count=Count("pk"), since=Min("made_at"))
        if waiting["since"] is not None and waiting["since"] < long_ago:
            text = f"messages to {each.name} wait, the oldest for too long: {waiting['count']}"
            since = waiting["since"]
            yield Cause("hl7_blocked", f"destination {each.pk}", each.name, text, waiting["count"], since, since, now)


def silent(now: datetime) -> Iterator[Cause]:
    """Interfaces from which nothing has come for much longer than is usual at this time."""
    for feed in feeds(now):
        last = feed.last_at
        if feed.silent and isinstance(feed.interface, Hl7Interface) and last and now - last > SHORTEST_SILENCE:
            text = f"nothing has come from {feed.interface.name} for much longer than is usual at this time"
            yield Cause("hl7_silent", f"interface {feed.interface.pk}", feed.interface.name, text, 0, last, last, now)
