"""The multipart reader: any body, under any boundary, in reads of any size.

Input: a byte that is the length of the boundary, the boundary, a byte that is the size of a read (0: all at once), the
body. A second reader, a few lines of regular expressions over the whole body, says what has to come out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO

from dicomweb.multipart import Limits, MultipartError, MultipartReader
from tests.fuzz.target import Target

LIMITS = Limits(parts=8, headers=4, header_bytes=200, preamble_bytes=300)
PADDING = 256
FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*:[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")

Parts = list[tuple[dict[str, str], bytes]]


def split(data: bytes) -> tuple[str, int, bytes]:
    """Boundary, size of a read, body."""
    length = data[0] if data else 0
    rest = data[1 + length :]
    return data[1 : 1 + length].decode("latin-1"), rest[0] if rest else 0, rest[1:]


def join(boundary: str, size: int, body: bytes) -> bytes:
    """The input that `split` takes apart."""
    return bytes([len(boundary)]) + boundary.encode("latin-1") + bytes([size]) + body


def read_all(boundary: str, size: int, body: bytes) -> Parts | None:
    """What the reader makes of it; None if it refuses."""
    source = BytesIO(body)
    pieces = (lambda most: source.read(min(most, size))) if size else source.read
    try:
        reader = MultipartReader(pieces, boundary, LIMITS)
    except MultipartError:
        return None
    parts = []
    try:
        for part in reader:
            parts.append((dict(part.headers), b"".join(part.chunks())))
    except MultipartError as error:
        failed = error
    else:
        return parts
    try:
        next(reader)
    except MultipartError as error:
        again = error
    assert again is failed, "a reader that has failed goes on"
    return None


def expected(boundary: str, body: bytes) -> Parts | None:
    """The same by RFC 2046 5.1.1 over the whole body."""
    if not re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]{0,198}[\x21-\x7e])?", boundary):
        return None
    whole = b"\r\n" + body
    line = re.compile(rb"\r\n--" + re.escape(boundary.encode()) + rb"(?:(--)|[ \t]{0,%d}(?=\r\n))" % PADDING)
    found = line.search(whole)
    if found is None or found.start() > 2 + LIMITS.preamble_bytes:
        return None
    parts: Parts = []
    while not found[1]:
        head, end, rest = whole[found.end() :].partition(b"\r\n\r\n")
        if not end or len(head) > LIMITS.header_bytes or len(parts) == LIMITS.parts:
            return None
        headers = fields(head)
        start = len(whole) - len(rest)
        found = line.search(whole, start)
        if headers is None or found is None:
            return None
        parts.append((headers, whole[start : found.start()]))
    return parts


def fields(head: bytes) -> dict[str, str] | None:
    """The header fields of a part; None if a line is none."""
    if head.count(b"\r\n") > LIMITS.headers:
        return None
    headers: dict[str, str] = {}
    # the first line can't go on another: there is none before it
    lines = re.sub(rb"(?<!\A)\r\n[ \t]+", b" ", head[2:]) if head[2:] else b""
    for text in lines.split(b"\r\n") if head else []:
        match = FIELD.fullmatch(text)
        if match is None:
            return None
        name, value = match[1].decode().lower(), match[2].decode("latin-1").rstrip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def spaced(headers: dict[str, str]) -> dict[str, str]:
    """White space around folds may be more or less."""
    return {name: " ".join(value.split()) for name, value in headers.items()}


def check(data: bytes) -> None:
    """Only MultipartError, the parts that are there, and the same in reads of any size."""
    boundary, size, body = split(data)
    found = read_all(boundary, size, body)
    assert found == read_all(boundary, 0, body), "the size of the reads changes what is read"
    wanted = expected(boundary, body)
    if wanted is None:
        assert found is None, "a broken body is read"
        return
    assert found is not None, "a whole body is refused"
    assert [payload for _, payload in found] == [payload for _, payload in wanted]
    assert [spaced(headers) for headers, _ in found] == [spaced(headers) for headers, _ in wanted]


def seeds() -> Iterator[bytes]:
    """Whole bodies and the ways in which they break."""
    one = b"--b\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n"
    two = b"--b\r\nContent-Type: a/b;\r\n\tc=d\r\nX-Y:\r\n\r\n--bc\r\n\r\n"
    bodies = [
        one + b"--b--",
        one + two + b"--b--\r\nepilogue",
        b"preamble\r\n" + two + one + b"--b \t \r\n\r\nno headers\r\n--b--",
        b"--b--",
        b"--b\r\n\r\n\r\n--b--",
        one[:-5],
        one * 9 + b"--b--",
        b"--b" + b" " * 256 + b"\r\n\r\n\r\n--b--",
        b"--b\r\n" + b"x: y\r\n" * 5 + b"\r\n\r\n--b--",
        b"--b\r\nno field\r\n\r\n\r\n--b--",
    ]
    for number, body in enumerate(bodies):
        yield join("b", (0, 1, 7)[number % 3], body)
    yield join("a b'()+_,-./:=?", 3, b"--a b'()+_,-./:=?\r\n\r\n\r\n--a b'()+_,-./:=?--")


TARGET = Target(
    name="multipart",
    check=check,
    seeds=seeds,
    words=(b"\r\n--b", b"--b--", b"\r\n\r\n", b"--", b"Content-Type: ", b" \t", b"\r"),
    longest=4096,
)
