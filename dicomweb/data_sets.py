"""Attributes on their way out, in the form that the client prefers: DICOM JSON or Native DICOM XML (PS3.18 8.7.3.3)."""

from collections.abc import Iterable, Sequence

from django.http import HttpResponse, HttpResponseBase

from dicom.xml import to_xml
from dicomweb.bodies import multipart_response
from dicomweb.media_types import Representation
from dicomweb.multipart import OutPart

JSON = Representation("application/dicom+json", None, multipart=False)
XML = Representation("application/dicom+xml", None, multipart=True)
# One data set alone, such as the answer to a Store
SINGLE_XML = Representation("application/dicom+xml", None, multipart=False)
FORMS: Sequence[Representation] = (JSON, XML)


def xml_response(objects: Iterable[bytes]) -> HttpResponseBase:
    """Each DICOM JSON object as a part of its own; 204 when there is none (PS3.18 10.6.3.1)."""
    documents = [to_xml(text) for text in objects]
    if not documents:
        return HttpResponse(status=204)
    parts = [OutPart([("Content-Type", XML.media_type)], len(each), [each]) for each in documents]
    return multipart_response(parts, XML.media_type)
