"""An installation of which only HL7 listeners run, as processes of their own, and senders that are none of ours."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hl7.framing import framed
from standalone.programs import Hl7
from tests.hl7.messages import wire
from tests.live.server import LivePacs, free_port


class Installation(LivePacs):
    """``listeners`` processes on as many ports, and one database."""

    def __init__(self, listeners: int = 1) -> None:
        super().__init__()
        self.ports = [free_port() for _ in range(listeners)]
        self.listeners = [
            Hl7(port, log=self.home / f"hl7-{port}.log", environment=self.environment | {"PACS_HL7__PORT": str(port)})
            for port in self.ports
        ]
        self.services = list(self.listeners)

    @property
    def hl7_port(self) -> int:
        return self.ports[0]

    @property
    def listener(self) -> Hl7:
        return self.listeners[0]

    def take_messages(self) -> Installation:
        """Bring it up for the first time."""
        self.install()
        for listener in self.listeners:
            listener.start()
        return self

    def states(self) -> list[str]:
        return [row[0] for row in self.query("SELECT state FROM hl7_hl7message ORDER BY id")]

    def count(self, table: str) -> int:
        found: int = self.query(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608
        return found


def mllp_send(port: int, folder: Path, *messages: bytes | str) -> str:
    """Send with python-hl7's own client, from a folder where its package isn't hidden by our room of the same name.

    Text stands with one segment a line. Returns the answers.
    """
    file = folder / "message.hl7"
    file.write_bytes(b"".join(framed(wire(each) if isinstance(each, str) else each) for each in messages))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    program = "import sys; from hl7.client import mllp_send; sys.argv[0] = 'mllp_send'; mllp_send()"
    command = [sys.executable, "-P", "-c", program, f"--port={port}", f"--file={file}", "127.0.0.1"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8", "replace")


def wait_until(found: Callable[[], object], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < until, "this never happened"
        time.sleep(0.05)


def waits_for_a_lock(live: Installation) -> bool:
    return bool(
        live.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()")
    )
