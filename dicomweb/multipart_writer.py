"""Writing of multipart/related bodies (RFC 2046 5.1, RFC 2387, PS3.18 8.6.1.2) so that strict and careless clients
can read them.

Cornerstone's loader finds the first CRLFCRLF, matches `Content-Type:` letter by letter, takes the boundary from the
body's first line and cuts two bytes before the closing delimiter. So: no preamble, Content-Type first and spelt so,
CRLF everywhere.
"""

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

# Small pieces are gathered into one write of up to this size; larger ones pass through uncopied.
_SMALL: Final = 64 * 1024
_FIELD_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE: Final = re.compile(r"[\x20-\x7e]+")

_UNWRITABLE: Final = "a part header has characters that may not be written"
_CONTENT_TYPE: Final = "Content-Type"


@dataclass(frozen=True, slots=True)
class OutPart:
    """One part to write. `headers` has a Content-Type; `length` is the payload's size in bytes, None if not known.

    `chunks` is iterated once; if it has a close() that is called when the part is done or the writing is given up.
    """

    headers: Sequence[tuple[str, str]]
    length: int | None
    chunks: Iterable[bytes]


def new_boundary() -> str:
    """A boundary of 192 random bits: no payload holds it by accident, and none can be made to."""
    return f"lightbox-{secrets.token_hex(24)}"


def multipart_content_type(media_type: str, boundary: str) -> str:
    """Content-Type of the whole body, always with media type, `type` and `boundary` (PS3.18 8.6.1.2.1)."""
    return f'multipart/related; type="{media_type}"; boundary={boundary}'


def multipart_length(parts: Iterable[OutPart], boundary: str) -> int | None:
    """Size of what write_multipart gives for these parts, chunks untouched; None if a length is not known."""
    total = len(_closing(boundary))
    around = len(f"--{boundary}\r\n\r\n\r\n")
    for part in parts:
        if part.length is None:
            return None
        total += around + part.length
        for name, value in part.headers:
            total += len(name) + len(": ") + len(value) + len("\r\n")
    return total


def write_multipart(parts: Iterable[OutPart], boundary: str) -> Iterator[bytes]:
    """The body, piece by piece; parts are taken from `parts` one at a time, so they may be opened as late as that.

    Raises ValueError if a header cannot be written, or if a part's chunks do not add up to its length: by then the
    Content-Length is promised, and a broken connection is better than a body that is wrong.
    """
    pending = bytearray()
    for number, part in enumerate(parts, 1):
        pending += _opening(part, boundary)
        written = 0
        try:
            for chunk in part.chunks:
                written += len(chunk)
                if len(pending) + len(chunk) <= _SMALL:
                    pending += chunk
                    continue
                if pending:
                    yield bytes(pending)
                    pending.clear()
                yield chunk
        finally:
            close = getattr(part.chunks, "close", None)
            if close is not None:
                close()
        if part.length is not None and written != part.length:
            raise ValueError(f"part {number}: expected {part.length} bytes, found {written}")
        pending += b"\r\n"
    yield bytes(pending) + _closing(boundary)


def _opening(part: OutPart, boundary: str) -> bytes:
    """Delimiter line, headers and the empty line; Content-Type goes first and is spelt so."""
    first, others = "", ""
    for name, value in part.headers:
        if not _FIELD_VALUE.fullmatch(value):
            raise ValueError(_UNWRITABLE)
        written = _written(name)
        if written == _CONTENT_TYPE:
            first += f"{written}: {value}\r\n"
        else:
            others += f"{written}: {value}\r\n"
    if not first:
        raise ValueError("a part needs a Content-Type (PS3.18 8.6.1.2.2)")
    return f"--{boundary}\r\n{first}{others}\r\n".encode("ascii")


@lru_cache(maxsize=64)
def _written(name: str) -> str:
    if not _FIELD_NAME.fullmatch(name):
        raise ValueError(_UNWRITABLE)
    return _CONTENT_TYPE if name.lower() == "content-type" else name


def _closing(boundary: str) -> bytes:
    return f"--{boundary}--\r\n".encode("ascii")
