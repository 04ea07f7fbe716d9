"""Having the kernel write a file while there is other work to do, long before somebody waits until it is durable.

Else it begins to write with the fsync, which then takes as long as the disk does.
"""

import ctypes
import sys
from collections.abc import Callable
from typing import Any, Final

_SYNC_FILE_RANGE_WRITE: Final = 2


def _found() -> Callable[..., Any] | None:
    if sys.platform != "linux":
        return None
    try:
        call = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return call


_SYNC_FILE_RANGE: Final = _found()


def hasten(fd: int, offset: int, length: int) -> None:
    """Begin to write ``length`` bytes from ``offset`` on, and wait for nothing; promises nothing.

    Where the system or the file system can't, it is left to the fsync, which also tells of a write that failed.
    """
    if _SYNC_FILE_RANGE is not None and length:
        _SYNC_FILE_RANGE(fd, offset, length, _SYNC_FILE_RANGE_WRITE)
