"""WADO-RS: all bulk data of a study, a series or an instance (PS3.18 10.4.1.1.5, table 10.4.1-5)."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema

from access.roles import Permission
from archive.errors import NotFound
from archive.locate import Address, Located, locate
from archive.retrieve import BulkTable, bulk_tables, open_bulk_entry
from audit import kinds
from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from dicomweb.attribute_filter import table_without
from dicomweb.bodies import late_multipart
from dicomweb.errors import BadRequest
from dicomweb.media_types import Representation
from dicomweb.multipart import OutPart
from dicomweb.pixeldata import PATHS, pixel_offers, pixel_parts
from dicomweb.view import DicomwebView, dicomweb_root

_OCTETS = "application/octet-stream"


class RetrieveBulkDataSet(DicomwebView):
    """``GET .../bulkdata`` of a study, a series or an instance."""

    permission = Permission.RETRIEVE
    event = kinds.RETRIEVE

    @extend_schema(
        summary="Retrieve all bulk data (PS3.18 10.4.1.1.5)",
        responses={(200, "multipart/related"): OpenApiTypes.BINARY},
    )
    def get(
        self, request: HttpRequest, study: str, series: str | None = None, instance: str | None = None
    ) -> HttpResponseBase:
        """A part for each bulk value, under its BulkDataURI; encapsulated pixel data a part for each frame."""
        address = Address(study, series, instance)
        found = locate(self.scope(request), address)
        hidden = self.withheld(request)
        tables = {pk: table_without(table, hidden) for pk, table in bulk_tables(found).items()}
        count = sum(len(tables.get(located.pk, {})) + _frames_of(located) for located in found)
        if count == 0:
            raise NotFound("there are no bulk data under these UIDs")
        most = settings.PACS.limits.frames_per_request
        if count > most:
            raise BadRequest(f"there are more than {most} bulk values and frames: ask for less at once")
        with_pixels = [located for located in found if located.pixels is not None]
        plain = [Representation(_OCTETS, None, multipart=True)]
        chosen = self.negotiate(request, pixel_offers(with_pixels) if with_pixels else plain)
        decoded = chosen.transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN.uid
        parts = _parts(found, tables, dicomweb_root(request), decoded=decoded)
        try:
            first = next(parts)
        except StopIteration:
            raise NotFound("there are no bulk data under these UIDs") from None
        self.record_read(
            request,
            address,
            found,
            instance_count=len(found),
            bytes=sum(located.object_size for located in found),
            query="bulkdata",
        )
        return late_multipart(chain((first,), parts), _OCTETS)


def _frames_of(located: Located) -> int:
    return max(1, located.pixels.number_of_frames) if located.pixels is not None else 0


def _parts(found: Sequence[Located], tables: Mapping[int, BulkTable], root: str, *, decoded: bool) -> Iterator[OutPart]:
    """Each opened when its turn comes, instance after instance, pixel data last."""
    for located in found:
        base = f"{root}{located.address.path}/bulkdata"
        for path, entry in tables.get(located.pk, {}).items():
            payload = open_bulk_entry(located, entry)
            headers = [("Content-Type", _OCTETS), ("Content-Location", f"{base}/{path}")]
            yield OutPart(headers, payload.length, payload.open())
        if located.pixels is not None:
            yield from pixel_parts([(located, PATHS[located.pixels.keyword])], root, decoded=decoded)
