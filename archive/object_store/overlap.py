"""Run the slow, lock-free waits of one request (fsync, HTTP) at the same time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, ThreadPoolExecutor, wait
from functools import cache
from typing import Any, Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_MOST_BESIDE = 64


def overlap(executor: Executor, call: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Call `call` on each item and return what it gave, in order; or raise the first item's error.

    After an error no further call is begun, and this returns only when every call begun has ended: the caller may
    close descriptors right after.
    """
    if len(items) == 1:
        return [call(items[0])]
    futures = [executor.submit(call, item) for item in items]
    wait(futures, return_when=FIRST_EXCEPTION)
    for future in futures:
        future.cancel()
    wait(futures)
    for future in futures:
        if not future.cancelled():
            future.result()
    return [future.result() for future in futures]


class Beside:
    """A call that waits for a disk or a network, made in another thread while the block has other things to do.

    The block never ends before the call does.
    """

    def __init__(self, call: Callable[[], None]) -> None:
        self._future = _threads().submit(call)

    def done(self) -> None:
        """Wait for it; raises what it raised."""
        self._future.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: Any) -> None:
        wait([self._future])


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_MOST_BESIDE, thread_name_prefix="beside")


# Threads don't come along into a fork.
os.register_at_fork(after_in_child=_threads.cache_clear)
