"""Facts documents as they lie in the object store: gzip JSON under keys of their own, one folder a subject.

``facts/studies/<2 digits>/<32 digits of the SHA-256 of its UID>/<version>-<8 digits>.json.gz``; the folder of a patient
is a random one, so that a key tells nothing of its identifier. In a folder the last key by name is the newest.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Any, Final
from uuid import uuid4

import orjson
from isal import igzip, isal_zlib

from archive.object_store import ObjectStore, object_store
from archive.object_store import new_key as object_key
from archive.object_store.errors import ObjectDamaged, ObjectMissing, ObjectRecalling
from archive.object_store.marks import HOT
from custody.facts.triggers import ARCHIVE_FACTS, PATIENT_FACTS, STUDY_FACTS

FORMAT: Final = 1
BEGINNING: Final = "facts/"
# Kind -> beginning of the keys of its documents.
BEGINNINGS: Mapping[str, str] = MappingProxyType(
    {
        ARCHIVE_FACTS: f"{BEGINNING}archive/",
        PATIENT_FACTS: f"{BEGINNING}patients/",
        STUDY_FACTS: f"{BEGINNING}studies/",
    }
)
# What gzip and JSON raise for what is none of them (isal's error is told by its module only), and the store of one key.
_DAMAGED: Final[Any] = (
    isal_zlib.error,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    ObjectMissing,
    ObjectDamaged,
    ObjectRecalling,
)
_LEVEL: Final = 1  # of gzip: most of it are hashes


class UnreadableFacts(Exception):
    """What lies under the key of a facts document is none, or of a later release."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A document that was read: what it says, where it lies, and its version (microseconds since 1970)."""

    key: str
    digest: bytes
    content: Mapping[str, Any]

    @property
    def folder(self) -> str:
        """The folder of its subject."""
        return self.key.rpartition("/")[0]

    @property
    def version(self) -> int:
        """Its number, as its name has it."""
        return version_of(self.key)


def folder_of(kind: str, subject: str) -> str:
    """Where the documents of a subject lie that has none yet."""
    if kind == ARCHIVE_FACTS:
        return f"{BEGINNINGS[kind]}{subject}"
    name = uuid4().hex if kind == PATIENT_FACTS else hashlib.sha256(subject.encode()).hexdigest()[:32]
    return f"{BEGINNINGS[kind]}{name[:2]}/{name}"


def new_key(folder: str, version: int) -> str:
    """A key that was never used: two writers of one version do not meet."""
    return object_key(f"{folder}/{version:017d}-{uuid4().hex[:8]}.json.gz")


def version_of(key: str) -> int:
    """The number of the document under this key."""
    return int(key.rpartition("/")[2].split("-")[0])


def encoded(content: Mapping[str, Any]) -> bytes:
    """What a document says, the same bytes for the same facts."""
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def digest_of(text: bytes) -> bytes:
    """How a document is compared with the one before."""
    return hashlib.sha256(text).digest()


def put(key: str, text: bytes) -> None:
    """Write a document. Raises ``ObjectStoreError``."""
    object_store().put(key, igzip.compress(text, _LEVEL))


def read(key: str) -> Facts:
    """One document. Raises ``UnreadableFacts``, and ``ObjectStoreError`` for what is not its own fault."""
    try:
        data = b"".join(object_store().open_range(key))
        text = igzip.decompress(data)
        content = orjson.loads(text)
        known = content["format"]
    except _DAMAGED as error:
        raise UnreadableFacts(f"{key} is damaged ({type(error).__name__})") from error
    if not isinstance(known, int) or known > FORMAT:
        raise UnreadableFacts(f"{key} was written by a later release")
    return Facts(key, digest_of(text), content)


def newest(kind: str, store: ObjectStore | None = None) -> Iterator[str]:
    """The key of the newest document of each subject, in the archive or in ``store``. Raises ``ObjectStoreError``."""
    keys = (key for key in _where(store).keys(BEGINNINGS[kind]) if key.endswith(".json.gz"))
    # Both stores list a folder's keys one after the other.
    for _, versions in groupby(keys, key=lambda key: key.rpartition("/")[0]):
        yield max(versions)


def newest_version(folder: str, store: ObjectStore | None = None) -> int:
    """That of the newest document in a folder, 0 where there is none. Raises ``ObjectStoreError``."""
    return max(map(version_of, _where(store).keys(f"{folder}/")), default=0)


def _where(store: ObjectStore | None) -> ObjectStore:
    """Documents never move into another tier, so that one that is away is not asked for them."""
    whole: Any = store or object_store()
    hot: ObjectStore = getattr(whole, "tiers", {HOT: whole})[HOT]
    return hot
