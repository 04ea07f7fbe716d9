"""Bodies of the Retrieve transaction: one representation alone, or several as multipart/related (PS3.18 8.6)."""

from collections.abc import Iterable, Iterator, Sequence

from django.http import HttpResponseBase, StreamingHttpResponse

from archive.payload import Payload
from dicomweb.multipart import OutPart, multipart_content_type, multipart_length, new_boundary, write_multipart


def whole_body(payload: Payload, content_type: str) -> HttpResponseBase:
    """One representation as the whole body, without the validators and ranges of ``dicomweb.ranges.single_part``."""
    response = StreamingHttpResponse(payload.open(), content_type=content_type)
    response["Content-Length"] = str(payload.length)
    return response


def multipart_response(parts: Sequence[OutPart], media_type: str) -> HttpResponseBase:
    """``parts`` as multipart/related, with Content-Length where every length is known."""
    boundary = new_boundary()
    response = StreamingHttpResponse(_begun(parts, boundary), content_type=multipart_content_type(media_type, boundary))
    length = multipart_length(parts, boundary)
    if length is not None:
        response["Content-Length"] = str(length)
    return response


def late_multipart(parts: Iterator[OutPart], media_type: str) -> HttpResponseBase:
    """Parts made only when their turn comes, so that nobody knows how long the body is; ``parts`` may be begun."""
    boundary = new_boundary()
    return StreamingHttpResponse(_begun(parts, boundary), content_type=multipart_content_type(media_type, boundary))


def _begun(parts: Iterable[OutPart], boundary: str) -> Iterator[bytes]:
    """The body with its first bytes in hand: what fails among them is an answer of its own, not a broken body."""
    body = write_multipart(parts, boundary)
    first = next(body)

    def whole() -> Iterator[bytes]:
        yield first
        yield from body

    return whole()
