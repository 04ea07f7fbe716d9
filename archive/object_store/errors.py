"""What can go wrong with stored objects, in the words of the port; no library's exception leaves this package."""

from __future__ import annotations


class ObjectStoreError(Exception):
    """An operation on the object store failed. `key` names the object, or is empty where no single one is meant."""

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class InvalidKey(ObjectStoreError):
    """The key is not one that Lightbox makes; nothing was touched."""


class ObjectMissing(ObjectStoreError):
    """There is no object under the key."""


class KeyExists(ObjectStoreError):
    """There is an object under the key already; objects are written once and never replaced."""


class ObjectDamaged(ObjectStoreError):
    """The stored object is shorter than what was asked of it, or its medium can't give the bytes back."""


class ObjectStoreUnavailable(ObjectStoreError):
    """The store did not answer or did not confirm what it wrote; the same request may succeed later."""


class ObjectRecalling(ObjectStoreUnavailable):
    """The object lies where it has to be brought back from before it can be read, which takes its time."""


class ObjectStoreFull(ObjectStoreError):
    """There is no room, or no quota, for the object; reads still work."""
