"""How many frames this process decodes and draws at a time: each may take hundreds of megabytes while it lasts."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from django.conf import settings

from archive.errors import ArchiveUnavailable
from telemetry.spans import codec


def places() -> int:
    """How many there are: ``PACS_LIMITS__DECODINGS``, or as many as this process may use cores, but two at least."""
    named: int = settings.PACS.limits.decodings
    return named or max(2, len(os.sched_getaffinity(0)))


@cache
def _slots() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(places())


# The places that threads of the parent hold are never given back in a fork of it.
os.register_at_fork(after_in_child=_slots.cache_clear)


class _Held(threading.local):
    """Whether this thread has a place."""

    one = False


_held = _Held()


@contextmanager
def decoding() -> Iterator[None]:
    """Wait for one of the places and keep it; a thread that has one goes on with that.

    Raises ``ArchiveUnavailable`` when none is free within ``PACS_LIMITS__DECODING_WAIT_SECONDS``.
    """
    if _held.one:
        yield
        return
    slots = _slots()
    with codec:
        if not slots.acquire(timeout=settings.PACS.limits.decoding_wait_seconds):
            raise ArchiveUnavailable("too many frames are being decoded now")
        _held.one = True
        try:
            yield
        finally:
            _held.one = False
            slots.release()
