"""Transcoding at rest: what came uncompressed gets a lossless representation beside it, series by series.

A series is wished for when something of it is stored, and left alone until it has been quiet for a while. The task does
one instance after the other at low priority; each is committed by itself, so that a worker that dies loses one
instance's work. After some seconds it wishes for itself again, so that tasks of new series come in between.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.db.models.functions import Now

from archive import outbox
from archive.at_rest_dropping import drop_originals
from archive.at_rest_making import RETRY_AFTER, TRIES, Outcome, represent
from archive.at_rest_pace import alone_with, gently, paused, place, processors
from archive.at_rest_policy import Kind, Row, choose, table
from archive.errors import ArchiveFull
from archive.models import Instance, OutboxEntry, Representation, TranscodingAttempt
from archive.outbox import Wish
from archive.quota import check_quota
from dicom.transfer_syntaxes import BY_UID, TransferSyntax

log = logging.getLogger("archive.at_rest")

# The longest that a task works on one instance; the worker would be ended after 840 seconds.
INSTANCE_SECONDS = 600.0
PAUSED_SECONDS = 60.0
BUSY_SECONDS = 15.0
FULL_SECONDS = 3600.0
# With a long queue each entry asks for a place so seldom that all together ask once a second.
ASK_SECONDS = 1.0
AT_ONCE = 0.0


@dataclass(slots=True)
class Turn:
    """What was done with a series in one go, by outcome; seconds until there is more to do, ``None`` for never."""

    outcomes: dict[Outcome, int] = field(default_factory=dict)
    dropped: int = 0
    again: float | None = None


def policy() -> list[Row]:
    """The table in force."""
    chosen = settings.PACS.at_rest
    return table(chosen.transfer_syntax, chosen.rows)


def transcode_series(subject: str) -> None:
    """The task: some seconds of work on the series with this primary key, at low priority."""
    series_pk, chosen = int(subject), settings.PACS.at_rest
    if paused():
        _again(subject, PAUSED_SECONDS + _while_others_wait())
        return
    if processors.busy(chosen.busy_percent):
        _again(subject, BUSY_SECONDS + _while_others_wait())
        return
    try:
        check_quota(settings.PACS.limits.archive_bytes)
    except ArchiveFull:
        _again(subject, FULL_SECONDS)
        return
    with place(chosen.at_once) as free, alone_with(series_pk) as mine:
        if free and mine:
            until = time.monotonic() + chosen.turn_seconds
            turn = gently(
                lambda: transcode_for(
                    series_pk,
                    until=until,
                    seconds=INSTANCE_SECONDS,
                    give_way=lambda: processors.busy(chosen.busy_percent),
                )
            )
    if not (free and mine):
        _again(subject, _while_others_wait())
    elif turn.again is not None:
        _again(subject, turn.again)


def transcode_for(
    series_pk: int,
    *,
    until: float | None = None,
    seconds: float | None = None,
    tell: Callable[[int, Outcome], None] = lambda pk, outcome: None,
    give_way: Callable[[], bool] = lambda: False,
) -> Turn:
    """Make the representations that a series still lacks; its originals go if the policy says so.

    Ends after the first instance that is done at ``until`` (``time.monotonic``), when there is a pause, or when
    ``give_way`` says that others need the processors. ``seconds`` is the longest that one instance may take. ``tell``
    hears of each. Raises ``ArchiveUnavailable``.
    """
    turn, rows = Turn(), policy()
    open_ones = candidates(series_pk, rows)
    for at, (pk, target) in enumerate(open_ones):
        if at and give_way():
            turn.again = BUSY_SECONDS
            return turn
        if at and (paused() or (until is not None and time.monotonic() >= until)):
            turn.again = AT_ONCE
            return turn
        outcome = represent(pk, target, seconds=seconds)
        turn.outcomes[outcome] = turn.outcomes.get(outcome, 0) + 1
        if outcome is not Outcome.LATER:
            outbox.progress(outbox.AT_REST, str(series_pk))
        tell(pk, outcome)
    if settings.PACS.at_rest.drop_originals:
        turn.dropped, turn.again = drop_originals(series_pk, until=until)
    if _some_wait(series_pk, rows):
        turn.again = min(turn.again or RETRY_AFTER.total_seconds(), RETRY_AFTER.total_seconds())
    return turn


def candidates(series_pk: int, rows: Sequence[Row], *, also_recent: bool = False) -> list[tuple[int, TransferSyntax]]:
    """The instances of a series that the table wants in another transfer syntax, without those that are, those not to
    be tried again, and, unless ``also_recent``, those tried just now.
    """
    kinds = (
        Instance.objects.filter(series=series_pk, frame_table__isnull=False)
        .order_by("instance_number", "id")
        .values_list(
            "pk",
            "series__modality",
            "pixels__photometric_interpretation",
            "pixels__bits_allocated",
            "transfer_syntax_uid",
        )
    )
    there = set(
        Representation.objects.filter(instance__series=series_pk).values_list("instance_id", "transfer_syntax_uid")
    )
    attempts = TranscodingAttempt.objects.filter(instance__series=series_pk)
    there.update(attempts.exclude(outcome="").values_list("instance_id", "transfer_syntax_uid"))
    if not also_recent:
        recent = attempts.filter(outcome="", tries__gt=0, updated_at__gt=Now() - RETRY_AFTER)
        there.update(recent.values_list("instance_id", "transfer_syntax_uid"))
    found = []
    for pk, modality, photometric, bits, uid in kinds:
        stored = choose(rows, Kind(modality, photometric or "", bits or 0, BY_UID[uid])).stored
        if stored is not None and stored.uid != uid and (pk, stored.uid) not in there:
            found.append((pk, stored))
    return found


def _some_wait(series_pk: int, rows: Sequence[Row]) -> bool:
    """Whether some are to be tried again; not those that the table wants in another way by now, or no more."""
    tried = TranscodingAttempt.objects.filter(instance__series=series_pk, outcome="", tries__range=(1, TRIES))
    waiting = set(tried.values_list("instance_id", "transfer_syntax_uid"))
    return bool(waiting) and any(
        (pk, stored.uid) in waiting for pk, stored in candidates(series_pk, rows, also_recent=True)
    )


def _again(subject: str, delay: float) -> None:
    outbox.wish([Wish(outbox.AT_REST, subject, delay)])


def _while_others_wait() -> float:
    """Seconds after which a series that finds no place asks again."""
    queue = OutboxEntry.objects.filter(kind=outbox.AT_REST, dead=False).count()
    return max(1.0, queue * ASK_SECONDS) * random.uniform(0.5, 1.5)  # noqa: S311 - spreads them, guards nothing
