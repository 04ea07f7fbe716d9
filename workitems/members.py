"""Whose worklists are whose: people and machines that work on all workitems of a Worklist Label (0074,1202)."""

from collections.abc import Collection

from django.db import transaction

from access.acting import COMMAND_LINE, Acting
from access.names import clients_called, people_called
from access.refused_change import RefusedChange
from audit.kinds import USER_CHANGED
from audit.record import record
from workitems.models import WorklistMember


def holder_called(name: str) -> str:
    """The external id of the person or, if there is none, the client of this name. Raises RefusedChange."""
    for found in (people_called(name).first(), clients_called(name).first()):
        if found is not None:
            return str(found.external_id)
    raise RefusedChange("there is nobody of this name, and no client")


def worklists_of(holder: str) -> list[str]:
    """The labels, in order."""
    return sorted(WorklistMember.objects.filter(holder=holder).values_list("worklist_label", flat=True))


def set_worklists(holder: str, labels: Collection[str], *, by: Acting = COMMAND_LINE) -> None:
    """Give somebody these worklists and no others, from the next request on; it leaves its event in the trail."""
    wanted = sorted({label.strip() for label in labels if label.strip()})
    with transaction.atomic():
        rows = WorklistMember.objects.filter(holder=holder)
        rows.exclude(worklist_label__in=wanted).delete()
        made = [WorklistMember(worklist_label=label, holder=holder, made_by=by.name) for label in wanted]
        WorklistMember.objects.bulk_create(made, ignore_conflicts=True)
        record([by.event(USER_CHANGED, f"{holder} works on the worklists: {'; '.join(wanted) or 'none'}")])
