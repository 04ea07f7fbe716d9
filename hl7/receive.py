"""The way of a message: kept, read, applied and answered.

1. The raw bytes are kept, and that is committed. 2. In ONE transaction the interface is found, a repetition is known by
its key, the effect is applied under the locks of its patients, and the answer is kept. 3. The answer goes back. A
process that is killed before the commit of 2 leaves no effect, and the sender, which has no answer, sends again; one
that is killed after it answers the repetition with the answer that was kept. So a message is applied once or not at
all.
"""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b, sha256
from time import perf_counter
from typing import Final

from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected, LockNotAvailable, SerializationFailure

from archive.prepared_rows import insert, update
from audit.prepared import PreparedSql
from custody.modes.read_only import read_only
from hl7.acknowledgement import Answers, answers
from hl7.applying import apply, for_us
from hl7.counting import count
from hl7.effects import Effect
from hl7.errors import Condition, Refused
from hl7.header import Header, normal
from hl7.interfaces import Peer, interface_for
from hl7.message import parse
from hl7.models import Hl7Interface, Hl7Message, MessageState
from hl7.outbound import answer_later
from hl7.profiles import Profile
from hl7.trail import record_message
from telemetry.at_work import working_on

_log = logging.getLogger(__name__)
LOCK_SECONDS: Final = 10
# A deadlock with a Store or with another message ends one of the two, which then simply tries again.
ATTEMPTS: Final = 4
_LOOK_BACK: Final = 20
_LOCK: Final = PreparedSql("SELECT set_config('lock_timeout', %s, true), pg_advisory_xact_lock(%s)")
# Without their raw bytes.
_SEEN: Final = PreparedSql(
    'SELECT id, state, body_sha256, answer, later, patient, "order" FROM hl7_hl7message WHERE control_id = %s AND '
    "sending_application = %s AND sending_facility = %s AND id <> %s ORDER BY id DESC LIMIT %s"
)
# These had no effect, and what stood in the way may be mended: the same message is looked at anew.
_AGAIN: Final = (MessageState.RECEIVED, MessageState.FAILED, MessageState.SUPERSEDED, MessageState.REFUSED)


@dataclass(frozen=True, slots=True)
class _Outcome:
    state: MessageState
    answers: Answers
    refused: Refused | None = None
    effect: Effect | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """A message that came before, under the same number."""

    pk: int
    state: str
    body_sha256: bytes
    answer: bytes | None
    later: bytes | None
    patient: int | None
    order: int | None


def receive(raw: bytes, peer: Peer) -> Answers:
    """Keep, apply and answer one message. Raises NotAMessage for bytes that nobody could be answered for.

    It never fails otherwise: what is our fault is AR with 206 or 207, and the sender may send the same again.
    """
    began = perf_counter()
    message = normal(raw)
    header = Header.of(message)
    if (mode := read_only()) is not None:
        return answers(header, Refused(Condition.INTERNAL, None, mode.text), committed=False)
    try:
        kept = _keep(raw, message, header, peer)
    except DatabaseError:
        _log.error("a message could not be kept: the database is away")
        connection.close()
        return answers(header, _internal(), committed=False)
    with working_on(f"hl7-{kept.pk}"):
        given = process(kept, header, peer)
    count(kept, header.type, given, perf_counter() - began)
    return given


def process(kept: Hl7Message, header: Header, peer: Peer) -> Answers:
    """Apply and answer a message that is kept. It never raises."""
    refused = _internal()
    for _ in range(ATTEMPTS):
        try:
            with transaction.atomic():
                return _once(kept, header, peer)
        except OperationalError as error:
            if isinstance(error.__cause__, LockNotAvailable):
                refused = Refused(Condition.RECORD_LOCKED, None, "another message about the same takes too long")
                break
            if not isinstance(error.__cause__, DeadlockDetected | SerializationFailure):
                connection.close()
                break
        except Exception as error:  # noqa: BLE001 - whatever a message makes us do, its sender gets an answer
            _log.error("message %s could not be applied: %s", kept.pk, _where(error))
            break
    given = answers(header, refused, committed=False)
    _note_failure(kept, refused, given)
    return given


def _keep(raw: bytes, message: bytes, header: Header, peer: Peer) -> Hl7Message:
    kept = Hl7Message(
        transport=peer.transport,
        peer=peer.address,
        certificate_sha256=peer.certificate_sha256,
        raw=raw,
        sha256=sha256(raw).digest(),
        body_sha256=header.body_digest(message),
        sending_application=header.text(3)[:200],
        sending_facility=header.text(4)[:200],
        control_id=header.control_id[:200].decode("latin-1").replace("\0", ""),
        type="^".join(filter(None, (header.type, header.event)))[:20].replace("\0", ""),
    )
    insert(kept)
    return kept


def _once(kept: Hl7Message, header: Header, peer: Peer) -> Answers:
    _LOCK.rows([f"{LOCK_SECONDS}s", _key(kept)])
    interface: Hl7Interface | None = None
    profile: Profile | None = None
    try:
        interface, profile = interface_for(header, peer)
        kept.interface = interface
        for_us(header, profile)
        outcome = _repeated(kept) if header.control_id else None
        if outcome is None:
            outcome = _applied(kept, header, profile, interface)
    except Refused as refused:
        original = profile is not None and profile.ack == "original"
        state = MessageState.FAILED if refused.condition.passing else MessageState.REFUSED
        outcome = _Outcome(state, answers(header, refused, original=original, committed=False), refused)
    _note(kept, outcome)
    answer_later(kept)
    record_message(kept, outcome.refused, peer=peer)
    return outcome.answers


def _repeated(kept: Hl7Message) -> _Outcome | None:
    """The answer to the same message when it came before; None where it is to be applied now.

    A message that failed by our fault, or was never answered, is applied now. Another body under the same number is
    another message: senders that count from 1 again do so.
    """
    key = {
        "control_id": kept.control_id,
        "sending_application": kept.sending_application,
        "sending_facility": kept.sending_facility,
    }
    seen = [_Seen(*row) for row in _SEEN.rows([*key.values(), kept.pk, _LOOK_BACK])]
    last = next((each for each in seen if each.state not in _AGAIN), None)
    if last is None or last.body_sha256 != kept.body_sha256:
        if last is not None:
            _log.warning("message %s has the number of message %s and another content", kept.pk, last.pk)
        if any(each.state == MessageState.RECEIVED for each in seen):
            unanswered = Hl7Message.objects.filter(**key, state=MessageState.RECEIVED, body_sha256=kept.body_sha256)
            unanswered.exclude(pk=kept.pk).update(state=MessageState.SUPERSEDED)
        return None
    kept.effect = f"message {last.pk} once more"
    kept.patient, kept.order = last.patient, last.order
    return _Outcome(MessageState.REPEATED, Answers(last.answer, last.later))


def _applied(kept: Hl7Message, header: Header, profile: Profile, interface: Hl7Interface) -> _Outcome:
    original = profile.ack == "original"
    try:
        message = parse(bytes(kept.raw), profile.charset)
    except Refused as refused:
        return _parked(header, profile, refused, committed=False)
    try:
        effect = apply(kept, message, profile, interface.name)
    except Refused as refused:
        return _parked(header, profile, refused, committed=True)
    return _Outcome(MessageState.APPLIED, answers(header, None, original=original), effect=effect)


def _parked(header: Header, profile: Profile, refused: Refused, *, committed: bool) -> _Outcome:
    """Content that can't be applied waits for somebody; the sender is told of it, or, by its profile, isn't."""
    original = profile.ack == "original"
    if refused.condition.passing:
        return _Outcome(MessageState.FAILED, answers(header, refused, original=original, committed=False), refused)
    told = refused if profile.on_semantic_error == "nak" else None
    given = answers(header, told, original=original, committed=committed or told is None)
    return _Outcome(MessageState.PARKED, given, refused)


def _note(kept: Hl7Message, outcome: _Outcome) -> None:
    kept.state = outcome.state
    kept.answer, kept.later = outcome.answers.now, outcome.answers.later
    kept.finished_at = datetime.now(UTC)
    if outcome.refused is not None:
        kept.condition = int(outcome.refused.condition)
        kept.place = str(outcome.refused.place or "")
        kept.error = outcome.refused.text
    if outcome.effect is not None:
        kept.effect = "; ".join(outcome.effect.words)
        kept.patient, kept.order = outcome.effect.patient, outcome.effect.order
    # Not the raw bytes, which are there already and may be many.
    update(kept, *_OUTCOME_FIELDS)
    if outcome.state == MessageState.PARKED:
        _log.warning("message %s is parked: %s %s", kept.pk, kept.condition, kept.place)


_OUTCOME_FIELDS: Final = (
    *("interface", "state", "answer", "later", "finished_at", "condition", "place", "error", "effect", "patient"),
    "order",
)


def _note_failure(kept: Hl7Message, refused: Refused, given: Answers) -> None:
    try:
        _note(kept, _Outcome(MessageState.FAILED, given, refused))
    except (DatabaseError, InterfaceError):
        connection.close()


def _key(kept: Hl7Message) -> int:
    words = ("hl7", kept.sending_application, kept.sending_facility, kept.control_id)
    return int.from_bytes(blake2b("\0".join(words).encode(), digest_size=8).digest(), signed=True)


def _where(error: Exception) -> str:
    """What went wrong and the line of ours or of a library where it did; its own words may hold values."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {frames[-1].filename}:{frames[-1].lineno}" if frames else type(error).__name__


def _internal() -> Refused:
    return Refused(Condition.INTERNAL, None, "the message can't be applied now; send it again")
