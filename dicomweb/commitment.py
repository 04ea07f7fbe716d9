"""The Storage Commitment Service (PS3.18 13): ``POST`` and ``GET /commitment-requests/{transactionUID}``.

Answered at once, so never 202. References by Referenced SOP Sequence (0008,1199); those by Referenced Study Sequence
(0008,1110), the other form of PS3.18 table J.1-1, are refused with 400.
"""

import re
from collections.abc import Sequence
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from access.authentication import principal_of
from access.roles import Permission
from archive.commitment import Reference, Verdict, commit, result_of
from audit import kinds
from audit.kinds import Outcome
from dicom.uids import UID_PATTERN
from dicomweb.body import body_reader
from dicomweb.errors import BadRequest, TooLarge, UnsupportedMediaType
from dicomweb.media_types import Representation
from dicomweb.multipart import parse_content_type
from dicomweb.view import DicomwebView, json_response

REFERENCED_SOP_SEQUENCE = "00081199"
REFERENCED_STUDY_SEQUENCE = "00081110"
FAILED_SOP_SEQUENCE = "00081198"
REFERENCED_SOP_CLASS_UID = "00081150"
REFERENCED_SOP_INSTANCE_UID = "00081155"
FAILURE_REASON = "00081197"

_JSON = Representation("application/dicom+json", None, multipart=False)
_UID = re.compile(UID_PATTERN)
_TYPES = ("application/dicom+json", "application/json")


class Commitment(DicomwebView):
    """A commitment request. Who may store may ask whether it was kept."""

    permission = Permission.STORE
    event = kinds.SEARCH

    @extend_schema(
        operation_id="commitment_request",
        summary="Ask for the safekeeping of instances (PS3.18 13.4)",
        request={"application/dicom+json": OpenApiTypes.OBJECT},
        responses={(200, "application/dicom+json"): OpenApiTypes.OBJECT},
    )
    def post(self, request: Request, transaction: str) -> HttpResponse:
        """The verdict on each instance; the same request again gets the same answer."""
        self.negotiate(request, [_JSON])
        references = _references(request)

        def write_down(verdicts: Sequence[Verdict]) -> None:
            kept = [v for v in verdicts if v.failure_reason is None]
            self.record(
                request,
                query="storage commitment",
                study_uids=sorted({v.study_instance_uid for v in verdicts if v.study_instance_uid}),
                instance_count=len(kept),
                outcome=Outcome.SUCCESS if len(kept) == len(verdicts) else Outcome.MINOR_FAILURE,
            )

        result = commit(
            self.scope(request),
            transaction,
            references,
            requested_by=principal_of(request).id,
            render=_result,
            record=write_down,
        )
        return json_response(result)

    @extend_schema(
        operation_id="commitment_result",
        summary="The result of a commitment request (PS3.18 13.5)",
        responses={(200, "application/dicom+json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, transaction: str) -> HttpResponse:
        """The result that was given; 404 where there is none of this principal."""
        self.negotiate(request, [_JSON])
        result = result_of(transaction, principal_of(request).id)
        self.record(request, query="storage commitment result")
        return json_response(result)


def _references(request: Request) -> list[Reference]:
    """The Storage Commitment Request Module of the body (PS3.18 J.1), alone or as an array of one."""
    limits = settings.PACS.limits
    found = parse_content_type(request._request.META.get("CONTENT_TYPE", "")).type
    if found not in _TYPES:
        raise UnsupportedMediaType(f"expected {_TYPES[0]}, found {found}")
    read = body_reader(request._request)
    pieces: list[bytes] = []
    while sum(map(len, pieces)) <= limits.commitment_bytes and (piece := read(1 << 16)):
        pieces.append(piece)
    body = b"".join(pieces)
    if len(body) > limits.commitment_bytes:
        raise TooLarge(f"the body is larger than {limits.commitment_bytes} bytes")
    try:
        module = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is no JSON: {error.msg} at character {error.pos}") from error
    if isinstance(module, list) and len(module) == 1:
        module = module[0]
    if not isinstance(module, dict):
        raise BadRequest("expected one DICOM JSON object")
    if REFERENCED_STUDY_SEQUENCE in module:
        raise BadRequest("Referenced Study Sequence (0008,1110) is not supported; use Referenced SOP Sequence")
    items = _value(module, REFERENCED_SOP_SEQUENCE)
    if not items:
        raise BadRequest("expected Referenced SOP Sequence (0008,1199) with at least one item")
    if len(items) > limits.commitment_references:
        raise TooLarge(f"more than {limits.commitment_references} instances in one request")
    return [_reference(item, number) for number, item in enumerate(items, 1)]


def _reference(item: Any, number: int) -> Reference:
    uids = []
    for tag, name in (
        (REFERENCED_SOP_CLASS_UID, "Referenced SOP Class UID (0008,1150)"),
        (REFERENCED_SOP_INSTANCE_UID, "Referenced SOP Instance UID (0008,1155)"),
    ):
        value = _value(item, tag)
        if len(value) != 1 or not isinstance(value[0], str) or not _UID.fullmatch(value[0]):
            raise BadRequest(f"item {number} of Referenced SOP Sequence (0008,1199): expected one UID as {name}")
        uids.append(value[0])
    return Reference(*uids)


def _value(module: Any, tag: str) -> list[Any]:
    attribute = module.get(tag) if isinstance(module, dict) else None
    value = attribute.get("Value") if isinstance(attribute, dict) else None
    return value if isinstance(value, list) else []


def _result(verdicts: Sequence[Verdict]) -> str:
    """The Storage Commitment Response Module (PS3.18 J.2); a sequence without items is left out."""
    kept = [_identified(v) for v in verdicts if v.failure_reason is None]
    failed = [
        _identified(v) | {FAILURE_REASON: {"vr": "US", "Value": [v.failure_reason]}}
        for v in verdicts
        if v.failure_reason is not None
    ]
    sequences = {FAILED_SOP_SEQUENCE: failed, REFERENCED_SOP_SEQUENCE: kept}
    return orjson.dumps({tag: {"vr": "SQ", "Value": items} for tag, items in sequences.items() if items}).decode()


def _identified(verdict: Verdict) -> dict[str, Any]:
    return {
        REFERENCED_SOP_CLASS_UID: {"vr": "UI", "Value": [verdict.reference.sop_class_uid]},
        REFERENCED_SOP_INSTANCE_UID: {"vr": "UI", "Value": [verdict.reference.sop_instance_uid]},
    }
