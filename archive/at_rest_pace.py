"""How transcoding at rest keeps out of everybody's way: places, locks, low priority, and the pause.

Places and locks are PostgreSQL's advisory locks of a session, so that a process which is killed gives them back.
"""

import os
import sys
import threading
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


def paused() -> bool:
    """Whether nobody may begin now."""
    return TranscodingPause.objects.exists()


def pause(*, on: bool) -> None:
    """Nobody begins with another instance until it is taken back; a restart doesn't do that."""
    if on and not paused():
        TranscodingPause.objects.create()
    elif not on:
        TranscodingPause.objects.all().delete()


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
