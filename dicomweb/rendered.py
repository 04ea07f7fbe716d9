"""WADO-RS: rendered instances (PS3.18 10.4.1.1.3, 8.3.5)."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema

from access.roles import Permission
from archive.locate import Address, locate
from archive.pictures import render
from audit import kinds
from dicomweb.picture_parameters import PARAMETERS, rendering_of, warnings_of
from dicomweb.rendered_media import ALL, SINGLE, offers_of, send_other
from dicomweb.view import DicomwebView

PICTURE = {(200, offer.media_type): OpenApiTypes.BINARY for offer in SINGLE}
_ANYTHING = {(200, offer.media_type): OpenApiTypes.BINARY for offer in ALL}


class RetrieveRendered(DicomwebView):
    """An instance as it is shown: ``GET .../instances/{instance}/rendered``."""

    permission = Permission.RETRIEVE
    event = kinds.ACCESS
    looks_up = "instances"

    @extend_schema(
        summary="Retrieve a rendered instance (PS3.18 10.4.1.1.3)", parameters=PARAMETERS, responses=_ANYTHING
    )
    def get(self, request: HttpRequest, study: str, series: str, instance: str) -> HttpResponseBase:
        """A picture of the middle frame with the window, size and quality asked for.

        All frames as an animated GIF; a report as a page of text; a PDF or a video as it is stored.
        """
        located = locate(self.scope(request), Address(study, series, instance))[0]
        rendering = rendering_of(request, self.negotiate(request, offers_of(located)).media_type)
        warnings = warnings_of(request)
        response = send_other(self, request, located, rendering.media_type, rendering, "rendered")
        if response is None:
            picture = render(located, None, rendering)
            self.record_read(
                request, located.address, [located], instance_count=1, bytes=len(picture), query="rendered"
            )
            response = HttpResponse(picture, content_type=rendering.media_type)
        for name, text in warnings.items():
            response[name] = text
        return response


def send_frame(view: DicomwebView, request: HttpRequest, address: Address, number: int) -> HttpResponse:
    """One frame of one instance as the client wants it drawn."""
    located = locate(view.scope(request), address)[0]
    rendering = rendering_of(request, view.negotiate(request, SINGLE).media_type)
    warnings = warnings_of(request)
    picture = render(located, number, rendering)
    spoken = f"rendered {number}"
    view.record_read(request, address, [located], instance_count=1, bytes=len(picture), query=spoken)
    return HttpResponse(picture, content_type=rendering.media_type, headers=warnings)
