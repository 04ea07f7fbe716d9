"""A study as the list shows it."""

from dataclasses import dataclass

from archive.models import Patient, Study
from dicom.attributes import BY_KEYWORD
from dicom.readable import date as date
from dicom.readable import person_name as person_name
from dicom.readable import time as time
from portal.report_marks import MARKS, Mark

# Modalities (PS3.3 C.7.3.1.1.1) whose instances have no picture of their own to show in a list
NOT_PICTURED = frozenset(
    {"AU", "DOC", "ECG", "EPS", "HD", "KO", "PLAN", "PR", "REG", "RESP", "RTPLAN", "RTRECORD", "SR"}
)

PATIENT_NAME, _PATIENT_BIRTH_DATE = BY_KEYWORD["PatientName"].tag, BY_KEYWORD["PatientBirthDate"].tag


@dataclass(frozen=True, slots=True)
class StudyRow:
    """Ready text of one row; "" where the study has no value."""

    uid: str
    patient: str
    patient_id: str
    born: str
    sex: str
    date: str
    time: str
    description: str
    accession: str
    modalities: tuple[str, ...]
    series: int
    instances: int
    pictured: bool
    report: Mark | None = None


def study_row(study: Study, withheld: frozenset[str] = frozenset(), report: str | None = None) -> StudyRow:
    """The row of ``study``, whose patient is loaded, without the attributes ``withheld`` (by tag).

    ``report`` is the status of its newest report, None where there is none to be read.
    """
    return StudyRow(
        uid=study.study_instance_uid,
        patient=name_of(study.patient, withheld),
        patient_id=study.patient.patient_id,
        born=birth_of(study.patient, withheld),
        sex=study.patient.patient_sex,
        date=date(study.study_date),
        time=time(study.study_time),
        description=study.study_description,
        accession=study.accession_number,
        modalities=tuple(study.modalities_in_study),
        series=study.number_of_study_related_series,
        instances=study.number_of_study_related_instances,
        pictured=not NOT_PICTURED.issuperset(study.modalities_in_study),
        report=mark_of(report),
    )


def mark_of(status: str | None) -> Mark | None:
    """What a status is shown as."""
    return MARKS[status] if status is not None else None


def name_of(patient: Patient, withheld: frozenset[str]) -> str:
    """The patient's name for people, "" for whoever is not shown it."""
    return "" if PATIENT_NAME in withheld else person_name(patient.patient_name)


def birth_of(patient: Patient, withheld: frozenset[str]) -> str:
    """The patient's birth date, in the same way."""
    return "" if _PATIENT_BIRTH_DATE in withheld else date(patient.patient_birth_date)
