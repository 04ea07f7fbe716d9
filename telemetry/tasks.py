"""How long tasks take, and how they end."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from telemetry.metrics import TASK_SECONDS, TASKS


@contextmanager
def counted(kind: str) -> Iterator[None]:
    """Around one task; ``kind`` is a name of the program's own."""
    began, result = perf_counter(), "failed"
    try:
        yield
        result = "done"
    finally:
        TASK_SECONDS.labels(kind).observe(perf_counter() - began)
        TASKS.labels(kind, result).inc()
