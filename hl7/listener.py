"""MLLP over TCP and TLS: who may connect, how long and how much, and one message after the other of each connection.

Bytes are read by one thread (asyncio); messages are applied by a few. A connection isn't read further while a message
of it is applied, so a sender can't run ahead of what is kept for it, and its answers come in its order.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Final, Protocol

from hl7.acknowledgement import Answers
from hl7.connections import Connections, Place, TooMuch
from hl7.errors import NotAMessage
from hl7.framing import Deframer, FrameTooLong, framed
from hl7.interfaces import Peer

_log = logging.getLogger(__name__)
READ_BYTES: Final = 64 << 10
# Messages that are longer are applied one after the other: reading one takes a multiple of its size.
LARGE_BYTES: Final = 1 << 20
# Connections that are taken in one go, and those that wait in the system meanwhile: whoever opens thousands at once has
# no more of them open here than these and the places.
_AT_ONCE: Final = 16
_WAITING: Final = 1024
Receive = Callable[[bytes, Peer], Answers]


class Settings(Protocol):
    """``pacs_project.config_hl7.Hl7Config``."""

    host: str
    port: int
    tls_port: int
    allow: list[str]
    connections: int
    idle_seconds: float
    first_seconds: float
    frame_seconds: float
    frame_bytes: int
    buffer_bytes: int
    threads: int


class Listener:
    """Serves until it is closed; ``receive`` is called in threads and never raises but NotAMessage."""

    def __init__(self, settings: Settings, receive: Receive, tls: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._receive = receive
        self._tls = tls
        self._allowed = [ip_network(each, strict=False) for each in settings.allow]
        self._places = Connections(settings.connections, settings.buffer_bytes)
        self._threads = ThreadPoolExecutor(settings.threads, "hl7")
        self._large = asyncio.Lock()
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> list[int]:
        """Bind; the ports, the plain one first. Raises OSError."""
        wanted: list[tuple[int, ssl.SSLContext | None]] = [(self._settings.port, None)]
        if self._tls is not None:
            wanted.append((self._settings.tls_port, self._tls))
        for port, tls in wanted:
            if port or tls or len(wanted) == 1:
                accept = partial(self._accept, tls=tls)
                server = await asyncio.start_server(
                    accept, self._settings.host, port, limit=READ_BYTES, backlog=_AT_ONCE
                )
                for each in server.sockets:
                    with each.dup() as same:
                        same.listen(_WAITING)
                self._servers.append(server)
        return [server.sockets[0].getsockname()[1] for server in self._servers]

    @property
    def connections(self) -> int:
        """How many are open now."""
        return self._places.count

    async def close(self) -> None:
        """Take no more; messages that are being applied are finished and answered first."""
        for server in self._servers:
            server.close()
        self._places.close_idle()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=15)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: ssl.SSLContext | None
    ) -> None:
        if (task := asyncio.current_task()) is not None:
            self._tasks.add(task)
        try:
            await self._serve(reader, writer, tls)
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the other side went away
        finally:
            if task is not None:
                self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError, asyncio.TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 5)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: ssl.SSLContext | None
    ) -> None:
        if tls is None and not self._may_connect(_address(writer)):
            _log.warning("a connection from an address that isn't allowed was closed")
            return
        # A handshake gives the connection another transport.
        with self._places.taken(lambda: writer.transport.abort()) as place:  # noqa: PLW0108
            if place is None:
                _log.warning("too many connections: a new one was closed")
                return
            if tls is not None:
                # Only who has a place may begin: a handshake that never ends holds no more than other silence.
                await _secured(writer, tls, self._settings.first_seconds)
            await self._converse(reader, writer, _peer(writer), place)

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer, place: Place
    ) -> None:
        """Frames in, answers out, until the other side ends or breaks the rules."""
        frames = Deframer(self._settings.frame_bytes)
        loop = asyncio.get_running_loop()
        begun: float | None = None
        why = ""
        try:
            while not self._places.closing:
                if begun is not None:
                    wait = begun + self._settings.frame_seconds - loop.time()
                else:
                    wait = self._settings.idle_seconds if place.served else self._settings.first_seconds
                data = await asyncio.wait_for(reader.read(READ_BYTES), max(0.0, wait))
                if not data:
                    why = "a message broke off" if frames.inside else ""
                    break
                for raw in frames.feed(data):
                    begun = None
                    with place.busy():
                        await self._answer(raw, writer, peer)
                place.hold(frames.buffered)
                begun = (begun or loop.time()) if frames.inside else None
        except TimeoutError:
            why = "a message wasn't completed in time" if begun is not None else ""
        except FrameTooLong:
            why = "a message is longer than is taken"
        except TooMuch:
            why = "too much is unfinished on all connections together"
        except NotAMessage:
            why = "what came was no message"
        if why or frames.dropped:
            _log.warning("connection closed: %s; %s bytes were of no message", why or "at its end", frames.dropped)

    async def _answer(self, raw: bytes, writer: asyncio.StreamWriter, peer: Peer) -> None:
        async with self._large if len(raw) > LARGE_BYTES else contextlib.nullcontext():
            answers = await asyncio.get_running_loop().run_in_executor(self._threads, self._receive, raw, peer)
        if answers.now is not None:
            writer.write(framed(answers.now))
            # Who doesn't take answers gets no more of them kept.
            await asyncio.wait_for(writer.drain(), self._settings.frame_seconds)

    def _may_connect(self, address: str) -> bool:
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None)
        return any((mapped or found) in network for network in self._allowed)


async def _secured(writer: asyncio.StreamWriter, tls: ssl.SSLContext, seconds: float) -> None:
    """Raises OSError."""
    plain = writer.transport
    try:
        await writer.start_tls(tls, ssl_handshake_timeout=seconds)
    finally:
        if writer.transport is None:
            # asyncio leaves a writer whose connection ended meanwhile without any transport, and cannot close that.
            writer._transport = plain
            raise ConnectionResetError


def _address(writer: asyncio.StreamWriter) -> str:
    return str((writer.get_extra_info("peername") or ("",))[0])


def _peer(writer: asyncio.StreamWriter) -> Peer:
    address = _address(writer)
    tls = writer.get_extra_info("ssl_object")
    if tls is None:
        return Peer("mllp", address)
    certificate = tls.getpeercert(binary_form=True) or b""
    return Peer("mllp-tls", address, sha256(certificate).hexdigest())


def tls_context(certificate: str, key: str, ca_file: str) -> ssl.SSLContext:
    """TLS 1.2 and newer with a certificate of the client that ``ca_file`` vouches for. Raises OSError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    return context
