"""What a workitem is found by, out of its data set: THE table of columns."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from archive.extended_datetime import in_utc
from archive.names import name_key
from workitems.models import WorkItem
from workitems.values import Item, is_filled, items, text

# keyword -> column
COLUMNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ProcedureStepState": "state",
        "WorklistLabel": "worklist_label",
        "ProcedureStepLabel": "procedure_step_label",
        "ScheduledProcedureStepPriority": "priority",
        "InputReadinessState": "input_readiness_state",
        "ScheduledProcedureStepStartDateTime": "scheduled_start",
        "ExpectedCompletionDateTime": "expected_completion",
        "ScheduledProcedureStepExpirationDateTime": "expiration",
        "ScheduledProcedureStepModificationDateTime": "modified",
        "PatientID": "patient_id",
        "IssuerOfPatientID": "issuer_of_patient_id",
        "PatientName": "patient_name",
        "PatientBirthDate": "patient_birth_date",
        "PatientSex": "patient_sex",
        "AdmissionID": "admission_id",
        "StudyInstanceUID": "study_instance_uid",
    }
)
# Columns of moments, which are kept in UTC to be compared
MOMENTS: Final = frozenset({"scheduled_start", "expected_completion", "expiration", "modified"})
# Where a data set names studies, besides its own Study Instance UID
_STUDIES: Final = (
    ("InputInformationSequence",),
    ("ReferencedRequestSequence",),
    ("UnifiedProcedureStepPerformedProcedureSequence", "OutputInformationSequence"),
)


def fill(item: WorkItem) -> None:
    """Set the columns to what the data set says."""
    zone = text(item.data_set, "TimezoneOffsetFromUTC")
    for keyword, column in COLUMNS.items():
        found = text(item.data_set, keyword)
        setattr(item, column, in_utc(found, zone) if column in MOMENTS else found)
    item.patient_name_key = name_key(item.patient_name)
    item.study_instance_uids = studies(item.data_set)
    item.progress = _progress(item.data_set)


def studies(data_set: Item) -> list[str]:
    """The studies that a workitem is about, sorted."""
    places = [data_set, *(each for path in _STUDIES for each in items(data_set, *path))]
    named = {uid for place in places for uid in text(place, "StudyInstanceUID").split("\\")}
    return sorted(named - {""})


def _progress(data_set: Item) -> float | None:
    for each in items(data_set, "ProcedureStepProgressInformationSequence"):
        if is_filled(each, "ProcedureStepProgress"):
            return _number(text(each, "ProcedureStepProgress"))
    return None


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
