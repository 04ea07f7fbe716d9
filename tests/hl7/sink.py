"""A receiver of MLLP that behaves as it is told: a real socket, none of our own code behind it."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

# What a sink does with a message: the bytes that it answers, None for silence; raise Hangup to close instead.
Behaviour = Callable[[bytes], bytes | None]


class Hangup(Exception):
    """Close the connection without an answer."""


def control_id(raw: bytes) -> str:
    return raw.split(b"\r")[0].split(b"|")[9].decode()


def ack(code: str, condition: str = "") -> Behaviour:
    def answer(raw: bytes) -> bytes:
        err = f"\rERR||PID^1^3|{condition}^Words^HL70357|E" if condition else ""
        head = f"MSH|^~\\&|RIS|H|LIGHTBOX||20250110||ACK|{time.monotonic_ns()}|P|2.5.1"
        return f"{head}\rMSA|{code}|{control_id(raw)}{err}\r".encode()

    return answer


def silent(raw: bytes) -> None:
    return None


def hangup(raw: bytes) -> None:
    raise Hangup


class Sink:
    """Takes messages, one connection after the other or side by side; ``got`` are all of them."""

    def __init__(self, behaviour: Behaviour | None = None, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.behave: Behaviour = behaviour or ack("AA")
        self.got: list[bytes] = []
        self.connections = 0
        self._tls = tls
        sink = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                sink.connections += 1
                with contextlib.suppress(OSError):
                    sink._serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._open: set[socket.socket] = set()
        self._server = Server(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Refuse connections from now on, and end those there are."""
        self._server.shutdown()
        self._server.server_close()
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def ids(self) -> list[str]:
        return [control_id(raw) for raw in self.got]

    def _serve(self, plain: socket.socket) -> None:
        connected = self._tls.wrap_socket(plain, server_side=True) if self._tls else plain
        self._open.add(connected)
        buffer = b""
        try:
            while data := connected.recv(65536):
                buffer += data
                while b"\x1c\r" in buffer:
                    frame, _, buffer = buffer.partition(b"\x1c\r")
                    raw = frame.removeprefix(b"\x0b")
                    self.got.append(raw)
                    answer = self.behave(raw)
                    if answer is not None:
                        connected.sendall(b"\x0b" + answer + b"\x1c\r")
        except Hangup:
            pass
        finally:
            self._open.discard(connected)
            connected.close()
