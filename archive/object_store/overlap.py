"""Run the slow, lock-free waits of one request (fsync, HTTP) at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


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
