"""The processes that codecs run in, as they look from inside: a nursery that has everything loaded, and its children.

The nursery is a program of its own (`main`). It reads no stranger's byte: all it does is fork a child for each socket
that it is handed, and end a child when it is told to, which it is for each: a child that has ended by itself keeps its
number, and how it ended, until then. The nursery ends when whoever started it has gone, with all its children.
A child answers one request after the other under limits that the kernel keeps: memory, processor time, no core dump,
no file that it could write. The environment is the nursery's, which holds no secret.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from importlib import import_module

# A message to the nursery: what to do, and with what; a socket may come with it. Its answer: a number.
MESSAGE = struct.Struct("<cQ")
ANSWER = struct.Struct("<q")
FORK, END = b"F", b"E"
READY = ANSWER.pack(0)
# A child that nobody has asked anything for so long ends; whoever asks gives one up well before.
IDLE_SECONDS = 120
_LOOK_SECONDS = 5
_FILES = 64
_PRELOADED = ("dicom.codec_messages", "dicom.described", "dicom.rendering")
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def main(descriptor: int, parent: int) -> None:
    """Be the nursery on a SEQPACKET socket to the process `parent`, until that closes it or ends."""
    for each in _IGNORED:  # a terminal or a supervisor means the parent, which may still have frames to finish
        signal.signal(each, signal.SIG_IGN)
    for module in _PRELOADED:
        import_module(module)
    gc.collect()
    gc.freeze()
    os.chdir("/")
    os.dup2(os.open(os.devnull, os.O_RDWR), 2)  # codecs talk to whoever listens
    children: set[int] = set()
    with socket.socket(fileno=descriptor) as control:
        try:
            control.send(READY)
            while _one_turn(control, parent, children):
                pass
        except OSError:  # the parent has gone in the middle of a word
            pass
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    os._exit(0)


def _one_turn(control: socket.socket, parent: int, children: set[int]) -> bool:
    """Whether there is to be another one."""
    spoken = _spoken(control, _LOOK_SECONDS)
    if os.getppid() != parent:
        return False
    if not spoken:
        return True
    message, sockets, _, _ = socket.recv_fds(control, MESSAGE.size, 1)
    if not message:
        return False
    what, number = MESSAGE.unpack(message)
    if what == FORK:
        pid = _fork(control, sockets[0], number)
        children.add(pid)
        control.send(ANSWER.pack(pid))
    else:
        control.send(ANSWER.pack(_end(number, children)))
    return True


def _spoken(connection: socket.socket, seconds: float) -> bool:
    """Whether there is something to read within this time; of a descriptor of any number, which `select` isn't for."""
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


def _fork(control: socket.socket, descriptor: int, memory: int) -> int:
    nursery = os.getpid()
    pid = os.fork()
    if pid:
        os.close(descriptor)
        return pid
    status = 1
    try:
        control.close()
        confine(memory)
        if os.getppid() == nursery:
            with socket.socket(fileno=descriptor) as connection:
                serve(connection)
            status = 0
    finally:
        os._exit(status)


def _end(pid: int, children: set[int]) -> int:
    """End a child if it hasn't ended by itself; how it did, as `os.waitpid` tells it."""
    children.remove(pid)
    os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


def confine(memory: int) -> None:
    """Take from this process what a codec doesn't need; `memory` is bytes beyond those that it has now."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    with open("/proc/self/statm", encoding="ascii") as sizes:
        mapped = int(sizes.read().split()[0]) * resource.getpagesize()
    for limit, most in (
        (resource.RLIMIT_AS, mapped + memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
    ):
        hard = resource.getrlimit(limit)[1]
        new = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (new, new))


def serve(connection: socket.socket) -> None:
    """Answer requests until the other side closes, or nobody has asked anything for a while."""
    from dicom import limits
    from dicom.codec_messages import pack_answer, pack_error, receive_request, send

    with suppress(OSError):
        while _spoken(connection, IDLE_SECONDS):
            request = receive_request(connection)
            if request is None:
                return
            limits.use(request.limits)
            # Processor time, so that a machine that is busy or stops for a while costs nobody an answer. What it ends
            # is the process: nothing in it could be asked to.
            signal.setitimer(signal.ITIMER_PROF, request.seconds)
            try:
                answer = pack_answer(request.function(*request.arguments, **request.keywords))
            except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
                answer = pack_error(error)
            signal.setitimer(signal.ITIMER_PROF, 0)
            send(connection, answer)
            del request, answer


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
