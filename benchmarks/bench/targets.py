"""Servers to be measured: any DICOMweb base URL, with or without credentials, with or without processes of ours."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.bench.wire import Address, Connection, address


def _nothing() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Target:
    """``credentials`` is asked before every measurement, so that a token may be renewed; ``processes`` are the roots
    of the server's process tree, none for a server elsewhere."""

    name: str
    url: str
    credentials: Callable[[], str] = field(default=_nothing)
    processes: Sequence[int] = ()

    @property
    def address(self) -> Address:
        return address(self.url)

    def connect(self) -> Connection:
        """A connection of its own, not yet open."""
        return Connection(self.address, self.credentials())


def parsed(text: str) -> Target:
    """``NAME=URL``, ``NAME=URL,TOKEN`` or ``NAME=URL,USER:PASSWORD``. Raises ValueError."""
    name, equals, rest = text.partition("=")
    if not equals or not name:
        raise ValueError(f"{text} is not NAME=URL[,TOKEN or USER:PASSWORD]")
    url, _, credentials = rest.partition(",")
    address(url)
    return Target(name, url.rstrip("/"), lambda: credentials)


def free_port(host: str) -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
