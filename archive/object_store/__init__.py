"""Where the bytes of instances lie: write-once objects under keys, in files or in S3, behind one port.

The only package that knows the storage libraries. `object_store()` is the one of this process.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.signals import setting_changed

from archive.object_store.copies import CopiedObjectStore, LateObjectStore
from archive.object_store.errors import (
    InvalidKey,
    KeyExists,
    ObjectDamaged,
    ObjectMissing,
    ObjectRecalling,
    ObjectStoreError,
    ObjectStoreFull,
    ObjectStoreUnavailable,
)
from archive.object_store.founding import SECOND, Founding
from archive.object_store.keyring import keyring_in, keyring_path
from archive.object_store.marks import HOT, marked
from archive.object_store.port import ObjectStore, Staged
from archive.object_store.s3_terms import s3_terms
from archive.object_store.sealed import SealedObjectStore
from archive.object_store.tiered import TieredObjectStore
from archive.object_store.timed import TimedObjectStore

if TYPE_CHECKING:
    from archive.object_store.s3 import S3ObjectStore

__all__ = [
    "InvalidKey",
    "KeyExists",
    "ObjectDamaged",
    "ObjectMissing",
    "ObjectRecalling",
    "ObjectStore",
    "ObjectStoreError",
    "ObjectStoreFull",
    "ObjectStoreUnavailable",
    "Staged",
    "build",
    "new_key",
    "object_store",
    "recalled",
]

_log = logging.getLogger("archive.object_store")
_built: ObjectStore | None = None


def build(config: Any) -> ObjectStore:
    """A new store as `config` (pacs_project.config.Config) says, from the medium outwards.

    Where the bytes lie; sealed, so that only what is sealed reaches a medium; tiers, each of them sealed by itself;
    a second store beside all of that, sealed too.
    """
    hot = _sealed(config, _bucket_or_files(config))
    further = {name: tier for name, tier in (("warm", config.tiers.warm), ("cold", config.tiers.cold)) if tier.there}
    first = TimedObjectStore(_tiered(config, hot, further) if further else hot)
    return _copied(config, first) if config.copies.there else first


def _second(config: Any) -> ObjectStore:
    if config.copies.folder is not None:
        return _files(config.copies.folder, SECOND)
    return _guarded(_bucket(config.copies.s3, config.data / "spool"), "the second object store")


def _copied(config: Any, first: ObjectStore) -> ObjectStore:
    further: Any = LateObjectStore(partial(_second, config))
    keys, how = keyring_in(keyring_path(config)), config.encryption
    plain = SealedObjectStore(further, keys, sealing=False, only_sealed=how.only_sealed)
    sealed = SealedObjectStore(further, keys, sealing=True, only_sealed=how.only_sealed)
    return CopiedObjectStore(first, plain, sealed, at_once=config.copies.before_acknowledgement)


def new_key(name: str, tier: str = HOT) -> str:
    """The key under which a new object of this unmarked `name` is written now: into `tier`, sealed if objects are.

    Raises ObjectStoreUnavailable where they are to be sealed and there is no key for it.
    """
    from django.conf import settings

    config = settings.PACS
    if not config.encryption.at_rest:
        return marked(name, tier=tier)
    return marked(name, tier=tier, seal=keyring_in(keyring_path(config)).active())


def _sealed(config: Any, store: ObjectStore) -> ObjectStore:
    """Also where nothing is sealed now: what was sealed once is never given out as it lies there."""
    keys, how = keyring_in(keyring_path(config)), config.encryption
    return SealedObjectStore(store, keys, sealing=how.at_rest, only_sealed=how.only_sealed)


def _tiered(config: Any, hot: ObjectStore, further: Mapping[str, Any]) -> ObjectStore:
    stores: dict[str, ObjectStore] = {HOT: hot}
    recallers: dict[str, Callable[[str], bool] | None] = {}
    for name, tier in further.items():
        recall: Callable[[str], bool] | None = None
        try:
            if tier.folder is not None:
                stores[name] = _sealed(config, _files(tier.folder, name))
            else:
                bucket = _bucket(tier.s3, config.data / "spool")
                stores[name] = _sealed(config, _guarded(bucket, f"the {name} tier"))
                recall = partial(bucket.recall, days=tier.restore_days, speed=tier.restore_speed)
        except ObjectStoreError as error:
            # What lies elsewhere goes on; objects of this tier are away until it can be used at a start.
            _log.error("the %s tier can't be used: %s", name, error)
        if tier.recall:
            recallers[name] = recall
    return TieredObjectStore(stores, recallers)


def _bucket_or_files(config: Any) -> ObjectStore:
    if config.object_store == "s3":
        from archive.object_store.spooled import FOLDER, SpooledObjectStore, has_kept

        guarded = _guarded(_bucket(config.s3, config.data / "spool"), "the object store")
        folder, keeping = config.data / FOLDER, config.store_when_down == "spool"
        if keeping or has_kept(folder):
            return SpooledObjectStore(guarded, folder, keeping=keeping)
        return guarded
    return _files(config.data / "store", HOT)


def _guarded(bucket: S3ObjectStore, name: str) -> ObjectStore:
    from archive.object_store.guarded import GuardedObjectStore

    return GuardedObjectStore(bucket, name)


def _bucket(s3: Any, spool: Path) -> S3ObjectStore:
    # boto3 takes a good part of a second and 30 MB to import: only where it is used
    from archive.object_store.s3 import S3ObjectStore

    return S3ObjectStore(
        endpoint_url=s3.endpoint_url,
        bucket=s3.bucket,
        region=s3.region,
        access_key_id=s3.access_key_id,
        secret_access_key=s3.secret_access_key.get_secret_value(),
        prefix=s3.prefix,
        spool_dir=spool,
        terms=s3_terms(s3.encryption, s3.kms_key_id, s3.storage_class),
    )


def _files(folder: Path, place: str) -> ObjectStore:
    """One that can't be used now, as while its volume is not mounted, is away until it can be."""
    from archive.object_store.file import FileObjectStore

    make = partial(FileObjectStore, folder, Founding(folder, place))
    try:
        return make()
    except ObjectStoreUnavailable as error:
        _log.error("the %s store is away: %s", place, error)
        late: Any = LateObjectStore(make)
        stored: ObjectStore = late
        return stored


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


def recalled(key: str) -> ObjectStore:
    """The store to read ``key`` from for whoever moves it, wherever it lies; ObjectRecalling while it is on its way."""
    store = object_store()
    first: Any = next(iter(getattr(store, "stores", ())), store)
    recall: Callable[[str], ObjectStore] | None = getattr(first, "recalled", None)
    return recall(key) if recall is not None else store


def _forget(**_: Any) -> None:
    global _built
    _built = None


os.register_at_fork(after_in_child=_forget)
setting_changed.connect(_forget)
