"""How transcoding at rest keeps out of everybody's way: places, locks, low priority, idle processors, and the pause.

Places and locks are PostgreSQL's advisory locks of a session, so that a process which is killed gives them back.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection, connections

from archive.codec_processes import use_own_children
from archive.models import TranscodingPause

Result = TypeVar("Result")

# The upper halves of the keys of advisory locks: "one of the places", "this series".
_PLACES, _SERIES = 0x4C42_5250 << 32, 0x4C42_5253 << 32


# Less than that tells nothing about what a processor does, and more nothing about now.
_LEAST_SECONDS, _MOST_SECONDS = 1.0, 60.0
_OTHERS = (0, 2, 5, 6)  # user, system, irq and softirq of /proc/stat: whoever has not stepped back


def paused() -> bool:
    """Whether nobody may begin now."""
    return TranscodingPause.objects.exists()


def pause(*, on: bool) -> None:
    """Nobody begins with another instance until it is taken back; a restart doesn't do that."""
    if on and not paused():
        TranscodingPause.objects.create()
    elif not on:
        TranscodingPause.objects.all().delete()


class Processors:
    """What this machine's processors do for those who have not stepped back, as transcoding and its codecs have."""

    def __init__(self) -> None:
        self._at = 0.0
        self._seen = (0, 0)
        self._share = 0.0

    def busy(self, percent: float) -> bool:
        """Whether others used more than ``percent`` of them since this was last asked, or in a second from now on.

        Never where the operating system doesn't tell, and never with 100.
        """
        if percent >= 100 or not sys.platform.startswith("linux"):
            return False
        if time.monotonic() - self._at > _MOST_SECONDS:
            self._at, self._seen = time.monotonic(), _spent()
            time.sleep(_LEAST_SECONDS)
        if time.monotonic() - self._at >= _LEAST_SECONDS:
            spent = _spent()
            others, total = (now - then for now, then in zip(spent, self._seen, strict=True))
            self._at, self._seen = time.monotonic(), spent
            self._share = 100 * others / total if total else 0.0
        return self._share > percent


def _spent() -> tuple[int, int]:
    """Ticks that the processors worked for others, and all ticks, since the machine was started."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(field) for field in file.readline().split()[1:9]]
    return sum(ticks[place] for place in _OTHERS), sum(ticks)


processors = Processors()


@contextmanager
def place(count: int) -> Iterator[bool]:
    """One of ``count`` places of the whole installation, held until the end; ``False`` if all are taken."""
    key = next((_PLACES + number for number in range(count) if _lock(_PLACES + number)), None)
    try:
        yield key is not None
    finally:
        if key is not None:
            _unlock(key)


@contextmanager
def alone_with(series_pk: int) -> Iterator[bool]:
    """This series for one worker at a time; ``False`` if another has it."""
    key = _SERIES + (series_pk & 0xFFFF_FFFF)
    locked = _lock(key)
    try:
        yield locked
    finally:
        if locked:
            _unlock(key)


def gently(work: Callable[[], Result]) -> Result:
    """What ``work`` returns, done at low priority in a thread that uses the caller's database connection meanwhile.

    The thread stays for the next time: an unprivileged process can't raise a priority again once it is low. Its codecs
    run in child processes of its own, which have its priority too.
    """
    mine = connections[DEFAULT_DB_ALIAS]

    def with_my_connection() -> Result:
        connections[DEFAULT_DB_ALIAS] = mine
        try:
            return work()
        finally:
            del connections[DEFAULT_DB_ALIAS]

    mine.inc_thread_sharing()
    try:
        return _thread().submit(with_my_connection).result()
    finally:
        mine.dec_thread_sharing()


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="at-rest", initializer=_step_back)


# Threads don't come along into a fork.
os.register_at_fork(after_in_child=_thread.cache_clear)


def _step_back() -> None:
    if sys.platform == "linux":  # where each thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.nice(0) + settings.PACS.at_rest.niceness)
    use_own_children()


def _lock(key: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        [(locked,)] = cursor.fetchall()
    return bool(locked)


def _unlock(key: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s)", [key])
