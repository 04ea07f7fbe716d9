"""The socket of a client as gunicorn's threads see it: every wait has an end, and the worker can see who waits.

Blocking sockets with a timeout would let a client that sends or takes one byte a minute hold a thread for ever, and
gunicorn switches their timeout off again and again. This one never blocks underneath; ``recv`` and ``sendall`` wait
with ``poll`` and keep account.
"""

import errno
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

# Seconds without a single byte after which a sender is taken for dead, and so a reader.
RECEIVE_SILENCE = 30.0
SEND_SILENCE = 60.0
# A body has to come faster than this on the whole; only time spent waiting for it counts.
RECEIVE_GRACE = 30.0
RECEIVE_RATE = 1024
# A reader slower than this in the last seconds is slow: its thread goes to somebody else when all are taken.
SLOW_WINDOW = 2.0
SLOW_RATE = 64 * 1024
# Without it the kernel takes megabytes at once and room comes back in large steps: a slow reader looks like a dead one.
UNSENT = 128 * 1024
LONGEST_HEAD = 8 * 1024
# A body up to this size is copied behind its head; a larger one follows it.
JOINED = 64 * 1024
# For ``sendall``: more follows at once.
MORE = getattr(socket, "MSG_MORE", 0)
_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", None)


class ClientSocket(socket.socket):
    """A connection taken from ``accepted``, which is empty afterwards."""

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(fileno=accepted.detach())
        super().settimeout(0)
        if _NOTSENT_LOWAT is not None and self.family in (socket.AF_INET, socket.AF_INET6):
            self.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, UNSENT)
        self.aborted = False
        # What takes the connection over after an answer 101, with what the client has sent since.
        self.successor: Callable[[socket.socket, bytes], None] | None = None
        self._patience: float | None = None
        self.begin()

    def begin(self) -> None:
        """A new request: accounts start at nothing."""
        self._received = 0
        self._waited = 0.0
        self._stalled_since: float | None = None
        self._window_began = time.monotonic()
        self._window_sent = 0
        self._slow = False
        self._opening, self._held = True, b""

    def released(self) -> socket.socket:
        """The connection as a plain socket that doesn't block; this object is empty afterwards."""
        plain = socket.socket(fileno=self.detach())
        plain.setblocking(False)
        return plain

    def settimeout(self, value: float | None) -> None:
        """How long ``recv`` waits at the most, within our own limits."""
        self._patience = value

    def gettimeout(self) -> float | None:
        return self._patience

    def setblocking(self, flag: bool) -> None:
        """Nothing: for the event loop it doesn't block, and ``recv`` and ``sendall`` wait by themselves."""

    def take(self, size: int) -> bytes:
        """What is there now, for the event loop; b"" at the end. Raises BlockingIOError, OSError."""
        return super().recv(size)

    def take_soon(self, size: int, seconds: float) -> bytes:
        """What is there within ``seconds``; b"" for nothing, and at the end."""
        try:
            return super().recv(size)
        except BlockingIOError:
            pass
        try:
            return super().recv(size) if self._poll(select.POLLIN, seconds) else b""
        except OSError:
            return b""

    def recv(self, size: int, flags: int = 0) -> bytes:
        """At most ``size`` bytes, b"" at the end. Raises TimeoutError for a client that is silent or too slow."""
        while True:
            try:
                data = super().recv(size, flags)
            except BlockingIOError:
                self._await_bytes()
            else:
                self._received += len(data)
                return data

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of it. Raises ConnectionResetError for a client that doesn't read, or that was given up.

        The first thing of an answer, its head, waits for what follows, so that a client is woken once: at the latest
        ``flush`` sends it.
        """
        if self._opening and len(data) <= LONGEST_HEAD:
            self._opening, self._held = False, bytes(data)
            return
        held, self._opening, self._held = self._held, False, b""
        if len(data) <= JOINED:
            self._send(held + bytes(data) if held else data, flags)
        else:
            self._send(held, flags | MORE)
            self._send(data, flags)

    def flush(self) -> bool:
        """Send what waits for more; whether that went well."""
        held, self._held = self._held, b""
        try:
            self._send(held, 0)
        except OSError:
            return False
        return True

    def _send(self, data: Any, flags: int) -> None:
        left = memoryview(data)
        try:
            while left:
                try:
                    sent = super().send(left, flags)
                except BlockingIOError:
                    self._await_room()
                else:
                    left = left[sent:]
                    self._count(sent)
        finally:
            self._stalled_since = None

    def held_up(self, now: float) -> float:
        """Seconds for which the client has taken nothing, or hardly anything; 0 if it keeps up or isn't sent to."""
        since = self._window_began if self._slow else self._stalled_since
        return 0.0 if since is None or self._stalled_since is None else now - since + (SLOW_WINDOW if self._slow else 0)

    def abort(self) -> None:
        """Give the client up; a thread that waits for it wakes with an error. The connection ends with a reset."""
        self.aborted = True
        try:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _await_bytes(self) -> None:
        limit = RECEIVE_SILENCE if self._patience is None else min(self._patience, RECEIVE_SILENCE)
        began = time.monotonic()
        ready = self._poll(select.POLLIN, limit)
        self._waited += time.monotonic() - began
        if not ready:
            raise TimeoutError("the client is silent")
        if self._waited > RECEIVE_GRACE and self._received < self._waited * RECEIVE_RATE:
            raise TimeoutError("the client sends too slowly")

    def _await_room(self) -> None:
        if self._stalled_since is None:
            self._stalled_since = time.monotonic()
        if not self._poll(select.POLLOUT, SEND_SILENCE):
            self.abort()
            raise ConnectionResetError(errno.ECONNRESET, "the client does not read")

    def _count(self, sent: int) -> None:
        self._stalled_since = None
        self._window_sent += sent
        now = time.monotonic()
        if (passed := now - self._window_began) > SLOW_WINDOW:
            self._slow = self._window_sent < passed * SLOW_RATE
            self._window_began, self._window_sent = now, 0

    def _poll(self, event: int, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self.fileno(), event)
        return bool(poll.poll(max(0.0, seconds) * 1000))
