"""What becomes of a message on its way: the next one of a destination, sent, answered, tried again, given up.

One sender works for a destination at a time (``hl7.sender``). Of each patient only the oldest open message is sent, so
that one which has to be tried again holds back the later ones of the same patient and nobody else's. A message is
noted as sent before its first byte leaves: when the sender dies, or the answer is lost, the same bytes with the same
MSH-10 are sent again, and the receiver knows them by that.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final, Protocol

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from archive.models import Patient
from audit.kinds import EXPORT, Outcome
from audit.record import NewAccessEvent, record
from hl7.mllp_client import Answer
from hl7.outbound_models import OPEN, DeliveryState, Destination, OutboundMessage
from telemetry.metrics import HL7_OUT

_log = logging.getLogger(__name__)
# Table 0008 -> what follows. AE: its content will not heal. Whatever isn't here is no answer that anybody understands.
VERDICTS: Final[Mapping[str, DeliveryState]] = MappingProxyType(
    {
        "AA": DeliveryState.ACKED,
        "CA": DeliveryState.ACKED,
        "AE": DeliveryState.DEAD,
        "CE": DeliveryState.DEAD,
        "AR": DeliveryState.RETRY,
        "CR": DeliveryState.RETRY,
    }
)
_ENDS: Final = (DeliveryState.ACKED, DeliveryState.DEAD)
# After so many in a row without a word it isn't the messages: nobody is behind the connection.
_SILENT: Final = 3
_OUTCOME: Final = ["state", "answer", "error", "finished_at", "next_at"]


class Settings(Protocol):
    """``pacs_project.config_hl7_out.Hl7OutConfig``."""

    retry_seconds: float
    longest_retry_seconds: float
    attempts: int


def next_due(destination: Destination, settings: Settings) -> OutboundMessage | None:
    """The oldest message that may be sent now, noted as sent; None where there is none.

    The caller is the only sender of this destination: what is noted as sent is sent again, unless each attempt ended
    without a word.
    """
    ahead = OutboundMessage.objects.filter(
        destination=destination, patient=OuterRef("patient"), pk__lt=OuterRef("pk"), state__in=OPEN
    )
    with transaction.atomic():
        due = destination.messages.filter(~Exists(ahead), state__in=OPEN, next_at__lte=Now()).order_by("pk")
        message = due.select_for_update(of=("self",), skip_locked=True).first()
        if message is None:
            return None
        if message.attempts >= settings.attempts:
            failed(message, "what became of the last isn't known", settings)
            return None
        message.state, message.sent_at = DeliveryState.SENT, datetime.now(UTC)
        message.attempts += 1
        message.save(update_fields=["state", "sent_at", "attempts"])
    return message


def answered(message: OutboundMessage, answer: Answer, settings: Settings) -> None:
    """Note what the destination says of a message."""
    verdict = VERDICTS.get(answer.code)
    words = f"answered {answer.code}" if verdict else "answered with a code that isn't known"
    error = f"{words}, condition {answer.condition}" if answer.condition else words
    if verdict == DeliveryState.ACKED:
        _close(message, DeliveryState.ACKED, answer=answer.raw)
    elif verdict == DeliveryState.DEAD:
        _close(message, DeliveryState.DEAD, error=error, answer=answer.raw)
    else:
        failed(message, error, settings, answer=answer.raw)


def told(message: OutboundMessage) -> None:
    """An answer of ours went out: answers aren't answered."""
    _close(message, DeliveryState.ACKED)


def failed(message: OutboundMessage, error: str, settings: Settings, *, answer: bytes | None = None) -> None:
    """Have a message sent again later, or give it up after its last attempt."""
    if message.attempts >= settings.attempts:
        _close(message, DeliveryState.DEAD, error=f"given up after {message.attempts} attempts: {error}", answer=answer)
        return
    message.state = DeliveryState.RETRY
    message.next_at = datetime.now(UTC) + timedelta(seconds=wait(message.attempts, settings))
    message.error = error
    message.answer = answer if answer is not None else message.answer
    _write(message, OPEN)


def wait(attempts: int, settings: Settings) -> float:
    """Seconds after so many attempts that failed."""
    return float(min(settings.longest_retry_seconds, settings.retry_seconds * 2.0 ** min(attempts - 1, 30)))


def reached(destination: Destination) -> None:
    """It has answered, or took what nobody answers: what went wrong before is over."""
    if destination.failures:
        destination.failures, destination.error = 0, ""
        destination.save(update_fields=["failures", "error"])


def not_connected(destination: Destination, message: OutboundMessage, error: str, settings: Settings) -> None:
    """No connection could be made: the message that it was for has failed, and the others wait without having."""
    with transaction.atomic():
        destination.failures += 1
        destination.error = error
        seconds = wait(destination.failures, settings)
        destination.not_before = datetime.now(UTC) + timedelta(seconds=seconds)
        destination.save(update_fields=["failures", "error", "not_before"])
        failed(message, error, settings)


def not_answered(destination: Destination, message: OutboundMessage, error: str, settings: Settings) -> None:
    """A connection stood and no answer came. After ``_SILENT`` of these in a row the others wait without having failed:
    something that takes connections for a receiver that is away must not use up the attempts of all that waits.
    """
    with transaction.atomic():
        destination.failures += 1
        destination.error = error
        beyond = destination.failures - _SILENT
        seconds = wait(beyond + 1, settings) if beyond >= 0 else 0.0
        destination.not_before = datetime.now(UTC) + timedelta(seconds=seconds)
        destination.save(update_fields=["failures", "error", "not_before"])
        failed(message, error, settings)


def _write(message: OutboundMessage, states: Sequence[DeliveryState]) -> bool:
    """Keep what became of it, where it is in one of these states: a person may have given it up meanwhile."""
    now = {name: getattr(message, name) for name in _OUTCOME}
    return bool(OutboundMessage.objects.filter(pk=message.pk, state__in=states).update(**now))


def _close(message: OutboundMessage, state: DeliveryState, *, error: str = "", answer: bytes | None = None) -> None:
    """The message has come to an end, which the trail tells: something of a patient left the house, or didn't."""
    message.state, message.error = state, error
    message.finished_at = datetime.now(UTC)
    message.answer = answer if answer is not None else message.answer
    with transaction.atomic():
        # What was delivered was, whatever somebody wanted meanwhile.
        if not _write(message, list(DeliveryState) if state == DeliveryState.ACKED else OPEN):
            return
        record_delivery(message)
    HL7_OUT.labels(message.destination.name, state.value).inc()
    if state == DeliveryState.DEAD:
        _log.warning("outbound message %s is dead: %s", message.pk, error)


def record_delivery(message: OutboundMessage, by: str = "") -> None:
    """The event of a message that came to its end, or is sent once more (PS3.15 A.5.3.4), in the open transaction.

    What was delivered is a disclosure to the destination (``trail.disclosures``).
    """
    about = Patient.objects.filter(pk=message.patient).values_list("patient_id", flat=True) if message.patient else ()
    delivered = message.state == DeliveryState.ACKED
    record(
        [
            NewAccessEvent(
                kind=EXPORT,
                principal_kind="system",
                principal_id=f"destination {message.destination_id}",
                principal_name=message.destination.name,
                auth_method="mllp-tls" if message.destination.tls else "mllp",
                outcome=Outcome.SUCCESS if delivered else Outcome.MINOR_FAILURE,
                outcome_description=f"{message.about}: {message.error or message.state}",
                rule=f"destination:{message.destination.name}",
                purpose=f"by {by}" if by else "",
                method="HL7",
                path=message.type,
                request_id=message.control_id,
                patient_ids=tuple(filter(None, about)),
            )
        ]
    )
