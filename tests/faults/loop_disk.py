"""A file system of its own in a file, which can lose its power.

The cut is the ``EXT4_IOC_SHUTDOWN`` of ext4 without a flush of its journal: from that moment nothing more reaches the
disk, every call fails, and after the next mount only that is there which had been written through. What the page cache
held is gone, as after a real cut; a disk that lies about its own cache is not simulated.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
import time
from pathlib import Path

_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
_NO_FLUSH = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH


def missing() -> str:
    """Why there can be none here; empty if there can."""
    if os.geteuid() != 0:
        return "loop mounts need root"
    absent = [word for word in ("losetup", "mount", "umount", "mkfs.ext4") if shutil.which(word) is None]
    if absent:
        return f"no {', '.join(absent)} on this machine"
    if subprocess.run(["losetup", "--find"], capture_output=True, check=False).returncode != 0:
        return "no loop device is to be had here"
    return ""


class LoopDisk:
    """An ext4 of so many megabytes, mounted at ``path`` from the beginning; ``remove`` leaves nothing."""

    def __init__(self, megabytes: int = 2048) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lbd-"))
        self.folder.chmod(0o711)
        self.image, self.path = self.folder / "disk.img", self.folder / "m"
        self.path.mkdir()
        with self.image.open("wb") as image:
            image.truncate(megabytes << 20)
        _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", "-m", "0", str(self.image))
        self.mount()
        self.path.chmod(0o711)

    def mount(self) -> None:
        # Metadata is to be written only when somebody asks for it: every forgotten fsync shows.
        _run("mount", "-o", "loop,commit=300", str(self.image), str(self.path))

    def cut(self) -> None:
        """The power goes."""
        root = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(root, _SHUTDOWN, struct.pack("I", _NO_FLUSH))
        finally:
            os.close(root)

    def unmount(self) -> None:
        """Those who have files open need a moment to end."""
        until = time.monotonic() + 60
        while subprocess.run(["umount", str(self.path)], capture_output=True, check=False).returncode != 0:
            if time.monotonic() > until:
                raise AssertionError(f"{self.path} is still in use")
            time.sleep(0.2)

    def remove(self) -> None:
        if os.path.ismount(self.path):
            self.unmount()
        shutil.rmtree(self.folder, ignore_errors=True)


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words[0]}: {done.stderr}"
