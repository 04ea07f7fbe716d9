"""Orders, patients and reports as segments of messages of ours (IHE RAD TF-2: RAD-28, RAD-42; HL7 v2 chapters 4, 7).

The same fields as ``hl7.order_fields`` and ``hl7.report_fields`` read, in the other direction.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Final

from archive.models import Patient, Study
from hl7.outbound_text import (
    components,
    entity,
    escaped,
    nested_provider_name,
    person_name,
    provider_name,
    segment,
    time_of,
)
from reports.models import Report, ReportVersion
from worklist.models import Order, RequestedProcedure, ScheduledProcedureStep, Visit

# LOINC: what sections are called; a code that isn't here goes without a name.
SECTIONS: Final[Mapping[str, str]] = {
    "18748-4": "Diagnostic imaging report",
    "59776-5": "Findings",
    "19005-8": "Impression",
    "11329-0": "History",
    "18834-2": "Comparison",
    "18782-3": "Study observation",
    "55111-9": "Current imaging procedure descriptions",
    "18785-6": "Reason for study",
    "55107-7": "Addendum",
}
_WHOLE: Final = "18748-4"
_LOINC: Final = re.compile(r"\d{1,7}-\d")


def pid(leads: Patient, named: Patient) -> str:
    """The patient by the identifier that leads, and by the one that the order or report came under."""
    rows = {row.pk: row for row in (leads, named)}.values()
    return segment(
        "PID",
        {
            1: "1",
            3: "~".join(_identifier(row) for row in rows if row.patient_id),
            5: person_name(leads.patient_name),
            7: escaped(leads.patient_birth_date),
            8: escaped(leads.patient_sex) or "U",
        },
    )


def _identifier(row: Patient) -> str:
    universal = (row.issuer_universal_id, row.issuer_universal_id_type)
    issuer = "&".join(escaped(part) for part in (row.issuer_of_patient_id, *universal)).rstrip("&")
    return "^".join([escaped(row.patient_id), "", "", issuer, escaped(row.type_of_patient_id)]).rstrip("^")


def pv1(visit: Visit) -> str:
    """The visit of the order."""
    location = "^".join(escaped(part) for part in visit.location.split("^"))
    return segment(
        "PV1",
        {
            1: "1",
            2: escaped(visit.patient_class) or "U",
            3: location,
            7: provider_name(visit.attending_physician_name),
            8: provider_name(visit.referring_physician_name),
            19: components(visit.number, "", "", visit.issuer),
        },
    )


def orc(order: Order | None, control: str, status: str, at: datetime, zone: tzinfo) -> str:
    """ORC-1 is SC (the status has changed) or RE (observations follow)."""
    placer, filler = _numbers(order)
    fields = {1: control, 2: placer, 3: filler, 5: status, 9: time_of(at, zone)}
    return segment("ORC", fields | {12: _ordered_by(order)})


def status_of(order: Order, procedures: Sequence[RequestedProcedure], type: str) -> Iterator[str]:
    """What behind ORC says which procedures it is about: OBR each, and its steps as the type of message has them."""
    for at, procedure in enumerate(procedures, 1):
        steps = list(procedure.steps.order_by("pk"))
        yield segment("OBR", {1: str(at), **_request(order, procedure, steps)})
        if type == "OMI^O23":
            yield from (_ipc(order, procedure, step) for step in steps)
        elif type == "ORM^O01":
            yield segment("ZDS", {1: f"{components(procedure.study_instance_uid)}^^Application^DICOM"})


def result(
    report: Report, version: ReportVersion, status: str, studies: Sequence[Study], at: datetime, zone: tzinfo
) -> str:
    """OBR of a report."""
    order = report.order
    procedure = order.procedures.order_by("pk").first() if order else None
    fields = {1: "1", 4: components(_WHOLE, SECTIONS[_WHOLE], "LN")}
    if order and procedure:
        fields |= _request(order, procedure, list(procedure.steps.order_by("pk")))
    else:
        filler = (
            (report.filler_number, report.filler_issuer) if report.filler_number else (report.number, report.issuer)
        )
        placer = entity(report.placer_number, report.placer_issuer)
        fields |= {2: placer, 3: entity(*filler), 18: escaped(next(iter(report.accession_numbers), ""))}
    study = studies[0] if studies else None
    done = f"{study.study_date}{study.study_time.partition('.')[0]}" if study and study.study_date else ""
    modality = next((each for each in study.modalities_in_study if each not in _NOT_IMAGES), "") if study else ""
    fields |= {
        7: escaped(done) or time_of(at, zone),
        22: escaped(version.signed_at) or time_of(at, zone),
        24: fields.get(24) or escaped(modality),
        25: status,
        32: nested_provider_name(version.signed_by),
    }
    return segment("OBR", fields)


_NOT_IMAGES: Final = frozenset({"SR", "PR", "KO", "SEG", "DOC", "AU"})


def observations(
    report: Report, version: ReportVersion, status: str, studies: Sequence[Study], *, pdf: bool
) -> Iterator[str]:
    """OBX: each study's UID, each line of each section (one OBX-4 a section), and the file."""
    for at, line in enumerate(_observations(report, version, studies, pdf=pdf), 1):
        yield segment("OBX", {1: str(at), **line, 11: status})


def _observations(
    report: Report, version: ReportVersion, studies: Sequence[Study], *, pdf: bool
) -> Iterator[dict[int, str]]:
    uids = report.study_instance_uids or [study.study_instance_uid for study in studies]
    for at, uid in enumerate(uids, 1):
        yield {2: "ST", 3: "113014^DICOM Study^DCM", 4: str(at), 5: escaped(uid)}
    for at, (code, text) in enumerate(version.sections, 1):
        scheme = "LN" if _LOINC.fullmatch(code) else "L"
        for line in str(text).splitlines():
            yield {2: "TX", 3: components(code, SECTIONS.get(code, ""), scheme), 4: str(at), 5: escaped(line)}
    if pdf and version.pdf:
        data = base64.b64encode(bytes(version.pdf)).decode("ascii")
        yield {2: "ED", 3: components(_WHOLE, SECTIONS[_WHOLE], "LN"), 5: f"^application^pdf^Base64^{data}"}


def _request(order: Order, procedure: RequestedProcedure, steps: Sequence[ScheduledProcedureStep]) -> dict[int, str]:
    placer, filler = _numbers(order)
    value, scheme, meaning = (*(str(part) for part in procedure.code), "", "", "")[:3]
    first = steps[0] if steps else None
    return {
        2: placer,
        3: filler,
        4: components(value, meaning or procedure.description, scheme or ("L" if value else "")),
        13: escaped(order.clinical_info),
        16: _ordered_by(order),
        18: escaped(order.accession_number),
        19: escaped(procedure.procedure_id),
        20: escaped(first.step_id) if first else "",
        24: escaped(first.modality) if first else "",
        31: components("", order.reason),
    }


def _ipc(order: Order, procedure: RequestedProcedure, step: ScheduledProcedureStep) -> str:
    return segment(
        "IPC",
        {
            1: entity(order.accession_number, order.accession_issuer),
            2: escaped(procedure.procedure_id),
            3: escaped(procedure.study_instance_uid),
            4: escaped(step.step_id),
            5: escaped(step.modality),
            7: escaped(step.station_name),
            8: escaped(step.location),
            9: "~".join(escaped(title) for title in step.station_ae_titles),
        },
    )


def _numbers(order: Order | None) -> tuple[str, str]:
    if order is None:
        return "", ""
    return entity(order.placer_number, order.placer_issuer), entity(order.filler_number, order.filler_issuer)


def _ordered_by(order: Order | None) -> str:
    if order is None:
        return ""
    return provider_name(str(order.attributes.get("RequestingPhysician", "")) or order.referring_physician_name)
