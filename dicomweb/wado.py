"""WADO-RS: stored objects, byte for byte (PS3.18 10.4.1.1.1)."""

from collections.abc import Iterator, Sequence

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from access.roles import Permission
from archive.locate import Address, Located, locate
from archive.retrieve import open_object
from audit import kinds
from dicomweb.bodies import multipart_response, single_part
from dicomweb.media_types import Representation
from dicomweb.multipart import OutPart
from dicomweb.view import DicomwebView, dicomweb_root

DICOM = "application/dicom"


class RetrieveInstances(DicomwebView):
    """Part 10 objects as stored: ``GET /studies/{study}`` and below."""

    permission = Permission.RETRIEVE
    event = kinds.RETRIEVE

    @extend_schema(
        summary="Retrieve objects as stored (PS3.18 10.4.1.1.1)",
        responses={(200, "multipart/related"): OpenApiTypes.BINARY},
    )
    def get(
        self, request: Request, study: str, series: str | None = None, instance: str | None = None
    ) -> HttpResponseBase:
        """Each object byte for byte as it was received, as a part of its own."""
        address = Address(study, series, instance)
        found = locate(self.scope(request), address)
        chosen = self.negotiate(request, _offers(found))
        first = open_object(found[0])
        self.record_read(
            request, address, instance_count=len(found), bytes=sum(located.object_size for located in found)
        )
        if not chosen.multipart:
            return single_part(first, _content_type(found[0]))
        root = dicomweb_root(request)
        parts = [
            OutPart(
                [("Content-Type", _content_type(located)), ("Content-Location", f"{root}{located.address.path}")],
                located.object_size,
                first.pieces if at == 0 else _later(located),
            )
            for at, located in enumerate(found)
        ]
        return multipart_response(parts, DICOM)


def _offers(found: Sequence[Located]) -> list[Representation]:
    syntaxes = {located.transfer_syntax.uid for located in found}
    common = syntaxes.pop() if len(syntaxes) == 1 else None
    offers = [Representation(DICOM, common, multipart=True, as_stored=True)]
    if len(found) == 1:
        offers.append(Representation(DICOM, common, multipart=False, as_stored=True))
    return offers


def _content_type(located: Located) -> str:
    return f"{DICOM}; transfer-syntax={located.transfer_syntax.uid}"


def _later(located: Located) -> Iterator[bytes]:
    """The pieces of an object that is opened only when its turn comes."""
    yield from open_object(located).pieces
