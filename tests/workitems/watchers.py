"""Workitems to watch, and who watches them."""

from __future__ import annotations

from typing import Any

from pydicom.uid import generate_uid

from access.principal import Principal
from workitems.changing import change_state, request_cancellation
from workitems.creating import create
from workitems.models import WorkItem
from workitems.subscription_models import EventReport
from workitems.subscriptions import Entity
from workitems.values import tag


def data_set(**texts: str) -> dict[str, Any]:
    """What makes a workitem, as DICOM JSON; ``texts`` by keyword take the place of what is there."""
    told = {
        "ScheduledProcedureStepPriority": "MEDIUM",
        "ProcedureStepLabel": "Look again",
        "WorklistLabel": "AI",
        "ScheduledProcedureStepStartDateTime": "20250101120000",
        "InputReadinessState": "READY",
        "ProcedureStepState": "SCHEDULED",
    } | texts
    vrs = {
        "ScheduledProcedureStepStartDateTime": "DT",
        "ProcedureStepLabel": "LO",
        "WorklistLabel": "LO",
        "PatientID": "LO",
    }
    made = {tag(name): {"vr": vrs.get(name, "CS"), "Value": [value]} for name, value in told.items()}
    return made | {tag("InputInformationSequence"): {"vr": "SQ"}}


def principal(name: str = "watcher", *roles: str) -> Principal:
    """A machine that may do what its roles may."""
    return Principal("client", name, name, roles or ("administrator",), "oauth2", "")


def made(**texts: str) -> WorkItem:
    """A workitem about nobody."""
    return create("", data_set(**texts), principal("maker")).workitem


def claimed(item: WorkItem) -> str:
    """Claim it; the Transaction UID."""
    uid = str(generate_uid())
    change_state(WorkItem.objects.all(), item.uid, "IN PROGRESS", uid, "performer")
    return uid


def cancelled(item: WorkItem, asked: dict[str, Any] | None = None) -> None:
    """Ask for its end."""
    request_cancellation(WorkItem.objects.all(), item.uid, asked or {}, "MAKER", "maker")


def heard(entity: Entity) -> list[tuple[str, int]]:
    """What was written for an entity, in order: the workitem's UID and the type of each event. Numbers have no gaps."""
    rows = list(EventReport.objects.filter(subscriber__ae_title=entity.ae_title).order_by("number"))
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    return [(row.data_set["00001000"]["Value"][0], row.data_set["00001002"]["Value"][0]) for row in rows]
