"""Shapes of JSON bodies as OpenAPI 3.0 schemas."""

from collections.abc import Mapping
from typing import Any, Final

Json = dict[str, Any]

_UID: Final[Json] = {"type": "string", "pattern": r"^[0-9.]{1,64}$"}
SCHEMAS: Final[Mapping[str, Json]] = {
    "Bytes": {"type": "string", "format": "binary"},
    "Attribute": {
        "type": "object",
        "description": "PS3.18 F.2.2",
        "required": ["vr"],
        "properties": {
            "vr": {"type": "string", "pattern": "^[A-Z]{2}$"},
            "Value": {"type": "array", "items": {}},
            "BulkDataURI": {"type": "string"},
            "InlineBinary": {"type": "string", "format": "byte"},
        },
        "additionalProperties": False,
    },
    "DataSet": {
        "type": "object",
        "description": "DICOM JSON: attributes by tag (PS3.18 F.2)",
        "additionalProperties": {"$ref": "#/components/schemas/Attribute"},
    },
    "DataSets": {"type": "array", "items": {"$ref": "#/components/schemas/DataSet"}},
    "Change": {
        "type": "object",
        "required": [
            "sequence",
            "studyInstanceUid",
            "seriesInstanceUid",
            "sopInstanceUid",
            "action",
            "timestamp",
            "state",
        ],
        "properties": {
            "sequence": {"type": "integer", "format": "int64", "minimum": 1},
            "studyInstanceUid": _UID,
            "seriesInstanceUid": _UID,
            "sopInstanceUid": _UID,
            "action": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time"},
            "state": {"type": "string"},
            "metadata": {"$ref": "#/components/schemas/DataSet"},
        },
        "additionalProperties": False,
    },
    "Changes": {"type": "array", "items": {"$ref": "#/components/schemas/Change"}},
    "Capabilities": {
        "type": "object",
        "required": ["application"],
        "properties": {"application": {"type": "object", "description": "the WADL tree (PS3.18 Annex H)"}},
        "additionalProperties": False,
    },
    "Reference": {
        "type": "object",
        "required": ["id", "href"],
        "properties": {"id": {"type": "string"}, "href": {"type": "string"}},
        "additionalProperties": False,
    },
    "Declaration": {
        "type": "object",
        "required": ["path"],
        "properties": {
            "path": {"type": "string", "description": "tags or keywords, with dots between them"},
            "vr": {"type": "string"},
            "privateCreator": {"type": "string"},
            "level": {"type": "string", "enum": ["Study", "Series", "Instance"]},
        },
    },
    "Declarations": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Declaration"}},
    "QueryStatus": {
        "type": "object",
        "required": ["queryStatus"],
        "properties": {"queryStatus": {"type": "string", "enum": ["Enabled", "Disabled"]}},
    },
    "ExtendedTag": {
        "type": "object",
        "required": ["path", "vr", "level", "status", "queryStatus", "operation"],
        "properties": {
            "path": {"type": "string"},
            "vr": {"type": "string"},
            "level": {"type": "string"},
            "status": {"type": "string"},
            "queryStatus": {"type": "string", "enum": ["Enabled", "Disabled"]},
            "privateCreator": {"type": "string"},
            "progress": {"type": "object", "additionalProperties": {"type": "integer"}},
            "operation": {"$ref": "#/components/schemas/Reference"},
            "errors": {"type": "object"},
        },
        "additionalProperties": False,
    },
    "ExtendedTags": {"type": "array", "items": {"$ref": "#/components/schemas/ExtendedTag"}},
    "Declared": {
        "type": "object",
        "required": ["id", "href", "tags"],
        "properties": {
            "id": {"type": "string"},
            "href": {"type": "string"},
            "tags": {"$ref": "#/components/schemas/ExtendedTags"},
        },
        "additionalProperties": False,
    },
    "ExtendedTagErrors": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["studyInstanceUid", "seriesInstanceUid", "sopInstanceUid", "createdTime", "errorMessage"],
            "additionalProperties": {"type": "string"},
        },
    },
    "Operation": {
        "type": "object",
        "required": ["operationId", "type", "status", "percentComplete"],
        "properties": {
            "operationId": {"type": "string"},
            "type": {"type": "string"},
            "status": {"type": "string", "enum": ["NotStarted", "Running", "Completed"]},
            "percentComplete": {"type": "integer", "minimum": 0, "maximum": 100},
            "progress": {"type": "object", "additionalProperties": {"type": "integer"}},
            "createdTime": {"type": "string", "format": "date-time"},
            "lastUpdatedTime": {"type": "string", "format": "date-time"},
            "resources": {"type": "array", "items": {"type": "string"}},
        },
        "additionalProperties": False,
    },
}
