"""A prepared viewer in miniature: enough of one for the door."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BUILD = "0123456789ab"
SCRIPT = b'window.PUBLIC_URL="/viewer/"'
INDEX = b"<!doctype html><html><head><script>" + SCRIPT + b"</script></head><body></body></html>"
BUNDLE = b"console.log('a bundle');" * 100


@dataclass(frozen=True, slots=True)
class Miniature:
    """A small prepared viewer: its folder, the hash of its one inline script, and a file that is not part of it."""

    folder: Path
    script_hash: str
    outside: Path
