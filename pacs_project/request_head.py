"""What the event loop must know of a request before a thread may take it: is the head whole, how long is the body.

Only for deciding who waits where: gunicorn's parser reads the same bytes again and alone decides what they mean.
"""

import re
from dataclasses import dataclass, field, replace

HEAD_LIMIT = 32 * 1024
_DECIDING = re.compile(rb"(?is)\r\n(transfer-encoding|content-length|expect):(.*?)(?=\r\n|\Z)")
# Who asks, as far as the head says so.
_CLIENT = re.compile(rb"(?i)\r\n(?:authorization|cookie):([^\r\n]*)")
# The last address is the one that the nearest proxy saw.
_FORWARDED = re.compile(rb"(?i)\r\nx-forwarded-for:(?:[^\r\n]*,)?([^\r\n,]*)")
_EXPECT = re.compile(rb"(?im)^expect:[^\r\n]*\r\n")


class HeadTooLarge(Exception):
    """The head is longer than ``HEAD_LIMIT`` and still has no end."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """``size`` bytes of head; a body of ``length`` bytes, None if it is chunked.

    ``asks_first``: the client sends the body only after ``100 Continue`` (RFC 9110 10.1.1). ``client`` are the
    credentials as they came, without any the address that a proxy tells, else "": equal ones are of one client, and
    nothing more is known of them here.
    """

    path: bytes
    length: int | None
    asks_first: bool
    size: int
    client: bytes = field(default=b"", repr=False, compare=False)


def parse_head(data: bytes | bytearray) -> RequestHead | None:
    """The head at the beginning of ``data``; None while it isn't whole. Raises ``HeadTooLarge``."""
    start = 2 if data.startswith(b"\r\n") else 0  # RFC 9112 2.2
    end = data.find(b"\r\n\r\n", start)
    if end < 0:
        if len(data) > HEAD_LIMIT:
            raise HeadTooLarge
        return None
    head = bytes(data[start:end])
    who = _CLIENT.search(head) or _FORWARDED.search(head)
    fields = {found[1].lower(): found[2].strip() for found in _DECIDING.finditer(head)}
    return RequestHead(
        path=_path(head.partition(b"\r\n")[0]),
        length=None if b"transfer-encoding" in fields else _length(fields.get(b"content-length", b"")),
        asks_first=fields.get(b"expect", b"").lower() == b"100-continue",
        size=end + 4,
        client=who[1].strip() if who else b"",
    )


def without_expectation(data: bytearray, head: RequestHead) -> RequestHead:
    """Take ``Expect`` out of ``data``, because it was answered; the head that is left."""
    fields = _EXPECT.sub(b"", bytes(data[: head.size]))
    data[: head.size] = fields
    return replace(head, size=len(fields), asks_first=False)


def _path(request_line: bytes) -> bytes:
    """The path as it was sent, also of the absolute form (RFC 9112 3.2.2)."""
    target = request_line.split(b" ")[1] if request_line.count(b" ") else b""
    if not target.startswith(b"/") and b"://" in target:
        target = b"/" + target.split(b"://", 1)[1].partition(b"/")[2]
    return target.partition(b"?")[0]


def _length(text: bytes) -> int:
    """0 for what is no number: the parser refuses it without reading a body."""
    return int(text[:18]) if text.isdigit() else 0
