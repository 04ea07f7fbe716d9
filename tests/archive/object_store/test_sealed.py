"""Sealed objects: what goes in comes out, whatever is asked of it, and nothing else ever does."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archive.object_store import InvalidKey, KeyExists, ObjectDamaged, ObjectMissing, ObjectStore, keyring
from archive.object_store.file import FileObjectStore
from archive.object_store.key_service import KeyDestroyed, KeyUnavailable
from archive.object_store.keyring import Keyring, added, destroyed, read_keyring, write_keyring
from archive.object_store.marks import marked
from archive.object_store.sealed import SealedObjectStore
from archive.object_store.sealed_format import CHUNK, HEADER, SEALED_CHUNK, sealed_size

SIZES = st.one_of(
    st.integers(0, 300),
    st.sampled_from([CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, 33 * CHUNK + 7]),
    st.integers(0, 5 * CHUNK),
)
PLAIN = hashlib.shake_256(b"what is stored").digest(40 * CHUNK)
MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Sealed:
    """A sealed file store below ``root``, its keyring, and where its objects lie."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ring = root / "keyring.json"
        write_keyring(self.ring, added({}))
        self.keys = Keyring(self.ring)
        self.files = FileObjectStore(root / "store")
        self.count = 0

    def store(self, *, sealing: bool = True, only_sealed: bool = False) -> SealedObjectStore:
        return SealedObjectStore(self.files, Keyring(self.ring), sealing=sealing, only_sealed=only_sealed)

    def key(self) -> str:
        self.count += 1
        return marked(f"instances/o{self.count}.dcm", seal=self.keys.active())

    def path(self, key: str) -> Path:
        return self.root / "store" / "objects" / key

    def kept(self, size: int, pieces: int = 1 << 20) -> str:
        """The key of an object of so many bytes, written in pieces of a size."""
        key, store = self.key(), self.store()
        with store.stage() as staged:
            for begin in range(0, size, pieces):
                staged.write(PLAIN[begin : min(size, begin + pieces)])
            staged.seal()
            assert (staged.size, staged.sha256) == (size, hashlib.sha256(PLAIN[:size]).digest())
            store.publish([(staged, key)])
        return key


@pytest.fixture
def sealed(tmp_path: Path) -> Sealed:
    return Sealed(tmp_path)


@MANY
@given(size=SIZES, pieces=st.sampled_from([1, 1000, CHUNK, 1 << 20]), data=st.data())
def test_any_range_of_any_size_is_that_of_the_plaintext(
    sealed: Sealed, size: int, pieces: int, data: st.DataObject
) -> None:
    key = sealed.kept(size, pieces if size < 5000 or pieces > 1 else 4096)
    store = sealed.store()
    offset = data.draw(st.integers(0, size))
    length = data.draw(st.integers(0, size - offset))
    wanted = PLAIN[offset : offset + length]
    assert store.read_range(key, offset, length) == wanted
    assert b"".join(store.open_range(key, offset, length)) == wanted
    assert b"".join(store.open_range(key, offset)) == PLAIN[offset:size]
    assert store.size(key) == size
    assert sealed.path(key).stat().st_size == sealed_size(size)
    with pytest.raises(ObjectDamaged):
        store.read_range(key, offset, size - offset + 1)


@MANY
@given(size=SIZES, whole=st.booleans())
def test_staged_bytes_can_be_read_while_they_come(sealed: Sealed, size: int, whole: bool) -> None:
    with sealed.store().stage() as staged:
        for begin in range(0, size, 50_000):
            staged.write(PLAIN[begin : min(size, begin + 50_000)])
            assert (
                staged.read_at(begin // 2, 70_000) == PLAIN[begin // 2 : min(size, begin + 50_000, begin // 2 + 70_000)]
            )
        if whole:
            staged.seal()
        assert staged.read_at(0, size + 5) == PLAIN[:size]
        assert staged.read_at(size, 1) == b""


@MANY
@given(size=SIZES, at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_found(sealed: Sealed, size: int, at: float, bit: int) -> None:
    key = sealed.kept(size)
    path = sealed.path(key)
    found = bytearray(path.read_bytes())
    found[int(at * len(found))] ^= 1 << bit
    path.write_bytes(found)
    with pytest.raises(ObjectDamaged):
        b"".join(sealed.store().open_range(key))


def test_every_bit_of_a_header_counts(sealed: Sealed) -> None:
    key = sealed.kept(100)
    path = sealed.path(key)
    sound = path.read_bytes()
    for bit in range(HEADER * 8):
        altered = bytearray(sound)
        altered[bit // 8] ^= 1 << bit % 8
        path.write_bytes(altered)
        with pytest.raises(ObjectDamaged):
            sealed.store().read_range(key, 0, 1)


def _swapped(body: bytearray) -> None:
    body[HEADER : HEADER + SEALED_CHUNK], body[HEADER + SEALED_CHUNK : HEADER + 2 * SEALED_CHUNK] = (
        body[HEADER + SEALED_CHUNK : HEADER + 2 * SEALED_CHUNK],
        body[HEADER : HEADER + SEALED_CHUNK],
    )


def _without_the_second(body: bytearray) -> None:
    del body[HEADER + SEALED_CHUNK : HEADER + 2 * SEALED_CHUNK]


def _cut_at_a_border(body: bytearray) -> None:
    del body[HEADER + 3 * SEALED_CHUNK :]


def _cut_anywhere(body: bytearray) -> None:
    del body[-7:]


@pytest.mark.parametrize("change", [_swapped, _without_the_second, _cut_at_a_border, _cut_anywhere])
@pytest.mark.parametrize("size", [4 * CHUNK, 3 * CHUNK + 5])
def test_chunks_cannot_be_moved_or_cut_off(sealed: Sealed, change: object, size: int) -> None:
    key = sealed.kept(size)
    body = bytearray(sealed.path(key).read_bytes())
    change(body)  # type: ignore[operator]
    sealed.path(key).write_bytes(body)
    with pytest.raises(ObjectDamaged):
        b"".join(sealed.store().open_range(key))


def test_an_object_is_nothing_under_another_key(sealed: Sealed) -> None:
    one, other = sealed.kept(2 * CHUNK), sealed.kept(2 * CHUNK)
    shutil.copy(sealed.path(one), sealed.path(other))
    with pytest.raises(ObjectDamaged, match="header"):
        sealed.store().read_range(other, 0, 1)


def test_the_header_or_a_chunk_of_another_object_does_not_fit(sealed: Sealed) -> None:
    one, other = sealed.kept(2 * CHUNK), sealed.kept(2 * CHUNK)
    own, foreign = sealed.path(other).read_bytes(), sealed.path(one).read_bytes()
    for mixed in (foreign[:HEADER] + own[HEADER:], own[: HEADER + SEALED_CHUNK] + foreign[HEADER + SEALED_CHUNK :]):
        sealed.path(other).write_bytes(mixed)
        with pytest.raises(ObjectDamaged):
            b"".join(sealed.store().open_range(other))


def test_plaintext_put_in_the_place_of_a_sealed_object_is_not_served(sealed: Sealed) -> None:
    key = sealed.kept(CHUNK)
    sealed.path(key).write_bytes(PLAIN[: 2 * CHUNK])
    with pytest.raises(ObjectDamaged):
        sealed.store(sealing=False).read_range(key, 0, 1)


def test_plain_and_sealed_objects_lie_side_by_side(sealed: Sealed) -> None:
    sealed.store(sealing=False).put("instances/plain.dcm", b"plain")
    key = sealed.key()
    sealed.store().put(key, b"sealed")
    for store in (sealed.store(), sealed.store(sealing=False)):
        assert store.read_range("instances/plain.dcm", 0, 5) == b"plain"
        assert b"".join(store.open_range(key)) == b"sealed"
        assert set(store.keys()) == {"instances/plain.dcm", key}
    assert b"sealed" not in sealed.path(key).read_bytes()


def test_where_only_sealed_objects_are_taken_a_plain_one_is_damage(sealed: Sealed) -> None:
    sealed.store(sealing=False).put("instances/plain.dcm", b"plain")
    store = sealed.store(only_sealed=True)
    for read in (lambda: store.read_range("instances/plain.dcm", 0, 5), lambda: store.size("instances/plain.dcm")):
        with pytest.raises(ObjectDamaged, match="plaintext"):
            read()


def test_a_key_says_what_is_written_under_it(sealed: Sealed) -> None:
    with pytest.raises(InvalidKey):
        sealed.store().put("instances/plain.dcm", b"never in plaintext by mistake")
    with pytest.raises(InvalidKey):
        sealed.store(sealing=False).put(sealed.key(), b"never sealed by mistake")


def test_nothing_of_the_plaintext_is_ever_on_disk(sealed: Sealed) -> None:
    text = b"PATIENT^NAME" * 20_000
    with sealed.store().stage() as staged:
        staged.write(text)
        staged.seal()
        [path] = (sealed.root / "store" / "staging").iterdir()
        assert path.stat().st_size > len(text)
        assert b"PATIENT" not in path.read_bytes()


def test_the_rules_of_the_port_hold(sealed: Sealed) -> None:
    store: ObjectStore = sealed.store()
    key = sealed.kept(10)
    with pytest.raises(KeyExists):
        store.put(key, b"again")
    store.delete(key)
    store.delete(key)
    for read in (lambda: store.read_range(key, 0, 1), lambda: store.size(key), lambda: store.open_range(key)):
        with pytest.raises(ObjectMissing):
            read()


def test_an_object_that_was_repaired_is_read_by_whoever_knew_it_before(sealed: Sealed) -> None:
    key = sealed.kept(2 * CHUNK)
    reader = sealed.store()
    assert reader.read_range(key, 5, 10) == PLAIN[5:15]
    sealed.path(key).unlink()
    sealed.store().put(key, PLAIN[: 2 * CHUNK])
    assert reader.read_range(key, 5, 10) == PLAIN[5:15]
    assert b"".join(reader.open_range(key, 5)) == PLAIN[5 : 2 * CHUNK]


def test_rotation_keeps_old_objects_readable_and_destruction_does_not(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = sealed.kept(CHUNK)
    first = sealed.keys.active()
    write_keyring(sealed.ring, added(read_keyring(sealed.ring)))
    second = Keyring(sealed.ring)
    assert second.active() != first
    assert [k.state for k in second.keys().values()] == ["old", "active"]
    assert sealed.store().read_range(key, 0, CHUNK) == PLAIN[:CHUNK]
    reader = SealedObjectStore(sealed.files, second, sealing=True)
    assert reader.read_range(key, 0, 1) + reader.read_range(key, 1, CHUNK - 1) == PLAIN[:CHUNK]
    write_keyring(sealed.ring, destroyed(read_keyring(sealed.ring), first))
    monkeypatch.setattr(keyring, "_LOOK_SECONDS", -1.0)
    with pytest.raises(KeyDestroyed):  # also not by whoever has read it before
        reader.read_range(key, 1, CHUNK - 1)
    with pytest.raises(KeyUnavailable, match="destroyed"):
        sealed.store().read_range(key, 0, CHUNK)
    assert (sealed.ring.stat().st_mode & 0o777) == 0o600


def test_no_key_is_ever_left_out_of_the_keyring(sealed: Sealed) -> None:
    before = sealed.ring.read_bytes()
    with pytest.raises(KeyUnavailable, match="would be lost"):
        write_keyring(sealed.ring, added({}))
    assert sealed.ring.read_bytes() == before


def test_without_its_keyring_nothing_is_given_out(sealed: Sealed) -> None:
    key = sealed.kept(CHUNK)
    sealed.ring.unlink()
    with pytest.raises(KeyUnavailable, match="not in the keyring"):
        sealed.store(sealing=False).read_range(key, 0, 1)
    with pytest.raises(KeyUnavailable, match="no active"):
        sealed.store().check()


def test_another_keyring_opens_nothing(sealed: Sealed, tmp_path: Path) -> None:
    key = sealed.kept(CHUNK)
    found = read_keyring(sealed.ring)
    [old] = found.values()
    other = next(iter(added({}).values()))
    write_keyring(sealed.ring, {old.id: type(old)(old.id, "active", old.made, old.since, other.secret)})
    with pytest.raises(ObjectDamaged, match="header"):
        sealed.store().read_range(key, 0, 1)
