"""What every sample object has in common: made-up people, stable UIDs, and writing a data set as a Part 10 object."""

import hashlib
import io
import uuid
from dataclasses import dataclass

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import UID

ISSUER = "LIGHTBOX SAMPLES"
SOURCE = "Lightbox sample generator"


def stable_uid(name: str) -> UID:
    """A UID under 2.25 (PS3.5 B.2) that is always the same for one name."""
    digest = hashlib.sha256(f"lightbox-samples/1/{name}".encode()).digest()
    return UID(f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}")


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    patient_id: str
    birth_date: str
    sex: str
    size: str
    weight: str


@dataclass(frozen=True, slots=True)
class Visit:
    """One study of a made-up person; `key` makes its UIDs, `date` and `time` are DA and TM."""

    key: str
    person: Person
    date: str
    time: str
    accession_number: str
    study_id: str
    description: str
    referring: str
    age: str

    def data_set(self, sop_class_uid: UID, series: str, instance: str) -> Dataset:
        """The patient, study and SOP common attributes; `series` and `instance` make the UIDs."""
        data_set = Dataset()
        data_set.SpecificCharacterSet = "ISO_IR 192"
        data_set.SOPClassUID = sop_class_uid
        data_set.SOPInstanceUID = self.uid(series, instance)
        data_set.StudyInstanceUID = self.uid()
        data_set.SeriesInstanceUID = self.uid(series)
        data_set.InstanceCreationDate, data_set.InstanceCreationTime = self.date, self.time
        data_set.StudyDate, data_set.StudyTime = self.date, self.time
        data_set.AccessionNumber = self.accession_number
        data_set.StudyID = self.study_id
        data_set.StudyDescription = self.description
        data_set.ReferringPhysicianName = self.referring
        data_set.PatientName = self.person.name
        data_set.PatientID = self.person.patient_id
        data_set.IssuerOfPatientID = ISSUER
        data_set.PatientBirthDate = self.person.birth_date
        data_set.PatientSex = self.person.sex
        data_set.PatientAge = self.age
        data_set.PatientSize, data_set.PatientWeight = self.person.size, self.person.weight
        data_set.QualityControlSubject = "YES"
        data_set.PatientIdentityRemoved = "YES"
        data_set.DeidentificationMethod = "Computer-generated image, no patient"
        data_set.Manufacturer = "Lightbox"
        data_set.InstitutionName = "Lightbox Sample Clinic"
        data_set.ManufacturerModelName = SOURCE
        data_set.DeviceSerialNumber = "0001"
        data_set.SoftwareVersions = "1"
        return data_set

    def uid(self, *parts: str) -> UID:
        return stable_uid("/".join((self.key, *parts)))


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """One item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def codes(*items: tuple[str, str, str]) -> Sequence:
    return Sequence([code(*item) for item in items])


def encode(data_set: Dataset, transfer_syntax_uid: UID) -> bytes:
    """The data set as a Part 10 object (PS3.10 7.1)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax_uid
    meta.ImplementationClassUID = stable_uid("implementation")
    meta.ImplementationVersionName = "LIGHTBOX_SAMPLES"
    data_set.file_meta = meta
    buffer = io.BytesIO()
    dcmwrite(buffer, data_set, enforce_file_format=True)
    return buffer.getvalue()
