"""What a fuzz target is, shared by the long run (`run.py`) and the replay in every test run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """`check` takes any bytes and raises for a broken promise only; `seeds` are inputs that reach far.

    `words` is what random bytes seldom spell; inputs have at most `longest` bytes.
    """

    name: str
    check: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    words: tuple[bytes, ...]
    longest: int
