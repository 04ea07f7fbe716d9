"""WADO-RS: rendered frames and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4, 8.3.5)."""

from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from access.roles import Permission
from archive.locate import Address, locate, locate_series
from archive.payload import in_memory
from archive.pictures import (
    Rendering,
    instance_thumbnail,
    render,
    series_thumbnail,
    study_thumbnail,
)
from audit import kinds
from dicomweb.bodies import single_part
from dicomweb.frames import frame_number
from dicomweb.media_types import Representation
from dicomweb.picture_parameters import quality, viewport, window
from dicomweb.view import DicomwebView

_PICTURES = [Representation(name, None, multipart=False) for name in ("image/jpeg", "image/png", "image/gif")]
_JPEG = _PICTURES[:1]
PARAMETERS = [
    OpenApiParameter("window", OpenApiTypes.STR, description="center,width,function"),
    OpenApiParameter("viewport", OpenApiTypes.STR, description="width,height in pixels"),
    OpenApiParameter("quality", OpenApiTypes.INT, description="1 to 100"),
]
_PICTURE = {(200, "image/jpeg"): OpenApiTypes.BINARY}


class RetrieveRendered(DicomwebView):
    """A picture of a frame: ``GET .../instances/{instance}/rendered`` and ``.../frames/{number}/rendered``."""

    permission = Permission.RETRIEVE
    event = kinds.ACCESS

    @extend_schema(summary="Retrieve a rendered frame (PS3.18 10.4.1.1.3)", parameters=PARAMETERS, responses=_PICTURE)
    def get(self, request: Request, study: str, series: str, instance: str, numbers: str = "") -> HttpResponse:
        """JPEG, PNG or GIF with the window, size and quality asked for."""
        address = Address(study, series, instance)
        located = locate(self.scope(request), address)[0]
        rendering = rendering_of(request, self.negotiate(request, _PICTURES).media_type)
        picture = render(located, frame_number(numbers) if numbers else None, rendering)
        self.record_read(request, address, instance_count=1, bytes=len(picture), query=f"rendered {numbers}".rstrip())
        return HttpResponse(picture, content_type=rendering.media_type)


class RetrieveThumbnail(DicomwebView):
    """A small picture that stands for a study, a series, an instance or a frame: ``GET .../thumbnail``."""

    permission = Permission.RETRIEVE
    event = kinds.ACCESS

    @extend_schema(summary="Retrieve a thumbnail (PS3.18 10.4.1.1.4)", responses=_PICTURE)
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
        return single_part(payload, "image/jpeg")


def rendering_of(request: Request, media_type: str) -> Rendering:
    """How the client wants its pictures drawn. Raises ``BadRequest``."""
    asked = request._request.GET
    return Rendering(
        media_type=media_type,
        window=window(asked.get("window", "")),
        viewport=viewport(asked.get("viewport", "")),
        quality=quality(asked.get("quality", "")),
    )
