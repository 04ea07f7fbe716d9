"""Attributes that a role may have withheld (45 CFR 164.502(b): the minimum necessary), in groups with names."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Group(StrEnum):
    """A group of attributes. Patient ID is in none: results could not be filed without it."""

    IDENTITY = "identity"
    CONTACT = "contact"
    STAFF = "staff"


TITLES: Final[Mapping[Group, str]] = MappingProxyType(
    {
        Group.IDENTITY: "the patient's name, birth date and other identifiers; documents such as PDF",
        Group.CONTACT: "the patient's address, insurance, occupation, religion and the like",
        Group.STAFF: "names and contacts of physicians and operators",
    }
)
# keyword -> tag, as PS3.6 has them
_KEYWORDS: Final[Mapping[Group, Mapping[str, str]]] = MappingProxyType(
    {
        Group.IDENTITY: {
            "PatientName": "00100010",
            "PatientBirthDate": "00100030",
            "PatientBirthTime": "00100032",
            "PatientBirthName": "00101005",
            "OtherPatientIDs": "00101000",
            "OtherPatientNames": "00101001",
            "OtherPatientIDsSequence": "00101002",
            "PatientMotherBirthName": "00101060",
            "PatientBirthDateInAlternativeCalendar": "00100033",
            "PatientDeathDateInAlternativeCalendar": "00100034",
            "ResponsiblePerson": "00102297",
            "PersonName": "0040A123",
            "EncapsulatedDocument": "00420011",
        },
        Group.CONTACT: {
            "PatientAddress": "00101040",
            "PatientTelephoneNumbers": "00102154",
            "PatientTelecomInformation": "00102155",
            "PatientInsurancePlanCodeSequence": "00100050",
            "InsurancePlanIdentification": "00101050",
            "CountryOfResidence": "00102150",
            "RegionOfResidence": "00102152",
            "EthnicGroup": "00102160",
            "Occupation": "00102180",
            "MilitaryRank": "00101080",
            "BranchOfService": "00101081",
            "PatientReligiousPreference": "001021F0",
            "MedicalRecordLocator": "00101090",
        },
        Group.STAFF: {
            "ReferringPhysicianName": "00080090",
            "ReferringPhysicianAddress": "00080092",
            "ReferringPhysicianTelephoneNumbers": "00080094",
            "ReferringPhysicianIdentificationSequence": "00080096",
            "ConsultingPhysicianName": "0008009C",
            "ConsultingPhysicianIdentificationSequence": "0008009D",
            "PhysiciansOfRecord": "00081048",
            "PhysiciansOfRecordIdentificationSequence": "00081049",
            "PerformingPhysicianName": "00081050",
            "PerformingPhysicianIdentificationSequence": "00081052",
            "NameOfPhysiciansReadingStudy": "00081060",
            "PhysiciansReadingStudyIdentificationSequence": "00081062",
            "OperatorsName": "00081070",
            "OperatorIdentificationSequence": "00081072",
            "RequestingPhysician": "00321032",
            "RequestingPhysicianIdentificationSequence": "00321031",
            "ScheduledPerformingPhysicianName": "00400006",
            "ScheduledPerformingPhysicianIdentificationSequence": "0040000B",
            "OrderEnteredBy": "00402008",
            "OrderCallbackPhoneNumber": "00402010",
            "ContentCreatorName": "00700084",
            "ContentCreatorIdentificationCodeSequence": "00700086",
            "NamesOfIntendedRecipientsOfResults": "00401010",
            "ReviewerName": "300E0008",
            "VerifyingObserverSequence": "0040A073",
            "AuthorObserverSequence": "0040A078",
            "ParticipantSequence": "0040A07A",
        },
    }
)


def tags(groups: frozenset[Group]) -> frozenset[str]:
    """The tags of all ``groups``, as in DICOM JSON: ``"00100010"``."""
    return frozenset(tag for group in groups for tag in _KEYWORDS[group].values())


def keywords(group: Group) -> list[str]:
    """The keywords of a group, for documents and pages."""
    return list(_KEYWORDS[group])
