"""An event as a FHIR R4 AuditEvent, in the profiles of IHE BALP 1.1.4 where one fits.

Reads, queries, stores and deletions through DICOMweb are RESTful and fit; everything else has the DICOM code as its
type.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from audit.kinds import EventKind
from audit.messages import Source, Subject, kind_of
from audit.models import AccessEvent

Json = dict[str, Any]
DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
BALP: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit"
_TERMS: Final = "http://terminology.hl7.org/CodeSystem"
_INTERACTION: Final = "http://hl7.org/fhir/restful-interaction"
_REST: Final = {"system": f"{_TERMS}/audit-event-type", "code": "rest", "display": "RESTful Operation"}
_DESTINATION: Final = ("110152", "Destination Role ID")
_SOURCE: Final = ("110153", "Source Role ID")
_REQUEST_ID: Final = {
    "system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
    "code": "XrequestId",
}
PATIENT: Final = ("1", "1")
DATA: Final = ("2", "4")
QUERY: Final = ("2", "24")
RESOURCE: Final = ("2", "13")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern of BALP: its profile, the interaction, and the roles of client and server (DCM)."""

    profile: str
    interaction: str
    client: tuple[str, str]
    server: tuple[str, str]


# A query goes the other way: the client is the source of the query, not of its answer.
_READ: Final = Pattern("Read", "read", _DESTINATION, _SOURCE)
PATTERNS: Final[Mapping[str, Pattern]] = {
    "retrieve": _READ,
    "access": _READ,
    "search": Pattern("Query", "search-type", _SOURCE, _DESTINATION),
    "store": Pattern("Create", "create", _SOURCE, _DESTINATION),
    "delete": Pattern("Delete", "delete", _SOURCE, _DESTINATION),
    "delete_instances": Pattern("Delete", "delete", _SOURCE, _DESTINATION),
}


def audit_event(event: AccessEvent, source: Source, subjects: Mapping[str, Subject]) -> Json:
    """The resource; its id is the sequence of the event."""
    kind = kind_of(event)
    patients = _patients(event, subjects)
    # The patterns are of what succeeded, and of what was called by an address.
    pattern = PATTERNS.get(kind.name) if event.outcome == 0 and event.path else None
    resource: Json = {
        "resourceType": "AuditEvent",
        "id": str(event.pk),
        **({"meta": {"profile": [_profile(pattern, event, patients)]}} if pattern else {}),
        **_classified(kind, pattern),
        "action": event.action if pattern is None or pattern.profile != "Query" else "E",
        "recorded": event.recorded_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "outcome": str(event.outcome),
        "outcomeDesc": event.outcome_description,
        "purposeOfEvent": [{"text": event.purpose}] if event.purpose else [],
        "agent": list(_agents(event, pattern, source)),
        "source": {
            "site": source.site or source.host,
            "observer": {"display": source.host},
            "type": [{"system": f"{_TERMS}/security-source-type", "code": "4", "display": "Application Server"}],
        },
        "entity": list(_entities(event, kind, patients, source)),
    }
    return {name: value for name, value in resource.items() if value not in ("", [])}


def _profile(pattern: Pattern, event: AccessEvent, patients: list[str]) -> str:
    """The profile for one patient where there is exactly one."""
    return f"{BALP}.{'Patient' if len(patients) == 1 else ''}{pattern.profile}"


def _classified(kind: EventKind, pattern: Pattern | None) -> Json:
    dicom = [_coding(DCM, kind.event_id, kind.event_name)]
    if kind.type_code:
        system = DCM if kind.type_scheme == "DCM" else f"urn:lightbox:{kind.type_scheme.lower()}"
        dicom.append(_coding(system, kind.type_code, kind.type_name))
    if pattern is not None:
        return {"type": _REST, "subtype": [{"system": _INTERACTION, "code": pattern.interaction}, *dicom]}
    return {"type": dicom[0], "subtype": dicom[1:]}


def _agents(event: AccessEvent, pattern: Pattern | None, source: Source) -> Iterator[Json]:
    """Client and server of a RESTful call, and the person or machine that asked."""
    network = {"network": {"address": event.source_ip, "type": "2"}} if event.source_ip else {}
    if pattern is not None:
        program = event.user_agent or event.source_ip or "unknown"
        client = {"type": _concept(DCM, *pattern.client), "who": {"display": program}, "requestor": False}
        yield client | network
        yield {
            "type": _concept(DCM, *pattern.server),
            "who": {"display": source.host},
            "requestor": False,
            "network": {"address": source.root, "type": "5"},
        }
    who: Json = {"display": event.principal_name or "anonymous"}
    if event.principal_id:
        who["identifier"] = {"value": event.principal_id}
    agent: Json = {
        "type": _concept(f"{_TERMS}/v3-ParticipationType", "IRCP", "information recipient"),
        "role": [{"text": role} for role in event.roles],
        "who": who,
        "requestor": True,
        "policy": [f"urn:lightbox:token:{event.token_id}"] if event.token_id else [],
        "purposeOfUse": [{"text": event.purpose}] if event.purpose else [],
    }
    yield {name: value for name, value in agent.items() if value != []} | (network if pattern is None else {})


def _entities(event: AccessEvent, kind: EventKind, patients: list[str], source: Source) -> Iterator[Json]:
    details = _details(event)
    for patient in patients:
        yield _entity(PATIENT, {"type": "Patient", "identifier": {"value": patient}})
    for uid in event.study_uids:
        what = {"type": "ImagingStudy", "identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}}
        yield _entity(DATA, what) | ({"detail": details} if details else {})
        details = []
    if kind.event_id == "110112":
        query = base64.b64encode(event.query.encode("utf-8", "replace")).decode()
        asked = _entity(QUERY, {"display": f"{event.method} {event.path}".strip() or "query"})
        yield asked | ({"query": query} if query else {"name": "everything"})
    elif not event.study_uids and details:
        about = _entity(RESOURCE, {"display": event.path or kind.event_name})
        yield about | {"name": kind.event_name, "detail": details}
    if event.request_id:
        yield {"what": {"identifier": {"value": event.request_id}}, "type": _REQUEST_ID}


def _details(event: AccessEvent) -> list[Json]:
    found = {
        "series": event.series_uid,
        "instance": event.instance_uid,
        "instances": str(event.instance_count) if event.instance_count else "",
        "bytes": str(event.bytes) if event.bytes else "",
        "decision": event.decision,
        "rule": event.rule,
        "query": event.query,
        "path": event.path,
    }
    return [{"type": name, "valueString": value} for name, value in found.items() if value.strip()]


def _patients(event: AccessEvent, subjects: Mapping[str, Subject]) -> list[str]:
    found = (subjects[uid].patient_id for uid in event.study_uids if uid in subjects)
    return list(dict.fromkeys(patient for patient in (*event.patient_ids, *found) if patient.strip()))


def _entity(role: tuple[str, str], what: Json) -> Json:
    kind, part = role
    return {
        "what": what,
        "type": {"system": f"{_TERMS}/audit-entity-type", "code": kind},
        "role": {"system": f"{_TERMS}/object-role", "code": part},
    }


def _coding(system: str, code: str, display: str) -> Json:
    return {"system": system, "code": code, "display": display}


def _concept(system: str, code: str, display: str) -> Json:
    return {"coding": [_coding(system, code, display)]}
