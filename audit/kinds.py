"""The kinds of AccessEvent and what PS3.15 A.5.3 calls them: one table for code, messages and tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

Action = Literal["C", "R", "U", "D", "E"]


class Outcome(IntEnum):
    """EventOutcomeIndicator (PS3.15 A.5.2)."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    SERIOUS_FAILURE = 8
    MAJOR_FAILURE = 12


@dataclass(frozen=True, slots=True)
class EventKind:
    """One kind of event: ``event_id`` is a code of the DCM scheme, ``type_code`` one of ``type_scheme``, "" if none."""

    name: str
    event_id: str
    event_name: str
    action: Action
    type_code: str = ""
    type_name: str = ""
    type_scheme: str = "DCM"


SIGN_IN: Final = EventKind("sign_in", "110114", "User Authentication", "E", "110122", "Login")
SIGN_IN_FAILED: Final = EventKind("sign_in_failed", "110114", "User Authentication", "E", "110122", "Login")
SIGN_OUT: Final = EventKind("sign_out", "110114", "User Authentication", "E", "110123", "Logout")
TOKEN_CHECKED: Final = EventKind("token_checked", "110114", "User Authentication", "E", "110122", "Login")
STORE: Final = EventKind("store", "110104", "DICOM Instances Transferred", "C")
RETRIEVE: Final = EventKind("retrieve", "110104", "DICOM Instances Transferred", "R")
ACCESS: Final = EventKind("access", "110103", "DICOM Instances Accessed", "R")
DELETE_INSTANCES: Final = EventKind("delete_instances", "110103", "DICOM Instances Accessed", "D")
DELETE: Final = EventKind("delete", "110105", "DICOM Study Deleted", "D")
SEARCH: Final = EventKind("search", "110112", "Query", "E")
EXPORT: Final = EventKind("export", "110106", "Export", "R")
SHARE: Final = EventKind("share", "110113", "Security Alert", "E", "110135", "Object Security Attributes Changed")
SHARE_USED: Final = EventKind("share_used", "110106", "Export", "R")
SHARE_ENDED: Final = EventKind(
    "share_ended", "110113", "Security Alert", "E", "110135", "Object Security Attributes Changed"
)
IMPORT: Final = EventKind("import", "110107", "Import", "C")
PATIENT_RECORD: Final = EventKind("patient_record", "110110", "Patient Record", "U")
ORDER_RECORD: Final = EventKind("order_record", "110109", "Order Record", "U")
REPORT_READ: Final = EventKind("report_read", "110110", "Patient Record", "R")
PROCEDURE_RECORD: Final = EventKind("procedure_record", "110111", "Procedure Record", "U")
WORKITEM_WATCHED: Final = EventKind("workitem_watched", "110111", "Procedure Record", "R")
READ_TRAIL: Final = EventKind("read_trail", "110101", "Audit Log Used", "R")
TRAIL_REVIEWED: Final = EventKind("trail_reviewed", "110101", "Audit Log Used", "R")
# CID 403 is extensible and has no code for what no rule forbids but somebody should look at.
ALERT: Final = EventKind("alert", "110113", "Security Alert", "E", "unusual-use", "Unusual Use", "99LIGHTBOX")
# Nor for these: a backup is no disclosure, so it is no export (110106) either.
BACKUP: Final = EventKind("backup", "110113", "Security Alert", "E", "backup", "Backup", "99LIGHTBOX")
RESTORED: Final = EventKind("restored", "110113", "Security Alert", "E", "restore", "Restored", "99LIGHTBOX")
INTEGRITY: Final = EventKind("integrity", "110113", "Security Alert", "E", "integrity", "Integrity", "99LIGHTBOX")
REFUSED: Final = EventKind("refused", "110113", "Security Alert", "E", "110132", "Use of Restricted Function")
CONFIGURATION: Final = EventKind("configuration", "110113", "Security Alert", "E", "110129", "Security Configuration")
ROLES_CHANGED: Final = EventKind("roles_changed", "110113", "Security Alert", "E", "110136", "Security Roles Changed")
USER_CHANGED: Final = EventKind(
    "user_changed", "110113", "Security Alert", "E", "110137", "User Security Attributes Changed"
)
RECORDING_STOPPED: Final = EventKind(
    "recording_stopped", "110113", "Security Alert", "E", "110133", "Audit Recording Stopped"
)
RECORDING_STARTED: Final = EventKind(
    "recording_started", "110113", "Security Alert", "E", "110134", "Audit Recording Started"
)
EMERGENCY_STARTED: Final = EventKind(
    "emergency_started", "110113", "Security Alert", "E", "110127", "Emergency Override Started"
)
EMERGENCY_ENDED: Final = EventKind(
    "emergency_ended", "110113", "Security Alert", "E", "110138", "Emergency Override Stopped"
)
EMERGENCY_REVIEWED: Final = EventKind("emergency_reviewed", "110101", "Audit Log Used", "R")
RESTRICTED: Final = EventKind(
    "restricted", "110113", "Security Alert", "E", "110135", "Object Security Attributes Changed"
)
UNRESTRICTED: Final = EventKind(
    "unrestricted", "110113", "Security Alert", "E", "110135", "Object Security Attributes Changed"
)
ACCESS_REVIEWED: Final = EventKind(
    "access_reviewed", "110113", "Security Alert", "E", "110137", "User Security Attributes Changed"
)
STARTED: Final = EventKind("started", "110100", "Application Activity", "E", "110120", "Application Start")
STOPPED: Final = EventKind("stopped", "110100", "Application Activity", "E", "110121", "Application Stop")

KINDS: Final[Mapping[str, EventKind]] = {
    kind.name: kind
    for kind in (
        SIGN_IN,
        SIGN_IN_FAILED,
        SIGN_OUT,
        TOKEN_CHECKED,
        STORE,
        RETRIEVE,
        ACCESS,
        DELETE_INSTANCES,
        DELETE,
        SEARCH,
        EXPORT,
        SHARE,
        SHARE_USED,
        SHARE_ENDED,
        IMPORT,
        PATIENT_RECORD,
        ORDER_RECORD,
        PROCEDURE_RECORD,
        REPORT_READ,
        WORKITEM_WATCHED,
        READ_TRAIL,
        TRAIL_REVIEWED,
        ALERT,
        BACKUP,
        RESTORED,
        INTEGRITY,
        REFUSED,
        CONFIGURATION,
        ROLES_CHANGED,
        USER_CHANGED,
        RECORDING_STOPPED,
        RECORDING_STARTED,
        EMERGENCY_STARTED,
        EMERGENCY_ENDED,
        EMERGENCY_REVIEWED,
        RESTRICTED,
        UNRESTRICTED,
        ACCESS_REVIEWED,
        STARTED,
        STOPPED,
    )
}
