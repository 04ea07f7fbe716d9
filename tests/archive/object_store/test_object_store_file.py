"""What only the file backend can show: descriptors, the order of system calls, a disk that is full or gone."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from archive.object_store import ObjectDamaged, ObjectStoreFull, ObjectStoreUnavailable, staging, writeback
from archive.object_store.file import FileObjectStore
from archive.object_store.staging import StagedFile
from tests.archive.object_store.store_steps import MIB, ROOT, publish, staged_files


def test_streams_free_their_file(tmp_path: Path) -> None:
    store = FileObjectStore(tmp_path)
    publish(store, "long", bytes(3 * MIB))
    descriptors = len(os.listdir("/proc/self/fd"))

    def abandon(stream: Iterator[bytes]) -> None:
        next(stream)

    list(store.open_range("long"))
    store.open_range("long")  # never begun
    abandon(store.open_range("long"))
    with contextlib.closing(store.open_range("long")) as stream:  # type: ignore[type-var]
        next(stream)
    with pytest.raises(ObjectDamaged):
        store.open_range("long", 5, 3 * MIB)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_truncated_file_is_damage(tmp_path: Path) -> None:
    store = FileObjectStore(tmp_path)
    publish(store, "cut", bytes(3 * MIB))
    stream = store.open_range("cut")
    next(stream)
    os.truncate(tmp_path / "objects/cut", MIB + 5)
    with pytest.raises(ObjectDamaged):
        list(stream)
    with pytest.raises(ObjectDamaged):
        store.read_range("cut", MIB, 6)
    with pytest.raises(ObjectDamaged):
        store.open_range("cut", 0, 3 * MIB)
    assert store.read_range("cut", MIB, 5) == bytes(5)


def test_a_lost_volume_does_not_look_like_lost_objects(tmp_path: Path) -> None:
    store = FileObjectStore(tmp_path / "mount")
    store.put("a/b", b"x")
    (tmp_path / "mount").rename(tmp_path / "away")
    for call in (
        lambda: store.read_range("a/b", 0, 1),
        lambda: store.open_range("a/b"),
        lambda: store.size("a/b"),
        lambda: list(store.keys()),
        lambda: list(store.keys("a/")),
        store.check,
        store.stage,
    ):
        with pytest.raises(ObjectStoreUnavailable):
            call()


def test_bytes_are_durable_before_they_have_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No name before fsync of its bytes; no return before fsync of each folder, once, up to the store's own."""
    store = FileObjectStore(tmp_path)
    done: list[tuple[str, int]] = []
    real_fsync, real_link = os.fsync, os.link

    def fsync(fd: int) -> None:
        real_fsync(fd)
        done.append(("sync", os.fstat(fd).st_ino))

    def link(source: Path, target: Path) -> None:
        done.append(("link", os.stat(source).st_ino))
        real_link(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", link)

    def publish_two(first: str, second: str) -> list[int]:
        done.clear()
        with store.stage() as one, store.stage() as two:
            store.publish([(one, first), (two, second)])
        inodes = [(tmp_path / "objects" / key).stat().st_ino for key in (first, second)]
        links = [index for index, (what, inode) in enumerate(done) if what == "link" and inode in inodes]
        for inode in inodes:
            assert done.index(("sync", inode)) < min(links)
        return [inode for what, inode in done[max(links) + 1 :] if what == "sync"]

    folders = [tmp_path / "objects" / name for name in ("", "a", "a/b")]
    assert sorted(publish_two("a/b/1", "a/b/2")) == sorted(path.stat().st_ino for path in folders)
    assert publish_two("a/b/3", "a/b/4") == [folders[-1].stat().st_ino]


def test_the_kernel_writes_while_bytes_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte once, the last ones with the seal if they are many; before anybody waits for the disk."""
    told: list[tuple[int, int]] = []

    def hasten(fd: int, offset: int, length: int) -> int:
        told.append((offset, length))
        return 0

    monkeypatch.setattr(staging, "hasten", hasten)
    store = FileObjectStore(tmp_path / "store")
    with store.stage() as staged:
        for size in (MIB // 2, MIB // 2, 3 * MIB, MIB // 4):
            staged.write(bytes(size))
        assert told == [(0, MIB), (MIB, 3 * MIB)]
        staged.seal()
        staged.seal()
        assert told[2:] == [(4 * MIB, MIB // 4)]
    told.clear()
    with store.stage() as sealed:
        sealed.reserve(5000)
        sealed.write(bytes(MIB // 2))
        sealed.seal()
    assert told == [(8192, MIB // 2 + 5000 - 8192)]
    told.clear()
    with StagedFile(tmp_path, named=False) as spooled, store.stage() as small:
        spooled.write(bytes(2 * MIB))
        spooled.seal()
        small.write(bytes(64 * 1024))
        small.seal()
    assert told == []


@pytest.mark.parametrize(("failed", "error"), [(5, ObjectStoreUnavailable), (28, ObjectStoreFull)])
def test_what_the_kernel_could_not_write_is_never_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failed: int, error: type[Exception]
) -> None:
    """The kernel says it once, to whoever had it write; the fsync that follows succeeds."""
    store = FileObjectStore(tmp_path)
    answers = iter([failed])
    monkeypatch.setattr(staging, "hasten", lambda *_: next(answers))
    with store.stage() as staged:
        staged.write(bytes(2 * MIB))
        staged.write(bytes(2 * MIB))
        with pytest.raises(error):
            store.publish([(staged, "lost/object")])
    assert list(store.keys()) == []


def test_hastening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * MIB)
    with file.open("rb+") as opened:
        assert writeback.hasten(opened.fileno(), 0, MIB) == 0
        reading, writing = os.pipe()
        assert writeback.hasten(writing, 0, 5) == 0  # no file: not here
        os.close(reading)
        os.close(writing)
        if sys.platform == "linux":
            assert writeback._found() is not None
            assert writeback.hasten(writing, 0, 5) == errno.EBADF
        monkeypatch.setattr(writeback, "_SYNC_FILE_RANGE", None)
        assert writeback.hasten(opened.fileno(), 0, MIB) == 0
    assert file.read_bytes() == b"x" * MIB


@pytest.mark.parametrize(
    ("failing", "error"), [("write", ObjectStoreFull), ("fsync", ObjectStoreFull), ("link", ObjectStoreFull)]
)
def test_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: type) -> None:
    """The kernel's answer is what is set up here; no file system of a few MiB can be mounted without root."""
    store = FileObjectStore(tmp_path / "store")

    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, no_room)
        with pytest.raises(error):
            store.put("too/much", b"x")
        if failing == "write":
            store.check()
    assert list(store.keys()) == []
    assert staged_files(tmp_path) == []
    store.put("too/much", b"x")


def test_abandoned_files_are_cleared_and_living_ones_kept(tmp_path: Path) -> None:
    store = FileObjectStore(tmp_path / "store")
    script = (
        "import os, pathlib, sys; from archive.object_store.file import FileObjectStore;"
        "staged = FileObjectStore(pathlib.Path(sys.argv[1])).stage(); staged.write(b'half'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "store")], cwd=ROOT, timeout=30, check=False)
    with store.stage() as living:
        living.write(b"alive")
        assert len(staged_files(tmp_path)) == 2
        assert store.clear_staging(3600) == 0
        assert store.clear_staging(0) == 1
        assert store.clear_staging(0) == 0
        store.publish([(living, "lives")])
    assert list(store.keys()) == ["lives"]
