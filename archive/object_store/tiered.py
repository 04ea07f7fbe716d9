"""One archive over several stores: hot, warm and cold, of which the key of an object names the one that has it.

Staging is that of the hot store; what is to lie elsewhere goes there when it is published. A tier that has to recall
its objects, as tapes and deep archives do, is never read by a reader: the error says so, and whoever hears it wishes
for the recall.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from archive.object_store.errors import ObjectRecalling, ObjectStoreUnavailable
from archive.object_store.marks import HOT, tier_of
from archive.object_store.parts import read_parts
from archive.object_store.port import PIECE, ObjectStore, Staged


class TieredObjectStore:
    """``stores`` by tier, ``hot`` among them. See ``port``.

    ``recallers`` are of those tiers whose objects have to be recalled: each brings one back, as far as its medium has
    to be asked for that, and says whether it can be read by now.
    """

    def __init__(
        self, stores: Mapping[str, ObjectStore], recallers: Mapping[str, Callable[[str], bool] | None] | None = None
    ) -> None:
        self._stores = stores
        self._hot = stores[HOT]
        self._recallers = recallers or {}

    def stage(self) -> Staged:
        return self._hot.stage()

    def publish(self, items: Sequence[tuple[Staged, str]]) -> None:
        own = [item for item in items if tier_of(item[1]) == HOT]
        self._hot.publish(own)
        for staged, key in items:
            if tier_of(key) != HOT:
                self._publish_further(staged, key)

    def put(self, key: str, data: bytes) -> None:
        self.holder(key).put(key, data)

    def open_range(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        return self._readable(key).open_range(key, offset, length)

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        return self._readable(key).read_range(key, offset, length)

    def read_parts(self, key: str, offset: int, lengths: Sequence[int]) -> list[bytes]:
        """See ``parts``."""
        return read_parts(self._readable(key), key, offset, lengths)

    def size(self, key: str) -> int:
        return self.holder(key).size(key)

    def delete(self, key: str) -> None:
        self.holder(key).delete(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        for store in self._stores.values():
            yield from store.keys(prefix)

    def check(self) -> None:
        """Only the hot store is needed for the archive to be ready."""
        self._hot.check()

    def clear_staging(self, older_than_seconds: float) -> int:
        return sum(store.clear_staging(older_than_seconds) for store in self._stores.values())

    @property
    def tiers(self) -> Mapping[str, ObjectStore]:
        """The stores by tier; one that could not be used at the start is not among them."""
        return self._stores

    def holder(self, key: str) -> ObjectStore:
        """The store that has the object; ObjectStoreUnavailable where its tier is not set up, or can't be used."""
        return self._named(tier_of(key))

    def recalled(self, key: str) -> ObjectStore:
        """The store to read ``key`` from for whoever recalls it; ObjectRecalling while it is on its way."""
        recall = self._recallers.get(tier_of(key))
        if recall is not None and not recall(key):
            raise ObjectRecalling(f"{key} is on its way back", key)
        return self.holder(key)

    def _publish_further(self, staged: Staged, key: str) -> None:
        """Through a staging of its own store: only there its bytes can get their name."""
        store = self.holder(key)
        with store.stage() as beside:
            for begin in range(0, staged.size, PIECE):
                beside.write(staged.read_at(begin, PIECE))
            beside.seal()
            store.publish([(beside, key)])

    def _readable(self, key: str) -> ObjectStore:
        tier = tier_of(key)
        if tier in self._recallers:
            raise ObjectRecalling(f"{key} lies in the {tier} tier and has to be recalled", key)
        return self._named(tier)

    def _named(self, tier: str) -> ObjectStore:
        found = self._stores.get(tier)
        if found is None:
            raise ObjectStoreUnavailable(f"no {tier} tier is set up")
        return found
