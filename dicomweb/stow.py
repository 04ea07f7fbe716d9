"""STOW-RS: the Store transaction (PS3.18 10.5) as a door to ``archive.store``."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema

from access.authentication import principal_of
from access.client_quota import check_client_quota
from access.policy import may_store
from access.roles import Permission
from archive.errors import ArchiveFull, UnreadableObject
from archive.intake import COERCION, OUT_OF_RESOURCES
from archive.store import Batching, Stored, store
from audit import kinds
from audit.kinds import Outcome
from dicom.compose import Coercion
from dicom.xml import to_xml
from dicomweb.body import body_reader
from dicomweb.composed import METADATA, composed_objects
from dicomweb.data_sets import JSON, SINGLE_XML
from dicomweb.errors import BadRequest, TooLarge, UnsupportedMediaType
from dicomweb.media_types import choose
from dicomweb.multipart import Limits, MediaTypeError, MultipartReader, Part, parse_content_type
from dicomweb.store_answer import response_body, status_of
from dicomweb.view import DicomwebView, dicomweb_root, json_response
from telemetry.metrics import STOW_BYTES, STOW_INSTANCES

READ = 1 << 20
DICOM = "application/dicom"


class StoreView(DicomwebView):
    """``POST /studies`` and ``POST /studies/{study}``."""

    permission = Permission.STORE
    partly = (Permission.ANNOTATE,)
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
    def post(self, request: HttpRequest, study: str | None = None) -> HttpResponse:
        """Store every part; the answer says for each what became of it."""
        limits = settings.PACS.limits
        principal = principal_of(request)
        check_client_quota(principal, settings.PACS.quota.clients)

        @cache
        def permitted(study_instance_uid: str, sop_class_uid: str) -> bool:
            return may_store(principal, study_instance_uid, sop_class_uid)

        coercions: dict[str, tuple[Coercion, ...]] = {}
        stored = list(
            store(
                _objects(request, limits.store_parts, coercions),
                study_instance_uid=study,
                permitted=permitted,
                batching=Batching(
                    limits.store_batch_instances,
                    limits.store_batch_bytes,
                    limits.store_part_bytes,
                    limits.archive_bytes,
                    settings.PACS.quota.sites,
                ),
                record=lambda batch: self._record_batch(request, batch),
            )
        )
        if not stored:
            raise BadRequest("the body holds no instance")
        if all(s.failure_reason == OUT_OF_RESOURCES for s in stored):
            # What was too large was never read as far as its UIDs; for the others the quota left no room.
            raise (ArchiveFull if any(s.sop_instance_uid for s in stored) else TooLarge)(stored[0].text)
        stored = [_with_coercions(s, coercions) for s in stored]
        body = orjson.dumps(response_body(stored, dicomweb_root(request), coercions))
        chosen = choose(request.META.get("HTTP_ACCEPT"), None, (JSON, SINGLE_XML))
        if chosen == SINGLE_XML:
            return HttpResponse(to_xml(body), status=status_of(stored), content_type=SINGLE_XML.media_type)
        return json_response(body, status_of(stored))

    def _record_batch(self, request: HttpRequest, batch: Sequence[Stored]) -> None:
        failures = Counter(f"{s.failure_reason:04X}" for s in batch if s.failure_reason is not None)
        kept = [s for s in batch if s.failure_reason is None]
        STOW_INSTANCES.labels("stored").inc(len(kept))
        STOW_INSTANCES.labels("failed").inc(len(batch) - len(kept))
        STOW_BYTES.inc(sum(s.size for s in kept))
        self.record(
            request,
            study_uids=sorted({s.study_instance_uid for s in batch if s.study_instance_uid}),
            instance_count=len(kept),
            bytes=sum(s.size for s in kept),
            outcome=Outcome.MINOR_FAILURE if failures else Outcome.SUCCESS,
            outcome_description=", ".join(f"{count} x {reason}" for reason, count in sorted(failures.items())),
        )


def _objects(request: HttpRequest, most: int, coercions: dict[str, tuple[Coercion, ...]]) -> Iterator[Iterable[bytes]]:
    """The instances of the body, each as a stream of pieces. Raises ``UnsupportedMediaType``, ``MultipartError``."""
    media_type = parse_content_type(request.META.get("CONTENT_TYPE", ""))
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("Content-Encoding: a body without content coding is expected")
    read = body_reader(request)
    if media_type.type == DICOM:
        return iter([iter(lambda: read(READ), b"")])
    if media_type.type != "multipart/related":
        raise UnsupportedMediaType(f'expected multipart/related; type="{DICOM}", found {media_type.type}')
    root = parse_content_type(media_type.parameters.get("type") or DICOM)
    if root.type not in (DICOM, *METADATA):
        raise UnsupportedMediaType(f"expected parts of type {DICOM}, or {' or '.join(METADATA)}, found {root.type}")
    boundary = media_type.parameters.get("boundary")
    if not boundary:
        raise BadRequest("Content-Type has no boundary")
    reader = MultipartReader(read, boundary, Limits(parts=most))
    return _parts(reader) if root.type == DICOM else composed_objects(reader, root.type, coercions)


def _with_coercions(stored: Stored, coercions: Mapping[str, Sequence[Coercion]]) -> Stored:
    """Attributes that were filled in are a warning (PS3.18 table I.2-1: coercion of data elements)."""
    changed = coercions.get(stored.sop_instance_uid)
    if not changed or stored.failure_reason is not None or stored.warning_reason is not None:
        return stored
    named = ", ".join(f"({c.tag[:4]},{c.tag[4:]}) {c.keyword}" for c in changed[:20])
    return replace(stored, warning_reason=COERCION, text=f"filled in or changed: {named}")


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
