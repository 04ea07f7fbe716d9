"""What the fields of common segments are called (HL7 v2 chapters 2, 3, 4, 7 and 9), for people who read a message."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# In the order of the fields, from 1.
_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "MSH": "Field separator|Encoding characters|Sending application|Sending facility|Receiving application|"
        "Receiving facility|Date/time of message|Security|Message type|Message control ID|Processing ID|Version ID|"
        "Sequence number|Continuation pointer|Accept acknowledgment type|Application acknowledgment type|Country code|"
        "Character set|Principal language|Alternate character set handling|Message profile identifier",
        "MSA": "Acknowledgment code|Message control ID|Text message|Expected sequence number|Delayed acknowledgment|"
        "Error condition",
        "ERR": "Error code and location|Error location|HL7 error code|Severity|Application error code|"
        "Application error parameter|Diagnostic information|User message",
        "EVN": "Event type code|Recorded date/time|Date/time planned event|Event reason code|Operator ID|"
        "Event occurred|Event facility",
        "PID": "Set ID|Patient ID|Patient identifier list|Alternate patient ID|Patient name|Mother's maiden name|"
        "Date/time of birth|Administrative sex|Patient alias|Race|Patient address|County code|Phone number, home|"
        "Phone number, business|Primary language|Marital status|Religion|Patient account number|SSN number|"
        "Driver's license number|Mother's identifier|Ethnic group|Birth place|Multiple birth indicator|Birth order|"
        "Citizenship|Veterans military status|Nationality|Patient death date and time|Patient death indicator",
        "MRG": "Prior patient identifier list|Prior alternate patient ID|Prior patient account number|"
        "Prior patient ID|Prior visit number|Prior alternate visit ID|Prior patient name",
        "PV1": "Set ID|Patient class|Assigned patient location|Admission type|Preadmit number|Prior patient location|"
        "Attending doctor|Referring doctor|Consulting doctor|Hospital service|Temporary location|"
        "Preadmit test indicator|Re-admission indicator|Admit source|Ambulatory status|VIP indicator|"
        "Admitting doctor|Patient type|Visit number|Financial class|" + "|" * 23 + "Admit date/time|"
        "Discharge date/time",
        "ORC": "Order control|Placer order number|Filler order number|Placer group number|Order status|Response flag|"
        "Quantity/timing|Parent order|Date/time of transaction|Entered by|Verified by|Ordering provider|"
        "Enterer's location|Call back phone number|Order effective date/time|Order control code reason|"
        "Entering organization|Entering device|Action by",
        "OBR": "Set ID|Placer order number|Filler order number|Universal service identifier|Priority|"
        "Requested date/time|Observation date/time|Observation end date/time|Collection volume|Collector identifier|"
        "Specimen action code|Danger code|Relevant clinical information|Specimen received date/time|Specimen source|"
        "Ordering provider|Order callback phone number|Placer field 1|Placer field 2|Filler field 1|Filler field 2|"
        "Results report/status change date/time|Charge to practice|Diagnostic service section ID|Result status|"
        "Parent result|Quantity/timing|Result copies to|Parent|Transportation mode|Reason for study|"
        "Principal result interpreter|Assistant result interpreter|Technician|Transcriptionist|Scheduled date/time|"
        "Number of sample containers|Transport logistics|Collector's comment|Transport arrangement responsibility|"
        "Transport arranged|Escort required|Planned patient transport comment|Procedure code|Procedure code modifier",
        "TQ1": "Set ID|Quantity|Repeat pattern|Explicit time|Relative time and units|Service duration|"
        "Start date/time|End date/time|Priority|Condition text|Text instruction|Conjunction",
        "IPC": "Accession identifier|Requested procedure ID|Study Instance UID|Scheduled procedure step ID|Modality|"
        "Protocol code|Scheduled station name|Scheduled procedure step location|Scheduled station AE title",
        "ZDS": "Study Instance UID",
        "OBX": "Set ID|Value type|Observation identifier|Observation sub-ID|Observation value|Units|"
        "References range|Interpretation codes|Probability|Nature of abnormal test|Observation result status|"
        "Effective date of reference range|User defined access checks|Date/time of the observation|Producer's ID|"
        "Responsible observer|Observation method",
        "NTE": "Set ID|Source of comment|Comment|Comment type",
        "TXA": "Set ID|Document type|Document content presentation|Activity date/time|Primary activity provider|"
        "Origination date/time|Transcription date/time|Edit date/time|Originator|Assigned document authenticator|"
        "Transcriptionist|Unique document number|Parent document number|Placer order number|Filler order number|"
        "Unique document file name|Document completion status|Document confidentiality status|"
        "Document availability status|Document storage status",
        "SCH": "Placer appointment ID|Filler appointment ID|Occurrence number|Placer group number|Schedule ID|"
        "Event reason|Appointment reason|Appointment type|Appointment duration|Appointment duration units|"
        "Appointment timing quantity",
        "AL1": "Set ID|Allergen type|Allergen|Allergy severity|Allergy reaction|Identification date",
        "DG1": "Set ID|Diagnosis coding method|Diagnosis code|Diagnosis description|Diagnosis date/time|Diagnosis type",
        "NK1": "Set ID|Name|Relationship|Address|Phone number|Business phone number|Contact role",
    }
)
# Components of data types (HL7 v2 chapter 2A).
_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "CX": "ID number|Check digit|Check digit scheme|Assigning authority|Identifier type code|Assigning facility",
        "XPN": "Family name|Given name|Second names|Suffix|Prefix|Degree|Name type code|Name representation code",
        "XCN": "ID number|Family name|Given name|Second names|Suffix|Prefix|Degree|Source table|Assigning authority",
        "CWE": "Identifier|Text|Coding system|Alternate identifier|Alternate text|Alternate coding system",
        "EI": "Entity identifier|Namespace ID|Universal ID|Universal ID type",
        "HD": "Namespace ID|Universal ID|Universal ID type",
        "PL": "Point of care|Room|Bed|Facility|Location status|Person location type|Building|Floor",
        "XAD": "Street address|Other designation|City|State or province|Zip or postal code|Country",
        "MSG": "Message code|Trigger event|Message structure",
        "TQ": "Quantity|Interval|Duration|Start date/time|End date/time|Priority",
        "ED": "Source application|Type of data|Data subtype|Encoding|Data",
    }
)
# data type -> segment -> fields
_TYPED: Final[Mapping[str, Mapping[str, tuple[int, ...]]]] = MappingProxyType(
    {
        "CX": {"PID": (2, 3, 4, 18, 21), "MRG": (1, 2, 3, 4, 5), "PV1": (5, 19)},
        "XPN": {"PID": (5, 6, 9), "MRG": (7,), "NK1": (2,)},
        "XCN": {"PV1": (7, 8, 9, 17), "ORC": (10, 11, 12, 19), "OBR": (16, 28), "OBX": (16,), "TXA": (5, 9, 10)},
        "CWE": {
            "OBR": (4, 31, 44),
            "OBX": (3, 6),
            "TQ1": (9,),
            "IPC": (6,),
            "ORC": (16,),
            "ERR": (3,),
            "AL1": (3,),
            "DG1": (3,),
        },
        "EI": {"ORC": (2, 3, 4), "OBR": (2, 3), "IPC": (1, 2, 4), "TXA": (12, 13), "SCH": (1, 2)},
        "HD": {"MSH": (3, 4, 5, 6)},
        "PL": {"PV1": (3, 6, 11)},
        "XAD": {"PID": (11,), "NK1": (4,)},
        "MSG": {"MSH": (9,)},
        "TQ": {"ORC": (7,), "OBR": (27,)},
    }
)
_TYPE_OF: Final = {
    (segment, number): kind
    for kind, segments in _TYPED.items()
    for segment, numbers in segments.items()
    for number in numbers
}
_NAMES: Final = {segment: names.split("|") for segment, names in _FIELDS.items()}
_COMPONENTS: Final = {kind: names.split("|") for kind, names in _TYPES.items()}


def field_name(segment: str, number: int) -> str:
    """What ``segment``-``number`` is called; "" where that isn't known."""
    return _at(_NAMES.get(segment, []), number)


def component_name(segment: str, number: int, component: int) -> str:
    """What a component of a field is called, in the same way."""
    return _at(_COMPONENTS.get(_TYPE_OF.get((segment, number), ""), []), component)


def _at(names: list[str], number: int) -> str:
    return names[number - 1] if number <= len(names) else ""
