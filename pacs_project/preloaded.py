"""One process that has loaded the product, and forks the programs of an installation: they begin at once, and share the
memory of what was loaded.

``python -m pacs_project.preloaded FD`` is asked over the socket ``FD`` (``standalone.preloading``), a JSON object and
the descriptor of a log a message: ``{"name": "web", "words": ["-m", "gunicorn", ...], "death_signal": 15}``. It says
``{"ready": true}`` first, then ``{"begun": PID}`` for each, or ``{"failed": REASON}``, and ``{"ended": PID, "code":
CODE}`` when one has ended. When whoever asks is gone it ends, and so do all.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

MESSAGE_BYTES: Final = 1 << 16
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
# What the programs load beside the applications themselves.
_ALSO: Final = (
    *(
        "pacs_project.urls",
        "gunicorn.app.wsgiapp",
        "gunicorn.workers.gthread",
        "celery.apps.worker",
        "celery.bin.worker",
    ),
    *("celery.concurrency.prefork", "kombu.transport.redis", "archive.management.commands.relay_outbox"),
    "hl7.management.commands.hl7_listen",
)


def main(descriptor: int) -> None:
    """Load, fork what is asked for, and in each fork run it."""
    with socket.socket(fileno=descriptor) as control:
        os.set_inheritable(descriptor, False)
        _load()
        try:
            words = _serve(control)
        except OSError:  # nobody asks any more
            return
    if words is not None:
        _run(words)


def _load() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacs_project.settings")
    gc.disable()
    django.setup()
    for name in _ALSO:
        import_module(name)
    gc.collect()
    # No collection of a fork copies what is here.
    gc.freeze()
    gc.enable()


def _serve(control: socket.socket) -> Sequence[str] | None:
    """Fork until nobody asks any more; in a fork, the words of its program."""
    wakes, wake = os.pipe()
    for each in (wakes, wake):
        os.set_blocking(each, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    _say(control, {"ready": True})
    while True:
        ready, _, _ = select.select([control.fileno(), wakes], [], [])
        if wakes in ready:
            os.read(wakes, 4096)
            _tell_who_ended(control)
        if control.fileno() in ready:
            message, logs, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 1)
            if not message:
                return None
            asked, parent = json.loads(message), os.getpid()
            try:
                pid = os.fork() if logs else -1
            except OSError as error:
                pid, asked["failed"] = -1, str(error)
            if not pid:
                os.close(wakes)
                os.close(wake)
                _settle(asked, logs[0], parent)
                words: Sequence[str] = asked["words"]
                return words
            for log in logs:
                os.close(log)
            _say(control, {"begun": pid} if pid > 0 else {"failed": asked.get("failed", "no log came")})


def _say(control: socket.socket, what: dict[str, Any]) -> None:
    control.send(json.dumps(what).encode())


def _tell_who_ended(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        _say(control, {"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _settle(asked: dict[str, Any], log: int, parent: int) -> None:
    """As a process that was begun by itself: a session, a log and signals of its own; and it ends with its parent."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, asked["death_signal"], 0, 0, 0)
    libc.prctl(_PR_SET_NAME, asked["name"].encode()[:15], 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _run(words: Sequence[str]) -> None:
    """What ``python WORDS`` would."""
    if words[0] == "-m":
        sys.argv = list(words[1:])
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(words)
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    main(int(sys.argv[1]))
