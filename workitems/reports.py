"""What the events of a workitem say of it (PS3.4 table CC.2.4-1), as DICOM JSON out of its data set."""

from typing import Final

from workitems.models import WorkItem
from workitems.values import Attributes, ascending, attribute, items, only

_REQUESTED: Final = (
    "ReasonForCancellation",
    "ProcedureStepDiscontinuationReasonCodeSequence",
    "ContactURI",
    "ContactDisplayName",
)
_OF_CANCELLATION: Final = ("ReasonForCancellation", "ProcedureStepDiscontinuationReasonCodeSequence")
_ASSIGNED: Final = ("ScheduledStationNameCodeSequence",)
_OF_PERFORMER: Final = ("HumanPerformerCodeSequence", "HumanPerformerOrganization")


def state_report(item: WorkItem) -> Attributes:
    """UPS State Report: its state, whether its input is ready, and why it was cancelled."""
    found = only(item.data_set, ("ProcedureStepState", "InputReadinessState"))
    for progress in items(item.data_set, "ProcedureStepProgressInformationSequence"):
        found |= only(progress, _OF_CANCELLATION)
    return ascending(found)


def progress_report(item: WorkItem) -> Attributes:
    """UPS Progress Report: how far it is."""
    return only(item.data_set, ("ProcedureStepProgressInformationSequence",))


def assignment(item: WorkItem) -> Attributes:
    """UPS Assigned: the station and the first person who are to do it; nothing if nobody is."""
    found = only(item.data_set, _ASSIGNED)
    for performer in items(item.data_set, "ScheduledHumanPerformersSequence"):
        found |= only(performer, _OF_PERFORMER)
        break
    return ascending({name: value for name, value in found.items() if value.get("Value")})


def cancel_request(requested: Attributes, requesting_ae: str) -> Attributes:
    """UPS Cancel Requested: who wants it, why, and whom to talk to about it."""
    named = attribute("RequestingAE", requesting_ae) if requesting_ae else {}
    return ascending(only(requested, _REQUESTED) | named)
