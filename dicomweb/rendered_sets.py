"""WADO-RS: pictures of all instances of a study or a series (PS3.18 10.4.1.1.3)."""

from collections.abc import Iterator, Sequence
from itertools import chain

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from access.roles import Permission
from archive.errors import NotRenderable
from archive.locate import Address, Located, locate
from archive.pictures import Rendering, render
from audit import kinds
from dicomweb.bodies import late_multipart
from dicomweb.errors import BadRequest
from dicomweb.media_types import Representation
from dicomweb.multipart import OutPart
from dicomweb.rendered import PARAMETERS, rendering_of
from dicomweb.view import DicomwebView, dicomweb_root

MOST_PICTURES = 1_000
PICTURES = [Representation(name, None, multipart=True) for name in ("image/jpeg", "image/png", "image/gif")]


class RetrieveRenderedSet(DicomwebView):
    """``GET .../rendered`` of a study or a series."""

    permission = Permission.RETRIEVE
    event = kinds.ACCESS

    @extend_schema(
        summary="Retrieve a rendered study or series (PS3.18 10.4.1.1.3)",
        parameters=PARAMETERS,
        responses={(200, "multipart/related"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, study: str, series: str | None = None) -> HttpResponseBase:
        """One picture an instance, its middle frame; instances that have none are left out."""
        address = Address(study, series)
        found = [located for located in locate(self.scope(request), address) if located.pixels is not None]
        if len(found) > MOST_PICTURES:
            raise BadRequest(f"rendered: at most {MOST_PICTURES} pictures in one request, here are {len(found)}")
        rendering = rendering_of(request, self.negotiate(request, PICTURES).media_type)
        parts = _parts(found, rendering, dicomweb_root(request))
        try:
            first = next(parts)
        except StopIteration:
            raise NotRenderable("nothing under these UIDs has a picture that can be drawn") from None
        # The others are drawn after this event: its bytes are those that are known by now.
        self.record_read(request, address, instance_count=len(found), bytes=first.length, query="rendered")
        return late_multipart(chain((first,), parts), rendering.media_type)


def _parts(found: Sequence[Located], rendering: Rendering, root: str) -> Iterator[OutPart]:
    """Each picture is drawn when its turn comes: one is in memory at a time."""
    for located in found:
        try:
            picture = render(located, None, rendering)
        except NotRenderable:
            continue
        headers = [
            ("Content-Type", rendering.media_type),
            ("Content-Location", f"{root}{located.address.path}/rendered"),
        ]
        yield OutPart(headers, len(picture), [picture])
