"""Whether the one of several stores that has an object can be reached: a tier may be away alone."""

from __future__ import annotations

from typing import Any

from archive.object_store.port import ObjectStore


def check_holder(store: ObjectStore, key: str) -> None:
    """Raise ObjectStoreUnavailable unless the store that has, or would have, the object can be reached."""
    whole: Any = store
    (whole.holder(key) if hasattr(whole, "holder") else whole).check()
