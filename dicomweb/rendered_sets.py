"""WADO-RS: several pictures in one answer: of a study, a series, or a list of frames (PS3.18 10.4.1.1.3)."""

from collections.abc import Iterator
from functools import partial
from itertools import chain

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema

from access.roles import Permission
from archive.cine import cine, moves
from archive.drawings import is_drawn
from archive.locate import Address, locate
from archive.pictures import Rendering, drawn, render, render_frames
from audit import kinds
from dicomweb.bodies import late_multipart
from dicomweb.errors import BadRequest
from dicomweb.frames import frame_numbers, spoken
from dicomweb.multipart import OutPart
from dicomweb.picture_parameters import PARAMETERS, rendering_of, warnings_of
from dicomweb.rendered import PICTURE, send_frame
from dicomweb.rendered_media import MOVING, PICTURES, SINGLE, send_cine
from dicomweb.view import DicomwebView, Found, dicomweb_root

_SET = {(200, "multipart/related"): OpenApiTypes.BINARY}


class RetrieveRenderedSet(DicomwebView):
    """``GET .../rendered`` of a study or a series."""

    permission = Permission.RETRIEVE
    event = kinds.ACCESS

    @extend_schema(
        summary="Retrieve a rendered study or series (PS3.18 10.4.1.1.3)", parameters=PARAMETERS, responses=_SET
    )
    def get(self, request: HttpRequest, study: str, series: str | None = None) -> HttpResponseBase:
        """One picture an instance, its middle frame; instances that have none are left out."""
        address = Address(study, series)
        found = [located for located in locate(self.scope(request), address) if located.pixels or is_drawn(located)]
        _check_count(len(found))
        rendering = rendering_of(request, self.negotiate(request, PICTURES).media_type)
        pictures = drawn((located.address.path, partial(render, located, None, rendering)) for located in found)
        return _send(self, request, address, found, pictures, rendering, instance_count=len(found), query="rendered")


class RetrieveRenderedFrames(DicomwebView):
    """``GET .../frames/{numbers}/rendered``."""

    permission = Permission.RETRIEVE
    event = kinds.ACCESS

    @extend_schema(
        summary="Retrieve rendered frames (PS3.18 10.4.1.1.3)", parameters=PARAMETERS, responses=PICTURE | _SET
    )
    def get(self, request: HttpRequest, study: str, series: str, instance: str, numbers: str) -> HttpResponseBase:
        """One frame alone or as a part; several as parts in the order of the list, without what can't be drawn.

        Several frames of an image also as one animated GIF.
        """
        address, wanted = Address(study, series, instance), frame_numbers(numbers)
        _check_count(len(wanted))
        if len(wanted) == 1:
            chosen = self.negotiate(request, (*SINGLE, *PICTURES))
            if not chosen.multipart:
                return send_frame(self, request, address, wanted[0])
        located = locate(self.scope(request), address)[0]
        if len(wanted) > 1:
            chosen = self.negotiate(request, (*PICTURES, *MOVING) if moves(located) else PICTURES)
        rendering = rendering_of(request, chosen.media_type)
        query = f"rendered {spoken(wanted)}"
        if not chosen.multipart:
            return send_cine(self, request, located, cine(located, wanted, rendering), query)
        pictures = render_frames(located, wanted, rendering)
        named = ((f"{address.path}/frames/{number}", picture) for number, picture in pictures)
        return _send(self, request, address, [located], named, rendering, instance_count=1, query=query)


def _check_count(count: int) -> None:
    most = settings.PACS.limits.pictures_per_request
    if count > most:
        raise BadRequest(f"rendered: at most {most} pictures in one request, here are {count}")


def _send(
    view: DicomwebView,
    request: HttpRequest,
    address: Address,
    found: Found,
    pictures: Iterator[tuple[str, bytes]],
    rendering: Rendering,
    *,
    instance_count: int,
    query: str,
) -> HttpResponseBase:
    """A part for each of ``pictures``, named by its path; the first is drawn before the status line."""
    warnings = warnings_of(request)
    root = dicomweb_root(request)
    parts = (_part(f"{root}{path}/rendered", rendering.media_type, picture) for path, picture in pictures)
    first = next(parts)
    # The others are drawn after this event: its bytes are those that are known by now.
    view.record_read(request, address, found, instance_count=instance_count, bytes=first.length, query=query)
    response = late_multipart(chain((first,), parts), rendering.media_type)
    for name, text in warnings.items():
        response[name] = text
    return response


def _part(location: str, media_type: str, picture: bytes) -> OutPart:
    return OutPart([("Content-Type", media_type), ("Content-Location", location)], len(picture), [picture])
