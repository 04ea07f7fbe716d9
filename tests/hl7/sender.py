"""A sender that knows MLLP and nothing else of ours."""

from __future__ import annotations

import socket

from hl7.framing import framed


class Sender:
    """A raw socket that speaks MLLP."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._kept = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> bytes:
        """The next answer; b"" where the listener closed the connection."""
        while b"\x1c\r" not in self._kept:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                return b""
            if not data:
                return b""
            self._kept += data
        found, _, self._kept = self._kept.partition(b"\x1c\r")
        assert found.startswith(b"\x0b")
        return found[1:]

    def ask(self, message: bytes) -> bytes:
        self.send(framed(message))
        return self.answer()

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
