"""Runs of the commands of this room, in the trail."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from access.trail import system_event
from archive.standstill import refuse_writing
from audit.kinds import INTEGRITY, Outcome
from audit.record import record
from custody.tiers.relocation import Moved

_SOUND = frozenset({str(Moved.MOVED), str(Moved.CHANGED), str(Moved.RECALLING), str(Moved.ERASED), "series wished for"})


@contextmanager
def recorded(deed: str, study_uids: Sequence[str] = ()) -> Iterator[Counter[str]]:
    """Around one run: its beginning, as what can't be written down is not done, and its end, whatever ends it.

    What became of how many objects is counted in what this gives. Raises ``AuditUnavailable``, and
    ``Standstill`` while nothing may be stored.
    """
    refuse_writing()
    counts: Counter[str] = Counter()
    record([system_event(INTEGRITY, f"{deed}: began", study_uids=list(study_uids))])
    whole = False
    try:
        yield counts
        whole = True
    finally:
        told = ", ".join(f"{count} {what}" for what, count in counts.items()) or "nothing to do"
        end = system_event(
            INTEGRITY,
            f"{deed}: {'ended' if whole else 'broken off'}, {told}",
            study_uids=list(study_uids),
            instance_count=counts[Moved.MOVED],
            outcome=Outcome.SUCCESS if whole and counts.keys() <= _SOUND else Outcome.MINOR_FAILURE,
        )
        record([end])
