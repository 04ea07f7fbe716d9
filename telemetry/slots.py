"""Each process that counts has a number of its own, the lowest that is free in the folder of the metrics.

A process id would do as well, but for files: each process ever started would leave some. A number is held by a lock on
a file, which the kernel gives back when the process ends, however it ends; the next one goes on with its files. So
there are as many files as there ever were processes at one time, and no count is lost by a restart.
"""

import fcntl
import os
from pathlib import Path
from typing import Final

# More processes than that on one folder count in their own memory, which nobody reads.
MOST: Final = 256


class NoSlot(OSError):
    """The folder can't be used, or every number is held."""


class Slot:
    """The number of this process in ``folder``, until it ends or is given back. Raises NoSlot."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.number, self._lock = _claim(folder)
        except OSError as error:
            raise NoSlot(f"no number for this process: {type(error).__name__}") from error

    def forget(self) -> None:
        """Give it back; in the child of a fork, where the parent holds it still, only close the child's handle."""
        os.close(self._lock)


def _claim(folder: Path) -> tuple[int, int]:
    for number in range(MOST):
        handle = os.open(folder / f"slot-{number:03}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
        except OSError:
            os.close(handle)
            raise
        else:
            return number, handle
    raise BlockingIOError("every number is held")
