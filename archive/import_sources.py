"""What an import finds below some paths: files, and the members of zip archives, archives inside archives included."""

import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from archive.errors import UnreadableObject

PIECE = 1 << 20
# An archive in an archive in an archive is somebody's habit; one more level is a trap.
DEEPEST = 3
_ENCRYPTED = 0x1
# What zipfile raises for archives that are damaged, or written in a way it doesn't know.
_DAMAGED = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError)

Open = Callable[[], AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True, slots=True)
class Source:
    """One candidate: its name for people, and how to open it.

    Members of archives can be opened only until the next source is asked for.
    """

    name: str
    open: Open

    def pieces(self) -> Iterator[bytes]:
        """Its bytes. Raises ``UnreadableObject`` for what can't be read."""
        try:
            with self.open() as file:
                while piece := file.read(PIECE):
                    yield piece
        except OSError as error:
            raise UnreadableObject(f"the file can't be read: {error.strerror or type(error).__name__}") from error
        except _DAMAGED as error:
            raise UnreadableObject("the archive is damaged here, or of an unknown kind") from error


def sources(paths: Iterable[Path]) -> Iterator[Source]:
    """Every file at or below ``paths`` in a stable order, members of zip archives one by one.

    Links to files are followed, links to folders aren't. What can't be listed is a source too, one that says so when
    it is opened: nothing is passed over in silence.
    """
    for path in paths:
        if path.is_dir():
            yield from _below(path)
        else:
            yield from _file(path)


def _below(path: Path) -> Iterator[Source]:
    unlisted: list[OSError] = []
    for folder, folders, names in os.walk(path, onerror=unlisted.append):
        folders.sort()
        for error in unlisted:
            yield _refused(str(error.filename), f"the folder can't be listed: {error.strerror}")
        unlisted.clear()
        for name in sorted(names):
            yield from _file(Path(folder) / name)
    for error in unlisted:
        yield _refused(str(error.filename), f"the folder can't be listed: {error.strerror}")


def _file(path: Path) -> Iterator[Source]:
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        yield _refused(str(path), f"the file can't be read: {error.strerror}")
        return
    if not regular:
        # Opening a pipe would wait for its other end for ever.
        yield _refused(str(path), "neither a file nor a folder")
    elif _is_archive(path.name):
        yield from _members(str(path), lambda: path.open("rb"), 1)
    else:
        yield Source(str(path), lambda: path.open("rb"))


def _is_archive(name: str) -> bool:
    return name.lower().endswith(".zip")


def _members(name: str, open_archive: Open, depth: int) -> Iterator[Source]:
    """The files in an archive; it is closed when the one after its last is asked for."""
    try:
        file = open_archive()
    except (OSError, *_DAMAGED):
        yield Source(name, open_archive)
        return
    with file as stream:
        try:
            archive = zipfile.ZipFile(stream)
        except (OSError, *_DAMAGED):
            yield _refused(name, "the archive is damaged or incomplete: it has no readable directory")
            return
        with archive:
            for member in archive.infolist():
                if not member.is_dir():
                    yield from _member(f"{name}:{member.filename}", archive, member, depth)


def _member(name: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo, depth: int) -> Iterator[Source]:
    if member.flag_bits & _ENCRYPTED:
        yield _refused(name, "the file is encrypted")
    elif not _is_archive(member.filename):
        yield Source(name, lambda: archive.open(member))
    elif depth == DEEPEST:
        yield _refused(name, f"archives are opened up to {DEEPEST} levels deep")
    else:
        yield from _members(name, lambda: _unpacked(archive, member), depth + 1)


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    """A copy to seek in: the directory of an archive is at its end."""
    with archive.open(member) as packed, ExitStack() as unless_complete:
        copy = unless_complete.enter_context(TemporaryFile())
        shutil.copyfileobj(packed, copy, PIECE)
        copy.seek(0)
        unless_complete.pop_all()
        return copy


def _refused(name: str, reason: str) -> Source:
    """A source that can only say why it is none."""

    def open_it() -> IO[bytes]:
        raise UnreadableObject(reason)

    return Source(name, open_it)
