"""WADO-RS: thumbnails of a study, a series, an instance or a frame (PS3.18 10.4.1.1.4, 8.3.5.2)."""

from collections.abc import Iterable

from django.http import HttpRequest, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema

from access.roles import Permission
from archive.drawings import is_text
from archive.errors import NotRenderable
from archive.examining import THUMBNAIL_EDGE
from archive.locate import Address, Located, locate, locate_series
from archive.payload import Payload, in_memory
from archive.thumbnails import DRAWN, LARGEST_EDGE, Thumbnail, of_series
from audit import kinds
from dicomweb.errors import BadRequest
from dicomweb.frames import frame_number
from dicomweb.media_types import Representation
from dicomweb.picture_parameters import viewport
from dicomweb.ranges import Validators, bytes_sent, single_part, validators
from dicomweb.view import DicomwebView, Found

_JPEG = [Representation("image/jpeg", None, multipart=False)]
_PARAMETERS = [
    OpenApiParameter(
        "viewport",
        OpenApiTypes.STR,
        description=f"width,height of a box that the picture fits into, 1 to {LARGEST_EDGE}; "
        f"{THUMBNAIL_EDGE},{THUMBNAIL_EDGE} if it is left out",
    )
]


class RetrieveThumbnail(DicomwebView):
    """A small picture that stands for a study, a series, an instance or a frame: ``GET .../thumbnail``."""

    permission = Permission.RETRIEVE
    event = kinds.ACCESS

    @extend_schema(
        summary="Retrieve a thumbnail (PS3.18 10.4.1.1.4)",
        parameters=_PARAMETERS,
        responses={(200, "image/jpeg"): OpenApiTypes.BINARY},
    )
    def get(
        self,
        request: HttpRequest,
        study: str,
        series: str | None = None,
        instance: str | None = None,
        numbers: str = "",
    ) -> HttpResponseBase:
        """JPEG, as a worker prepared it when the instance arrived; made on the spot where it isn't there yet."""
        address = Address(study, series, instance)
        self.negotiate(request, _JPEG)
        frame = frame_number(numbers) if numbers else None
        edges = _edges(request.GET.get("viewport", ""))
        found: Found
        if instance is not None:
            found = exact = locate(self.scope(request), address)
            located = iter(exact)
        else:
            found = in_scope = locate_series(self.scope(request), address)
            located = of_series(in_scope)
        # Names stand in pages of text, and thumbnails are drawn for everybody alike.
        shown = (each for each in located if not (is_text(each) and self.withheld(request)))
        payload, known_by = _first(request, (Thumbnail(each, frame, edges) for each in shown))
        response = single_part(request, payload, "image/jpeg", known_by)
        self.record_read(request, address, found, instance_count=1, bytes=bytes_sent(response), query="thumbnail")
        return response


def _first(request: HttpRequest, thumbnails: Iterable[Thumbnail]) -> tuple[Payload, Validators]:
    """The first that can be drawn, and isn't drawn if the client has it. Raises ``NotRenderable`` if none can."""
    failure = NotRenderable("nothing that is asked for has a picture")
    for thumbnail in thumbnails:
        known_by = _validators(thumbnail.instance, thumbnail.number, thumbnail.edges)
        if known_by.unchanged(request):
            return in_memory(b""), known_by
        try:
            return in_memory(thumbnail.read()), known_by
        except NotRenderable as error:
            failure = error
    raise failure


def _validators(instance: Located, number: int | None, edges: tuple[int, int]) -> Validators:
    return validators(instance, "thumbnail", DRAWN, number, *edges)


def _edges(text: str) -> tuple[int, int]:
    """What ``viewport`` says: of a thumbnail width and height alone (PS3.18 8.3.5.2). Raises ``BadRequest``."""
    edges = viewport(text) or (THUMBNAIL_EDGE, THUMBNAIL_EDGE)
    if text.count(",") > 1 or max(edges) > LARGEST_EDGE:
        raise BadRequest(f"viewport: expected width,height of a thumbnail, from 1 to {LARGEST_EDGE}")
    return edges
