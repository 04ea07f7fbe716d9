"""WADO-RS: metadata without bulk data, as DICOM JSON or XML (PS3.18 10.4.1.1.2)."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotModified
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema

from access.roles import Permission
from archive import metadata
from archive.locate import Address, locate_series
from audit import kinds
from dicomweb.attribute_filter import document_without, tag_without
from dicomweb.content_coding import CODINGS, coding_for
from dicomweb.data_sets import FORMS, JSON, XML, xml_response
from dicomweb.view import DicomwebView, dicomweb_root


class RetrieveMetadata(DicomwebView):
    """``GET .../metadata`` of a study, a series or an instance."""

    permission = Permission.RETRIEVE
    event = kinds.ACCESS
    looks_up = "series"

    @extend_schema(
        summary="Retrieve metadata (PS3.18 10.4.1.1.2)",
        responses={(200, "application/dicom+json"): OpenApiTypes.OBJECT},
    )
    def get(
        self, request: HttpRequest, study: str, series: str | None = None, instance: str | None = None
    ) -> HttpResponseBase:
        """The prepared documents of the series asked for; 304 when the client has them already."""
        chosen = self.negotiate(request, FORMS)
        address = Address(study, series, instance)
        found = locate_series(self.scope(request), address)
        root, withheld = dicomweb_root(request), self.withheld(request)
        count = 1 if instance is not None else sum(e.number_of_series_related_instances for e in found)
        if instance is None and chosen == JSON:
            tag = metadata.ready_tag(found, root)
            if tag is not None and (known := _known(request, tag_without(tag, withheld))):
                self.record_read(request, address, found, instance_count=count, bytes=0, query="metadata")
                return known
        document = metadata.study_document([metadata.series_document(e, root) for e in found])
        if instance is not None:
            document = metadata.instance_document(document, instance)
        document = document_without(document, withheld)
        self.record_read(request, address, found, instance_count=count, bytes=len(document.gzipped), query="metadata")
        if chosen == XML:
            return xml_response(metadata.objects_of(document))
        return _known(request, document.etag) or _response(request, document)


def _known(request: HttpRequest, tag: str) -> HttpResponseBase | None:
    """The answer to a client that has the document of this tag already: its bytes need not even be read."""
    etag = _etag(tag, _coding(request))
    if etag not in (each.strip().removeprefix("W/") for each in request.META.get("HTTP_IF_NONE_MATCH", "").split(",")):
        return None
    return _tagged(HttpResponseNotModified(), etag)


def _response(request: HttpRequest, document: metadata.Document) -> HttpResponseBase:
    coding = _coding(request)
    response = HttpResponse(_body(document, coding), content_type=JSON.media_type)
    if coding:
        response["Content-Encoding"] = coding
    return _tagged(response, _etag(document.etag, coding))


def _coding(request: HttpRequest) -> str:
    return coding_for(request.META.get("HTTP_ACCEPT_ENCODING", ""))


def _etag(tag: str, coding: str) -> str:
    return f'"{tag}{f"-{coding}" if coding else ""}"'


def _tagged(response: HttpResponseBase, etag: str) -> HttpResponseBase:
    response["ETag"] = etag
    response["Vary"] = "Accept, Accept-Encoding"
    return response


def _body(document: metadata.Document, coding: str) -> bytes:
    """The stored bytes for who takes gzip."""
    if coding == "gzip":
        return document.gzipped
    return CODINGS[coding](document.text()) if coding else document.text()
