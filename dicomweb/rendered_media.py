"""What an instance can be rendered as, and the answers that are no single picture (PS3.18 8.7.4, table 8.7.4-1)."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from archive import cine
from archive.documents import pdf_of, read_document
from archive.drawings import ENCAPSULATED_PDF, REPORTS
from archive.errors import NotRenderable
from archive.locate import Located
from archive.pictures import Rendering
from archive.report_texts import WRITERS, report_text
from archive.videos import is_video, video_of
from dicomweb.media_types import Representation
from dicomweb.ranges import bytes_sent, single_part, validators
from dicomweb.view import DicomwebView

PDF = "application/pdf"
# In the server's order; the last two only for who prefers them to a JPEG
IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp", "image/avif")
_IF_PREFERRED = frozenset(("image/webp", "image/avif"))
VIDEO_TYPES = ("video/mp4", "video/mpeg")


def images(*, multipart: bool) -> list[Representation]:
    """Pictures alone, or each as a part."""
    return [Representation(name, None, multipart, if_preferred=name in _IF_PREFERRED) for name in IMAGE_TYPES]


def _alone(*names: str) -> list[Representation]:
    return [Representation(name, None, multipart=False) for name in names]


SINGLE = images(multipart=False)
PICTURES = images(multipart=True)
MOVING = _alone(cine.MEDIA_TYPE)
# Everything that some instance is rendered as
ALL = [*SINGLE, *_alone(*WRITERS, PDF, *VIDEO_TYPES)]


def offers_of(located: Located) -> list[Representation]:
    """What one instance is rendered as, its default first. Raises ``NotRenderable`` where there is nothing."""
    if is_video(located):
        stored = video_of(located)
        if stored is None:
            raise NotRenderable("the stored video is in no container that is rendered; it can be had as frames")
        return _alone(stored[0])
    if located.sop_class_uid in REPORTS:
        return [*_alone(*WRITERS), *SINGLE]
    if located.sop_class_uid == ENCAPSULATED_PDF:
        return [*_alone(PDF), *SINGLE]
    return SINGLE


def send_other(
    view: DicomwebView, request: HttpRequest, located: Located, media_type: str, rendering: Rendering, query: str
) -> HttpResponseBase | None:
    """The instance in a media type that is no single picture; ``None`` if it is one."""
    if media_type == cine.MEDIA_TYPE and not cine.moves(located):
        return None
    sender = _SENDERS.get(media_type)
    return sender(view, request, located, media_type, rendering, query) if sender else None


def send_cine(
    view: DicomwebView, request: HttpRequest, located: Located, pieces: Iterator[bytes], query: str
) -> HttpResponseBase:
    """A moving picture, of which the first frame is drawn; the others follow while it leaves."""
    first = next(pieces)
    view.record_read(request, located.address, [located], instance_count=1, bytes=len(first), query=query)

    def whole() -> Iterator[bytes]:
        yield first
        yield from pieces

    return StreamingHttpResponse(whole(), content_type=cine.MEDIA_TYPE)


def _cine(
    view: DicomwebView, request: HttpRequest, located: Located, media_type: str, rendering: Rendering, query: str
) -> HttpResponseBase:
    return send_cine(view, request, located, cine.cine(located, None, rendering), query)


def _text(
    view: DicomwebView, request: HttpRequest, located: Located, media_type: str, rendering: Rendering, query: str
) -> HttpResponseBase:
    body = report_text(located, media_type, rendering.withheld)
    view.record_read(request, located.address, [located], instance_count=1, bytes=len(body), query=query)
    return HttpResponse(body, content_type=f"{media_type}; charset=utf-8")


def _pdf(
    view: DicomwebView, request: HttpRequest, located: Located, media_type: str, rendering: Rendering, query: str
) -> HttpResponseBase:
    payload = pdf_of(read_document(located, rendering.withheld))
    alone = single_part(request, payload, media_type, validators(located, query, media_type))
    view.record_read(request, located.address, [located], instance_count=1, bytes=bytes_sent(alone), query=query)
    return alone


def _video(
    view: DicomwebView, request: HttpRequest, located: Located, media_type: str, rendering: Rendering, query: str
) -> HttpResponseBase:
    stored = video_of(located)
    if stored is None:
        raise NotRenderable("the stored video can't be rendered")
    alone = single_part(request, stored[1], media_type, validators(located, query, media_type))
    view.record_read(request, located.address, [located], instance_count=1, bytes=bytes_sent(alone), query=query)
    return alone


_Sender = Callable[[DicomwebView, HttpRequest, Located, str, Rendering, str], HttpResponseBase]
_SENDERS: Mapping[str, _Sender] = MappingProxyType(
    {
        cine.MEDIA_TYPE: _cine,
        **dict.fromkeys(WRITERS, _text),
        PDF: _pdf,
        **dict.fromkeys(VIDEO_TYPES, _video),
    }
)
