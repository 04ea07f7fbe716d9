"""The Storage Commitment Service (PS3.18 13): ``POST`` and ``GET /commitment-requests/{transactionUID}``.

Answered at once, so never 202. What a body says is ``dicomweb.commitment_modules``.
"""

from collections.abc import Sequence

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema

from access.authentication import principal_of
from access.roles import Permission
from archive.commitment import Reference, Verdict, commit, result_of
from audit import kinds
from audit.kinds import Outcome
from dicomweb.body import body_reader
from dicomweb.commitment_modules import references_of, response_of
from dicomweb.errors import TooLarge, UnsupportedMediaType
from dicomweb.media_types import Representation
from dicomweb.multipart import parse_content_type
from dicomweb.view import DicomwebView, json_response

_JSON = Representation("application/dicom+json", None, multipart=False)
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
    def post(self, request: HttpRequest, transaction: str) -> HttpResponse:
        """The verdict on each instance; the same request again gets the same answer."""
        self.negotiate(request, [_JSON])
        references = _references(request)

        answered: list[Verdict] = []

        def write_down(verdicts: Sequence[Verdict]) -> None:
            answered.extend(verdicts)
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
            render=response_of,
            record=write_down,
        )
        if not answered:
            self.record(request, query="storage commitment again")
        return json_response(result)

    @extend_schema(
        operation_id="commitment_result",
        summary="The result of a commitment request (PS3.18 13.5)",
        responses={(200, "application/dicom+json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: HttpRequest, transaction: str) -> HttpResponse:
        """The result that was given; 404 where there is none of this principal."""
        self.negotiate(request, [_JSON])
        result = result_of(transaction, principal_of(request).id)
        self.record(request, query="storage commitment result")
        return json_response(result)


def _references(request: HttpRequest) -> list[Reference]:
    """The Storage Commitment Request Module of the body (PS3.18 J.1), alone or as an array of one."""
    limits = settings.PACS.limits
    found = parse_content_type(request.META.get("CONTENT_TYPE", "")).type
    if found not in _TYPES:
        raise UnsupportedMediaType(f"expected {_TYPES[0]}, found {found}")
    read = body_reader(request)
    pieces: list[bytes] = []
    while sum(map(len, pieces)) <= limits.commitment_bytes and (piece := read(1 << 16)):
        pieces.append(piece)
    body = b"".join(pieces)
    if len(body) > limits.commitment_bytes:
        raise TooLarge(f"the body is larger than {limits.commitment_bytes} bytes")
    return references_of(body, limits.commitment_references)
