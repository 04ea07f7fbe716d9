"""A study as the list shows it."""

from dataclasses import dataclass

from archive.models import Patient, Study
from dicom.attributes import BY_KEYWORD

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


def study_row(study: Study, withheld: frozenset[str] = frozenset()) -> StudyRow:
    """The row of ``study``, whose patient is loaded, without the attributes ``withheld`` (by tag)."""
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
    )


def name_of(patient: Patient, withheld: frozenset[str]) -> str:
    """The patient's name for people, "" for whoever is not shown it."""
    return "" if PATIENT_NAME in withheld else person_name(patient.patient_name)


def birth_of(patient: Patient, withheld: frozenset[str]) -> str:
    """The patient's birth date, in the same way."""
    return "" if _PATIENT_BIRTH_DATE in withheld else date(patient.patient_birth_date)


def person_name(value: str) -> str:
    """``Family, Given Middle`` of the first group of a person name that is filled (PS3.5 6.2.1.1)."""
    group = next((group for group in value.split("\\")[0].split("=") if group.strip("^ ")), "")
    family, _, rest = group.partition("^")
    given = " ".join(part.strip() for part in rest.split("^")[:2] if part.strip())
    return ", ".join(part for part in (family.strip(), given) if part)


def date(value: str) -> str:
    """``2024-01-31`` of a DA value; anything else as it is."""
    return f"{value[:4]}-{value[4:6]}-{value[6:]}" if len(value) == 8 and value.isdigit() else value


def time(value: str) -> str:
    """``14:05`` of a TM value; "" for anything else."""
    return f"{value[:2]}:{value[2:4]}" if value[:4].isdigit() and len(value) >= 4 else ""
