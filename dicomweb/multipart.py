"""Reading of multipart/related bodies as a stream (RFC 2046 5.1, RFC 2387, PS3.18 8.6.1.2), in constant memory.

A delimiter is CRLF, "--", the boundary, then spaces or tabs and CRLF; with "--" after the boundary it closes the
body. What looks similar is payload and stays untouched. Tolerated, because clients send it: a preamble or an empty
line before the first delimiter, padding after the boundary, an epilogue, no CRLF at the very end. Not tolerated: a
body that ends before its closing delimiter. A part is complete only when the delimiter after it has been seen.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NoReturn

from dicomweb.header_fields import MediaType, MediaTypeError, parse_content_type
from dicomweb.multipart_writer import OutPart, multipart_content_type, multipart_length, new_boundary, write_multipart

__all__ = [
    "Limits",
    "MediaType",
    "MediaTypeError",
    "MultipartError",
    "MultipartReader",
    "OutPart",
    "Part",
    "multipart_content_type",
    "multipart_length",
    "new_boundary",
    "parse_content_type",
    "write_multipart",
]

READ_SIZE: Final = 512 * 1024
_MAX_BOUNDARY: Final = 200  # RFC 2046 says 70; longer ones are seen
_MAX_PADDING: Final = 256
_BOUNDARY: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_HEADER: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*:[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")


class MultipartError(Exception):
    """The envelope is malformed, truncated or beyond a limit: 400. The message never repeats what was sent."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one body may hold: parts, header lines and header bytes of a part, bytes before the first part."""

    parts: int = 10_000
    headers: int = 32
    header_bytes: int = 16 * 1024
    preamble_bytes: int = 64 * 1024


class Part:
    """One part. `number` counts from 1; `headers` by lower-case name, values as ISO 8859-1, folded lines joined."""

    __slots__ = ("_reader", "headers", "number")

    def __init__(self, reader: "MultipartReader", number: int, headers: Mapping[str, str]) -> None:
        self._reader = reader
        self.number = number
        self.headers = headers

    def chunks(self) -> Iterator[bytes]:
        """The payload, byte for byte, in pieces of about 512 KiB at most; taken once, while this part is current.

        Raises MultipartError before it ends if the body is truncated inside this part, and RuntimeError if the reader
        has already gone past: a part that was not seen whole never looks complete.
        """
        while (piece := self._reader.read_piece(self)) is not None:
            yield piece


class MultipartReader:
    """Iterates over the parts of a body; going to the next part drains the current one.

    `read(n)` gives at most n bytes and b"" at the end of the body; what it raises goes through. The caller closes the
    source. Memory is one read plus the length of a delimiter. A body without any part gives no part. Raises
    MultipartError, and raises it again on every further use.
    """

    def __init__(self, read: Callable[[int], bytes], boundary: str, limits: Limits = Limits()) -> None:
        if len(boundary) > _MAX_BOUNDARY or not _BOUNDARY.fullmatch(boundary):
            raise MultipartError(
                f"boundary must have 1 to {_MAX_BOUNDARY} printable ASCII characters and not end in a space"
            )
        self._read = read
        self._limits = limits
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        ending = rb"(?:(--)|[ \t]{0,%d}(?=\r\n))" % _MAX_PADDING
        self._line = re.compile(re.escape(self._delimiter) + ending)
        # The line that starts the body has no CRLF before it: lend it one.
        self._buffer = b"\r\n"
        self._position = 0
        self._parts = 0
        self._current: Part | None = None  # the part whose payload is being read
        self._between = False  # at the CRLF behind a delimiter
        self._closed = False
        self._failure: MultipartError | None = None

    def __iter__(self) -> Iterator[Part]:
        return self

    def __next__(self) -> Part:
        if self._failure:
            raise self._failure
        if self._parts == 0 and not self._between and not self._closed:
            self._skip_preamble()
        while self._current is not None:
            self.read_piece(self._current)
        if self._closed:
            raise StopIteration
        if self._parts == self._limits.parts:
            self._fail(f"more than {self._limits.parts} parts")
        number = self._parts + 1
        self._current = Part(self, number, self._read_headers(number))
        self._parts = number
        self._between = False
        return self._current

    def read_piece(self, part: Part) -> bytes | None:
        """The next piece of the current part's payload, None at its end."""
        if self._failure:
            raise self._failure
        if self._current is not part:
            raise RuntimeError(f"part {part.number} is not the current part any more")
        return self._next_piece()

    def _skip_preamble(self) -> None:
        skipped = -2  # the CRLF that was lent
        while (piece := self._next_piece()) is not None:
            skipped += len(piece)
            if skipped > self._limits.preamble_bytes:
                self._fail(f"no part begins within the first {self._limits.preamble_bytes} bytes")

    def _next_piece(self) -> bytes | None:
        """Bytes that are surely before the next delimiter; None once that delimiter has been passed."""
        while True:
            buffer, start = self._buffer, self._position
            found = buffer.find(self._delimiter, start)
            if found >= 0 and (line := self._line.match(buffer, found) or self._line.search(buffer, found + 1)):
                if line.start() > start:
                    self._position = line.start()
                    return buffer[start : line.start()]
                self._position = line.end()
                self._closed = line.group(1) is not None
                self._between = not self._closed
                self._current = None
                return None
            held = self._held_from(start)
            more = self._read(READ_SIZE)
            if not more:
                self._fail(f"the body ends in part {self._parts}" if self._parts else "the body has no delimiter line")
            self._buffer = buffer[held:] + more if held < len(buffer) else more
            self._position = 0
            if held > start:
                return buffer if (start, held) == (0, len(buffer)) else buffer[start:held]

    def _held_from(self, start: int) -> int:
        """Where a delimiter line may have begun that the buffer does not hold whole; the buffer's length if nowhere."""
        buffer, delimiter = self._buffer, self._delimiter
        position = max(start, len(buffer) - len(delimiter) - _MAX_PADDING - 1)
        while (position := buffer.find(b"\r", position)) >= 0:
            tail = buffer[position:]
            if delimiter.startswith(tail):
                return position
            rest = tail[len(delimiter) :]
            if tail.startswith(delimiter) and (rest == b"-" or not rest.removesuffix(b"\r").strip(b" \t")):
                return position
            position += 1
        return len(buffer)

    def _read_headers(self, number: int) -> Mapping[str, str]:
        """Header lines up to the empty line. The position is at the CRLF that ends the delimiter line."""
        limit = self._limits.header_bytes
        searched = self._position
        while (end := self._buffer.find(b"\r\n\r\n", searched)) < 0:
            if len(self._buffer) - self._position > limit + 4:
                break
            more = self._read(READ_SIZE)
            if not more:
                self._fail(f"the body ends in the headers of part {number}")
            searched = max(0, len(self._buffer) - self._position - 3)
            self._buffer = self._buffer[self._position :] + more
            self._position = 0
        if end < 0 or end - self._position > limit:
            self._fail(f"part {number}: headers longer than {limit} bytes")
        lines = self._buffer[self._position : end].split(b"\r\n")[1:]
        self._position = end + 4
        if len(lines) > self._limits.headers:
            self._fail(f"part {number}: more than {self._limits.headers} header lines")
        headers: dict[str, str] = {}
        for name, value in self._fields(lines, number):
            # RFC 9110 5.3: a repeated field is one list. A repeated Content-Type then is no media type.
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return MappingProxyType(headers)

    def _fields(self, lines: list[bytes], number: int) -> Iterator[tuple[str, str]]:
        unfolded: list[bytes] = []
        for line in lines:
            if line[:1] in (b" ", b"\t") and unfolded:
                unfolded[-1] += b" " + line.strip(b" \t")
            else:
                unfolded.append(line)
        for line in unfolded:
            match = _HEADER.fullmatch(line)
            if match is None:
                self._fail(f"part {number}: a header line is not name: value")
            yield match[1].decode("ascii").lower(), match[2].rstrip(b" \t").decode("latin-1")

    def _fail(self, message: str) -> NoReturn:
        self._failure = MultipartError(f"multipart body: {message}")
        raise self._failure
