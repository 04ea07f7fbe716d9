"""WADO-RS: one bulk value, what a BulkDataURI in the metadata points to (PS3.18 10.4.1.1.5)."""

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema

from access.roles import Permission
from archive import metadata
from archive.errors import NotFound
from archive.frames import Frames, frames_of
from archive.locate import Address, Located, locate, locate_series
from archive.retrieve import open_bulk_value
from audit import kinds
from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from dicomweb.attribute_filter import hides
from dicomweb.bodies import multipart_response
from dicomweb.errors import BadRequest
from dicomweb.frames import send_frames
from dicomweb.media_types import Representation
from dicomweb.multipart import OutPart
from dicomweb.ranges import bytes_sent, single_part, validators
from dicomweb.view import DicomwebView, dicomweb_root

_OCTETS = "application/octet-stream"
PIXELS = {"7FE00008": "FloatPixelData", "7FE00009": "DoubleFloatPixelData", "7FE00010": "PixelData"}
_ENCAPSULATED_DOCUMENT = "00420011"
_MIME_TYPE_OF_ENCAPSULATED_DOCUMENT = "00420012"
# What an encapsulated document may call itself on our origin: nothing that a browser would run or render as a page.
INERT = frozenset({"application/pdf", "model/obj", "model/mtl", "model/stl", "application/sla"})


class RetrieveBulkData(DicomwebView):
    """``GET .../bulkdata/{tag}``, nested ones ``.../bulkdata/{tag}/{item}/{tag}``."""

    permission = Permission.RETRIEVE
    event = kinds.RETRIEVE

    @extend_schema(
        summary="Retrieve bulk data (PS3.18 10.4.1.1.5)", responses={(200, "multipart/related"): OpenApiTypes.BINARY}
    )
    def get(self, request: HttpRequest, study: str, series: str, instance: str, path: str) -> HttpResponseBase:
        """The value little endian; encapsulated pixel data as its frames; a document also in its own media type."""
        located = locate(self.scope(request), Address(study, series, instance))[0]
        if hides(path, self.withheld(request)):
            raise NotFound("no bulk value at this place")
        return send_bulk_value(self, request, located, path)


def send_bulk_value(view: DicomwebView, request: HttpRequest, located: Located, path: str) -> HttpResponseBase:
    """The value at ``path`` in what the client prefers; encapsulated pixel data as a part for each frame."""
    address = located.address
    frames = _frames_at(located, path)
    if frames is not None and frames.transfer_syntax.encapsulated:
        most = settings.PACS.limits.frames_per_request
        if frames.count > most:
            raise BadRequest(f"the pixel data have more than {most} frames: ask for frames in lists")
        return send_frames(view, request, frames, range(1, frames.count + 1))
    payload = open_bulk_value(located, path) if frames is None else frames.open_value()
    # Pixel data say in which transfer syntax they leave, like frames; other values have none.
    syntax = None if frames is None else EXPLICIT_VR_LITTLE_ENDIAN.uid
    chosen = view.negotiate(request, _offers(_own_type(view, request, address, path), syntax))
    spoken = f"bulkdata={path}"
    if not chosen.multipart:
        known_by = validators(located, spoken, chosen.content_type)
        alone = single_part(request, payload, chosen.content_type, known_by)
        view.record_read(request, address, [located], instance_count=1, bytes=bytes_sent(alone), query=spoken)
        return alone
    pieces = payload.open()
    view.record_read(request, address, [located], instance_count=1, bytes=payload.length, query=spoken)
    headers = [
        ("Content-Type", chosen.content_type),
        ("Content-Location", f"{dicomweb_root(request)}{address.path}/bulkdata/{path}"),
    ]
    return multipart_response([OutPart(headers, payload.length, pieces)], chosen.media_type)


def _own_type(view: DicomwebView, request: HttpRequest, address: Address, path: str) -> str | None:
    """The media type that an encapsulated document says it has (PS3.3 C.24.2)."""
    if path != _ENCAPSULATED_DOCUMENT or address.sop_instance_uid is None:
        return None
    series = locate_series(view.scope(request), address)[0]
    values = metadata.instance_values(series, address.sop_instance_uid)
    named = values.get(_MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, {}).get("Value")
    text = str(named[0]).lower() if isinstance(named, list) and named else ""
    return text if text in INERT else None


def _frames_at(located: Located, path: str) -> Frames | None:
    """The frames that ``path`` stands for; ``None`` where the value is kept as it is (PS3.5 A.4 not followed)."""
    if located.pixels is None or PIXELS.get(path) != located.pixels.keyword:
        return None
    try:
        return frames_of(located)
    except NotFound:
        return None


def _offers(own_type: str | None, transfer_syntax_uid: str | None) -> list[Representation]:
    names = [_OCTETS, own_type] if own_type else [_OCTETS]
    return [Representation(name, transfer_syntax_uid, multipart) for multipart in (True, False) for name in names]
