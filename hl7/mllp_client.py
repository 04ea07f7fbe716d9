"""The sending side of MLLP: one connection, kept open, one message outstanding.

Where it may lead is decided anew with each connection: the name is looked up once, every address found is checked, and
to one of those it is connected (``access.webhooks`` has the rule).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Final, Protocol

from access.webhooks import Address, is_named, may_connect
from hl7.errors import NotAMessage
from hl7.framing import Deframer, FrameTooLong, framed
from hl7.header import Header, normal

READ_BYTES: Final = 64 << 10
# An answer that is longer is no acknowledgement.
LONGEST_ANSWER: Final = 1 << 20
NO_ADDRESS: Final = "its host has no address"


class NotConnected(OSError):
    """There is no connection; the text says why, without the address."""


class NotAnswered(OSError):
    """The message may have arrived: no answer to it came."""


class Settings(Protocol):
    """``pacs_project.config_hl7_out.Hl7OutConfig``."""

    networks: list[IPv4Network | IPv6Network]
    certificate: Path | None
    key: Path | None
    connect_seconds: float
    answer_seconds: float


@dataclass(frozen=True, slots=True)
class Target:
    """Where a connection leads; ``ca`` is PEM, empty for those whom everybody trusts."""

    host: str
    port: int
    tls: bool = False
    ca: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """MSA-1 in capitals, the first ERR-3.1 where it is a number, and the bytes."""

    code: str
    condition: str
    raw: bytes


class Client:
    """One connection to one target; not for several threads. ``stopped`` ends a wait early."""

    def __init__(self, settings: Settings, stopped: Callable[[], bool] = lambda: False) -> None:
        self._settings = settings
        self._stopped = stopped
        self._target: Target | None = None
        self._socket: socket.socket | None = None
        self._frames = Deframer(LONGEST_ANSWER)

    def connect(self, target: Target) -> None:
        """Be connected with ``target``: as before where that connection still stands. Raises NotConnected."""
        if self._socket is not None and (target != self._target or self._ended()):
            self.close()
        if self._socket is None:
            self._socket, self._target = connected(target, self._settings), target
            self._frames = Deframer(LONGEST_ANSWER)

    def tell(self, message: bytes) -> None:
        """Send a message that nobody answers. Raises NotAnswered where the connection ended meanwhile."""
        try:
            self._open().sendall(framed(message))
        except OSError as error:
            self.close()
            raise NotAnswered(f"the connection broke off ({type(error).__name__})") from None

    def ask(self, message: bytes, control_id: str) -> Answer:
        """Send a message and wait for the answer to it; what answers another one is passed over. Raises NotAnswered.

        After that the connection is closed: what might still come by it would be taken for another answer.
        """
        self.tell(message)
        until = time.monotonic() + self._settings.answer_seconds
        while time.monotonic() < until:
            for raw in self._read():
                found = read_answer(raw)
                if found is not None and found[0] == control_id:
                    return found[1]
            if self._stopped():
                break
        self.close()
        raise NotAnswered("no answer in time")

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
        self._socket = None

    def _open(self) -> socket.socket:
        if self._socket is None:
            raise NotAnswered("the connection broke off")
        return self._socket

    def _read(self) -> list[bytes]:
        """What came within half a second. Raises NotAnswered at the end of the connection."""
        try:
            self._open().settimeout(0.5)
            data = self._open().recv(READ_BYTES)
            found = self._frames.feed(data)
        except TimeoutError:
            return []
        except (OSError, FrameTooLong) as error:
            self.close()
            raise NotAnswered(f"the connection broke off ({type(error).__name__})") from None
        finally:
            if self._socket is not None:
                self._socket.settimeout(self._settings.answer_seconds)
        if not data:
            self.close()
            raise NotAnswered("the connection was closed without an answer")
        return found

    def _ended(self) -> bool:
        """Whether the other side has closed a connection that nothing is outstanding on."""
        try:
            self._open().settimeout(0)
            data = self._open().recv(READ_BYTES)
            self._frames.feed(data)
            return not data
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except (OSError, FrameTooLong):
            return True
        finally:
            self._open().settimeout(self._settings.answer_seconds)


def read_answer(raw: bytes) -> tuple[str, Answer] | None:
    """MSA-2 and the answer; None for what is no acknowledgement."""
    try:
        header = Header.of(normal(raw))
    except NotAMessage:
        return None
    lines = [line.split(header.separator) for line in normal(raw).split(b"\r")]
    msa = next((line for line in lines if line[0] == b"MSA" and len(line) > 2), None)
    if msa is None:
        return None
    err = next((line for line in lines if line[0] == b"ERR" and len(line) > 3), [])
    condition = err[3].split(header.fields[2][:1])[0].decode("ascii", "replace") if err else ""
    code = msa[1].strip().upper().decode("ascii", "replace")
    shown = condition if condition.isdecimal() and len(condition) < 6 else ""
    return msa[2].strip().decode("latin-1"), Answer(code, shown, raw)


def addresses_of(target: Target, networks: list[IPv4Network | IPv6Network]) -> list[Address]:
    """The addresses of a host, all of which may be connected to. Raises NotConnected."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NotConnected(NO_ADDRESS) from None
    addresses = list(dict.fromkeys(ip_address(str(each[4][0]).partition("%")[0]) for each in found))
    if not all(may_connect(address, networks) for address in addresses):
        raise NotConnected("its host has an address that no setting allows (PACS_HL7_OUT__NETWORKS)")
    if not target.tls and not all(is_named(address, networks) for address in addresses):
        raise NotConnected("without TLS only to what PACS_HL7_OUT__NETWORKS names")
    return addresses


def connected(target: Target, settings: Settings) -> socket.socket:
    """A new connection, secured where the target says so. Raises NotConnected."""
    failure = NO_ADDRESS
    for address in addresses_of(target, settings.networks):
        try:
            plain = socket.create_connection((str(address), target.port), timeout=settings.connect_seconds)
        except OSError as error:
            failure = _REFUSED if isinstance(error, ConnectionRefusedError) else "it can't be reached"
            continue
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        made = _secured(plain, target, settings) if target.tls else plain
        made.settimeout(settings.answer_seconds)
        return made
    raise NotConnected(failure)


_REFUSED: Final = "the connection was refused"


def _secured(plain: socket.socket, target: Target, settings: Settings) -> ssl.SSLSocket:
    try:
        context = ssl.create_default_context(cadata=target.ca or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.certificate and settings.key:
            context.load_cert_chain(settings.certificate, settings.key)
        return context.wrap_socket(plain, server_hostname=target.host)
    except ssl.SSLCertVerificationError:
        plain.close()
        raise NotConnected("its certificate isn't trusted, or is another host's") from None
    except (OSError, ValueError) as error:
        plain.close()
        raise NotConnected(f"no TLS connection ({type(error).__name__})") from None
