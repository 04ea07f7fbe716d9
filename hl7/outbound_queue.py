"""What waits, what was delivered and what wasn't, for those who look after it; sent again, or given up, by a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db import transaction
from django.db.models import Count, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now

from hl7.delivery import record_delivery
from hl7.outbound_models import OPEN, DeliveryState, Destination, OutboundMessage

# How the error of a message begins that a person has ended.
ENDED_BY: Final = "given up by "


class NotPossible(Exception):
    """There is no such message, or its state doesn't allow it; the text says which."""


@dataclass(frozen=True, slots=True)
class Queue:
    """How one destination is doing: ``waiting`` messages, the oldest made at ``oldest``; ``held`` of them are behind
    one of the same patient that has to be tried again."""

    destination: Destination
    waiting: int
    retrying: int
    held: int
    dead: int
    oldest: datetime | None
    delivered_at: datetime | None


def queues() -> list[Queue]:
    """Each destination by name."""
    return [queue_of(each) for each in Destination.objects.select_related("interface").order_by("name")]


def queue_of(destination: Destination) -> Queue:
    """How one is doing."""
    is_open = destination.messages.filter(state__in=OPEN)
    counts = is_open.aggregate(
        waiting=Count("pk"), retrying=Count("pk", filter=Q(state=DeliveryState.RETRY)), oldest=Min("made_at")
    )
    stuck = is_open.filter(state=DeliveryState.RETRY).values("patient")
    delivered = destination.messages.filter(state=DeliveryState.ACKED).order_by("-pk").values("finished_at").first()
    return Queue(
        destination,
        waiting=counts["waiting"],
        retrying=counts["retrying"],
        held=is_open.filter(state=DeliveryState.QUEUED, patient__in=stuck).count() if counts["retrying"] else 0,
        dead=destination.messages.filter(state=DeliveryState.DEAD).count(),
        oldest=counts["oldest"],
        delivered_at=delivered["finished_at"] if delivered else None,
    )


def deliveries(state: str = "", destination: str = "", before: int | None = None) -> QuerySet[OutboundMessage]:
    """Messages, the newest first, without their bytes; ``state`` may be "open". ``held_by`` is the oldest one ahead."""
    ahead = OutboundMessage.objects.filter(
        destination=OuterRef("destination"), patient=OuterRef("patient"), pk__lt=OuterRef("pk"), state__in=OPEN
    )
    found = OutboundMessage.objects.select_related("destination").defer("raw", "answer").order_by("-pk")
    found = found.annotate(held_by=Subquery(ahead.order_by("pk").values("pk")[:1]))
    if state:
        found = found.filter(state__in=OPEN if state == "open" else [state])
    if destination:
        found = found.filter(destination__name=destination)
    return found if before is None else found.filter(pk__lt=before)


def one(number: int) -> OutboundMessage | None:
    """A message with its bytes."""
    return deliveries().defer(None).filter(pk=number).first()


def retry(number: int, by: str) -> None:
    """Send a message that is dead once more, with all its attempts; or one that waits for its next one, now.

    It goes ahead of what waits of the same patient. Raises NotPossible.
    """
    with transaction.atomic():
        message = _locked(number, (DeliveryState.DEAD, DeliveryState.RETRY))
        if not message.raw:
            raise NotPossible("there is nothing to send")
        again = message.state == DeliveryState.DEAD
        message.state = DeliveryState.QUEUED if again else DeliveryState.RETRY
        message.attempts = 0 if again else message.attempts
        message.finished_at, message.error = None, ""
        message.save(update_fields=["state", "attempts", "finished_at", "error"])
        OutboundMessage.objects.filter(pk=number).update(next_at=Now())
        Destination.objects.filter(pk=message.destination_id).update(not_before=Now())
        record_delivery(message, by)


def give_up(number: int, by: str, reason: str) -> None:
    """A message that waits isn't sent any more: those behind it go out. Raises NotPossible."""
    with transaction.atomic():
        message = _locked(number, OPEN)
        message.state, message.finished_at = DeliveryState.DEAD, datetime.now(UTC)
        message.error = f"{ENDED_BY}{by}: {reason}"[:500]
        message.save(update_fields=["state", "finished_at", "error"])
        record_delivery(message, by)


def _locked(number: int, states: tuple[DeliveryState, ...]) -> OutboundMessage:
    found = OutboundMessage.objects.select_for_update(of=("self",)).select_related("destination")
    message = found.filter(pk=number, state__in=states).first()
    if message is None:
        raise NotPossible("there is no such message that this can be done with")
    return message
