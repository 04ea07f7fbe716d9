"""Where everything of one installation lies: the project's folder and the data folder."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from standalone.errors import StandaloneError

PROJECT = Path(__file__).resolve().parent.parent
# sun_path holds 108 bytes with the closing NUL (unix(7)).
SOCKET_PATH_LIMIT = 107
_LONGEST_SOCKET = "pg/.s.PGSQL.5432"


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders below the data folder; `prepare()` makes those the launcher itself needs."""

    data: Path

    @property
    def run(self) -> Path:
        return self.data / "run"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def secrets(self) -> Path:
        return self.data / "secrets"

    @property
    def postgres(self) -> Path:
        return self.data / "postgres"

    @property
    def valkey(self) -> Path:
        return self.data / "valkey"

    @property
    def viewer(self) -> Path:
        return self.data / "viewer"

    @property
    def samples_marker(self) -> Path:
        return self.data / "samples-decided"

    @property
    def sockets(self) -> Path:
        """`run`, or a short folder of ours under the system's temporary one where socket paths would be too long."""
        if len(os.fsencode(self.run / _LONGEST_SOCKET)) <= SOCKET_PATH_LIMIT:
            return self.run
        name = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:10]
        return Path(tempfile.gettempdir()) / f"lightbox-{os.geteuid()}-{name}"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def prepare(self) -> None:
        """Make the folders. Raises StandaloneError where that is not possible or a folder is not ours."""
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            owner = self.data.stat().st_uid
            if owner != os.geteuid():
                raise StandaloneError(
                    f"{self.data} belongs to user id {owner}, you are {os.geteuid()}. "
                    "Run as its owner, or set PACS_DATA to a folder of yours."
                )
            # `nobody`, to whom root hands PostgreSQL, has to pass through; it can list nothing.
            self.data.chmod(0o711)
            for folder, mode in ((self.run, 0o711), (self.logs, 0o700), (self.secrets, 0o700)):
                folder.mkdir(exist_ok=True)
                folder.chmod(mode)
        except OSError as error:
            raise StandaloneError(f"Cannot use {self.data} for the data: {error.strerror}.") from error
        if self.sockets != self.run:
            _own_folder(self.sockets)


def layout() -> Layout:
    """From PACS_DATA, else `var/` in the project."""
    named = os.environ.get("PACS_DATA")
    return Layout(Path(named).expanduser().absolute() if named else PROJECT / "var")


def _own_folder(folder: Path) -> None:
    """Make it, or accept it only as a real folder of ours: a temporary folder is open to everybody."""
    try:
        folder.mkdir(mode=0o711)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise StandaloneError(
                f"The path of {tempfile.gettempdir()} is needed for sockets, but {folder} is not a folder of ours. "
                "Set PACS_DATA to a folder with a shorter path."
            ) from None
    folder.chmod(0o711)
