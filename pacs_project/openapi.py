"""The OpenAPI document of the house: what drf-spectacular finds, the DICOMweb resources, and what isn't of DRF."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from access.tokens import GRANT_TYPES
from dicomweb import openapi
from dicomweb.openapi_answers import headers, problem_response
from pacs_project.refusals import REFUSALS
from trail.openapi import paths as trail_paths

Json = dict[str, Any]
SECURITY: Final[list[Json]] = [{"token": []}, {"session": []}]
# Whoever shows who they are may be told more.
_OPTIONAL: Final[list[Json]] = [{}, *SECURITY]
_FORM: Final = "application/x-www-form-urlencoded"
_CLIENT: Final[Json] = {"client_id": {"type": "string"}, "client_secret": {"type": "string"}}
_STATES: Final[Json] = {
    "type": "object",
    "required": ["database", "object_store", "broker", "trail", "sealing", "mode"],
    "properties": {
        name: {"type": "string", "enum": ["ok", "failing"]}
        for name in ("database", "object_store", "broker", "trail", "sealing")
    }
    | {"mode": {"type": "string", "enum": ["normal", "read-only"]}},
    "additionalProperties": False,
}


_COLOUR: Final[Json] = {"type": "string", "enum": ["green", "amber", "red"]}
_STATUS: Final[Json] = {
    "type": "object",
    "required": ["status", "parts"],
    "properties": {
        "status": _COLOUR,
        "parts": {
            "type": "object",
            "description": "database, object_store, trail, broker, sealing; and mode while nothing may be changed",
            "additionalProperties": {
                "type": "object",
                "required": ["colour", "since", "text"],
                "properties": {
                    "colour": _COLOUR,
                    "since": {"type": "string", "format": "date-time"},
                    "text": {"type": "string"},
                },
                "additionalProperties": False,
            },
        },
        "details": {
            "type": "object",
            "description": "queues, room, backups and findings, for whoever manages",
            "additionalProperties": {"nullable": True},
        },
    },
    "additionalProperties": False,
}


def without_dicomweb(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """The endpoints that drf-spectacular describes by itself."""
    return [endpoint for endpoint in endpoints if not endpoint[0].startswith(openapi.PREFIX)]


def complete(result: Json, **kwargs: Any) -> Json:
    """Add the DICOMweb resources, tokens and health, and to every operation what the server itself may refuse."""
    found = result["components"]
    for kind, named in openapi.components().items():
        found.setdefault(kind, {}).update(named)
    found["responses"] |= {
        f"Problem{status}": problem_response(status, {refusal.code: refusal.title})
        for status, refusal in REFUSALS.items()
        if f"Problem{status}" not in found["responses"]
    }
    found["securitySchemes"]["client"] = {"type": "http", "scheme": "basic", "description": "RFC 6749 2.3.1"}
    result["paths"] |= openapi.paths(SECURITY) | trail_paths(SECURITY, headers(())) | _TOKENS | _HEALTH
    for path, item in result["paths"].items():
        for method, operation in item.items():
            refused = {400, 408, 414, 431} | (set() if operation.get("security") in ([], _OPTIONAL) else {401})
            if method in ("post", "patch"):
                # Only what goes to DICOMweb may come in chunks.
                refused |= {413} if path.startswith(openapi.PREFIX) else {411, 413}
            for status in refused:
                operation["responses"].setdefault(str(status), {"$ref": f"#/components/responses/Problem{status}"})
            operation["responses"] = dict(sorted(operation["responses"].items()))
    return result


def _answer(description: str, schema: Json, media_type: str = "application/json") -> Json:
    return {"description": description, "headers": headers(()), "content": {media_type: {"schema": schema}}}


def _oauth_error(description: str) -> Json:
    schema = {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    }
    return _answer(f"{description} (RFC 6749 5.2)", schema)


def _oauth(operation_id: str, summary: str, fields: Mapping[str, Json], required: list[str], done: Json) -> Json:
    schema = {"type": "object", "required": required, "properties": dict(fields) | _CLIENT}
    return {
        "operationId": operation_id,
        "summary": summary,
        "tags": ["OAuth 2.0"],
        # In the header field, or in the form.
        "security": [{"client": []}, {}],
        "requestBody": {"required": True, "content": {_FORM: {"schema": schema}}},
        "responses": {
            "200": done,
            "400": _oauth_error("The request is malformed or of a kind that isn't offered"),
            "401": _oauth_error("No such client"),
            "429": _oauth_error("Too many failures; Retry-After says when to come again"),
            "503": {"$ref": "#/components/responses/Problem503"},
        },
    }


def _introspection() -> Json:
    text, number = {"type": "string"}, {"type": "integer"}
    texts = ("iss", "sub", "username", "client_id", "token_type", "scope", "patient")
    known = {"active": {"type": "boolean"}, "iat": number, "exp": number} | dict.fromkeys(texts, text)
    found = {"type": "object", "required": ["active"], "properties": known}
    form = {"token": text, "token_type_hint": text}
    described = _oauth("introspect", "What a token is (RFC 7662)", form, ["token"], _answer("What it is", found))
    described["responses"]["403"] = _oauth_error("The client may not ask about tokens")
    return described


_TOKENS: Final[Json] = {
    "/oauth/token/": {
        "post": _oauth(
            "token",
            "A token for a machine (RFC 6749 4.4), or for an app that acts for a person (4.1.3 and 6)",
            {
                "grant_type": {"type": "string", "enum": list(GRANT_TYPES)},
                "scope": {"type": "string"},
                "code": {"type": "string", "description": "of the authorization endpoint"},
                "redirect_uri": {"type": "string", "description": "the one that the code was sent to"},
                "code_verifier": {"type": "string", "description": "RFC 7636 4.1; the challenge is made with S256"},
                "refresh_token": {"type": "string", "description": "works once"},
            },
            ["grant_type"],
            _answer(
                "The token",
                {
                    "type": "object",
                    "required": ["access_token", "expires_in", "token_type"],
                    "properties": {
                        "access_token": {"type": "string"},
                        "expires_in": {"type": "integer"},
                        "token_type": {"type": "string", "enum": ["Bearer"]},
                        "scope": {"type": "string"},
                        "refresh_token": {"type": "string"},
                        "patient": {"type": "string", "description": "the only one that the token reaches"},
                    },
                },
            ),
        )
    },
    "/oauth/introspect/": {"post": _introspection()},
    "/oauth/revoke/": {
        "post": _oauth(
            "revoke",
            "End a token (RFC 7009)",
            {"token": {"type": "string"}, "token_type_hint": {"type": "string"}},
            ["token"],
            {"description": "There is no such token now", "headers": headers(())},
        )
    },
}


def _page_or(schema: Json) -> Json:
    """A page for browsers, JSON for whoever prefers that."""
    told = _answer("A page, or JSON for whoever prefers that", schema)
    return told | {"content": told["content"] | {"text/html": {"schema": {"type": "string"}}}}


def _health(name: str, summary: str, responses: Json, security: Sequence[Json] = ()) -> Json:
    return {
        method: {
            "operationId": f"{name}{suffix}",
            "summary": summary,
            "tags": ["Health"],
            "security": list(security),
            "responses": responses,
        }
        for method, suffix in (("get", ""), ("head", "Head"))
    }


_HEALTH: Final[Json] = {
    "/livez": _health("livez", "Is the process alive", {"200": _answer("It is", {"type": "string"}, "text/plain")}),
    "/status": _health("status", "How each part runs", {"200": _page_or(_STATUS)}, _OPTIONAL),
    "/readyz": _health(
        "readyz",
        "Can studies be stored and read",
        {"200": _answer("They can", _STATES), "503": _answer("They can't", _STATES)},
    ),
}
