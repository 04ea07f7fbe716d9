"""WADO-URI: one instance or one picture by query parameters, for viewers older than WADO-RS (PS3.18 section 9)."""

from django.http import HttpResponse, HttpResponseBase, QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from access.roles import Permission
from archive.locate import Address, locate
from archive.pictures import Rendering, render
from archive.transcoding import cannot_give
from audit import kinds
from dicom.transfer_syntaxes import BY_UID
from dicom.uids import is_uid
from dicomweb.errors import BadRequest, NotAcceptable
from dicomweb.frames import frame_number
from dicomweb.media_types import Representation, choose
from dicomweb.picture_parameters import quality, viewport, window
from dicomweb.view import DicomwebView
from dicomweb.wado import DICOM, send_object

_UIDS = ("studyUID", "seriesUID", "objectUID")
_PICTURES = [Representation(name, None, multipart=False) for name in ("image/jpeg", "image/png", "image/gif")]
_OF_PICTURES = ("rows", "columns", "region", "windowCenter", "windowWidth", "imageQuality", "annotation")
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
    )
]


class WadoUri(DicomwebView):
    """``GET /wado?requestType=WADO&studyUID=...&seriesUID=...&objectUID=...`` (PS3.18 9.1.2)."""

    permission = Permission.RETRIEVE
    event = kinds.RETRIEVE

    @extend_schema(summary="Retrieve by WADO-URI (PS3.18 9)", parameters=_PARAMETERS, responses=OpenApiTypes.BINARY)
    def get(self, request: Request) -> HttpResponseBase:
        """The object for ``contentType=application/dicom``, a picture otherwise."""
        asked = request._request.GET
        address = _address(asked)
        wanted = [name.strip().lower() for name in asked.get("contentType", "").split(",")]
        if any(name.startswith(f"{DICOM};") for name in wanted):
            raise BadRequest("contentType: application/dicom has no parameters here; use transferSyntax")
        if DICOM in wanted:
            return self._object(request, asked, address)
        located = locate(self.scope(request), address)[0]
        chosen = choose(asked.get("contentType") or "image/jpeg", None, _PICTURES)
        if chosen is None:
            raise NotAcceptable(f"available: {DICOM}; {'; '.join(offer.media_type for offer in _PICTURES)}")
        rendering = _rendering(asked, chosen.media_type)
        number = frame_number(asked["frameNumber"]) if asked.get("frameNumber") else None
        if number and located.pixels and number > max(1, located.pixels.number_of_frames):
            raise BadRequest("frameNumber: the object has fewer frames")  # PS3.18 9.5.2.1
        picture = render(located, number, rendering)
        self.record_read(request, address, instance_count=1, bytes=len(picture), query=f"wado-uri {number or 1}")
        return HttpResponse(picture, content_type=rendering.media_type)

    def _object(self, request: Request, asked: QueryDict, address: Address) -> HttpResponseBase:
        """PS3.18 9.1.2.2.1: in the transfer syntax that is named, or refused, not silently in another."""
        self.permission = Permission.OBJECTS  # type: ignore[misc]
        self.check_right(request)
        located = locate(self.scope(request), address)[0]
        if misplaced := [name for name in _OF_PICTURES if asked.get(name)]:
            raise BadRequest(f"{misplaced[0]}: is about pictures, and not to be asked for with {DICOM}")
        named = asked.get("transferSyntax", "")
        target = located.transfer_syntax if named in ("", "*") else BY_UID.get(named)
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


def _rendering(asked: QueryDict, media_type: str) -> Rendering:
    center, width = asked.get("windowCenter", ""), asked.get("windowWidth", "")
    columns, rows = asked.get("columns", ""), asked.get("rows", "")
    return Rendering(
        media_type=media_type,
        window=window(f"{center},{width}" if center or width else ""),
        # Only one given: the other follows from the picture's shape, which is kept within the viewport.
        viewport=viewport(f"{columns or rows},{rows or columns}" if columns or rows else ""),
        quality=quality(asked.get("imageQuality", "")),
    )
