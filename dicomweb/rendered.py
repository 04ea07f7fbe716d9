"""WADO-RS: rendered instances and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4, 8.3.5)."""

from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from access.roles import Permission
from archive.locate import Address, locate, locate_series
from archive.payload import in_memory
from archive.pictures import instance_thumbnail, render, series_thumbnail, study_thumbnail
from audit import kinds
from dicomweb.bodies import whole_body
from dicomweb.frames import frame_number
from dicomweb.media_types import Representation
from dicomweb.picture_parameters import PARAMETERS, rendering_of, warnings_of
from dicomweb.view import DicomwebView

SINGLE = [Representation(name, None, multipart=False) for name in ("image/jpeg", "image/png", "image/gif")]
_JPEG = SINGLE[:1]
PICTURE = {(200, "image/jpeg"): OpenApiTypes.BINARY}


class RetrieveRendered(DicomwebView):
    """A picture of an instance: ``GET .../instances/{instance}/rendered``."""

    permission = Permission.RETRIEVE
    event = kinds.ACCESS

    @extend_schema(summary="Retrieve a rendered instance (PS3.18 10.4.1.1.3)", parameters=PARAMETERS, responses=PICTURE)
    def get(self, request: Request, study: str, series: str, instance: str) -> HttpResponse:
        """JPEG, PNG or GIF of the middle frame, with the window, size and quality asked for."""
        return send_picture(self, request, Address(study, series, instance), None)


class RetrieveThumbnail(DicomwebView):
    """A small picture that stands for a study, a series, an instance or a frame: ``GET .../thumbnail``."""

    permission = Permission.RETRIEVE
    event = kinds.ACCESS

    @extend_schema(summary="Retrieve a thumbnail (PS3.18 10.4.1.1.4)", responses=PICTURE)
    def get(
        self, request: Request, study: str, series: str | None = None, instance: str | None = None, numbers: str = ""
    ) -> HttpResponseBase:
        """JPEG; prepared by a worker for series, made on the spot where it isn't there yet."""
        address = Address(study, series, instance)
        self.negotiate(request, _JPEG)
        if instance is not None:
            located = locate(self.scope(request), address)[0]
            frame = frame_number(numbers) if numbers else None
            payload = in_memory(instance_thumbnail(located, frame))
        else:
            found = locate_series(self.scope(request), address)
            payload = series_thumbnail(found[0]) if series else study_thumbnail(found)
        self.record_read(request, address, instance_count=1, bytes=payload.length, query="thumbnail")
        return whole_body(payload, "image/jpeg")


def send_picture(view: DicomwebView, request: Request, address: Address, number: int | None) -> HttpResponse:
    """One frame of one instance as the client wants it drawn; ``None`` is its middle one."""
    located = locate(view.scope(request), address)[0]
    rendering = rendering_of(request, view.negotiate(request, SINGLE).media_type)
    warnings = warnings_of(request)
    picture = render(located, number, rendering)
    spoken = "rendered" if number is None else f"rendered {number}"
    view.record_read(request, address, instance_count=1, bytes=len(picture), query=spoken)
    return HttpResponse(picture, content_type=rendering.media_type, headers=warnings)
