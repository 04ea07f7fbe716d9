"""Whether a folder is the one with our objects: a volume that is not mounted looks like an empty one.

A file in the root of a file store says so. It is written when the store is new, which it is as long as the index knows
of no object there; later on by a release that comes to an older store, if one of the known objects is really there.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from archive.object_store.errors import ObjectStoreError, ObjectStoreUnavailable
from archive.object_store.marks import HOT
from archive.object_store.staging import FILE_MODE, FOLDER_MODE, write_errors

log = logging.getLogger("archive.object_store")

SECOND: Final = "second"
MARKER: Final = "lightbox-store"
_TEXT: Final = b"Objects of Lightbox lie in this folder. Without this file its volume is taken for not mounted.\n"

# Some keys of objects that the index says are in a place, none where it knows of none. The archive gives the real one.
# Raises ObjectStoreUnavailable where the index can't be asked.
known: Callable[[str], Sequence[str]] = lambda place: ()  # noqa: E731 - to be replaced


def folders(config: Any) -> dict[str, Path]:
    """The folders of `config` (pacs_project.config.Config) that are file stores, by their places."""
    hot = config.data / "store" if config.object_store == "file" else None
    named = {HOT: hot, "warm": config.tiers.warm.folder, "cold": config.tiers.cold.folder, SECOND: config.copies.folder}
    return {place: folder for place, folder in named.items() if folder is not None}


class Founding:
    """The marker of the store in `root`, which is the one for `place`: a tier, or the second store."""

    def __init__(self, root: Path, place: str) -> None:
        self._root = root
        self._place = place
        self._marker = root / MARKER
        # One of the archive's objects that was really there when the marker could not be written; it stands for it.
        self._instead = ""

    def is_there(self) -> bool:
        """Whether the marker is, or what stands for it."""
        return os.path.exists(self._marker) or (bool(self._instead) and os.path.isfile(self._instead))

    def ensure(self) -> None:
        """Raise ObjectStoreUnavailable unless the marker is there, or may be written.

        A store that is full, or only to be read, is read all the same: one of its objects tells that it is there.
        """
        if os.path.exists(self._marker):
            return
        found = self._instead if self.is_there() else self._known()
        try:
            self.write()
        except ObjectStoreError as error:
            if not found:
                raise
            if found != self._instead:
                log.warning("the %s store has no marker yet: %s", self._place, error)
            self._instead = found

    def _known(self) -> str:
        """The path of an object that the index knows and that is there; "" where it knows of none."""
        keys = known(self._place)
        paths = (os.path.join(self._root, "objects", key) for key in keys)
        found = next(filter(os.path.isfile, paths), "")
        if keys and not found:
            raise ObjectStoreUnavailable(self.why())
        return found

    def why(self) -> str:
        """What is wrong where the marker isn't there, and what to do."""
        return (
            f"none of the archive's objects are in {self._root}: is its volume mounted? Mount it, and all goes on by "
            f"itself. Only if the folder is new, and what was there is lost: ./pacs manage new_store {self._place}"
        )

    def write(self) -> None:
        """Say that this is the store, durably."""
        with write_errors(f"cannot write {self._marker}"):
            self._root.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            fd = os.open(self._marker, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            try:
                os.write(fd, _TEXT)
                os.fsync(fd)
            finally:
                os.close(fd)
            folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
