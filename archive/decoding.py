"""How many frames this process decodes and draws at a time: each may take hundreds of megabytes while it lasts."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from archive.errors import ArchiveUnavailable

AT_A_TIME = 2
WAIT_SECONDS = 30.0

_slots = threading.BoundedSemaphore(AT_A_TIME)


@contextmanager
def decoding() -> Iterator[None]:
    """Wait for one of ``AT_A_TIME`` places and keep it; a thread that has one must not ask for another.

    Raises ``ArchiveUnavailable`` when none is free within ``WAIT_SECONDS``.
    """
    if not _slots.acquire(timeout=WAIT_SECONDS):
        raise ArchiveUnavailable("too many frames are being decoded now")
    try:
        yield
    finally:
        _slots.release()
