"""WADO-URI: one instance or one picture by query parameters, for viewers older than WADO-RS (PS3.18 section 9)."""

from django.http import HttpResponse, HttpResponseBase, QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from access.roles import Permission
from archive.locate import Address, Located, locate
from archive.pictures import Rendering, render
from archive.retrieve import open_object
from audit import kinds
from dicom.transfer_syntaxes import BY_UID
from dicom.uids import is_uid
from dicomweb.errors import BadRequest, NotAcceptable
from dicomweb.frames import frame_number
from dicomweb.media_types import Representation, choose
from dicomweb.picture_parameters import quality, viewport, window
from dicomweb.ranges import bytes_sent, single_part, validators
from dicomweb.view import DicomwebView

DICOM = "application/dicom"
_UIDS = ("studyUID", "seriesUID", "objectUID")
_PICTURES = [Representation(name, None, multipart=False) for name in ("image/jpeg", "image/png", "image/gif")]
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
        """The object as stored for ``contentType=application/dicom``, a picture otherwise."""
        asked = request._request.GET
        address = _address(asked)
        located = locate(self.scope(request), address)[0]
        wanted = asked.get("contentType", "").split(",")
        if any(name.strip().split(";")[0].lower() == DICOM for name in wanted):
            return self._object(request, asked, located)
        chosen = choose(asked.get("contentType") or "image/jpeg", None, _PICTURES)
        if chosen is None:
            raise NotAcceptable(f"available: {DICOM}; {'; '.join(offer.media_type for offer in _PICTURES)}")
        rendering = _rendering(asked, chosen.media_type)
        number = frame_number(asked["frameNumber"]) if asked.get("frameNumber") else None
        picture = render(located, number, rendering)
        self.record_read(request, address, instance_count=1, bytes=len(picture), query=f"wado-uri {number or 1}")
        return HttpResponse(picture, content_type=rendering.media_type)

    def _object(self, request: Request, asked: QueryDict, located: Located) -> HttpResponseBase:
        """PS3.18 9.1.2.2.1: another transfer syntax than the stored one is refused, not silently replaced."""
        syntax = asked.get("transferSyntax", "")
        if syntax and syntax not in (located.transfer_syntax.uid, "*"):
            known = BY_UID[syntax].name if syntax in BY_UID else "an unknown one"
            raise BadRequest(f"transferSyntax: the object is stored as {located.transfer_syntax.name}, not as {known}")
        content_type = f"{DICOM}; transfer-syntax={located.transfer_syntax.uid}"
        response = single_part(request, open_object(located), content_type, validators(located))
        self.record_read(request, located.address, instance_count=1, bytes=bytes_sent(response), query="wado-uri")
        return response


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
