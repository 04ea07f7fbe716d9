"""Decoded frames that were asked for lately, so that many viewers of one frame cost one decoding (PS3.18 10.4.1.1.6).

Invalidation: none is needed. An entry is known by the key of the object, which is written once and never again, the
number of the frame and the transfer syntax that it left in. Whether somebody may have it is asked before, each time:
what was deleted or isn't granted is not found, and so never looked up here. Each process has a cache of its own.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache

from django.conf import settings

from telemetry.metrics import CACHE_HITS, CACHE_MISSES

# A frame larger than this share of the cache would push everything else out.
_LARGEST_SHARE = 4


@dataclass(frozen=True, slots=True)
class FrameKey:
    """Which frame of which object, in which transfer syntax."""

    object_key: str
    number: int
    transfer_syntax_uid: str


class FrameCache:
    """The frames used last, up to ``capacity`` bytes of them; of those asked for at the same time each is made once."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()
        self._size = 0
        self._under_way: dict[Hashable, Future[bytes]] = {}

    @property
    def size(self) -> int:
        """Bytes kept now."""
        return self._size

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """The frame of ``key``: kept, being made by another thread, or made now.

        What ``make`` raises goes to everybody who waits for it, and is not kept.
        """
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                CACHE_HITS.inc()
                return kept
            running = self._under_way.get(key)
            mine: Future[bytes] = Future()
            if running is None:
                self._under_way[key] = mine
        if running is not None:
            return running.result()
        CACHE_MISSES.inc()
        try:
            made = make()
        except BaseException as error:
            with self._lock:
                del self._under_way[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._under_way[key]
            self._keep(key, made)
        mine.set_result(made)
        return made

    def _keep(self, key: Hashable, frame: bytes) -> None:
        if len(frame) * _LARGEST_SHARE > self._capacity:
            return
        self._kept[key] = frame
        self._size += len(frame)
        while self._size > self._capacity:
            self._size -= len(self._kept.popitem(last=False)[1])


@cache
def frame_cache() -> FrameCache:
    """The cache of this process (``PACS_LIMITS__FRAME_CACHE_BYTES``)."""
    return FrameCache(settings.PACS.limits.frame_cache_bytes)
