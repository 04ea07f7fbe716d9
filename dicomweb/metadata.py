"""WADO-RS: metadata without bulk data, as DICOM JSON or XML (PS3.18 10.4.1.1.2)."""

import re

from django.http import HttpResponse, HttpResponseBase, HttpResponseNotModified
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from access.roles import Permission
from archive import metadata
from archive.locate import Address, locate_series
from audit import kinds
from dicomweb.data_sets import FORMS, JSON, XML, xml_response
from dicomweb.view import DicomwebView, dicomweb_root

_FORBIDDEN = re.compile(r"q=0(\.0*)?")


class RetrieveMetadata(DicomwebView):
    """``GET .../metadata`` of a study, a series or an instance."""

    permission = Permission.RETRIEVE
    event = kinds.ACCESS

    @extend_schema(
        summary="Retrieve metadata (PS3.18 10.4.1.1.2)",
        responses={(200, "application/dicom+json"): OpenApiTypes.OBJECT},
    )
    def get(
        self, request: Request, study: str, series: str | None = None, instance: str | None = None
    ) -> HttpResponseBase:
        """The prepared documents of the series asked for; 304 when the client has them already."""
        chosen = self.negotiate(request, FORMS)
        address = Address(study, series, instance)
        found = locate_series(self.scope(request), address)
        root = dicomweb_root(request)
        document = metadata.study_document([metadata.series_document(e, root) for e in found])
        count = sum(e.number_of_series_related_instances for e in found)
        if instance is not None:
            document, count = metadata.instance_document(document, instance), 1
        self.record_read(request, address, instance_count=count, bytes=len(document.gzipped), query="metadata")
        return xml_response(metadata.objects_of(document)) if chosen == XML else _response(request, document)


def _response(request: Request, document: metadata.Document) -> HttpResponseBase:
    gzip = _takes_gzip(request.headers.get("Accept-Encoding", ""))
    etag = f'"{document.etag}{"-gzip" if gzip else ""}"'
    response: HttpResponseBase
    if etag in (tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")):
        response = HttpResponseNotModified()
    else:
        response = HttpResponse(document.gzipped if gzip else document.text(), content_type=JSON.media_type)
        if gzip:
            response["Content-Encoding"] = "gzip"
    response["ETag"] = etag
    response["Vary"] = "Accept, Accept-Encoding"
    return response


def _takes_gzip(accept_encoding: str) -> bool:
    """Whether ``gzip`` is named and not forbidden (RFC 9110 12.5.3)."""
    for element in accept_encoding.lower().split(","):
        coding, *parameters = (part.strip() for part in element.split(";"))
        if coding == "gzip":
            return not any(_FORBIDDEN.fullmatch(parameter) for parameter in parameters)
    return False
