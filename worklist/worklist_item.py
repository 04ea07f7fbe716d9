"""One scheduled procedure step as a worklist entry in DICOM JSON (PS3.4 table K.6-1)."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.valuerep import STR_VR

from archive.models import Patient
from worklist.models import Order, ScheduledProcedureStep

Item = dict[str, Any]

_PREGNANT: Final = 3  # (0010,21C0): definitely pregnant
_NUMBERS: Final[Mapping[str, type]] = MappingProxyType({"DS": float, "IS": int, "US": int})


# Values that stand in a message as they do in a data set.
_CARRIED: Final = frozenset({*STR_VR, *_NUMBERS})


def is_plain(keyword: str) -> bool:
    """Whether an order may carry this attribute: it is one of the standard, and no sequence."""
    tag = tag_for_keyword(keyword)
    return tag is not None and dictionary_VR(tag) in _CARRIED


def item(step: ScheduledProcedureStep, patient: Patient) -> Item:
    """The entry of a step whose order is of ``patient``; attributes ascend by tag (PS3.18 F.2.2)."""
    procedure, order = step.procedure, step.procedure.order
    visit = order.visit
    found = _attributes(
        {
            "SpecificCharacterSet": "ISO_IR 192",
            "AccessionNumber": order.accession_number,
            "ReferringPhysicianName": order.referring_physician_name,
            "PatientName": patient.patient_name,
            "PatientID": patient.patient_id,
            "IssuerOfPatientID": patient.issuer_of_patient_id,
            "PatientBirthDate": patient.patient_birth_date,
            "PatientSex": patient.patient_sex,
            "PregnancyStatus": str(_PREGNANT) if visit is not None and visit.pregnant else "",
            "StudyInstanceUID": procedure.study_instance_uid,
            "RequestingPhysician": "",
            "RequestedProcedureDescription": procedure.description,
            "AdmissionID": visit.number if visit is not None else "",
            "CurrentPatientLocation": visit.location if visit is not None else "",
            "RequestedProcedureID": procedure.procedure_id,
            "ReasonForTheRequestedProcedure": order.reason,
            "RequestedProcedurePriority": order.priority,
            "PlacerOrderNumberImagingServiceRequest": order.placer_number,
            "FillerOrderNumberImagingServiceRequest": order.filler_number,
            **{keyword: value for keyword, value in order.attributes.items() if is_plain(keyword)},
        }
    )
    found |= _sequence("RequestedProcedureCodeSequence", [_code(procedure.code)] if procedure.code else [])
    found |= _issuers(order)
    found |= _sequence("ScheduledProcedureStepSequence", [_step(step)])
    return dict(sorted(found.items()))


def _step(step: ScheduledProcedureStep) -> Item:
    found = _attributes(
        {
            "Modality": step.modality,
            "ScheduledStationAETitle": "\\".join(step.station_ae_titles),
            "ScheduledProcedureStepStartDate": step.start_date,
            "ScheduledProcedureStepStartTime": step.start_time,
            "ScheduledPerformingPhysicianName": step.performing_physician_name,
            "ScheduledProcedureStepDescription": step.description,
            "ScheduledProcedureStepID": step.step_id,
            "ScheduledStationName": step.station_name,
            "ScheduledProcedureStepLocation": step.location,
            "ScheduledProcedureStepStatus": step.status,
        }
    )
    found |= _sequence("ScheduledProtocolCodeSequence", [_code(code) for code in step.protocol_codes])
    return dict(sorted(found.items()))


def _issuers(order: Order) -> Item:
    named = {
        "IssuerOfAccessionNumberSequence": order.accession_issuer,
        "OrderPlacerIdentifierSequence": order.placer_issuer,
        "OrderFillerIdentifierSequence": order.filler_issuer,
    }
    found: Item = {}
    for keyword, issuer in named.items():
        if issuer:
            found |= _sequence(keyword, [_attributes({"LocalNamespaceEntityID": issuer})])
    return found


def _code(code: Sequence[str]) -> Item:
    value, scheme, meaning = code
    return _attributes({"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning})


def _sequence(keyword: str, items: list[Item]) -> Item:
    return {_tag(keyword): {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}}


def _attributes(values: Mapping[str, str]) -> Item:
    return {_tag(keyword): _attribute(dictionary_VR(keyword), value) for keyword, value in values.items()}


def _attribute(vr: str, text: str) -> Item:
    if not text:
        return {"vr": vr}
    if vr == "PN":
        groups = zip(("Alphabetic", "Ideographic", "Phonetic"), text.split("=", 2), strict=False)
        return {"vr": vr, "Value": [{group: part for group, part in groups if part}]}
    if (number := _NUMBERS.get(vr)) is not None:
        try:
            return {"vr": vr, "Value": [number(text)]}
        except ValueError:
            return {"vr": vr}
    return {"vr": vr, "Value": text.split("\\")}


def _tag(keyword: str) -> str:
    return f"{tag_for_keyword(keyword):08X}"
