"""What a key says of its object: the tier it lies in, and which key-encryption key seals it.

Both stand in the last segment, before its ending: ``instances/2026/05/01/12-00/<hex>.cold.k0a1b2c3d.dcm``. An object is
written once, so neither ever changes: another tier or another seal is another object under another key. Whoever reads
the row of an instance has read both, and an object that was swapped in the store can't pass for one of another kind.
"""

from __future__ import annotations

import re
from typing import Final

HOT: Final = "hot"
TIERS: Final = (HOT, "warm", "cold")
_TIER: Final = re.compile(r"\.(warm|cold)\.[^/]*$")
_SEAL: Final = re.compile(r"\.(k[0-9a-f]{8})\.[^/]*$")
_TIER_MARK: Final = re.compile(r"\.(?:warm|cold)(?=\.[^/]*$)")
_SEAL_MARK: Final = re.compile(r"\.k[0-9a-f]{8}(?=\.[^/]*$)")
_ENDING: Final = re.compile(r"(\.[^./]*(?:\.gz)?)?$")


def tier_of(key: str) -> str:
    """The tier that holds the object: ``hot`` where the key names none."""
    found = _TIER.search(key)
    return found[1] if found else HOT


def seal_of(key: str) -> str:
    """The id of the key-encryption key of the object; "" for one that lies in plaintext."""
    found = _SEAL.search(key)
    return found[1] if found else ""


def unmarked(key: str) -> str:
    """``key`` without its marks."""
    return _SEAL_MARK.sub("", _TIER_MARK.sub("", key))


def marked(key: str, *, tier: str = HOT, seal: str = "") -> str:
    """An unmarked ``key`` with the marks of ``tier`` and ``seal``."""
    marks = "".join(f".{mark}" for mark in (tier if tier != HOT else "", seal) if mark)
    return _ENDING.sub(lambda ending: f"{marks}{ending[0] or '.bin'}", key, count=1) if marks else key
