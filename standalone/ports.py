"""Whether a TCP port can be had, and who has it otherwise."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from standalone.errors import StandaloneError

_LISTENING = "0A"


def require(host: str, port: int) -> None:
    """Raise StandaloneError, naming the holder and a free port, unless `host:port` can be bound."""
    problem = _problem(host, port)
    if problem is None:
        return
    free = next((other for other in range(port + 1, min(port + 50, 65536)) if _problem(host, other) is None), None)
    advice = f" Try: ./pacs up --port {free}" if free else ""
    raise StandaloneError(f"Cannot listen on {host}:{port}: {problem}{holder(port)}.{advice}")


def holder(port: int) -> str:
    """` (process NAME, PID)` of who listens there, or nothing where the system does not tell us."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rsplit(":", 1)[1], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    for entry in Path("/proc").iterdir() if inodes else ():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            for descriptor in (entry / "fd").iterdir():
                if os.readlink(descriptor) in inodes:
                    return f" (by {(entry / 'comm').read_text().strip()}, process {entry.name})"
    return ""


def _problem(host: str, port: int) -> str | None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except PermissionError:
        return "ports below 1024 are for root"
    except OSError as error:
        return "the port is taken" if error.errno == 98 else (error.strerror or str(error))
    return None
