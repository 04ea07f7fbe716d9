"""Create: a new workitem, SCHEDULED (PS3.4 CC.2.5, PS3.18 11.4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from pydicom.uid import generate_uid

from access.principal import Principal
from workitems.changes import Change, EventType, tell
from workitems.checking import check_create, well_formed
from workitems.columns import fill
from workitems.errors import NotPermitted, Refusal, WorkItemRefused
from workitems.models import WorkItem
from workitems.reach import reaches
from workitems.reports import assignment, state_report
from workitems.requirements import RESERVED, UPS_PUSH
from workitems.states import born, touch
from workitems.values import ascending, attribute, tag


@dataclass(frozen=True, slots=True)
class Created:
    """A new workitem, and whether it has attributes that nobody sent."""

    workitem: WorkItem
    modified: bool


@transaction.atomic
def create(uid: str, data_set: Mapping[str, Any], by: Principal) -> Created:
    """Make a workitem; without ``uid`` it gets one. Raises ``WorkItemRefused``, ``NotPermitted``."""
    sent = well_formed(data_set)
    missing = check_create(sent)
    if uid in RESERVED:
        raise WorkItemRefused(Refusal.DUPLICATE, "this UID stands for a whole worklist")
    uid = uid or generate_uid(prefix=None)
    kept = {name: value for name, value in sent.items() if name != tag("TransactionUID")}
    named = attribute("SOPClassUID", UPS_PUSH) | attribute("SOPInstanceUID", uid)
    item = WorkItem(uid=uid, data_set=ascending(kept | missing | named), version=0, created_by=by.id)
    touch(item)
    fill(item)
    if not reaches(by, item):
        raise NotPermitted("your role does not reach what this workitem is about")
    try:
        with transaction.atomic():
            item.save()
    except IntegrityError as error:
        raise WorkItemRefused(Refusal.DUPLICATE, "there is a workitem with this UID, or was") from error
    born(item, by.id)
    changes = [Change(EventType.STATE_REPORT, item, state_report(item), by.id, created=True)]
    if assigned := assignment(item):
        changes.append(Change(EventType.ASSIGNED, item, assigned, by.id))
    tell(*changes)
    return Created(item, bool(missing))
