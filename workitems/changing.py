"""Update, change of state and request to cancel: each locks the workitem, so that of two at once one finds the other's.

(PS3.4 CC.2.1, CC.2.2, CC.2.6; PS3.18 11.6 to 11.8.)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from access.principal import Principal
from archive.errors import NotFound
from workitems import transaction_uid as key
from workitems.changes import Change, EventType, tell
from workitems.checking import check_size, check_update, missing_at_end, well_formed
from workitems.columns import fill
from workitems.errors import Already, Gone, NotPermitted, Refusal, TransactionUIDMissing, WorkItemRefused
from workitems.models import State, WorkItem
from workitems.reach import may_manage
from workitems.reports import assignment, cancel_request, progress_report, state_report
from workitems.states import ENDS, touch, transition
from workitems.values import Attributes, ascending, attribute, coded, items, moment, only, tag

# CID 9300: what is said where nobody says why
_UNSPECIFIED = ("110513", "DCM", "Discontinued for unspecified reason")


@dataclass(frozen=True, slots=True)
class Asked:
    """The workitem as it is now, and the warning if it had come to the end that was asked for already."""

    workitem: WorkItem
    already: Already | None = None


def found(scope: QuerySet[WorkItem], uid: str) -> WorkItem:
    """The workitem among those of ``scope``. Raises ``NotFound``, ``Gone``."""
    item = scope.filter(uid=uid).first()
    if item is None:
        raise NotFound("no such workitem")
    if item.deleted_at is not None:
        raise Gone("this workitem came to its end and is no longer kept")
    return item


def locked(scope: QuerySet[WorkItem], uid: str) -> WorkItem:
    """The same, ``FOR NO KEY UPDATE``: whoever subscribes to all workitems refers to it and must not wait."""
    return found(scope.select_for_update(of=("self",), no_key=True), uid)


@transaction.atomic
def update(
    scope: QuerySet[WorkItem], uid: str, data_set: Mapping[str, Any], transaction_uid: str, by: Principal
) -> WorkItem:
    """Put these attributes in the place of those there are.

    Of what is IN PROGRESS only with the Transaction UID of the claim; of what is SCHEDULED only without one, by whoever
    manages workitems. Raises ``NotFound``, ``Gone``, ``WorkItemRefused``, ``NotPermitted``.
    """
    item = locked(scope, uid)
    if item.state in ENDS:
        raise WorkItemRefused(Refusal.NO_LONGER_UPDATED, f"a workitem that is {item.state} may no longer be updated")
    if item.state == State.IN_PROGRESS:
        key.check(item, transaction_uid)
    elif transaction_uid:
        raise WorkItemRefused(Refusal.NOT_IN_PROGRESS, "the workitem is not IN PROGRESS, so it has no Transaction UID")
    elif not may_manage(by, item):
        raise NotPermitted("your role does not include the right to change what nobody has claimed")
    sent = well_formed(data_set)
    changed = {name: value for name, value in sent.items() if name != tag("TransactionUID")}
    check_update(changed)
    before = {report: tell_of(item) for report, tell_of in _REPORTS.items()}
    item.data_set = ascending(item.data_set | changed)
    check_size(item.data_set)
    touch(item)
    fill(item)
    item.save()
    after = {report: tell_of(item) for report, tell_of in _REPORTS.items()}
    tell(*(Change(event, item, after[event], by.id) for event in _REPORTS if after[event] != before[event]))
    return item


@transaction.atomic
def change_state(scope: QuerySet[WorkItem], uid: str, to: str, transaction_uid: str, actor: str) -> Asked:
    """Claim a workitem (IN PROGRESS), or end it (COMPLETED, CANCELED).

    Raises ``NotFound``, ``Gone``, ``WorkItemRefused``.
    """
    item = locked(scope, uid)
    if to != State.SCHEDULED and not transaction_uid:
        raise TransactionUIDMissing
    if to in ENDS and item.state != State.SCHEDULED:
        key.check(item, transaction_uid)
    if to == State.CANCELED and item.state == State.IN_PROGRESS:
        _note_cancellation(item, {})
    missing = missing_at_end(item.data_set, to) if to in ENDS and item.state == State.IN_PROGRESS else []
    if missing:
        raise WorkItemRefused(Refusal.FINAL_STATE_NOT_MET, f"to be {to} it still needs {', '.join(missing)}")
    already = transition(item, to, actor)
    if already is not None:
        return Asked(item, already)
    if to == State.IN_PROGRESS:
        item.transaction_hash = key.digest(uid, transaction_uid)
        item.claimed_by, item.claimed_at = actor, timezone.now()
    fill(item)
    item.save()
    tell(Change(EventType.STATE_REPORT, item, state_report(item), actor))
    return Asked(item)


@transaction.atomic
def request_cancellation(
    scope: QuerySet[WorkItem], uid: str, asked: Mapping[str, Any], requesting_ae: str, actor: str
) -> Asked:
    """Cancel what nobody has claimed; tell whoever works on the rest that it should be (PS3.4 CC.2.2.3).

    Raises ``NotFound``, ``Gone``, ``WorkItemRefused``.
    """
    requested = well_formed(asked)
    item = locked(scope, uid)
    if item.state == State.COMPLETED:
        raise WorkItemRefused(Refusal.ALREADY_COMPLETED, "the workitem is already COMPLETED")
    if item.state == State.CANCELED:
        return Asked(item, Already.CANCELED)
    if item.state == State.IN_PROGRESS:
        if not tell(Change(EventType.CANCEL_REQUESTED, item, cancel_request(requested, requesting_ae), actor)):
            raise WorkItemRefused(Refusal.NOT_REACHED, "nobody is subscribed to this workitem who could be told")
        return Asked(item)
    for state in (State.IN_PROGRESS, State.CANCELED):
        if state == State.CANCELED:
            _note_cancellation(item, requested)
        transition(item, state, actor)
        fill(item)
        item.save()
        tell(Change(EventType.STATE_REPORT, item, state_report(item), actor))
    return Asked(item)


def _note_cancellation(item: WorkItem, requested: Attributes) -> None:
    """What a cancelled workitem has to say (Final State X): when and why; what was said already stays."""
    progress = next(items(item.data_set, "ProcedureStepProgressInformationSequence"), {})
    said = attribute("ProcedureStepCancellationDateTime", moment(timezone.now()))
    said |= attribute("ProcedureStepDiscontinuationReasonCodeSequence", coded(_UNSPECIFIED))
    said |= only(requested, ("ReasonForCancellation", "ProcedureStepDiscontinuationReasonCodeSequence"))
    if contact := only(requested, ("ContactURI", "ContactDisplayName")):
        said |= attribute("ProcedureStepCommunicationsURISequence", contact)
    filled = {name: value for name, value in progress.items() if value.get("Value")}
    whole = ascending(said | filled)
    item.data_set = ascending(item.data_set | attribute("ProcedureStepProgressInformationSequence", whole))


_REPORTS = {
    EventType.STATE_REPORT: state_report,
    EventType.PROGRESS_REPORT: progress_report,
    EventType.ASSIGNED: assignment,
}
