"""WADO-RS: frames in the transfer syntax that the client prefers (PS3.18 10.4.1.1.6)."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, HttpResponseNotModified
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema

from access.roles import Permission
from archive.frames import Frames, frames_of
from archive.locate import Address, locate
from archive.payload import Payload
from archive.representations import held_frames
from archive.transcoding import targets_of
from audit import kinds
from dicom.transfer_syntaxes import BY_UID, EXPLICIT_VR_LITTLE_ENDIAN, TransferSyntax
from dicomweb.bodies import multipart_response
from dicomweb.errors import BadRequest
from dicomweb.media_types import Representation
from dicomweb.multipart import OutPart
from dicomweb.ranges import bytes_sent, in_parts, single_part, validators, wants_part
from dicomweb.view import DicomwebView, dicomweb_root

_OCTETS = "application/octet-stream"
_NUMBERS = re.compile(r"[0-9]{1,9}(,[0-9]{1,9})*")


class RetrieveFrames(DicomwebView):
    """``GET .../frames/{numbers}``."""

    permission = Permission.RETRIEVE
    event = kinds.RETRIEVE
    looks_up = "instances"

    @extend_schema(
        summary="Retrieve frames (PS3.18 10.4.1.1.6)", responses={(200, "multipart/related"): OpenApiTypes.BINARY}
    )
    def get(self, request: HttpRequest, study: str, series: str, instance: str, numbers: str) -> HttpResponseBase:
        """As stored wherever that is acceptable; decoded otherwise, and coded in what was named."""
        wanted = frame_numbers(numbers)
        frames = frames_of(locate(self.scope(request), Address(study, series, instance))[0])
        return send_frames(self, request, frames, wanted)


def send_frames(view: DicomwebView, request: HttpRequest, frames: Frames, wanted: Sequence[int]) -> HttpResponseBase:
    """The frames ``wanted``, at least one, in what the client prefers of what there is.

    The first frame is in hand, and all are known to exist, before the status line.
    """
    instance = frames.instance
    offers: Sequence[Representation] = _offers(
        frames.transfer_syntax, targets_of(instance.transfer_syntax, instance.pixels), single=len(wanted) == 1
    )
    if wants_part(request) and frames.transfer_syntax.media_type.startswith("video/"):
        # A <video> element takes anything and asks for ranges, which only the codestream alone has.
        offers = sorted(offers, key=lambda offer: (offer.multipart, offer.media_type == _OCTETS))
    chosen = view.negotiate(request, offers)
    syntax = BY_UID[chosen.transfer_syntax_uid or EXPLICIT_VR_LITTLE_ENDIAN.uid]
    frames = held_frames(frames, syntax)
    lengths = [frames.length(number, syntax) for number in wanted]
    address, whose, query = frames.instance.address, [frames.instance], f"frames={spoken(wanted)}"
    known_by = validators(frames.instance, query, chosen.content_type)
    if chosen.multipart and known_by.unchanged(request):
        view.record_frames(request, address, len(wanted), whose, instance_count=1, bytes=0, query=query)
        return in_parts(HttpResponseNotModified(), known_by)
    opened = frames.open_ahead(wanted, syntax)
    first = next(opened)
    lengths[0] = first.length
    if not chosen.multipart:
        alone = single_part(request, first, chosen.content_type, known_by)
        view.record_frames(request, address, len(wanted), whose, instance_count=1, bytes=bytes_sent(alone), query=query)
        return alone
    pieces = first.open()
    size = sum(length or 0 for length in lengths)
    view.record_frames(request, address, len(wanted), whose, instance_count=1, bytes=size, query=query)
    base = f"{dicomweb_root(request)}{address.path}/frames"
    parts = [
        OutPart(
            [("Content-Type", chosen.content_type), ("Content-Location", f"{base}/{number}")],
            length,
            pieces if at == 0 else _next(opened),
        )
        for at, (number, length) in enumerate(zip(wanted, lengths, strict=True))
    ]
    return in_parts(multipart_response(parts, chosen.media_type), known_by)


def frame_numbers(text: str) -> list[int]:
    """The list of a frames resource, each number once. Raises ``BadRequest``."""
    if not _NUMBERS.fullmatch(text):
        raise BadRequest("frames: expected numbers from 1, separated by commas")
    numbers = list(dict.fromkeys(int(part) for part in text.split(",")))
    if 0 in numbers:
        raise BadRequest("frames: frames are numbered from 1")
    most = settings.PACS.limits.frames_per_request
    if len(numbers) > most:
        raise BadRequest(f"frames: at most {most} in one request")
    return numbers


def frame_number(text: str) -> int:
    """The one frame of a resource that is a single picture. Raises ``BadRequest``."""
    numbers = frame_numbers(text)
    if len(numbers) > 1:
        raise BadRequest("frames: expected one number")
    return numbers[0]


@lru_cache(maxsize=256)
def _offers(stored: TransferSyntax, targets: Sequence[TransferSyntax], *, single: bool) -> tuple[Representation, ...]:
    """As stored under both of its names, then decoded if it can be, then coded anew; multipart first."""
    ways = [(_OCTETS, stored.uid, True, False)]
    if stored.encapsulated and stored.media_type != _OCTETS:
        ways.append((stored.media_type, stored.uid, True, False))
    for target in targets:
        if target == stored:
            continue
        ways.append((_OCTETS, target.uid, False, target.encapsulated))
        if target.encapsulated:
            # Who asks for a media type alone is content with the stored frame if that has it.
            ways.append((target.media_type, target.uid, False, target.media_type == stored.media_type))
    return tuple(
        Representation(media_type, uid, multipart, as_stored, named_only)
        for multipart in ((True, False) if single else (True,))
        for media_type, uid, as_stored, named_only in ways
    )


def _next(opened: Iterator[Payload]) -> Iterator[bytes]:
    """The pieces of the frame whose turn has come."""
    yield from next(opened).open()


def spoken(numbers: Iterable[int]) -> str:
    """Frame numbers for the trail, runs shortened: ``1-50,60``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{low}-{high}" if low != high else str(low) for low, high in runs)
