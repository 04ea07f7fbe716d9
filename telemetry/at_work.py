"""The id of what is at work, for every line of the log: a request's, a task's or a message's."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

request_id: Final[ContextVar[str]] = ContextVar("request_id", default="")


@contextmanager
def working_on(name: str) -> Iterator[None]:
    """Lines of the log within it have this id."""
    token = request_id.set(name)
    try:
        yield
    finally:
        request_id.reset(token)
