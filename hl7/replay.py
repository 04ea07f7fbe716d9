"""Messages that wait for somebody: listed, applied once more, or dismissed. Each leaves its event in the trail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from django.db import transaction
from django.db.models import QuerySet

from hl7.applying import apply, for_us
from hl7.effects import Effect
from hl7.header import Header, normal
from hl7.interfaces import Peer, interface_for
from hl7.message import parse
from hl7.models import Hl7Message, MessageState
from hl7.trail import record_message

# What had no effect so far. Applied messages are not applied twice.
REPLAYABLE: Final = (MessageState.PARKED, MessageState.FAILED, MessageState.REFUSED, MessageState.RECEIVED)


class NotReplayable(Exception):
    """There is no such message, or it isn't one that waits."""


class _TakenBack(Exception):
    """Ends a transaction of which nothing is to stay."""


def waiting() -> QuerySet[Hl7Message]:
    """Parked and failed messages, the oldest first, without their bytes."""
    states = (MessageState.PARKED, MessageState.FAILED)
    return Hl7Message.objects.filter(state__in=states).defer("raw", "answer", "later").order_by("pk")


def replay(
    number: int, by: str, *, dry_run: bool = False, look: Callable[[Effect], object] = lambda effect: None
) -> Effect:
    """Apply a message by the profile that its interface has now; ``by`` is who wants it, for the trail.

    With ``dry_run`` everything is done and taken back: the effect tells what would be, and ``look`` is called before.
    The sender isn't told; it has its answer. Raises NotReplayable, and Refused where the message still can't be
    applied; it then waits on.
    """
    effect = Effect(())
    try:
        with transaction.atomic():
            kept = _locked(number)
            header = Header.of(normal(bytes(kept.raw)))
            peer = Peer(kept.transport, kept.peer, kept.certificate_sha256)
            kept.interface, profile = interface_for(header, peer)
            for_us(header, profile)
            message = parse(bytes(kept.raw), profile.charset)
            effect = apply(kept, message, profile, f"{kept.interface.name}, replayed by {by}")
            if dry_run:
                look(effect)
                raise _TakenBack
            kept.effect = "; ".join(effect.words)
            kept.patient, kept.order = effect.patient, effect.order
            _close(kept, MessageState.REPLAYED, by)
    except _TakenBack:
        pass
    return effect


def dismiss(number: int, by: str, reason: str = "") -> None:
    """Nothing is to be done about a message, which is kept as it is. Raises NotReplayable."""
    with transaction.atomic():
        kept = _locked(number)
        kept.effect = f"discarded: {reason}" if reason else "discarded"
        _close(kept, MessageState.DISMISSED, by)


def _locked(number: int) -> Hl7Message:
    kept = Hl7Message.objects.select_for_update().filter(pk=number, state__in=REPLAYABLE).first()
    if kept is None:
        raise NotReplayable("there is no such message that waits")
    return kept


def _close(kept: Hl7Message, state: MessageState, by: str) -> None:
    kept.state = state
    kept.finished_at = datetime.now(UTC)
    kept.save(update_fields=["interface", "state", "finished_at", "effect", "patient", "order"])
    record_message(kept, None, by=by)
