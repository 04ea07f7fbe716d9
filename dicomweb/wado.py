"""WADO-RS: stored objects, byte for byte (PS3.18 10.4.1.1.1)."""

from collections.abc import Iterator, Sequence

from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from access.roles import Permission
from archive.file_set import FileSet, file_set
from archive.locate import Address, Located, locate
from archive.retrieve import open_object
from audit import kinds
from dicomweb.bodies import multipart_response
from dicomweb.media_types import Representation
from dicomweb.multipart import OutPart
from dicomweb.ranges import bytes_sent, single_part, validators
from dicomweb.view import DicomwebView, dicomweb_root
from dicomweb.zip_body import ZIP, Member, write_zip

DICOM = "application/dicom"


class RetrieveInstances(DicomwebView):
    """Part 10 objects as stored: ``GET /studies/{study}`` and below."""

    permission = Permission.RETRIEVE
    event = kinds.RETRIEVE

    @extend_schema(
        summary="Retrieve objects as stored (PS3.18 10.4.1.1.1)",
        responses={(200, "multipart/related"): OpenApiTypes.BINARY, (200, ZIP): OpenApiTypes.BINARY},
    )
    def get(
        self, request: Request, study: str, series: str | None = None, instance: str | None = None
    ) -> HttpResponseBase:
        """Each object byte for byte as it was received, as a part of its own or as a file of a zip archive."""
        address = Address(study, series, instance)
        found = locate(self.scope(request), address)
        chosen = self.negotiate(request, _offers(found))
        if chosen.media_type == ZIP:
            return self._zip(request, address, found)
        if not chosen.multipart:
            alone = single_part(request, open_object(found[0]), _content_type(found[0]), validators(found[0]))
            self.record_read(request, address, instance_count=1, bytes=bytes_sent(alone))
            return alone
        first = open_object(found[0]).open()
        self.record_read(
            request, address, instance_count=len(found), bytes=sum(located.object_size for located in found)
        )
        root = dicomweb_root(request)
        parts = [
            OutPart(
                [("Content-Type", _content_type(located)), ("Content-Location", f"{root}{located.address.path}")],
                located.object_size,
                first if at == 0 else _later(located),
            )
            for at, located in enumerate(found)
        ]
        return multipart_response(parts, DICOM)

    def _zip(self, request: Request, address: Address, found: Sequence[Located]) -> HttpResponseBase:
        """A file-set of Part 10 files with its DICOMDIR."""
        files = file_set(found)
        first = open_object(found[0]).open()
        size = sum(located.object_size for located in found)
        self.record_read(request, address, instance_count=len(found), bytes=size, query="zip")
        response = StreamingHttpResponse(write_zip(_members(files, found, first)), content_type=ZIP)
        response["Content-Disposition"] = 'attachment; filename="dicom.zip"'
        return response


def _offers(found: Sequence[Located]) -> list[Representation]:
    syntaxes = {located.transfer_syntax.uid for located in found}
    common = syntaxes.pop() if len(syntaxes) == 1 else None
    offers = [Representation(DICOM, common, multipart=True, as_stored=True)]
    if len(found) == 1:
        offers.append(Representation(DICOM, common, multipart=False, as_stored=True))
    offers.append(Representation(ZIP, None, multipart=False))
    return offers


def _members(files: FileSet, found: Sequence[Located], first: Iterator[bytes]) -> Iterator[Member]:
    newest = max(located.created_at for located in found)
    yield Member("DICOMDIR", newest, len(files.directory), [files.directory])
    for at, (name, located) in enumerate(zip(files.names, found, strict=True)):
        yield Member(name, located.created_at, located.object_size, _later(located) if at else first)


def _content_type(located: Located) -> str:
    return f"{DICOM}; transfer-syntax={located.transfer_syntax.uid}"


def _later(located: Located) -> Iterator[bytes]:
    """The pieces of an object that is opened only when its turn comes."""
    yield from open_object(located).open()
