"""WADO-RS: whole objects, byte for byte as stored or in a transfer syntax that the client names (PS3.18 10.4.1.1.1)."""

from collections.abc import Iterator, Sequence
from itertools import chain

from django.http import HttpRequest, HttpResponseBase, HttpResponseNotModified, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied

from access.authentication import principal_of
from access.policy import may_download
from access.roles import Permission
from archive.corrected_objects import given_syntax
from archive.file_set import FileSet, file_set
from archive.locate import Address, Located, locate
from archive.payload import Payload
from archive.transcoding import (
    TARGETS,
    Transcoded,
    cannot_give,
    given_object,
    transcode,
    transcode_each,
)
from audit import kinds
from dicom.transfer_syntaxes import BY_UID, TransferSyntax
from dicomweb.bodies import late_multipart, multipart_response
from dicomweb.media_types import Representation
from dicomweb.multipart import OutPart
from dicomweb.ranges import Validators, bytes_sent, single_part, validators
from dicomweb.view import DicomwebView, dicomweb_root
from dicomweb.zip_body import ZIP, Member, write_zip

DICOM = "application/dicom"


class RetrieveInstances(DicomwebView):
    """Part 10 objects: ``GET /studies/{study}`` and below."""

    permission = Permission.OBJECTS
    event = kinds.RETRIEVE
    looks_up = "instances"

    @extend_schema(
        summary="Retrieve objects (PS3.18 10.4.1.1.1)",
        responses={
            (200, "multipart/related"): OpenApiTypes.BINARY,
            (200, ZIP): OpenApiTypes.BINARY,
            (206, "multipart/related"): OpenApiTypes.BINARY,
        },
    )
    def get(
        self, request: HttpRequest, study: str, series: str | None = None, instance: str | None = None
    ) -> HttpResponseBase:
        """Each object as a part of its own or as a file of a zip; as stored unless a transfer syntax is named."""
        address = Address(study, series, instance)
        found = locate(self.scope(request), address)
        chosen = self.negotiate(request, _offers(found))
        if chosen.media_type == ZIP:
            if not may_download(principal_of(request)):
                raise PermissionDenied("the right to download is not part of this share link")
            return self._zip(request, address, found)
        if not chosen.as_stored:
            target = BY_UID[chosen.transfer_syntax_uid or ""]
            if not chosen.multipart:
                return send_object(self, request, found[0], target)
            return self._transcoded(request, address, found, target)
        if not chosen.multipart:
            return send_object(self, request, found[0], given_syntax(found[0]))
        first = given_object(found[0]).open()
        self.record_read(
            request, address, found, instance_count=len(found), bytes=sum(located.object_size for located in found)
        )
        root = dicomweb_root(request)
        parts = [
            OutPart(_headers(located, given_syntax(located), root), _length(located), pieces)
            for located, pieces in zip(found, chain((first,), map(_later, found[1:])), strict=True)
        ]
        return multipart_response(parts, DICOM)

    def _transcoded(
        self, request: HttpRequest, address: Address, found: Sequence[Located], target: TransferSyntax
    ) -> HttpResponseBase:
        """Those objects that can be given in ``target``; 206 where others have to stay behind (PS3.18 10.4.3)."""
        given = [located for located in found if not cannot_give(located, target)]
        parts = _transcoded_parts(given, target, dicomweb_root(request))
        first = next(parts)
        size = sum(located.object_size for located in given)
        self.record_read(request, address, given, instance_count=len(given), bytes=size, query=f"as {target.uid}")
        response = late_multipart(chain((first,), parts), DICOM)
        if len(given) < len(found):
            response.status_code = 206
            left = len(found) - len(given)
            response["Warning"] = f'299 Lightbox: "{left} of {len(found)} instances cannot be given in {target.uid}"'
        return response

    def _zip(self, request: HttpRequest, address: Address, found: Sequence[Located]) -> HttpResponseBase:
        """A file-set of Part 10 files with its DICOMDIR, as on a medium: so it is an Export (PS3.15 A.5.3.4)."""
        files = file_set(found)
        first = given_object(found[0])
        begun = first.open()
        size = sum(located.object_size for located in found)
        self.event = kinds.EXPORT  # type: ignore[misc]
        self.record_read(request, address, found, instance_count=len(found), bytes=size, query="zip")
        response = StreamingHttpResponse(write_zip(_members(files, found, first, begun)), content_type=ZIP)
        response["Content-Disposition"] = 'attachment; filename="dicom.zip"'
        return response


def send_object(
    view: DicomwebView, request: HttpRequest, located: Located, target: TransferSyntax, query: str = ""
) -> HttpResponseBase:
    """One object alone in ``target``. Raises ``NotRenderable`` where that can't be, ``ArchiveUnavailable``."""
    content_type = f"{DICOM}; transfer-syntax={target.uid}"
    if target == given_syntax(located):
        alone = single_part(request, given_object(located), content_type, validators(located))
        view.record_read(request, located.address, [located], instance_count=1, bytes=bytes_sent(alone), query=query)
        return alone
    known_by = validators(located, content_type)
    made = transcode(located, target)
    if made.payload is not None:
        alone = single_part(request, made.payload, content_type, known_by)
    else:
        alone = _unmeasured(request, made, content_type, known_by)
    size = bytes_sent(alone) or located.object_size
    spoken = f"{query} as {target.uid}".strip()
    view.record_read(request, located.address, [located], instance_count=1, bytes=size, query=spoken)
    return alone


def _unmeasured(request: HttpRequest, made: Transcoded, content_type: str, known_by: Validators) -> HttpResponseBase:
    """A body of which nobody knows the length before it is made, and which therefore has no ranges."""
    response: HttpResponseBase
    if known_by.unchanged(request):
        response = HttpResponseNotModified()
    else:
        response = StreamingHttpResponse(made.pieces(), content_type=content_type)
    known_by.mark(response)
    return response


def _offers(found: Sequence[Located]) -> list[Representation]:
    syntaxes = {given_syntax(located).uid for located in found}
    common = syntaxes.pop() if len(syntaxes) == 1 else None
    ways = (True, False) if len(found) == 1 else (True,)
    offers = [Representation(DICOM, common, multipart, as_stored=True) for multipart in ways]
    offers.append(Representation(ZIP, None, multipart=False))
    named = [t for t in TARGETS if t.uid != common and any(not cannot_give(located, t) for located in found)]
    offers += [Representation(DICOM, t.uid, multipart, named_only=True) for t in named for multipart in ways]
    return offers


def _transcoded_parts(given: Sequence[Located], target: TransferSyntax, root: str) -> Iterator[OutPart]:
    """Each in its turn. One of several whose frames turn out to be damaged is given as stored, and says so: by then
    nobody could be told that it is missing.
    """
    each = transcode_each(given, target) if len(given) > 1 else [(given[0], _alone(given[0], target))]
    for located, made in each:
        if made is None:
            payload = given_object(located)
            yield OutPart(_headers(located, given_syntax(located), root), payload.length, payload.open())
        else:
            yield OutPart(_headers(located, target, root), made.length, made.pieces())


def _alone(located: Located, target: TransferSyntax) -> Transcoded | None:
    return transcode(located, target) if located.transfer_syntax != target else None


def _members(files: FileSet, found: Sequence[Located], first: Payload, begun: Iterator[bytes]) -> Iterator[Member]:
    newest = max(located.created_at for located in found)
    yield Member("DICOMDIR", newest, len(files.directory), [files.directory])
    for at, (name, located) in enumerate(zip(files.names, found, strict=True)):
        payload = given_object(located) if at else first
        yield Member(name, located.created_at, payload.length, payload.open() if at else begun)


def _length(located: Located) -> int | None:
    """Bytes of the object as it leaves, if that is known before it is opened."""
    return located.object_size if located.correction is None else None


def _headers(located: Located, syntax: TransferSyntax, root: str) -> list[tuple[str, str]]:
    return [
        ("Content-Type", f"{DICOM}; transfer-syntax={syntax.uid}"),
        ("Content-Location", f"{root}{located.address.path}"),
    ]


def _later(located: Located) -> Iterator[bytes]:
    """The pieces of an object that is opened only when its turn comes."""
    yield from given_object(located).open()
