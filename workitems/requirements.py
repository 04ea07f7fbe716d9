"""THE table of PS3.4 table CC.2.5-3: what a workitem has to have, what may not be changed, what it needs at its end.

Attributes that are not in it are optional: they are kept as they come.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from workitems.values import tag

UPS_PUSH: Final = "1.2.840.10008.5.1.4.34.6.1"
# All workitems, and those of a filter, where they are subscribed to (PS3.4 CC.2.3.1)
RESERVED: Final = frozenset({"1.2.840.10008.5.1.4.34.5", "1.2.840.10008.5.1.4.34.5.1"})


@dataclass(frozen=True, slots=True)
class Requirement:
    """What the requests of a client may and must say of one attribute.

    ``create``: "1" with a value, "2" may be empty, "3" may be left out, "0" at the most without a value, "-" not at
    all. ``update``: "1" if there, then with a value, "2" may be emptied, "3" as one likes, "-" not at all. ``final``:
    "R" at every end, "P" if COMPLETED, "X" if CANCELED, "O" never; "p" as P, but may be empty. ``values`` are the only
    ones.
    """

    keyword: str
    create: str = "3"
    update: str = "3"
    final: str = "O"
    items: tuple["Requirement", ...] = ()
    values: frozenset[str] = frozenset()


def _one(keyword: str, types: str, *items: Requirement, values: str = "") -> Requirement:
    return Requirement(keyword, types[0], types[1], types[2:] or "O", items, frozenset(values.split()))


_CODE: Final = (
    _one("CodeValue", "33"),
    _one("CodingSchemeDesignator", "33"),
    _one("CodeMeaning", "11"),
)
_REFERENCE: Final = (_one("ReferencedSOPClassUID", "11"), _one("ReferencedSOPInstanceUID", "11"))
_INSTANCES: Final = (
    _one("TypeOfInstances", "11", values="DICOM CDA"),
    _one("ReferencedSOPSequence", "33", *_REFERENCE),
)
_PERFORMER: Final = (_one("HumanPerformerCodeSequence", "11", *_CODE),)

_ROWS: Final = (
    # SOP Common. Which workitem is meant stands in the address.
    _one("SOPClassUID", "3-"),
    _one("SOPInstanceUID", "3-"),
    _one("TransactionUID", "03"),
    # Unified Procedure Step Scheduled Procedure Information
    _one("ScheduledProcedureStepPriority", "11", values="HIGH MEDIUM LOW"),
    _one("ProcedureStepLabel", "11"),
    _one("WorklistLabel", "11"),
    _one("ScheduledProcessingParametersSequence", "22"),
    _one("ScheduledStationNameCodeSequence", "22", *_CODE),
    _one("ScheduledStationClassCodeSequence", "22", *_CODE),
    _one("ScheduledStationGeographicLocationCodeSequence", "22", *_CODE),
    _one("ScheduledHumanPerformersSequence", "32", *_PERFORMER),
    _one("ScheduledProcedureStepStartDateTime", "11"),
    _one("ExpectedCompletionDateTime", "31"),
    _one("ScheduledWorkitemCodeSequence", "21", *_CODE),
    _one("CommentsOnTheScheduledProcedureStep", "22"),
    _one("InputReadinessState", "11", values="INCOMPLETE UNAVAILABLE READY"),
    _one("InputInformationSequence", "22", *_INSTANCES),
    _one("StudyInstanceUID", "32"),
    # Unified Procedure Step Relationship
    _one("PatientName", "2-"),
    _one("PatientID", "2-"),
    _one("IssuerOfPatientID", "2-"),
    _one("IssuerOfPatientIDQualifiersSequence", "2-"),
    _one("OtherPatientIDsSequence", "23"),
    _one("PatientBirthDate", "2-"),
    _one("PatientSex", "2-"),
    _one("AdmissionID", "2-"),
    _one("IssuerOfAdmissionIDSequence", "2-"),
    _one("AdmittingDiagnosesDescription", "2-"),
    _one("AdmittingDiagnosesCodeSequence", "2-", *_CODE),
    _one("ReferencedRequestSequence", "2-", _one("StudyInstanceUID", "11")),
    _one("ReplacedProcedureStepSequence", "3-", *_REFERENCE),
    # Unified Procedure Step Progress Information
    _one("ProcedureStepState", "1-R", values="SCHEDULED"),
    _one(
        "ProcedureStepProgressInformationSequence",
        "02X",
        _one("ProcedureStepProgress", "31"),
        _one("ProcedureStepCancellationDateTime", "31X"),
        _one("ProcedureStepDiscontinuationReasonCodeSequence", "31X", *_CODE),
    ),
    # Unified Procedure Step Performed Procedure Information
    _one(
        "UnifiedProcedureStepPerformedProcedureSequence",
        "02P",
        _one("ActualHumanPerformersSequence", "31", *_PERFORMER),
        _one("PerformedStationNameCodeSequence", "32P", *_CODE),
        _one("PerformedStationClassCodeSequence", "32", *_CODE),
        _one("PerformedStationGeographicLocationCodeSequence", "32", *_CODE),
        _one("PerformedProcedureStepStartDateTime", "31P"),
        _one("PerformedWorkitemCodeSequence", "31P", *_CODE),
        _one("PerformedProcedureStepEndDateTime", "31P"),
        _one("OutputInformationSequence", "32p", *_INSTANCES),
    ),
)
BY_TAG: Final[Mapping[str, Requirement]] = MappingProxyType({tag(row.keyword): row for row in _ROWS})
