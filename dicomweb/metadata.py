"""WADO-RS: metadata without bulk data, as DICOM JSON or XML (PS3.18 10.4.1.1.2)."""

from django.http import HttpResponse, HttpResponseBase, HttpResponseNotModified
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from access.roles import Permission
from archive import metadata
from archive.locate import Address, locate_series
from audit import kinds
from dicomweb.attribute_filter import document_without
from dicomweb.content_coding import CODINGS, coding_for
from dicomweb.data_sets import FORMS, JSON, XML, xml_response
from dicomweb.view import DicomwebView, dicomweb_root


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
        document = document_without(document, self.withheld(request))
        self.record_read(request, address, found, instance_count=count, bytes=len(document.gzipped), query="metadata")
        return xml_response(metadata.objects_of(document)) if chosen == XML else _response(request, document)


def _response(request: Request, document: metadata.Document) -> HttpResponseBase:
    coding = coding_for(request.headers.get("Accept-Encoding", ""))
    etag = f'"{document.etag}{f"-{coding}" if coding else ""}"'
    response: HttpResponseBase
    if etag in (tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")):
        response = HttpResponseNotModified()
    else:
        response = HttpResponse(_body(document, coding), content_type=JSON.media_type)
        if coding:
            response["Content-Encoding"] = coding
    response["ETag"] = etag
    response["Vary"] = "Accept, Accept-Encoding"
    return response


def _body(document: metadata.Document, coding: str) -> bytes:
    """The stored bytes for who takes gzip."""
    if coding == "gzip":
        return document.gzipped
    return CODINGS[coding](document.text()) if coding else document.text()
