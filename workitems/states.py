"""THE table of what may follow which state (PS3.4 table CC.1.1-2), and the one way to move."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone

from workitems.errors import Already, Refusal, WorkItemRefused
from workitems.models import State, WorkItem
from workitems.values import ascending, attribute, moment
from worklist.models import StateEvent

MACHINE: Final = "workitem"
_S, _P, _D, _C = State.SCHEDULED, State.IN_PROGRESS, State.COMPLETED, State.CANCELED
# (the state there is, the state asked for) -> the state that follows, a refusal, or that there is nothing to do
TABLE: Final[Mapping[tuple[str, str], State | Refusal | Already]] = MappingProxyType(
    {
        (_S, _S): Refusal.ONLY_BY_CREATE,
        (_P, _S): Refusal.ONLY_BY_CREATE,
        (_D, _S): Refusal.ONLY_BY_CREATE,
        (_C, _S): Refusal.ONLY_BY_CREATE,
        (_S, _P): _P,
        (_P, _P): Refusal.ALREADY_IN_PROGRESS,
        (_D, _P): Refusal.NO_LONGER_UPDATED,
        (_C, _P): Refusal.NO_LONGER_UPDATED,
        (_S, _D): Refusal.NOT_IN_PROGRESS,
        (_P, _D): _D,
        (_D, _D): Already.COMPLETED,
        (_C, _D): Refusal.NO_LONGER_UPDATED,
        (_S, _C): Refusal.NOT_IN_PROGRESS,
        (_P, _C): _C,
        (_D, _C): Refusal.NO_LONGER_UPDATED,
        (_C, _C): Already.CANCELED,
    }
)
ENDS: Final = frozenset({_D, _C})


def born(item: WorkItem, actor: str) -> None:
    """The event of a new workitem, in its first state."""
    _event(item, "", actor)


def transition(item: WorkItem, to: str, actor: str) -> Already | None:
    """Move a locked row to ``to``, in its data set as well, and write the event; the caller saves the row.

    Returns a warning, and nothing done, where the workitem is at that end already. Raises ``WorkItemRefused``.
    """
    before = item.state
    follows = TABLE[before, to]
    if isinstance(follows, Already):
        return follows
    if isinstance(follows, Refusal):
        raise WorkItemRefused(follows, f"(0074,1000) ProcedureStepState: {before} is not followed by {to}")
    _set(item, follows)
    _event(item, before, actor)
    return None


def release(item: WorkItem, actor: str) -> None:
    """Take a locked workitem away from who claimed it: SCHEDULED again, for anybody to claim.

    The standard has no such move by a client; who provides the service makes it when the performer is lost (CC.2.1.3).
    """
    before = item.state
    if before != State.IN_PROGRESS:
        raise WorkItemRefused(Refusal.NOT_IN_PROGRESS, "only what is IN PROGRESS is released")
    item.transaction_hash, item.claimed_by, item.claimed_at, item.lease_until = "", "", None, None
    _set(item, State.SCHEDULED)
    _event(item, before, actor)


def touch(item: WorkItem) -> None:
    """A change of the data set: a new version, with its moment (0040,4010). What is claimed stays so for a while."""
    now = timezone.now()
    item.data_set = ascending(item.data_set | attribute("ScheduledProcedureStepModificationDateTime", moment(now)))
    item.version += 1
    item.updated_at = now
    if item.state == State.IN_PROGRESS:
        item.lease_until = now + timedelta(minutes=settings.PACS.workitems.lease_minutes)


def _set(item: WorkItem, state: State) -> None:
    item.state = state
    item.data_set = ascending(item.data_set | attribute("ProcedureStepState", str(state)))
    if state in ENDS:
        item.ended_at = timezone.now()
        item.lease_until = None
    touch(item)


def _event(item: WorkItem, before: str, actor: str) -> None:
    StateEvent.objects.create(
        machine=MACHINE,
        subject=item.pk,
        before=before,
        after=str(item.state),
        actor=actor,
        happened_at=Now(),
    )
