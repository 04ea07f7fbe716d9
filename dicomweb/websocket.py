"""One end of a WebSocket over a socket that doesn't block (RFC 6455); it sends text and takes hardly anything.

What a client sends is answered (pings) or told (pongs), and text of its own is left unread: within bounds, beyond which
the connection is closed. Nothing waits here: ``flush`` sends what there is room for.
"""

import errno
import socket
import time
from typing import Final

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

PIECE: Final = 4096
# Of one message, and of all bytes and frames within a minute.
MOST_OF_MESSAGE: Final = 4096
MOST_BYTES, MOST_FRAMES = 64 * 1024, 240
WINDOW_SECONDS: Final = 60.0
# In which the other side may answer that it closes as well.
CLOSING_SECONDS: Final = 5.0


class Gone(Exception):
    """The connection is over."""


class WebSocket:
    """A connection after its opening handshake; ``data`` has come since. Whoever made it closes it with ``drop``."""

    def __init__(self, sock: socket.socket, data: bytes) -> None:
        self._sock = sock
        self._protocol = Connection(ConnectionType.SERVER, trailing_data=data)
        self._out = bytearray()
        self._window_began = self.heard_at = time.monotonic()
        self._bytes = len(data)
        self._frames = self._of_message = 0
        self._deaf = False
        # Since when nothing could be sent of what there is to send; when a closing handshake began.
        self.stalled_since: float | None = None
        self.closing_since: float | None = None

    def fileno(self) -> int:
        """Of the socket."""
        return self._sock.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether ``flush`` has something to do."""
        return bool(self._out)

    def send(self, text: str) -> None:
        """One message."""
        self._put(TextMessage(text))

    def ping(self, payload: bytes) -> None:
        """Ask whether the other side is there; it gives ``payload`` back when it has read all that came before."""
        self._put(Ping(payload))

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake, at most once."""
        if self.closing_since is None:
            self.closing_since = time.monotonic()
            self._put(CloseConnection(code, reason))

    def receive(self) -> list[bytes]:
        """Read what there is; the payloads of pongs among it. Raises ``Gone``."""
        try:
            data = self._sock.recv(PIECE)
        except BlockingIOError:
            return []
        except OSError as error:
            raise Gone from error
        if not data:
            raise Gone
        self.heard_at = time.monotonic()
        self._bytes += len(data)
        if self._deaf:
            return []
        try:
            self._protocol.receive_data(data)
        except (LocalProtocolError, RemoteProtocolError) as error:
            raise Gone from error
        return self.take()

    def take(self) -> list[bytes]:
        """What was received but not looked at: the payloads of pongs among it. Raises ``Gone``."""
        pongs = []
        for event in self._protocol.events():
            self._frames += 1
            match event:
                case Pong():
                    pongs.append(bytes(event.payload))
                case Ping():
                    self._put(event.response())
                case TextMessage() | BytesMessage():
                    self._of_message = 0 if event.message_finished else self._of_message + len(event.data)
                    if max(self._of_message, len(event.data)) > MOST_OF_MESSAGE:
                        self._refuse(CloseReason.MESSAGE_TOO_BIG, "too long")
                case CloseConnection():
                    self._answer_close(event)
        self._keep_bounds()
        return pongs

    def flush(self) -> None:
        """Send what there is room for. Raises ``Gone``; also when the closing handshake is done."""
        while self._out:
            try:
                sent = self._sock.send(self._out)
            except BlockingIOError:
                if self.stalled_since is None:
                    self.stalled_since = time.monotonic()
                return
            except OSError as error:
                raise Gone from error
            del self._out[:sent]
            self.stalled_since = None
        if self._protocol.state is ConnectionState.CLOSED:
            raise Gone

    def is_overdue(self, now: float, *, silence: float, stalled: float) -> bool:
        """Whether the other side has had its time: to answer, to read, or to close as well."""
        closing = self.closing_since is not None and now - self.closing_since > CLOSING_SECONDS
        stuck = self.stalled_since is not None and now - self.stalled_since > stalled
        return closing or stuck or now - self.heard_at > silence

    def drop(self) -> None:
        """End the connection now."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                self._sock.close()
                return
        self._sock.close()

    def _put(self, event: TextMessage | Ping | Pong | CloseConnection) -> None:
        try:
            self._out += self._protocol.send(event)
        except LocalProtocolError:
            return  # it is closing already, and says nothing more

    def _answer_close(self, event: CloseConnection) -> None:
        """The other side closes, or sent what is no frame; or it answers our own close."""
        if self._protocol.state is ConnectionState.REMOTE_CLOSING:
            self.closing_since = self.closing_since or time.monotonic()
            self._put(event.response())
        elif self._protocol.state is ConnectionState.OPEN:
            self._refuse(event.code, "")

    def _keep_bounds(self) -> None:
        now = time.monotonic()
        if now - self._window_began > WINDOW_SECONDS:
            self._window_began, self._bytes, self._frames = now, 0, 0
        if self._bytes > MOST_BYTES or self._frames > MOST_FRAMES:
            self._refuse(CloseReason.POLICY_VIOLATION, "too much was sent")

    def _refuse(self, code: int, reason: str) -> None:
        """Close, and leave unread whatever comes from now on."""
        self._deaf = True
        self.close(code, reason)
