"""What ``tools/viewer.py`` left in the viewer's folder, as its manifest tells it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

MANIFEST = ".prepared.json"


@dataclass(frozen=True, slots=True)
class Prepared:
    """One prepared viewer. `files` are the only paths that are ever opened, so no address can lead outside."""

    folder: Path
    version: str
    build: str
    script_hashes: tuple[str, ...]
    codec_workers: frozenset[str]
    files: frozenset[str]


def prepared_viewer(folder: Path) -> Prepared | None:
    """The viewer in `folder`, or None if none was prepared there; a new one is seen without a restart."""
    try:
        return _read(folder, (folder / MANIFEST).stat().st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError):
        return None


@lru_cache(maxsize=4)
def _read(folder: Path, _modified: int) -> Prepared:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    return Prepared(
        folder=folder,
        version=manifest["version"],
        build=manifest["build"],
        script_hashes=tuple(manifest["script_hashes"]),
        codec_workers=frozenset(manifest["codec_workers"]),
        files=frozenset(manifest["files"]),
    )
