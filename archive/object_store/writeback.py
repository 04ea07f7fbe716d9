"""Having the kernel write a file while there is other work to do, long before somebody waits until it is durable.

Else it begins to write with the fsync, which then takes as long as the disk does.
"""

import ctypes
import errno
import sys
from collections.abc import Callable
from typing import Any, Final

_SYNC_FILE_RANGE_WRITE: Final = 2
# Where the system, the file system or a sandbox doesn't have it.
_NOT_HERE: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.ESPIPE, errno.EOPNOTSUPP, errno.EPERM})


def _found() -> Callable[..., int] | None:
    if sys.platform != "linux":
        return None
    try:
        found: Any = ctypes.CDLL(None, use_errno=True).sync_file_range
    except (OSError, AttributeError):
        return None
    found.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    call: Callable[..., int] = found
    return call


_SYNC_FILE_RANGE: Final = _found()


def hasten(fd: int, offset: int, length: int) -> int:
    """Begin to write ``length`` bytes from ``offset`` on, without waiting for the disk; 0, or what failed (errno).

    What failed has to be kept: where no block could be found for the bytes the kernel tells this caller alone, drops
    them, and the fsync that follows succeeds. Where there is no such call it is all left to the fsync.
    """
    if _SYNC_FILE_RANGE is None or _SYNC_FILE_RANGE(fd, offset, length, _SYNC_FILE_RANGE_WRITE) == 0:
        return 0
    failed = ctypes.get_errno()
    return 0 if failed in _NOT_HERE else failed
