"""An event as the audit message of PS3.15 A.5: who takes part in which role, and what it is about."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Final
from xml.etree import ElementTree

from audit.kinds import KINDS, EventKind
from audit.message_parts import (
    DCM,
    QUERY_ENCODING,
    RFC_3881,
    STUDY_ROOT_FIND,
    Code,
    Object,
    Participant,
    attribute_text,
    coded,
)
from audit.models import AccessEvent

APPLICATION: Final = Code("110150", DCM, "Application")
LAUNCHER: Final = Code("110151", DCM, "Application Launcher")
DESTINATION: Final = Code("110152", DCM, "Destination Role ID")
SOURCE: Final = Code("110153", DCM, "Source Role ID")
DESTINATION_MEDIA: Final = Code("110154", DCM, "Destination Media")
SOURCE_MEDIA: Final = Code("110155", DCM, "Source Media")
URI_MEDIA: Final = Code("110037", DCM, "URI")
STUDY_UID: Final = Code("110180", DCM, "Study Instance UID")
SOP_CLASS_UID: Final = Code("110181", DCM, "SOP Class UID")
PATIENT_NUMBER: Final = Code("2", RFC_3881, "Patient Number")
URI: Final = Code("12", RFC_3881, "URI")
# Where an event names nobody or nothing, and the message must.
NOBODY: Final = "anonymous"
UNKNOWN: Final = "unknown"
_PATIENT_NEEDED: Final = frozenset({"110103", "110104", "110105", "110106", "110107", "110109", "110110", "110111"})


@dataclass(frozen=True, slots=True)
class Source:
    """Where the messages come from: ``host`` names the audit source, ``site`` the enterprise ("" if none)."""

    host: str
    root: str
    site: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What the archive knows of a study."""

    patient_id: str = ""
    accession: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """One event with all that its message is made of."""

    event: AccessEvent
    kind: EventKind
    source: Source
    subjects: Mapping[str, Subject] = field(default_factory=dict)


ParticipantMaker = Callable[[About], Participant]
ObjectMaker = Callable[[About], Iterable[Object]]


def audit_message(event: AccessEvent, source: Source, subjects: Mapping[str, Subject]) -> bytes:
    """The message in UTF-8 with its XML declaration, the same for the same event. Always well-formed.

    ``subjects`` has what is known of the event's studies by their UID; of others only the UID is told.
    """
    about = About(event, kind_of(event), source, subjects)
    participants, objects = BY_KIND.get(about.kind.name) or BY_EVENT[about.kind.event_id]
    root = ElementTree.Element("AuditMessage")
    _identify(root, about)
    for make in participants:
        make(about).add_to(root)
    attributes = {"AuditEnterpriseSiteID": attribute_text(source.site)} if source.site else {}
    attributes["AuditSourceID"] = attribute_text(source.host)
    # 4: application server process
    ElementTree.SubElement(
        ElementTree.SubElement(root, "AuditSourceIdentification", attributes), "AuditSourceTypeCode", {"csd-code": "4"}
    )
    for made in (each for make_all in objects for each in make_all(about)):
        made.add_to(root)
    message: bytes = ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return message


def kind_of(event: AccessEvent) -> EventKind:
    """The kind of ``event``; of one whose kind this version does not know, a Security Alert of its name."""
    return KINDS.get(event.kind) or EventKind(event.kind, "110113", "Security Alert", "E")


def _identify(root: ElementTree.Element, about: About) -> None:
    event, kind = about.event, about.kind
    identification = ElementTree.SubElement(
        root,
        "EventIdentification",
        {
            "EventActionCode": event.action,
            "EventDateTime": event.recorded_at.astimezone(UTC).isoformat(timespec="microseconds"),
            "EventOutcomeIndicator": str(event.outcome),
        },
    )
    coded(identification, "EventID", Code(kind.event_id, DCM, kind.event_name))
    if kind.type_code:
        coded(identification, "EventTypeCode", Code(kind.type_code, kind.type_scheme, kind.type_name))
    if event.outcome_description:
        ElementTree.SubElement(identification, "EventOutcomeDescription").text = attribute_text(
            event.outcome_description
        )


def _who(*roles: Code) -> ParticipantMaker:
    """Whoever asked, in ``roles``."""

    def make(about: About) -> Participant:
        event = about.event
        return Participant(
            event.principal_id or event.principal_name or NOBODY,
            requestor=True,
            roles=roles,
            alternative=event.token_id,
            name=event.principal_name,
            address=event.source_ip or "",
            machine=about.source.host if event.principal_kind == "system" else UNKNOWN,
        )

    return make


def _here(*roles: Code) -> ParticipantMaker:
    """This server, in ``roles``."""

    def make(about: About) -> Participant:
        return Participant(about.source.host, requestor=False, roles=roles, machine=about.source.host)

    return make


def _media(role: Code) -> ParticipantMaker:
    """The medium of an export or import: an address, to which the data went or from which they came."""

    def make(about: About) -> Participant:
        uri = f"{about.source.root}{about.event.path}"
        return Participant(uri, requestor=False, roles=(role,), media=URI_MEDIA, uri=uri)

    return make


def _process(about: About) -> Participant:
    return Participant(
        about.source.host,
        requestor=False,
        roles=(APPLICATION,),
        name=about.event.principal_name,
        machine=about.source.host,
    )


def _studies(about: About) -> Iterable[Object]:
    event = about.event
    details = _details(event)
    alone = len(event.study_uids) == 1
    for uid in event.study_uids:
        accession = about.subjects.get(uid, Subject()).accession
        yield Object(
            uid,
            type_code="2",
            role="3",
            id_type=STUDY_UID,
            name=accession or uid,
            details=details,
            accession=accession,
            instances=event.instance_count if alone and event.instance_count else None,
            instance_uid=event.instance_uid if alone else "",
        )
        details = ()


def _patients(about: About) -> Iterable[Object]:
    """Each patient once; where the standard wants one and none is known, one that is unknown."""
    found = (about.subjects[uid].patient_id for uid in about.event.study_uids if uid in about.subjects)
    known = list(dict.fromkeys(identifier for identifier in (*about.event.patient_ids, *found) if identifier))
    if not known and about.kind.event_id in _PATIENT_NEEDED:
        known = [UNKNOWN]
    for identifier in known:
        yield Object(identifier, type_code="1", role="1", id_type=PATIENT_NUMBER, name=identifier)


def _query(about: About) -> Iterable[Object]:
    yield Object(
        STUDY_ROOT_FIND,
        type_code="2",
        role="3",
        id_type=SOP_CLASS_UID,
        query=about.event.query,
        details=(QUERY_ENCODING, *_details(about.event)),
    )


def _log(about: About) -> Iterable[Object]:
    asked = (("Query", about.event.query),) if about.event.query else ()
    yield Object(
        f"{about.source.root}/trail/",
        type_code="2",
        role="13",
        id_type=URI,
        name="Security Audit Log",
        details=(*asked, *_details(about.event)),
    )


def _alert(about: About) -> Iterable[Object]:
    event = about.event
    text = event.outcome_description or about.kind.type_name or about.kind.event_name
    yield Object(
        f"{about.source.root}{event.path}",
        type_code="2",
        role="13",
        id_type=URI,
        name=about.kind.type_name or about.kind.event_name,
        details=(("Alert Description", text), *_details(event)),
    )


def _details(event: AccessEvent) -> tuple[tuple[str, str], ...]:
    """What the standard has no place for, once a message."""
    found = {
        "SeriesInstanceUID": event.series_uid,
        "Purpose": event.purpose,
        "Decision": event.decision,
        "Rule": event.rule,
        "AuthenticationMethod": event.auth_method,
        "Roles": " ".join(event.roles),
        "Bytes": str(event.bytes) if event.bytes else "",
        "RequestID": event.request_id,
        "Sequence": str(event.pk),
    }
    return tuple((name, value) for name, value in found.items() if value)


Form = tuple[tuple[ParticipantMaker, ...], tuple[ObjectMaker, ...]]
# The tables of PS3.15 A.5.3: participants and objects of each event.
BY_EVENT: Final[Mapping[str, Form]] = {
    "110100": ((_process,), ()),
    "110101": ((_who(),), (_log,)),
    "110103": ((_who(),), (_studies, _patients)),
    "110104": ((_who(DESTINATION), _here(SOURCE)), (_studies, _patients)),
    "110105": ((_who(),), (_studies, _patients)),
    "110106": ((_who(DESTINATION), _here(SOURCE), _media(DESTINATION_MEDIA)), (_studies, _patients)),
    "110107": ((_who(DESTINATION), _media(SOURCE_MEDIA)), (_studies, _patients)),
    "110109": ((_who(),), (_studies, _patients)),
    "110110": ((_who(),), (_studies, _patients)),
    "110111": ((_who(),), (_studies, _patients)),
    "110112": ((_who(SOURCE), _here(DESTINATION)), (_query, _studies, _patients)),
    "110113": ((_who(),), (_alert, _studies, _patients)),
    "110114": ((_who(), _here()), ()),
}
# Where the direction is the other one.
BY_KIND: Final[Mapping[str, Form]] = {"store": ((_who(SOURCE), _here(DESTINATION)), (_studies, _patients))}
