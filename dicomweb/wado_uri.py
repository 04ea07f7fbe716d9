"""WADO-URI: one instance or one picture by query parameters, for viewers older than WADO-RS (PS3.18 section 9)."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema

from access.authentication import principal_of
from access.policy import withheld
from access.roles import Permission
from archive.corrected_objects import given_syntax
from archive.locate import Address, locate
from archive.pictures import Rendering, render
from archive.transcoding import cannot_give
from audit import kinds
from dicom.transfer_syntaxes import BY_UID
from dicom.uids import is_uid
from dicomweb.errors import BadRequest, NotAcceptable
from dicomweb.frames import frame_number
from dicomweb.media_types import choose
from dicomweb.picture_parameters import annotation, presentation, quality, viewport, window
from dicomweb.rendered_media import SINGLE, offers_of, send_other
from dicomweb.view import DicomwebView
from dicomweb.wado import DICOM, send_object

_UIDS = ("studyUID", "seriesUID", "objectUID")
_OF_PICTURES = (
    "rows",
    "columns",
    "region",
    "windowCenter",
    "windowWidth",
    "imageQuality",
    "annotation",
    "presentationSeriesUID",
    "presentationUID",
)
_PARAMETERS = [
    OpenApiParameter(name, OpenApiTypes.STR, required=name in ("requestType", *_UIDS))
    for name in (
        "requestType",
        *_UIDS,
        "contentType",
        "transferSyntax",
        "frameNumber",
        "rows",
        "columns",
        "windowCenter",
        "windowWidth",
        "imageQuality",
        "annotation",
        "presentationSeriesUID",
        "presentationUID",
    )
]


class WadoUri(DicomwebView):
    """``GET /wado?requestType=WADO&studyUID=...&seriesUID=...&objectUID=...`` (PS3.18 9.1.2)."""

    permission = Permission.RETRIEVE
    event = kinds.RETRIEVE

    @extend_schema(summary="Retrieve by WADO-URI (PS3.18 9)", parameters=_PARAMETERS, responses=OpenApiTypes.BINARY)
    def get(self, request: HttpRequest) -> HttpResponseBase:
        """The object for ``contentType=application/dicom``, else a picture, a report's text, a PDF or a video."""
        asked = request.GET
        address = _address(asked)
        wanted = [name.strip().lower() for name in asked.get("contentType", "").split(",")]
        if any(name.startswith(f"{DICOM};") for name in wanted):
            raise BadRequest("contentType: application/dicom has no parameters here; use transferSyntax")
        if DICOM in wanted:
            return self._object(request, asked, address)
        located = locate(self.scope(request), address)[0]
        number = frame_number(asked["frameNumber"]) if asked.get("frameNumber") else None
        offers = offers_of(located) if number is None else SINGLE
        chosen = choose(asked.get("contentType"), None, offers)
        if chosen is None:
            raise NotAcceptable(f"available: {DICOM}; {'; '.join(offer.media_type for offer in offers)}")
        rendering = _rendering(request, chosen.media_type)
        if number and located.pixels and number > max(1, located.pixels.number_of_frames):
            raise BadRequest("frameNumber: the object has fewer frames")  # PS3.18 9.5.2.1
        if number is None:
            other = send_other(self, request, located, rendering.media_type, rendering, "wado-uri")
            if other is not None:
                return other
        picture = render(located, number, rendering)
        spoken = f"wado-uri {number or 1}"
        self.record_read(request, address, [located], instance_count=1, bytes=len(picture), query=spoken)
        return HttpResponse(picture, content_type=rendering.media_type)

    def _object(self, request: HttpRequest, asked: QueryDict, address: Address) -> HttpResponseBase:
        """PS3.18 9.1.2.2.1: in the transfer syntax that is named, or refused, not silently in another."""
        self.permission = Permission.OBJECTS  # type: ignore[misc]
        self.check_right(request)
        located = locate(self.scope(request), address)[0]
        if misplaced := [name for name in _OF_PICTURES if asked.get(name)]:
            raise BadRequest(f"{misplaced[0]}: is about pictures, and not to be asked for with {DICOM}")
        named = asked.get("transferSyntax", "")
        target = given_syntax(located) if named in ("", "*") else BY_UID.get(named)
        if target is None:
            raise BadRequest("transferSyntax: this transfer syntax is not known")
        if reason := cannot_give(located, target):
            raise NotAcceptable(f"transferSyntax: stored as {located.transfer_syntax.name}: {reason}")
        return send_object(self, request, located, target, "wado-uri")


def _address(asked: QueryDict) -> Address:
    """The instance that is asked for. Raises ``BadRequest`` for what is missing, malformed or not to be had."""
    if asked.get("requestType", "").upper() != "WADO":
        raise BadRequest("requestType: expected WADO")
    uids = [asked.get(name, "") for name in _UIDS]
    for name, uid in zip(_UIDS, uids, strict=True):
        if not is_uid(uid):
            raise BadRequest(f"{name}: expected a UID")
    if asked.get("anonymize", "no") != "no":
        raise BadRequest("anonymize: objects are not de-identified by this service")
    return Address(*uids)


def _rendering(request: HttpRequest, media_type: str) -> Rendering:
    asked = request.GET
    center, width = asked.get("windowCenter", ""), asked.get("windowWidth", "")
    columns, rows = asked.get("columns", ""), asked.get("rows", "")
    return Rendering(
        media_type=media_type,
        window=window(f"{center},{width}" if center or width else ""),
        # Only one given: the other follows from the picture's shape, which is kept within the viewport.
        viewport=viewport(f"{columns or rows},{rows or columns}" if columns or rows else ""),
        quality=quality(asked.get("imageQuality", "")),
        presentation=presentation(request, ("windowCenter", "windowWidth", "region")),
        annotation=annotation(asked.get("annotation") or None)[0],
        withheld=withheld(principal_of(request), Permission.RETRIEVE),
    )
