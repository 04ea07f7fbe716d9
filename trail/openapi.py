"""The trail's routes for programs, for the OpenAPI document: they are no views of DRF."""

from typing import Any, Final

from trail.criteria import Criteria
from trail.fhir_search import PARAMETERS

Json = dict[str, Any]
FHIR: Final = "application/fhir+json"
PROBLEM: Final = "application/problem+json"
_TEXT: Final[Json] = {"type": "string"}
_RESOURCE: Final[Json] = {"type": "object", "required": ["resourceType"], "properties": {"resourceType": _TEXT}}
_LINE: Final[Json] = {
    "type": "object",
    "required": ["at", "who", "role", "what", "studies", "in_emergency"],
    "properties": {
        "at": {"type": "string", "format": "date-time"},
        "who": _TEXT,
        "role": _TEXT,
        "what": _TEXT,
        "studies": {"type": "array", "items": _TEXT},
        "in_emergency": {"type": "boolean"},
    },
}
_LOG: Final[Json] = {
    "type": "object",
    "required": ["events", "older"],
    "properties": {
        "events": {"type": "array", "items": _LINE},
        "older": {"type": "integer", "nullable": True, "description": "`before` of the next page"},
    },
}
_PROBLEM: Final[Json] = {
    "type": "object",
    "required": ["type", "title", "status", "code"],
    "properties": {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "code": _TEXT, "detail": _TEXT},
}
# Why there is no file: problem details, or a page for a browser that asks for one.
_OF_FILES: Final = {403: "Your role does not include this", 503: "The trail can't be written or read now"}


def paths(security: list[Json], headers: Json) -> Json:
    """Path items by path; ``headers`` are those that every answer has."""

    def answer(description: str, media_type: str, schema: Json) -> Json:
        return {"description": description, "headers": headers, "content": {media_type: {"schema": schema}}}

    def refused_file(status: int, text: str) -> Json:
        told = answer(text, PROBLEM, _PROBLEM)
        return told | {"content": told["content"] | {"text/html": {"schema": _TEXT}}}

    def operation(name: str, summary: str, done: Json, parameters: list[Json], errors: dict[int, str]) -> Json:
        failed = {str(status): answer(text, FHIR, _RESOURCE) for status, text in errors.items()}
        others = {} if errors else {str(status): refused_file(status, text) for status, text in _OF_FILES.items()}
        return {
            "operationId": name,
            "summary": summary,
            "tags": ["Access trail"],
            "security": security,
            "parameters": parameters,
            "responses": {"200": done} | failed | others,
        }

    refused = {403: "Not an auditor (OperationOutcome)", 503: "The trail can't be written or read now"}
    searched = refused | {400: "A parameter that isn't understood (OperationOutcome)"}
    bundle = answer("A Bundle of AuditEvents, newest first", FHIR, _RESOURCE)
    one = answer("The AuditEvent", FHIR, _RESOURCE)
    csv = answer("One event in a line", "text/csv", _TEXT)
    xml = answer("AuditMessages (PS3.15 A.5.1)", "application/xml", _TEXT)
    given = answer("One disclosure in a line", "text/csv", _TEXT)
    log = answer("The log", "application/json", _LOG)
    form = {"application/x-www-form-urlencoded": {"schema": _form()}}
    search = operation("auditEventSearch", "Search AuditEvents (IHE ITI-81)", bundle, _searched(), searched)
    by_post = operation("auditEventSearchByPost", "The same with a form (R4 3.1.1.1)", bundle, [], searched)
    event = {"name": "event", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"}}
    before = _query("before", "the events before this one", {"type": "integer", "minimum": 1})
    whose = [_query("patient", "Patient ID", _TEXT) | {"required": True}, _query("issuer", "its issuer", _TEXT)]
    criteria = [_query(name, "as on the page of the trail", _TEXT) for name in Criteria.base_fields]
    missing = refused | {404: "There is no such AuditEvent"}
    return {
        "/fhir/metadata": {
            "get": operation(
                "fhirCapabilities",
                "What the FHIR server can do",
                answer("A CapabilityStatement", FHIR, _RESOURCE),
                [],
                refused,
            )
        },
        "/fhir/AuditEvent": {"get": search},
        "/fhir/AuditEvent/_search": {"post": by_post | {"requestBody": {"content": form}}},
        "/fhir/AuditEvent/{event}": {"get": operation("auditEvent", "One AuditEvent", one, [event], missing)},
        "/trail/events.csv": {"get": operation("trailCsv", "Events as CSV", csv, criteria, {})},
        "/trail/events.xml": {"get": operation("trailXml", "Events as audit messages", xml, criteria, {})},
        "/trail/disclosures.csv": {
            "get": operation("disclosuresCsv", "Disclosures of a patient (45 CFR 164.528)", given, whose, {})
        },
        "/trail/mine.json": {"get": operation("ownLog", "Who opened a patient's own images", log, [before], {})},
    }


def _query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _searched() -> list[Json]:
    return [_query(name, "R4 search parameter of AuditEvent", _TEXT) for name in sorted(PARAMETERS)]


def _form() -> Json:
    return {"type": "object", "properties": dict.fromkeys(sorted(PARAMETERS), _TEXT)}
