"""A TCP proxy that stands before a service and injects faults: for the database, the object store and the broker.

``with FaultProxy(target) as proxy`` listens on a free port of the loopback, or on a unix socket; ``proxy.fault`` is set
to one of ``Fault`` at any moment, ``NONE`` heals. What a connection lost in a fault stays lost: those that were black
holes or frozen with bytes in flight go on only where nothing was dropped.

RESET ends every connection with RST and refuses new ones so; CUT ends them in the middle of an answer, after a few
bytes; BLACKHOLE takes connections and bytes and gives nothing, for ever, also to those connections after it is healed;
FREEZE stops everything and goes on where it stopped; LATENCY delays each piece by ``latency`` seconds; FLAKY ends one
of ten pieces' connections; DOWN refuses connections; HTTP_503 answers each request with 503 at the chance ``chance``,
without asking the target (for services that speak HTTP/1.1 with keep-alive).
"""

from __future__ import annotations

import os
import random
import selectors
import socket
import struct
import threading
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

PIECE = 64 * 1024
_REFUSED = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
)
_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>injected</Message></Error>"


class Fault(StrEnum):
    NONE = "none"
    RESET = "reset"
    CUT = "cut"
    BLACKHOLE = "blackhole"
    FREEZE = "freeze"
    LATENCY = "latency"
    FLAKY = "flaky"
    DOWN = "down"
    HTTP_503 = "http503"


class FaultProxy:
    """``target`` is (host, port), or the path of a unix socket; listens on loopback, or on the unix socket ``path``."""

    def __init__(
        self, target: tuple[str, int] | str, *, path: Path | None = None, latency: float = 0.4, chance: float = 0.3
    ) -> None:
        self.target = target
        self.latency = latency
        self.chance = chance
        self.path = path
        self.fault = Fault.NONE
        self.injected = 0
        self._pairs: set[_Pair] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._listener = self._listen()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self.fault = Fault.NONE
        self._listener.close()
        self.end_all()

    def inject(self, fault: Fault) -> None:
        """From now on; RESET, CUT and DOWN end what is open."""
        self.fault = fault
        if fault in (Fault.RESET, Fault.DOWN):
            self.end_all()

    def heal(self) -> None:
        self.fault = Fault.NONE

    def end_all(self) -> None:
        """Every open connection ends with RST."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            pair.reset()

    def _listen(self) -> socket.socket:
        if self.path is not None:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(self.path))
            os.chmod(self.path, 0o666)  # noqa: S103 - a socket of a test, in a folder of its own
        else:
            listener = socket.socket()
            listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        return listener

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.fault in (Fault.RESET, Fault.DOWN):
                self.injected += 1
                _reset(client)
                continue
            try:
                server = self._connect()
            except OSError:
                _reset(client)
                continue
            pair = _Pair(self, client, server)
            with self._lock:
                self._pairs.add(pair)
            threading.Thread(target=pair.run, daemon=True).start()

    def _connect(self) -> socket.socket:
        if isinstance(self.target, str):
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.target)
            return server
        return socket.create_connection(self.target, timeout=5)

    def forget(self, pair: _Pair) -> None:
        with self._lock:
            self._pairs.discard(pair)


class _Pair:
    """One connection through the proxy."""

    def __init__(self, proxy: FaultProxy, client: socket.socket, server: socket.socket) -> None:
        self.proxy = proxy
        self.client = client
        self.server = server
        self.lost = False
        self.ended = False

    def run(self) -> None:
        self.server.settimeout(None)
        watched = selectors.DefaultSelector()
        try:
            watched.register(self.client, selectors.EVENT_READ, self.server)
            watched.register(self.server, selectors.EVENT_READ, self.client)
            while not self.ended:
                for key, _ in watched.select(timeout=0.2):
                    source: socket.socket = key.fileobj  # type: ignore[assignment]
                    if not self._pass_on(source, key.data):
                        return
        except (OSError, ValueError):
            return
        finally:
            self.ended = True
            watched.close()
            self.proxy.forget(self)
            for one in (self.client, self.server):
                with suppress(OSError):
                    one.close()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> bool:
        while self.proxy.fault is Fault.FREEZE and not self.ended:
            time.sleep(0.02)
        data = source.recv(PIECE)
        if not data:
            return False
        match self.proxy.fault:
            case Fault.BLACKHOLE:
                self.lost = True
            case Fault.LATENCY:
                time.sleep(self.proxy.latency)
            case Fault.CUT if source is self.server:
                sink.sendall(data[: len(data) // 2])
                self.reset()
                return False
            case Fault.FLAKY if random.random() < 0.1:
                self.reset()
                return False
            case Fault.HTTP_503 if source is self.client and _begins_request(data):
                if random.random() < self.proxy.chance:
                    self.proxy.injected += 1
                    self._refuse(source, data)
                    return False
        if self.lost:
            self.proxy.injected += 1
            return True
        sink.sendall(data)
        return True

    def _refuse(self, client: socket.socket, data: bytes) -> None:
        """503, and the rest of the request read away so that the client sees the answer and not a reset."""
        client.sendall(_REFUSED % (len(_SLOW_DOWN), _SLOW_DOWN))
        with suppress(OSError):
            client.shutdown(socket.SHUT_WR)
            client.settimeout(1.0)
            while client.recv(PIECE):
                pass

    def reset(self) -> None:
        self.ended = True
        self.proxy.injected += 1
        for one in (self.client, self.server):
            _reset(one)


def _begins_request(data: bytes) -> bool:
    return data.startswith((b"GET /", b"PUT /", b"POST /", b"HEAD /", b"DELETE /"))


def _reset(one: socket.socket) -> None:
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RDWR) if one.family == socket.AF_UNIX else None
        one.close()
