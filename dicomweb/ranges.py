"""A single-part body as a whole, in part or not at all: validators and byte ranges (RFC 9110 13 and 14)."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from django.http import HttpRequest, HttpResponseBase, HttpResponseNotModified, StreamingHttpResponse
from django.utils.http import http_date, parse_http_date_safe

from access.answer_fields import pairs, replace
from archive.locate import Located
from archive.payload import Payload
from dicomweb.errors import RangeNotSatisfiable

# One range: `first-`, `first-last` or `-count`. Several may be answered with the whole (RFC 9110 14.2).
_RANGE: Final = re.compile(r"bytes=[ \t]*(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))[ \t]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Validators:
    """By which a client knows a representation again: a strong entity tag and the time of its making."""

    etag: str
    last_modified: datetime

    def unchanged(self, request: HttpRequest) -> bool:
        """Whether the client has it already (RFC 9110 13.1.2, 13.1.3): If-None-Match alone counts if it is there."""
        tags = request.META.get("HTTP_IF_NONE_MATCH")
        if tags is not None:
            return tags.strip() == "*" or self.etag in (tag.strip().removeprefix("W/") for tag in tags.split(","))
        told = request.META.get("HTTP_IF_MODIFIED_SINCE")
        since = None if told is None else parse_http_date_safe(told)
        return since is not None and int(self.last_modified.timestamp()) <= since

    def allow_part(self, request: HttpRequest) -> bool:
        """Whether a range may be given: no If-Range, or one that names just this representation (RFC 9110 13.1.5)."""
        named: str = request.META.get("HTTP_IF_RANGE", self.etag)
        return named.strip() in (self.etag, _date(self.last_modified))

    def mark(self, response: HttpResponseBase, *, weak: bool = False) -> None:
        """Tell ``response`` by what it is known again (RFC 9110 8.8), and that it depends on Accept."""
        etag = f"W/{self.etag}" if weak else self.etag
        told = {"ETag": etag, "Last-Modified": _date(self.last_modified), "Vary": "Accept"}
        replace(response, pairs(told))


def validators(instance: Located, *what: object) -> Validators:
    """Of what is derived from the bytes of ``instance``; ``what`` names the part of it and its representation."""
    given = instance.correction
    named = ":".join((instance.object_sha256.hex(), *map(str, what), *([repr(given)] if given else [])))
    etag = f'"{hashlib.sha256(named.encode()).hexdigest()[:32]}"'
    return Validators(etag, max(instance.created_at, given.decided_at) if given else instance.created_at)


def wants_part(request: HttpRequest) -> bool:
    """Whether a byte range is asked for, which only a single part has."""
    return request.method == "GET" and "HTTP_RANGE" in request.META


def span(text: str, length: int) -> tuple[int, int] | None:
    """(offset, length) of the one range that ``text`` asks for; ``None`` for the whole (RFC 9110 14.1.2).

    Raises ``RangeNotSatisfiable`` for a range that begins behind the end, and for the last 0 bytes.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        return None
    first, last, count = (None if group is None else int(group) for group in match.groups())
    if first is None:
        first, last = max(0, length - (count or 0)), length - 1
    elif last is not None and last < first:
        return None
    if first >= length:
        raise RangeNotSatisfiable(length)
    return first, (length if last is None else min(last + 1, length)) - first


def single_part(request: HttpRequest, payload: Payload, content_type: str, known_by: Validators) -> HttpResponseBase:
    """``payload`` as the whole body (200), the range asked for (206), or nothing if the client has it (304).

    Only the bytes that leave are read; the first of them are in hand when this returns. Raises
    ``RangeNotSatisfiable``, ``ArchiveUnavailable``.
    """
    response: HttpResponseBase
    if known_by.unchanged(request):
        response = HttpResponseNotModified()
    else:
        asked = request.META["HTTP_RANGE"] if wants_part(request) and known_by.allow_part(request) else ""
        part = span(asked, payload.length)
        offset, length = part or (0, payload.length)
        response = StreamingHttpResponse(
            payload.part(offset, length), content_type=content_type, status=206 if part else 200
        )
        response["Content-Length"] = str(length)
        if part:
            response["Content-Range"] = f"bytes {offset}-{offset + length - 1}/{payload.length}"
    response["Accept-Ranges"] = "bytes"
    known_by.mark(response)
    return response


def in_parts(response: HttpResponseBase, known_by: Validators) -> HttpResponseBase:
    """``response``, marked so that a cache may ask whether it is still good.

    The entity tag is a weak one (RFC 9110 8.8.1): the boundary of a multipart body is another one each time.
    """
    known_by.mark(response, weak=True)
    return response


@lru_cache(maxsize=4096)
def _date(moment: datetime) -> str:
    return http_date(moment.timestamp())


def bytes_sent(response: HttpResponseBase) -> int:
    """Bytes that ``response`` gives away, for the trail."""
    return int(response.headers.get("Content-Length", 0))
