"""STOW-RS: the Store transaction (PS3.18 10.5) as a door to ``archive.store``."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from access.authentication import principal_of
from access.policy import may_store
from access.roles import Permission
from archive.errors import UnreadableObject
from archive.store import Batching, Stored, store
from audit import kinds
from audit.kinds import Outcome
from dicomweb.body import body_reader
from dicomweb.errors import BadRequest, UnsupportedMediaType
from dicomweb.multipart import Limits, MediaTypeError, MultipartReader, Part, parse_content_type
from dicomweb.view import DicomwebView, dicomweb_root, json_response

READ = 1 << 20
DICOM = "application/dicom"
_LONGEST_COMMENT = 1024


class StoreView(DicomwebView):
    """``POST /studies`` and ``POST /studies/{study}``."""

    permission = Permission.STORE
    event = kinds.STORE

    @extend_schema(
        operation_id="store",
        summary="Store instances (STOW-RS, PS3.18 10.5)",
        request={'multipart/related; type="application/dicom"': {"type": "string", "format": "binary"}},
        responses={
            (200, "application/dicom+json"): {"type": "object"},
            (202, "application/dicom+json"): {"type": "object"},
            (409, "application/dicom+json"): {"type": "object"},
        },
    )
    def post(self, request: Request, study: str | None = None) -> HttpResponse:
        """Store every part; the answer says for each what became of it."""
        limits = settings.PACS.limits
        principal = principal_of(request)

        @cache
        def permitted(study_instance_uid: str) -> bool:
            return may_store(principal, study_instance_uid)

        stored = list(
            store(
                _objects(request._request, limits.store_parts),
                study_instance_uid=study,
                permitted=permitted,
                batching=Batching(limits.store_batch_instances, limits.store_batch_bytes, limits.store_part_bytes),
                record=lambda batch: self._record_batch(request, batch),
            )
        )
        if not stored:
            raise BadRequest("the body holds no instance")
        return json_response(orjson.dumps(response_body(stored, dicomweb_root(request))), _status(stored))

    def _record_batch(self, request: Request, batch: Sequence[Stored]) -> None:
        failures = Counter(f"{s.failure_reason:04X}" for s in batch if s.failure_reason is not None)
        kept = [s for s in batch if s.failure_reason is None]
        self.record(
            request,
            study_uids=sorted({s.study_instance_uid for s in batch if s.study_instance_uid}),
            instance_count=len(kept),
            bytes=sum(s.size for s in kept),
            outcome=Outcome.MINOR_FAILURE if failures else Outcome.SUCCESS,
            outcome_description=", ".join(f"{count} x {reason}" for reason, count in sorted(failures.items())),
        )


def _objects(request: HttpRequest, most: int) -> Iterator[Iterable[bytes]]:
    """The instances of the body, each as a stream of pieces. Raises ``UnsupportedMediaType``, ``MultipartError``."""
    media_type = parse_content_type(request.META.get("CONTENT_TYPE", ""))
    read = body_reader(request)
    if media_type.type == DICOM:
        return iter([iter(lambda: read(READ), b"")])
    if media_type.type != "multipart/related":
        raise UnsupportedMediaType(f'expected multipart/related; type="{DICOM}", found {media_type.type}')
    root = parse_content_type(media_type.parameters.get("type") or DICOM)
    if root.type != DICOM:
        raise UnsupportedMediaType(f'expected parts of type "{DICOM}", found {root.type}')
    boundary = media_type.parameters.get("boundary")
    if not boundary:
        raise BadRequest("Content-Type has no boundary")
    return _parts(MultipartReader(read, boundary, Limits(parts=most)))


def _parts(reader: MultipartReader) -> Iterator[Iterable[bytes]]:
    for part in reader:
        yield _pieces(part)


def _pieces(part: Part) -> Iterator[bytes]:
    """The payload of a part; one of another type is refused alone, the parts around it are stored."""
    try:
        found = parse_content_type(part.headers.get("content-type") or DICOM).type
    except MediaTypeError as error:
        raise UnreadableObject(f"part {part.number}: {error}") from error
    if found != DICOM:
        raise UnreadableObject(f'part {part.number}: expected Content-Type "{DICOM}", found {found}')
    yield from part.chunks()


def _status(stored: Sequence[Stored]) -> int:
    """PS3.18 10.5.3.1: 200 all, 202 some or with warnings, 409 none."""
    failed = sum(s.failure_reason is not None for s in stored)
    if failed == len(stored):
        return 409
    return 202 if failed or any(s.warning_reason is not None for s in stored) else 200


def response_body(stored: Sequence[Stored], root: str) -> dict[str, Any]:
    """The Store Instances Response module (PS3.18 10.5.3.2).

    Empty sequences are left out: some clients take an empty Failed SOP Sequence for a failure.
    """
    kept = [s for s in stored if s.failure_reason is None]
    studies = {s.study_instance_uid for s in kept}
    named = [s for s in stored if s.failure_reason is not None and s.sop_instance_uid]
    nameless = [s for s in stored if s.failure_reason is not None and not s.sop_instance_uid]
    body: dict[str, Any] = {}
    if len(studies) == 1:
        body["00081190"] = {"vr": "UR", "Value": [f"{root}/studies/{studies.pop()}"]}
    sequences = {
        "00081198": [_identified(s) | _failure(s) for s in named],
        "00081199": [_identified(s) | _reference(s, root) for s in kept],
        "0008119A": [_failure(s) for s in nameless],
    }
    return body | {tag: {"vr": "SQ", "Value": items} for tag, items in sequences.items() if items}


def _identified(s: Stored) -> dict[str, Any]:
    return {
        "00081150": {"vr": "UI", "Value": [s.sop_class_uid]},
        "00081155": {"vr": "UI", "Value": [s.sop_instance_uid]},
    }


def _failure(s: Stored) -> dict[str, Any]:
    """The reason as a number, and as text in Failed Attributes Sequence (0074,1048) / Error Comment (0000,0902)."""
    return {
        "00081197": {"vr": "US", "Value": [s.failure_reason]},
        "00741048": {"vr": "SQ", "Value": [_comment(s.text)]},
    }


def _reference(s: Stored, root: str) -> dict[str, Any]:
    url = f"{root}/studies/{s.study_instance_uid}/series/{s.series_instance_uid}/instances/{s.sop_instance_uid}"
    reference: dict[str, Any] = {"00081190": {"vr": "UR", "Value": [url]}}
    if s.warning_reason is not None:
        reference["00081196"] = {"vr": "US", "Value": [s.warning_reason]}
        reference["00741048"] = {"vr": "SQ", "Value": [_comment(s.text)]}
    return reference


def _comment(text: str) -> dict[str, Any]:
    return {"00000902": {"vr": "LO", "Value": [text[:_LONGEST_COMMENT]]}}
