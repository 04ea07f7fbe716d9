"""While the object store is away nobody waits for it; with a spool, what is stored meanwhile is kept and moves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from archive.object_store import breaker as breakers
from archive.object_store import spooled
from archive.object_store.errors import ObjectMissing, ObjectStoreUnavailable
from archive.object_store.file import FileObjectStore
from archive.object_store.guarded import GuardedObjectStore
from archive.object_store.port import Staged
from archive.object_store.spooled import Kept, SpooledObjectStore, has_kept, kept_in


class Moody(FileObjectStore):
    """A store that can be away, and counts who asked."""

    away = False
    asked = 0

    def _moody(self) -> None:
        self.asked += 1
        if self.away:
            raise ObjectStoreUnavailable("away")

    def publish(self, items: Sequence[tuple[Staged, str]]) -> None:
        self._moody()
        super().publish(items)

    def open_range(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        self._moody()
        return super().open_range(key, offset, length)

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        self._moody()
        return super().read_range(key, offset, length)

    def check(self) -> None:
        self._moody()


@pytest.fixture
def moody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Moody:
    monkeypatch.setattr(breakers, "PROBE_SECONDS", 0.01)
    monkeypatch.setattr(spooled, "MOVE_SECONDS", 0.01)
    return Moody(tmp_path / "bucket")


def eventually(so: Callable[[], bool]) -> bool:
    until = time.monotonic() + 60
    while not so() and time.monotonic() < until:
        time.sleep(0.01)
    return so()


def test_it_opens_and_closes_by_itself(moody: Moody, caplog: pytest.LogCaptureFixture) -> None:
    store = GuardedObjectStore(moody)
    store.put("a.dcm", b"abc")
    moody.away = True
    for _ in range(breakers.FAILURES):
        assert store.breaker.open_since is None
        with pytest.raises(ObjectStoreUnavailable):
            store.read_range("a.dcm", 0, 3)
    assert store.breaker.open_since is not None
    with pytest.raises(ObjectStoreUnavailable, match="is away"):
        store.read_range("a.dcm", 0, 3)
    moody.away = False
    assert eventually(lambda: store.breaker.open_since is None)
    assert store.read_range("a.dcm", 0, 3) == b"abc"
    assert "is back" in caplog.text


def test_half_open_one_failure_opens_it_again(moody: Moody) -> None:
    store = GuardedObjectStore(moody)
    breaker = store.breaker
    for _ in range(breakers.FAILURES):
        breaker.failed()
    assert eventually(lambda: breaker.open_since is None)
    moody.away = True
    breaker.failed()
    assert breaker.open_since is not None
    moody.away = False
    assert eventually(lambda: breaker.open_since is None)


def test_an_error_about_one_object_is_an_answer(moody: Moody) -> None:
    store = GuardedObjectStore(moody)
    for _ in range(2 * breakers.FAILURES):
        with pytest.raises(ObjectMissing):
            store.read_range("none.dcm", 0, 3)
    assert store.breaker.open_since is None


def test_the_spool_keeps_and_moves(moody: Moody, tmp_path: Path) -> None:
    store = SpooledObjectStore(GuardedObjectStore(moody), tmp_path / "spooled")
    moody.away = True
    content = bytes(range(256)) * 8192
    for name in ("a/1.dcm", "a/2.dcm"):
        with store.stage() as staged:
            staged.write(content)
            store.publish([(staged, name)])
    store.put("b.json", b"{}")
    waiting = kept_in(tmp_path / "spooled")
    assert (waiting.objects, waiting.bytes) == (3, 2 * len(content) + 2)
    assert waiting.oldest_seconds >= 0
    assert b"".join(store.open_range("a/2.dcm", 10)) == content[10:]
    assert (store.size("a/1.dcm"), store.read_range("b.json", 0, 2)) == (len(content), b"{}")
    # Another process finds what waits when it starts.
    again = SpooledObjectStore(GuardedObjectStore(moody), tmp_path / "spooled")
    moody.away = False
    assert eventually(lambda: kept_in(tmp_path / "spooled").objects == 0)
    assert b"".join(moody.open_range("a/1.dcm")) == content
    assert again.read_range("b.json", 0, 2) == b"{}"
    with pytest.raises(ObjectMissing):
        again.size("c.dcm")


def test_what_cannot_move_stays_and_keeps_nothing_else_here(
    moody: Moody, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"a/{n}.dcm" for n in range(8)]
    moody.put(names[3], b"others")  # as long as what is kept
    moody.put(names[5], b"kept 5")  # killed between moving and removing
    store = SpooledObjectStore(moody, tmp_path / "spooled")
    moody.away = True
    for n, name in enumerate(names):
        store.put(name, b"kept %d" % n)
    assert set(store.keys()) == set(names)
    moody.away = False
    assert eventually(lambda: kept_in(tmp_path / "spooled").objects == 1)
    assert store.read_range(names[3], 0, 6) == b"kept 3"
    assert b"".join(moody.open_range(names[3])) == b"others"
    assert all(moody.read_range(name, 0, 6) == b"kept %d" % n for n, name in enumerate(names) if n != 3)
    assert caplog.text.count("stays") == 1


def test_what_is_kept_while_a_mover_ends_moves_too(moody: Moody, tmp_path: Path) -> None:
    store = SpooledObjectStore(moody, tmp_path / "spooled")
    real, last = store._local.keys, tmp_path / "spooled" / "objects" / "last.dcm"
    keeping = threading.Thread(target=store.put, args=("last.dcm", b"last"))

    def keys(prefix: str = "") -> Iterator[str]:
        found = list(real(prefix))
        if not found and threading.current_thread() is store._mover and not keeping.ident:
            moody.away = True
            keeping.start()
            assert eventually(last.exists)
            moody.away = False
            keeping.join(0.5)  # it waits, or takes this mover for one that goes on
        return iter(found)

    store._local.keys = keys  # type: ignore[method-assign]
    moody.away = True
    store.put("first.dcm", b"first")
    moody.away = False
    assert eventually(lambda: keeping.ident is not None and not keeping.is_alive())
    assert eventually(lambda: not last.exists())
    assert moody.read_range("last.dcm", 0, 4) == b"last"


def test_what_was_kept_moves_where_nothing_is_kept_any_more(moody: Moody, tmp_path: Path) -> None:
    folder = tmp_path / "spooled"
    assert not has_kept(folder)
    assert kept_in(folder) == Kept()
    moody.away = True
    SpooledObjectStore(moody, folder).put("kept.dcm", b"kept")
    assert has_kept(folder)
    store = SpooledObjectStore(moody, folder, keeping=False)
    with pytest.raises(ObjectStoreUnavailable):
        store.put("refused.dcm", b"refused")
    assert store.read_range("kept.dcm", 0, 4) == b"kept"
    moody.away = False
    assert eventually(lambda: not has_kept(folder))
    assert moody.read_range("kept.dcm", 0, 4) == b"kept"
