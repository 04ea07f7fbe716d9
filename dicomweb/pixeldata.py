"""WADO-RS: the pixel data of a study, a series or an instance (PS3.18 10.4.1.1.7)."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema

from access.roles import Permission
from archive.errors import NotFound
from archive.frames import Frames, frames_of
from archive.frames_ahead import ahead
from archive.locate import Address, Located, locate
from archive.payload import Payload
from audit import kinds
from dicom.codecs import CODECS
from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TransferSyntax
from dicomweb.bodies import late_multipart
from dicomweb.bulkdata import PIXELS, send_bulk_value
from dicomweb.errors import BadRequest
from dicomweb.media_types import Representation
from dicomweb.multipart import OutPart
from dicomweb.view import DicomwebView, dicomweb_root

_OCTETS = "application/octet-stream"
_ANY = "*"
PATHS = {keyword: path for path, keyword in PIXELS.items()}


class RetrievePixelData(DicomwebView):
    """``GET .../pixeldata`` of a study, a series or an instance."""

    permission = Permission.RETRIEVE
    event = kinds.RETRIEVE

    @extend_schema(
        summary="Retrieve pixel data (PS3.18 10.4.1.1.7)", responses={(200, "multipart/related"): OpenApiTypes.BINARY}
    )
    def get(
        self, request: HttpRequest, study: str, series: str | None = None, instance: str | None = None
    ) -> HttpResponseBase:
        """Of each instance that has them: native pixel data as one value, encapsulated ones as their frames."""
        address = Address(study, series, instance)
        found = [
            (located, PATHS[p.keyword]) for located in locate(self.scope(request), address) if (p := located.pixels)
        ]
        if not found:
            raise NotFound("there are no pixel data under these UIDs")
        if instance is not None:
            return send_bulk_value(self, request, *found[0])
        frames = sum(max(1, located.pixels.number_of_frames) for located, _ in found if located.pixels)
        most = settings.PACS.limits.frames_per_request
        if frames > most:
            raise BadRequest(f"the pixel data have more than {most} frames: ask for less at once")
        chosen = self.negotiate(request, pixel_offers([located for located, _ in found]))
        decoded = chosen.transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN.uid
        parts = pixel_parts(found, dicomweb_root(request), decoded=decoded)
        try:
            first = next(parts)
        except StopIteration:
            raise NotFound("there are no pixel data under these UIDs") from None
        size = sum(located.object_size - located.header_length for located, _ in found)
        whose = [located for located, _ in found[:1]]
        self.record_read(request, address, whose, instance_count=len(found), bytes=size, query="pixeldata")
        return late_multipart(chain((first,), parts), _OCTETS)


def pixel_offers(found: Sequence[Located]) -> list[Representation]:
    """All as stored, under the transfer syntax that they share if they do; then decoded, if all can be."""
    native = EXPLICIT_VR_LITTLE_ENDIAN.uid
    syntaxes = {e.transfer_syntax.uid if e.transfer_syntax.encapsulated else native for e in found}
    offers = [Representation(_OCTETS, next(iter(syntaxes)) if len(syntaxes) == 1 else _ANY, True, as_stored=True)]
    if syntaxes != {native} and all(CODECS[uid].decode for uid in syntaxes):
        offers.append(Representation(_OCTETS, native, multipart=True))
    return offers


def pixel_parts(found: Sequence[tuple[Located, str]], root: str, *, decoded: bool) -> Iterator[OutPart]:
    """The parts, each opened when its turn comes; instances whose pixel data have no readable frames are left out."""
    opening = _opening(found, root, decoded=decoded)
    largest = max(located.pixels.frame_bytes for located, _ in found if located.pixels)
    opened = ahead(opening, largest) if decoded else (each() for each in opening)
    for syntax, place, payload in opened:
        headers = [("Content-Type", f"{_OCTETS}; transfer-syntax={syntax.uid}"), ("Content-Location", place)]
        yield OutPart(headers, payload.length, payload.open())


def _opening(
    found: Sequence[tuple[Located, str]], root: str, *, decoded: bool
) -> Iterator[Callable[[], tuple[TransferSyntax, str, Payload]]]:
    for located, path in found:
        try:
            frames = frames_of(located)
        except NotFound:
            continue
        base = f"{root}{located.address.path}"
        if not frames.transfer_syntax.encapsulated:
            yield partial(_native, frames, f"{base}/bulkdata/{path}")
            continue
        syntax = EXPLICIT_VR_LITTLE_ENDIAN if decoded else frames.transfer_syntax
        for number in range(1, frames.count + 1):
            yield partial(_frame, frames, f"{base}/frames/{number}", number, syntax)


def _native(frames: Frames, place: str) -> tuple[TransferSyntax, str, Payload]:
    return EXPLICIT_VR_LITTLE_ENDIAN, place, frames.open_value()


def _frame(frames: Frames, place: str, number: int, syntax: TransferSyntax) -> tuple[TransferSyntax, str, Payload]:
    return syntax, place, frames.open(number, syntax)
