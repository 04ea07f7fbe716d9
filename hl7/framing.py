"""MLLP (HL7 v2 transport specification, release 1): a stream of bytes becomes messages, a message becomes a frame.

A frame is ``<VT> message <FS><CR>``. Nothing here knows what a message says.
"""

from __future__ import annotations

from typing import Final

VT: Final = b"\x0b"
FS: Final = b"\x1c"
CR: Final = b"\r"
_END: Final = FS + CR


class FrameTooLong(Exception):
    """A frame has grown beyond the limit and has no end yet; the rest of the stream can't be understood."""


def framed(message: bytes) -> bytes:
    """``message`` as it goes over the wire."""
    return VT + message + _END


class Deframer:
    """Takes what the socket gives, however it was cut, and gives out whole messages in order.

    ``dropped`` counts bytes that belonged to no message: those before a ``<VT>``, and those of a frame that its sender
    began anew without ending it.
    """

    __slots__ = ("_buffer", "_inside", "_most", "_searched", "dropped")

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._buffer = bytearray()
        self._inside = False
        self._searched = 0
        self.dropped = 0

    @property
    def inside(self) -> bool:
        """Whether a frame is open: a stream that ends here ends in the middle of a message."""
        return self._inside

    @property
    def buffered(self) -> int:
        """Bytes held back until the frame ends."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that ``data`` completes. Raises FrameTooLong; the deframer is then of no further use."""
        self._buffer += data
        found = []
        while (message := self._next()) is not None:
            found.append(message)
        if len(self._buffer) > self._most:
            raise FrameTooLong(f"a frame may have {self._most} bytes")
        return found

    def _next(self) -> bytes | None:
        if not self._inside and not self._open():
            return None
        end, after = self._end()
        if end < 0:
            # The last byte may be the first half of the end, or of a new beginning.
            self._searched = max(0, len(self._buffer) - 1)
            return None
        message = bytes(self._buffer[:end])
        del self._buffer[:after]
        self._inside, self._searched = False, 0
        # Whoever was cut off in the middle of a message begins it anew; HL7 has no use for <VT> inside one.
        begun = message.rfind(VT)
        self.dropped += begun + 1
        return message[begun + 1 :]

    def _open(self) -> bool:
        start = self._buffer.find(VT)
        self.dropped += len(self._buffer) if start < 0 else start
        if start < 0:
            self._buffer.clear()
            return False
        del self._buffer[: start + 1]
        self._inside, self._searched = True, 0
        return True

    def _end(self) -> tuple[int, int]:
        """Where the message ends, and where the next frame may begin; -1 while there is no end.

        Some senders leave the ``<CR>`` after ``<FS>`` away: the ``<VT>`` of their next message then ends this one.
        """
        end = self._buffer.find(_END, self._searched)
        sloppy = self._buffer.find(FS + VT, self._searched, end if end >= 0 else len(self._buffer))
        return (sloppy, sloppy + 1) if sloppy >= 0 else (end, end + 2)
