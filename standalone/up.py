"""`./pacs up`: from nothing to a served address, and back to nothing when asked to stop."""

from __future__ import annotations

import sys
import time

from standalone import ports
from standalone.backing import AlreadyRunning, Backing, backing
from standalone.environment import public_root
from standalone.errors import StandaloneError
from standalone.layout import PROJECT, Layout
from standalone.programs import HL7_PORT, MANAGE, Hl7, Relay, Web, Worker
from standalone.running import Lock, clear, read_note
from standalone.supervisor import StopRequested

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def up(layout: Layout, *, host: str, port: int, samples: bool) -> int:
    """Serve until a signal to end. Exit code 0 after an asked-for end or if it runs already, else 1."""
    root = public_root(host, port)
    try:
        if Lock(layout).held:
            raise AlreadyRunning(read_note(layout))
        # A web server left by a killed launcher would still hold the port.
        for name in clear(layout):
            _say(f"! Ended {name}, left by a launcher that was killed.")
        ports.require(host, port)
        step = _Steps()
        with backing(layout, command="up", address=root, public_root=root, say=_say) as services:
            _serve(layout, services, host, port, step)
            _announce(services, root, host)
            _begin_samples(layout, services, samples, root)
            for _ in services.supervisor.watch():
                pass
    except StopRequested:
        _say("Stopped. The data are kept.")
    except AlreadyRunning as error:
        return _already(error)
    return 0


def _serve(layout: Layout, services: Backing, host: str, port: int, step: _Steps) -> None:
    supervisor, environment = services.supervisor, services.environment
    step("database and queue")
    _begin_viewer(layout, services)
    migrate = [*MANAGE, "migrate", "--noinput"]
    supervisor.run("Preparing the tables", migrate, environment, log=layout.log("migrate"))
    step("tables")
    # Shows the administrator's first password: on the terminal only, never in a log.
    supervisor.run("Creating the administrator", [*MANAGE, "first_start"], environment)
    # Nobody counts yet; what an earlier release counted has other names.
    for file in (layout.data / "metrics").glob("*.db"):
        file.unlink(missing_ok=True)
    for program in (Worker, Relay):
        supervisor.add(program(layout.log(program.name), environment))
    step("people and tasks")
    supervisor.add(Web(host, port, log=layout.log(Web.name), environment=environment))
    step("web server")
    _begin_hl7(layout, services)


def _begin_hl7(layout: Layout, services: Backing) -> None:
    """Its port is the one that all HL7 listeners have: where another has it, everything else works without."""
    environment = services.environment
    # The TLS port says as well as the plain one that it listens.
    port = int(environment.get("PACS_HL7__PORT", HL7_PORT)) or int(environment.get("PACS_HL7__TLS_PORT", "0"))
    if not port:
        return
    try:
        ports.require(environment.get("PACS_HL7__HOST", "127.0.0.1"), port)
    except StandaloneError:
        _say(f"! Port {port} is in use, so no HL7 messages are taken. PACS_HL7__PORT names another one.")
        return
    services.supervisor.add(Hl7(port, log=layout.log(Hl7.name), environment=environment))
    _say(f"  HL7 messages are taken on port {port}.")


def _begin_viewer(layout: Layout, services: Backing) -> None:
    """The first time it is fetched, which takes as long as the network; nothing else waits for it."""
    log = layout.log("viewer")
    command = [
        sys.executable,
        str(PROJECT / "tools/viewer.py"),
        "--destination",
        services.environment["PACS_VIEWER_DIR"],
    ]

    def done(code: int) -> None:
        if code == 0:
            _say("The viewer is ready.")
        else:
            _say(f"! The viewer could not be prepared; everything else works. Why: {log}")

    services.supervisor.begin("viewer", command, services.environment, done=done, log=log)


def _begin_samples(layout: Layout, services: Backing, wanted: bool, root: str) -> None:
    if layout.samples_marker.exists():
        return
    if not wanted:
        # Decided once: made-up studies must not turn up later among those of real patients.
        layout.samples_marker.write_text("not wanted\n")
        return

    def done(code: int) -> None:
        if code == 0:
            layout.samples_marker.write_text("loaded\n")
            _say(f"The sample studies are there. Open {root}/ and press Ctrl-C here when you are done.")
        else:
            _say("! The sample studies could not be loaded; `./pacs manage load_samples` tries again.")

    _say("Loading sample studies, made by us: no patient's data. You can sign in meanwhile.")
    services.supervisor.begin("samples", [*MANAGE, "load_samples"], services.environment, done=done)


def _announce(services: Backing, root: str, host: str) -> None:
    _say(f"\n  Lightbox is ready: {root}/")
    _say("  Ctrl-C stops it, or `./pacs stop` from another terminal.\n")
    if services.supervisor.busy("viewer"):
        _say("The viewer is still being prepared; studies open as soon as it is there.")
    if host not in LOOPBACK and root.startswith("http://"):
        _say(
            "! Other machines can reach this address and nothing is encrypted on the way: passwords and images can be "
            "read by others.\n  Put a TLS proxy in front and set PACS_PUBLIC_ROOT=https://NAME."
        )


def _already(error: AlreadyRunning) -> int:
    note = error.note
    if note is None or not note.address:
        what = f"`./pacs {note.command}` (process {note.pid})" if note else "another `./pacs` command"
        _say(f"The data folder is in use by {what}. Wait until it has ended.")
        return 1
    _say(f"Lightbox is already running: {note.address}/  (process {note.pid}). `./pacs stop` stops it.")
    return 0


class _Steps:
    """Says how long each step of the start took."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, name: str) -> None:
        now = time.monotonic()
        _say(f"  {name:<20}{now - self._last:5.1f} s")
        self._last = now


def _say(text: str) -> None:
    print(text, flush=True)
