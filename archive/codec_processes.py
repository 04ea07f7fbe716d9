"""Codecs away from the processes that answer: what a stranger's frame breaks, loops in or fills is a child process.

A process has at most as many children as ``archive.decoding`` has places. They are forked by a nursery
(``dicom.codec_child``), a program that is started when the first frame comes, so that threads, Celery's daemons and
tests may all ask. A child that crashes, takes too long or says nonsense costs its own frame: it is ended, and the next
frame has another. None outlives the process that it works for.
"""

import atexit
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from django.conf import settings

from archive.decoding import decoding
from archive.errors import ArchiveUnavailable
from dicom.codec_child import ANSWER, END, FORK, IDLE_SECONDS, MESSAGE, READY
from dicom.codec_messages import BadAnswer, Unexpected, pack_request, receive_answer, send
from dicom.errors import CannotDecode, DicomError

log = logging.getLogger("archive.codec_processes")
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_PROJECT = Path(__file__).resolve().parent.parent
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from dicom.codec_child import main; main(*map(int, sys.argv[2:]))"
)
# All that the children know of this process's environment.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TZ")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# What a frame of usual size took is kept for the next one: taking it from the kernel anew costs HTJ2K half as much as
# its work. glibc's words; others don't know them.
_SAME_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(4 << 20), "MALLOC_TRIM_THRESHOLD_": str(8 << 20)}
_STARTING_SECONDS = 60
# A frame may wait for its processor: so many times the processor seconds that it may take.
_PATIENCE = 3
_MOST_CALLS = 5000
_SOCKET_BYTES = 1 << 20
# Beside the samples of the largest frame
_SPARE_BYTES = 64 << 20


def away(function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
    """What ``function`` returns for these arguments, in a child process.

    ``function`` stands at the top of a module of ``dicom``. It returns bytes, arrays, numbers, texts, lists, tuples and
    dictionaries of them, or what ``dicom.codec_messages.CLASSES`` names. A thread that has a place of ``decoding()``
    uses it, any other waits for one.

    Raises the ``DicomError`` that it raises, ``CannotDecode`` also for a crash, for more than
    ``PACS_LIMITS__CODEC_SECONDS`` or ``PACS_LIMITS__CODEC_BYTES``; ``ArchiveUnavailable`` without a place or a process.
    """
    with decoding():
        return cast(Result, (_own.pool or _pool).call(function, args, kwargs))


def use_own_children() -> None:
    """From now on the calling thread asks children that no other thread asks, and that have its priority."""
    _own.pool = _Pool()


def has_own_children() -> bool:
    """Whether the calling thread has children that no other thread asks."""
    return _own.pool is not None


class _NoChild(Exception):
    """The nursery doesn't answer: it has to be another one."""


class _Nursery:
    """The program that forks children, as this process sees it."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(_STARTING_SECONDS)
        words = [_START, str(_PROJECT), str(theirs.fileno()), str(os.getpid())]
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment |= _ONE_THREAD | _SAME_MEMORY
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-c", *words],
                    env=environment,
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                )
            if self._control.recv(ANSWER.size) != READY:
                raise _NoChild
        except OSError as error:
            self.close()
            raise _NoChild from error
        except BaseException:
            self.close()
            raise

    def child(self) -> "_Child":
        """Another child."""
        ours, theirs = socket.socketpair()
        with theirs:
            for each in (ours, theirs):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
            message = MESSAGE.pack(FORK, settings.PACS.limits.codec_bytes)
            try:
                socket.send_fds(self._control, [message], [theirs.fileno()])
                return _Child(self, ours, self._answer())
            except BaseException:
                ours.close()
                raise

    def end(self, pid: int) -> int:
        """End a child; how it ended, as ``os.waitpid`` tells it, or -1."""
        try:
            self._control.send(MESSAGE.pack(END, pid))
            return self._answer()
        except (OSError, _NoChild):
            self.forget()  # an answer that comes late must not be taken for that to another question
            return -1

    def _answer(self) -> int:
        (number,) = ANSWER.unpack(self._control.recv(ANSWER.size) or self._gone())
        return int(number)

    def _gone(self) -> bytes:
        raise _NoChild

    def close(self) -> None:
        """Let go of it, and so of its children."""
        self.forget()
        process = getattr(self, "_process", None)
        if process is not None:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def forget(self) -> None:
        """Close what a fork of this process has of it."""
        self._control.close()


class _Child:
    """One child, with one caller at a time."""

    def __init__(self, nursery: _Nursery, connection: socket.socket, pid: int) -> None:
        self.nursery, self.connection, self.pid = nursery, connection, pid
        self.calls = 0
        self.used_at = time.monotonic()

    @property
    def fit(self) -> bool:
        """Whether it may be asked again: not worn out, far from ending by itself, and not lost with its nursery."""
        if self.calls >= _MOST_CALLS or time.monotonic() - self.used_at > IDLE_SECONDS / 2:
            return False
        # With a timeout it would wait for it, flag or no flag.
        self.connection.settimeout(0)
        try:
            self.connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def end(self) -> int:
        """End it; how it ended, as ``os.waitpid`` tells it, or -1."""
        self.connection.close()
        return self.nursery.end(self.pid)


class _Pool:
    """The children of this process that wait for work, and their nursery."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._nursery: _Nursery | None = None

    def call(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """See ``away``; the caller has a place of ``decoding()``."""
        limits = settings.PACS.limits
        request = pack_request(limits.codec_seconds, function, args, kwargs)
        seconds = limits.codec_seconds * _PATIENCE
        child = self._take()
        try:
            child.connection.settimeout(seconds)
            send(child.connection, request)
            value = receive_answer(child.connection, limits.frame_bytes + _SPARE_BYTES, seconds)
        except DicomError as told:
            self._give_back(child)
            if isinstance(told, Unexpected):
                log.warning("%s in a codec process: %s", told, function.__qualname__)
            raise
        except (OSError, EOFError, BadAnswer) as failure:
            reason = _reason(self._end(child), failure)
            log.warning("a codec process was lost: %s: %s", function.__qualname__, reason)
            raise CannotDecode(reason) from None
        except BaseException:
            self._end(child)
            raise
        self._give_back(child)
        return value

    def _take(self) -> _Child:
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.fit:
                    return child
                child.end()
            for last in (False, True):
                try:
                    self._nursery = self._nursery or _Nursery()
                    return self._nursery.child()
                except (OSError, _NoChild) as error:
                    if self._nursery is not None:
                        self._nursery.close()
                        self._nursery = None
                    if last:
                        log.error("codec processes can't be started: %s", error or type(error).__name__)
                        raise ArchiveUnavailable("frames can't be decoded now") from error
        raise AssertionError

    def _give_back(self, child: _Child) -> None:
        child.calls += 1
        child.used_at = time.monotonic()
        with self._lock:
            self._idle.append(child)

    def _end(self, child: _Child) -> int:
        with self._lock:
            return child.end()

    def close(self) -> None:
        """End all that is idle, and the nursery."""
        with self._lock:
            for child in self._idle:
                child.connection.close()
            self._idle.clear()
            if self._nursery is not None:
                self._nursery.close()
                self._nursery = None

    def forget(self) -> None:
        """After a fork, in the child: what is here belongs to the parent."""
        for child in self._idle:
            child.connection.close()
        if self._nursery is not None:
            self._nursery.forget()


def _reason(status: int, failure: BaseException) -> str:
    """Why a child ended, in plain words."""
    limits = settings.PACS.limits
    number = os.WTERMSIG(status) if status >= 0 and os.WIFSIGNALED(status) else 0
    if number == signal.SIGPROF or isinstance(failure, TimeoutError):
        return f"the codec took more than {limits.codec_seconds:g} seconds"
    if isinstance(failure, BadAnswer):
        return "the codec's answer can't be read"
    if number == signal.SIGKILL:
        return "the codec was ended, most likely for want of memory"
    return f"the codec crashed ({signal.Signals(number).name})" if number else "the codec ended without an answer"


def _renew() -> None:
    global _pool
    _pool.forget()
    _pool = _Pool()
    if _own.pool is not None:
        _own.pool.forget()
        _own.pool = None


def _close() -> None:
    _pool.close()


class _Own(threading.local):
    """The children of a thread that wants some of its own."""

    pool: _Pool | None = None


_pool = _Pool()
_own = _Own()
os.register_at_fork(after_in_child=_renew)
atexit.register(_close)
