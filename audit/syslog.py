"""Syslog over TLS as ATNA wants it: the form of a message (RFC 5424), and the connection that takes it (RFC 5425).

No receiver of syslog says what it kept. What was written to a connection counts as received when the connection has
lived on for a while afterwards with every byte acknowledged by the other machine, or when the receiver has answered
the end of the session (RFC 5425 4.4): it answers after it has read everything.
"""

import array
import re
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

try:
    import fcntl
    import termios
except ImportError:  # not a Unix: then only the time that a connection has lived on counts
    fcntl = None  # type: ignore[assignment]

CONNECT_SECONDS: Final = 10.0
SEND_SECONDS: Final = 30.0
APPLICATION: Final = "lightbox"
# PS3.15 A.6: facility 10 (security), severity 5 (notice) or 4 (warning).
NOTICE: Final = 85
WARNING: Final = 84
MESSAGE_ID: Final = "DICOM+RFC3881"
_LARGEST_SEQUENCE_ID: Final = 2**31 - 1
_NOT_PRINTABLE: Final = re.compile(r"[^\x21-\x7e]")


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where to: host and port, the CA that its certificate must be of (None: those of this machine), and our own
    certificate with its key for receivers that ask for one."""

    host: str
    port: int = 6514
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def frame(xml: bytes, *, position: int, at: datetime, host: str, warning: bool) -> bytes:
    """One message, octet-counted. ``meta.sequenceId`` (RFC 5424 7.3.1) is the event's position in the log.

    It starts again at 1 after 2147483647.
    """
    stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    name = _NOT_PRINTABLE.sub("", host)[:255] or "-"
    sequence = (position - 1) % _LARGEST_SEQUENCE_ID + 1
    head = (
        f"<{WARNING if warning else NOTICE}>1 {stamp} {name} {APPLICATION} - {MESSAGE_ID} "
        f'[meta sequenceId="{sequence}"] '
    )
    message = head.encode("ascii") + b"\xef\xbb\xbf" + xml
    return b"%d " % len(message) + message


class Connection:
    """An open TLS session with the receiver. Raises OSError (``ssl.SSLError`` is one) where it can't be had."""

    def __init__(self, receiver: Receiver) -> None:
        context = ssl.create_default_context(cafile=str(receiver.ca_file) if receiver.ca_file else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if receiver.certificate is not None:
            context.load_cert_chain(receiver.certificate, receiver.key)
        plain = socket.create_connection((receiver.host, receiver.port), timeout=CONNECT_SECONDS)
        try:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                # Sent and not acknowledged for so long: the machine is gone, whatever the sockets say.
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SEND_SECONDS * 1000))
            self._session = context.wrap_socket(plain, server_hostname=receiver.host)
        except BaseException:
            plain.close()
            raise
        self._session.settimeout(SEND_SECONDS)

    def send(self, frames: Iterable[bytes]) -> None:
        """Write all of them. Raises OSError where the connection is gone; how much arrived is then unknown."""
        self.look()
        self._session.sendall(b"".join(frames))

    def look(self) -> None:
        """Raises ConnectionError if the receiver has closed the connection."""
        self._session.settimeout(0)
        try:
            if self._session.recv(4096) == b"":
                raise ConnectionResetError("closed by the receiver")
        except (ssl.SSLWantReadError, BlockingIOError):
            pass
        finally:
            self._session.settimeout(SEND_SECONDS)

    def is_acknowledged(self) -> bool:
        """True when the other machine has acknowledged every byte; True as well where that can't be asked."""
        if fcntl is None:
            return True
        left = array.array("i", [0])
        try:
            fcntl.ioctl(self._session.fileno(), termios.TIOCOUTQ, left)
        except OSError:
            return False
        return left[0] == 0

    def finish(self) -> bool:
        """End the session in order; True if the receiver answered, and so has read all that was sent."""
        try:
            self._session.settimeout(CONNECT_SECONDS)
            self._session.unwrap().close()
        except (OSError, ValueError):
            return False
        return True

    def drop(self) -> None:
        """Close it as it is."""
        self._session.close()
