"""Frames of one answer made before their turn comes, so that one client's frames keep every core busy.

As many are under way or waiting as there are places of ``archive.decoding``, and no more bytes than ``_BYTES``: a
client that reads slowly costs no more than that. What makes a frame must not ask the database, for its threads have no
connection.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from archive.codec_processes import has_own_children
from archive.decoding import places

Made = TypeVar("Made")

_BYTES = 64 << 20


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(places(), "frames-ahead")


# A fork has none of its parent's threads.
os.register_at_fork(after_in_child=_threads.cache_clear)


def window(size: int) -> int:
    """How many pieces of ``size`` bytes are made ahead."""
    return max(1, min(places(), _BYTES // max(1, size)))


def begin(make: Callable[[], Made]) -> "Future[Made]":
    """Have it made by another thread."""
    return _threads().submit(make)


def ahead(making: Iterable[Callable[[], Made]], size: int) -> Iterator[Made]:
    """What each makes, in their order, each of about ``size`` bytes.

    What one raises is raised when its turn comes; those behind it are given up then, as they are when nobody goes on.
    """
    if has_own_children():  # other threads would ask others
        yield from (make() for make in making)
        return
    waiting: deque[Future[Made]] = deque()
    most = window(size)
    try:
        for make in making:
            waiting.append(begin(make))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for each in waiting:
            each.cancel()
