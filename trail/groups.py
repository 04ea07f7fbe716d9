"""The kinds of events sorted into a few groups, and each kind in plain words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from audit.kinds import KINDS, EventKind


@dataclass(frozen=True, slots=True)
class Group:
    """A group of kinds with its title for people."""

    title: str
    kinds: tuple[str, ...]


_TITLES: Final = {
    "read": "Opened or downloaded",
    "search": "Searched",
    "change": "Stored or deleted",
    "share": "Shared and exported",
    "sign": "Signed in or out",
    "alarm": "Refusals and alerts",
    "manage": "Accounts and settings",
    "trail": "Trail read and kept",
}
_BY_EVENT: Final = {
    "110100": "trail",
    "110101": "trail",
    "110105": "change",
    "110106": "share",
    "110107": "change",
    "110109": "change",
    "110110": "change",
    "110111": "change",
    "110112": "search",
    "110113": "manage",
    "110114": "sign",
}
_BY_NAME: Final = {
    "store": "change",
    "delete_instances": "change",
    "report_read": "read",
    "workitem_watched": "read",
    "share": "share",
    "share_ended": "share",
    "sign_in_failed": "sign",
    "refused": "alarm",
    "alert": "alarm",
    "emergency_started": "alarm",
    "emergency_ended": "alarm",
    "recording_stopped": "trail",
    "recording_started": "trail",
}


def group_of(kind: EventKind) -> str:
    """The key of the kind's group."""
    return _BY_NAME.get(kind.name) or _BY_EVENT.get(kind.event_id, "read")


GROUPS: Final[Mapping[str, Group]] = {
    key: Group(title, tuple(kind.name for kind in KINDS.values() if group_of(kind) == key))
    for key, title in _TITLES.items()
}

# What somebody did; a kind that is not here is told by the names of PS3.15.
VERBS: Final[Mapping[str, str]] = {
    "sign_in": "signed in",
    "sign_in_failed": "failed to sign in",
    "sign_out": "signed out",
    "store": "stored",
    "retrieve": "opened",
    "access": "looked at",
    "delete_instances": "deleted a part of",
    "delete": "deleted",
    "search": "searched",
    "export": "exported",
    "share": "shared",
    "share_used": "opened a share link of",
    "share_ended": "ended a share link of",
    "import": "imported",
    "patient_record": "sent news of a patient",
    "order_record": "sent news of an order",
    "report_read": "read a report of",
    "procedure_record": "sent news of a procedure",
    "workitem_watched": "watched workitems",
    "read_trail": "read the trail",
    "trail_reviewed": "reviewed the trail",
    "alert": "raised an alert",
    "backup": "made a backup",
    "restored": "restored a backup",
    "integrity": "checked what is stored",
    "refused": "was refused",
    "configuration": "changed the configuration",
    "roles_changed": "changed roles",
    "user_changed": "changed an account",
    "recording_stopped": "could not write the trail",
    "recording_started": "writes the trail again",
    "emergency_started": "began an emergency access",
    "emergency_ended": "ended an emergency access",
    "emergency_reviewed": "reviewed an emergency access",
    "restricted": "restricted a record",
    "unrestricted": "lifted a restriction",
    "access_reviewed": "reviewed who has access",
    "started": "started",
    "stopped": "stopped",
}


def verb(name: str) -> str:
    """What somebody did, in plain words."""
    if name in VERBS:
        return VERBS[name]
    kind = KINDS.get(name)
    return (kind.type_name or kind.event_name).lower() if kind else name.replace("_", " ")
