"""How many frames this process decodes and draws at a time: each may take hundreds of megabytes while it lasts."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from django.conf import settings

from archive.errors import ArchiveUnavailable


@cache
def _slots() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(settings.PACS.limits.decodings)


@contextmanager
def decoding() -> Iterator[None]:
    """Wait for one of the places and keep it; a thread that has one must not ask for another.

    Raises ``ArchiveUnavailable`` when none is free within ``PACS_LIMITS__DECODING_WAIT_SECONDS``.
    """
    slots = _slots()
    if not slots.acquire(timeout=settings.PACS.limits.decoding_wait_seconds):
        raise ArchiveUnavailable("too many frames are being decoded now")
    try:
        yield
    finally:
        slots.release()
