"""Data sets of workitems as clients send them."""

from __future__ import annotations

from typing import Any

from pydicom.uid import generate_uid

from workitems.values import attribute, coded

CODE = coded(("110005", "DCM", "Interpretation"))
STATION = coded(("CT01", "99TEST", "CT in room one"))


def data_set(**values: Any) -> dict[str, Any]:
    """A workitem that can be made, with these attributes by keyword; None leaves one out."""
    given: dict[str, Any] = {
        "ScheduledProcedureStepPriority": "MEDIUM",
        "ProcedureStepLabel": "Find bleeding",
        "WorklistLabel": "AI",
        "ScheduledProcessingParametersSequence": "",
        "ScheduledStationNameCodeSequence": STATION,
        "ScheduledStationClassCodeSequence": "",
        "ScheduledStationGeographicLocationCodeSequence": "",
        "ScheduledProcedureStepStartDateTime": "20261122090000",
        "ScheduledWorkitemCodeSequence": CODE,
        "CommentsOnTheScheduledProcedureStep": "",
        "InputReadinessState": "READY",
        "InputInformationSequence": "",
        "PatientName": "",
        "PatientID": "",
        "IssuerOfPatientID": "",
        "IssuerOfPatientIDQualifiersSequence": "",
        "OtherPatientIDsSequence": "",
        "PatientBirthDate": "",
        "PatientSex": "",
        "AdmissionID": "",
        "IssuerOfAdmissionIDSequence": "",
        "AdmittingDiagnosesDescription": "",
        "AdmittingDiagnosesCodeSequence": "",
        "ReferencedRequestSequence": "",
        "ProcedureStepState": "SCHEDULED",
        "ProcedureStepProgressInformationSequence": "",
        "UnifiedProcedureStepPerformedProcedureSequence": "",
    } | values
    return {tag: value for name, each in given.items() if each is not None for tag, value in _attribute(name, each)}


def state(to: str, transaction_uid: str = "") -> dict[str, Any]:
    """A change of state."""
    return attribute("ProcedureStepState", to) | (
        attribute("TransactionUID", transaction_uid) if transaction_uid else {}
    )


def performed() -> dict[str, Any]:
    """What has to be said before a workitem is COMPLETED (PS3.4 table CC.2.5-3, final state P)."""
    return attribute(
        "UnifiedProcedureStepPerformedProcedureSequence",
        attribute("PerformedStationNameCodeSequence", STATION)
        | attribute("PerformedWorkitemCodeSequence", CODE)
        | attribute("PerformedProcedureStepStartDateTime", "20261122090000")
        | attribute("PerformedProcedureStepEndDateTime", "20261122090500")
        | attribute("OutputInformationSequence"),
    )


def uid() -> str:
    """A new UID."""
    return str(generate_uid())


def _attribute(keyword: str, value: Any) -> Any:
    return attribute(keyword, *(value if isinstance(value, list) else [value])).items()
