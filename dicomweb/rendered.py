"""WADO-RS: rendered frames and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4, 8.3.5)."""

import re

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
    representative_frame,
    series_thumbnail,
    study_thumbnail,
)
from audit import kinds
from dicom.rendering import Window
from dicomweb.bodies import single_part
from dicomweb.errors import BadRequest
from dicomweb.frames import frame_number
from dicomweb.media_types import Representation
from dicomweb.view import DicomwebView

_PICTURES = [Representation(name, None, multipart=False) for name in ("image/jpeg", "image/png", "image/gif")]
_JPEG = _PICTURES[:1]
_FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
_NUMBER = re.compile(r"[+-]?([0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9})")
_WHOLE = re.compile(r"[0-9]{1,4}")
_LARGEST_VIEWPORT = 8192
_PARAMETERS = [
    OpenApiParameter("window", OpenApiTypes.STR, description="center,width,function"),
    OpenApiParameter("viewport", OpenApiTypes.STR, description="width,height in pixels"),
    OpenApiParameter("quality", OpenApiTypes.INT, description="1 to 100"),
]
_PICTURE = {(200, "image/jpeg"): OpenApiTypes.BINARY}


class RetrieveRendered(DicomwebView):
    """A picture of a frame: ``GET .../instances/{instance}/rendered`` and ``.../frames/{number}/rendered``."""

    permission = Permission.RETRIEVE
    event = kinds.ACCESS

    @extend_schema(summary="Retrieve a rendered frame (PS3.18 10.4.1.1.3)", parameters=_PARAMETERS, responses=_PICTURE)
    def get(self, request: Request, study: str, series: str, instance: str, numbers: str = "") -> HttpResponse:
        """JPEG, PNG or GIF with the window, size and quality asked for."""
        address = Address(study, series, instance)
        located = locate(self.scope(request), address)[0]
        rendering = _rendering(request, self.negotiate(request, _PICTURES).media_type)
        number = frame_number(numbers) if numbers else representative_frame(located)
        picture = render(located, number, rendering)
        self.record_read(request, address, instance_count=1, bytes=len(picture), query=f"rendered={number}")
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


def _rendering(request: Request, media_type: str) -> Rendering:
    """The rendering parameters of PS3.18 8.3.5. Raises ``BadRequest``."""
    asked = request._request.GET
    return Rendering(
        media_type=media_type,
        window=_window(asked.get("window", "")),
        viewport=_viewport(asked.get("viewport", "")),
        quality=_quality(asked.get("quality", "")),
    )


def _window(text: str) -> Window | None:
    if not text:
        return None
    center, width, *function = text.split(",") if text.count(",") in (1, 2) else ("", "")
    name = _FUNCTIONS.get(function[0].lower().replace("_", "-") if function else "linear")
    if not _NUMBER.fullmatch(center) or not _NUMBER.fullmatch(width) or name is None:
        raise BadRequest("window: expected center,width,function with function linear, linear-exact or sigmoid")
    if (float(width) < 1 and name == "LINEAR") or float(width) <= 0:
        raise BadRequest("window: the width must be at least 1 (above 0 for linear-exact and sigmoid)")
    return Window(float(center), float(width), name)


def _viewport(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    parts = text.split(",")
    if len(parts) < 2 or not all(_within(part, _LARGEST_VIEWPORT) for part in parts[:2]):
        raise BadRequest(f"viewport: expected width,height from 1 to {_LARGEST_VIEWPORT}")
    if any(parts[2:]):
        raise BadRequest("viewport: source regions are not supported")
    return int(parts[0]), int(parts[1])


def _quality(text: str) -> int:
    if not text:
        return 90
    if not _within(text, 100):
        raise BadRequest("quality: expected a whole number from 1 to 100")
    return int(text)


def _within(text: str, most: int) -> bool:
    return _WHOLE.fullmatch(text) is not None and 1 <= int(text) <= most
