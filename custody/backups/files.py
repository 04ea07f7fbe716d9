"""The files beside the database: secrets, signed checkpoints of the trail, and months that were taken out of it.

They travel as one tar. A folder that is a bucket is none of ours, and the key of the backups is left out.
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from custody.backups.contents import stream
from custody.backups.errors import BackupError
from custody.backups.sealed import Sealer
from custody.backups.target import Target

SECRETS: Final = "secrets"
CHECKPOINTS: Final = "audit-checkpoints"
ARCHIVE: Final = "audit-archive"
AUDIT_KEY: Final = "audit-key"
KEYRING: Final = "keyring"
_SINGLE: Final = (AUDIT_KEY, KEYRING)


@dataclass(frozen=True, slots=True)
class Placed:
    """What was put at ``place``; ``kept`` is where that lies now which was there before, if anything was."""

    place: Path
    kept: Path | None


def key_file(config: Any) -> Path:
    """Where the key of the backups lies."""
    return Path(config.backup.key or Path(config.data) / SECRETS / "backup_key").expanduser()


def places(config: Any) -> dict[str, Path]:
    """Each kind of file and where this installation has it (`pacs_project.config.Config`)."""
    data, audit = Path(config.data), config.audit
    found = {SECRETS: data / SECRETS, ARCHIVE: Path(audit.archive or data / ARCHIVE)}
    if not str(audit.checkpoints).startswith("s3://"):
        found[CHECKPOINTS] = Path(audit.checkpoints or data / CHECKPOINTS)
    if audit.key is not None:
        found[AUDIT_KEY] = Path(audit.key)
    if config.encryption.keyring is not None:
        found[KEYRING] = Path(config.encryption.keyring)
    return found


def write(sealer: Sealer, config: Any) -> None:
    """All of them. Raises BackupError for one that can't be read."""
    left_out = key_file(config).absolute()
    try:
        with tarfile.open(fileobj=_Out(sealer), mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for kind, place in places(config).items():
                for path in _files(place):
                    if path.absolute() != left_out:
                        tar.add(path, f"{kind}/{path.relative_to(place) if path != place else path.name}")
    except OSError as error:
        raise BackupError(f"{error.filename} can't be read: {error.strerror}.") from error


def extract(target: Target, key: str, folder: Path) -> None:
    """Unpack into ``folder``, which is ours alone, a folder for each kind. Raises BackupError."""
    with stream(target.read(key)) as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
        for member in tar:
            _unpack(tar, member, folder)
        while plain.read(1 << 16):  # to the end: only that says that nothing was cut off
            pass


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """A file below ``folder``; a backup has nothing else. Python before 3.11.4 has no filter that would see to it."""
    name = PurePosixPath(member.name)
    found = tar.extractfile(member) if member.isfile() and not name.is_absolute() and ".." not in name.parts else None
    if found is None:
        raise BackupError("the backup's files hold something that is no file below a folder of its own")
    goal = folder / name
    goal.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with goal.open("xb") as out:
        shutil.copyfileobj(found, out)
    goal.chmod(member.mode & 0o755 | 0o600)
    os.utime(goal, (member.mtime, member.mtime))


def put(folder: Path, config: Any, aside: Path, placed: list[Placed], *, keep: bool) -> None:
    """Move what was extracted to its places; what is there goes to ``aside``. ``placed`` is told of each step.

    With ``keep`` the secrets that are there stay: the objects of this installation may need newer ones.
    """
    for kind, place in places(config).items():
        came = folder / kind
        if not came.exists():
            continue
        if kind in (SECRETS, *_SINGLE):
            for path in _files(came):
                goal = place if kind in _SINGLE else place / path.relative_to(came)
                if not goal.exists() or (not keep and goal.read_bytes() != path.read_bytes()):
                    _place(path, goal, aside / kind / goal.name, placed)
                    goal.chmod(0o600)
        else:
            _place(came, place, aside / kind, placed)


def put_back(placed: list[Placed]) -> None:
    """Undo ``put``: what it brought goes, what it moved comes back."""
    for each in reversed(placed):
        if each.place.is_dir():
            shutil.rmtree(each.place)
        else:
            each.place.unlink(missing_ok=True)
        if each.kept is not None:
            shutil.move(each.kept, each.place)


def _place(came: Path, goal: Path, kept: Path, placed: list[Placed]) -> None:
    there = goal.exists()
    goal.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if there:
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.move(goal, kept)
    placed.append(Placed(goal, kept if there else None))
    shutil.move(came, goal)


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    elif place.is_dir():
        for folder, _, names in os.walk(place):
            for name in sorted(names):
                yield Path(folder) / name


class _Out(io.RawIOBase):
    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._sealer.write(bytes(data))
