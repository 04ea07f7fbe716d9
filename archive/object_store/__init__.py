"""Where the bytes of instances lie: write-once objects under keys, in files or in S3, behind one port.

The only package that knows the storage libraries. `object_store()` is the one of this process.
"""

from __future__ import annotations

import os
from typing import Any

from django.core.signals import setting_changed

from archive.object_store.errors import (
    InvalidKey,
    KeyExists,
    ObjectDamaged,
    ObjectMissing,
    ObjectStoreError,
    ObjectStoreFull,
    ObjectStoreUnavailable,
)
from archive.object_store.port import ObjectStore, Staged

__all__ = [
    "InvalidKey",
    "KeyExists",
    "ObjectDamaged",
    "ObjectMissing",
    "ObjectStore",
    "ObjectStoreError",
    "ObjectStoreFull",
    "ObjectStoreUnavailable",
    "Staged",
    "build",
    "object_store",
]

_built: ObjectStore | None = None


def build(config: Any) -> ObjectStore:
    """A new store as `config` (pacs_project.config.Config) says: `object_store`, `data` and `s3`."""
    if config.object_store == "s3":
        # boto3 takes a good part of a second and 30 MB to import: only where it is used
        from archive.object_store.s3 import S3ObjectStore

        return S3ObjectStore(
            endpoint_url=config.s3.endpoint_url,
            bucket=config.s3.bucket,
            region=config.s3.region,
            access_key_id=config.s3.access_key_id,
            secret_access_key=config.s3.secret_access_key.get_secret_value(),
            prefix=config.s3.prefix,
            spool_dir=config.data / "spool",
        )
    from archive.object_store.file import FileObjectStore

    return FileObjectStore(config.data / "store")


def object_store() -> ObjectStore:
    """The object store of this process, built from `settings.PACS` at its first use.

    Built anew after a fork, whose child has neither the threads nor the connections of its parent, and when a test puts
    other settings in place. Two threads that come first together may build two; one is dropped.
    """
    global _built
    found = _built
    if found is None:
        from django.conf import settings

        found = _built = build(settings.PACS)
    return found


def _forget(**_: Any) -> None:
    global _built
    _built = None


os.register_at_fork(after_in_child=_forget)
setting_changed.connect(_forget)
