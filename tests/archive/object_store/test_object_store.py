"""The object store's port, the same promises held by files and by a real S3 server."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import archive.object_store as package
from archive.object_store import InvalidKey, KeyExists, ObjectDamaged, ObjectMissing, ObjectStore
from archive.object_store.file import FileObjectStore
from archive.object_store.s3 import WINDOW, S3ObjectStore
from tests.archive.object_store.store_steps import MIB, ROOT, publish, race, s3_variable, staged_files


@pytest.mark.parametrize("size", [0, 1, 4095, 5 * MIB + 1, 70 * MIB])
def test_every_byte_comes_back(store: ObjectStore, tmp_path: Path, size: int) -> None:
    data = secrets.token_bytes(size)
    with store.stage() as staged:
        for begin in range(0, size, 777_777):
            staged.write(memoryview(data)[begin : begin + 777_777])
        assert staged.size == size
        assert staged.sha256 == hashlib.sha256(data).digest()
        assert staged.read_at(0, size + 10) == data
        assert staged.read_at(size // 2, 5) == data[size // 2 : size // 2 + 5]
        assert staged.read_at(size + 3, 5) == b""
        staged.seal()
        assert list(store.keys()) == []
        store.publish([(staged, "a/b/whole")])
    assert list(store.keys()) == ["a/b/whole"]
    assert store.size("a/b/whole") == size
    assert store.read_range("a/b/whole", 0, size) == data
    pieces = list(store.open_range("a/b/whole"))
    assert all(0 < len(piece) <= MIB for piece in pieces)
    assert b"".join(pieces) == data
    assert staged_files(tmp_path) == []


def test_ranges_at_every_edge(store: ObjectStore) -> None:
    size = WINDOW + 2 * MIB + 3
    data = secrets.token_bytes(size)
    publish(store, "ranges", data)
    edges = [0, 1, MIB - 1, MIB, MIB + 1, MIB + WINDOW, MIB + WINDOW + 1, size - 1, size]
    for offset in edges:
        assert b"".join(store.open_range("ranges", offset)) == data[offset:]
        for end in edges:
            if end >= offset:
                assert store.read_range("ranges", offset, end - offset) == data[offset:end]
                assert b"".join(store.open_range("ranges", offset, end - offset)) == data[offset:end]


@pytest.mark.parametrize(
    ("size", "offset", "length"),
    [(10, 0, 11), (10, 9, 2), (10, 10, 1), (10, 11, 0), (10, 500, 3), (0, 0, 1), (2 * MIB, MIB, MIB + 1)],
)
def test_a_range_past_the_end_is_damage(store: ObjectStore, size: int, offset: int, length: int) -> None:
    publish(store, "short", bytes(size))
    with pytest.raises(ObjectDamaged) as caught:
        store.read_range("short", offset, length)
    assert caught.value.key == "short"
    with pytest.raises(ObjectDamaged):  # before the first piece, while another answer can still be given
        store.open_range("short", offset, length)


def test_a_stream_from_past_the_end_is_damage(store: ObjectStore) -> None:
    publish(store, "short", bytes(10))
    assert list(store.open_range("short", 10)) == []
    with pytest.raises(ObjectDamaged):
        store.open_range("short", 11)
    for offset, length in ((-1, 3), (0, -1)):
        with pytest.raises(ValueError, match="byte range"):
            store.read_range("short", offset, length)


def test_what_is_missing_is_missing(store: ObjectStore) -> None:
    publish(store, "folder/object", b"x")
    for key in ("nothing", "folder/nothing", "folder"):
        for read in (
            lambda key=key: store.read_range(key, 0, 1),
            lambda key=key: store.read_range(key, 0, 0),
            lambda key=key: store.open_range(key),
            lambda key=key: store.open_range(key, 3, 5),
            lambda key=key: store.size(key),
        ):
            with pytest.raises(ObjectMissing) as caught:
                read()
            assert caught.value.key == key


def test_delete_is_idempotent(store: ObjectStore) -> None:
    store.put("a/gone", b"soon")
    store.delete("a/gone")
    store.delete("a/gone")
    store.delete("never/was")
    assert list(store.keys()) == []
    with pytest.raises(ObjectMissing):
        store.size("a/gone")
    store.put("a/gone", b"again")
    assert store.read_range("a/gone", 0, 5) == b"again"


def test_keys_by_prefix(store: ObjectStore) -> None:
    keys = {"2026/11/aa", "2026/11/ab", "2026/11/ab-1.gz", "2026/12/aa", "20261/x", "other"}
    for key in keys:
        store.put(key, key.encode())
    for prefix in ("", "2", "2026", "2026/", "2026/11", "2026/11/", "2026/11/a", "2026/11/ab", "2026/11/ab-", "x/y"):
        assert sorted(store.keys(prefix)) == sorted(key for key in keys if key.startswith(prefix)), prefix


@pytest.mark.parametrize(
    "key",
    [
        *["/a", "a/", "a//b", "../a", "a/../b", "a/./b", ".", ".hidden", "a/.b", "A", "é", "a\\b"],
        "",
        "a b",
        "a\0",
        "a\n",
        "a" * 300,
        "a/" * 300 + "a",
    ],
)
def test_only_keys_of_ours(store: ObjectStore, key: str) -> None:
    with store.stage() as staged:
        calls: list[Callable[[], object]] = [
            lambda: store.put(key, b""),
            lambda: store.publish([(staged, key)]),
            lambda: store.open_range(key),
            lambda: store.read_range(key, 0, 1),
            lambda: store.size(key),
            lambda: store.delete(key),
        ]
        for call in calls:
            with pytest.raises(InvalidKey):
                call()


@pytest.mark.parametrize("prefix", ["/", "../", "a/../", "A", "é"])
def test_only_prefixes_of_ours(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(InvalidKey):
        list(store.keys(prefix))


def test_an_object_is_never_replaced(store: ObjectStore) -> None:
    publish(store, "once", b"first")
    with pytest.raises(KeyExists) as caught:
        publish(store, "once", b"second")
    assert caught.value.key == "once"
    with pytest.raises(KeyExists):
        store.put("once", b"first")
    assert store.read_range("once", 0, 5) == b"first"


def test_one_of_eight_racers_wins(store: ObjectStore) -> None:
    for turn in range(2):
        bodies, won = race(store, f"race/{turn}", racers=8, size=50_000)
        assert won.count(True) == 1
        assert b"".join(store.open_range(f"race/{turn}")) == bodies[won.index(True)]


def test_a_batch_is_published_together(store: ObjectStore, tmp_path: Path) -> None:
    bodies = {f"batch/{number % 3}/{number}": secrets.token_bytes(number * 1000) for number in range(40)}
    with contextlib.ExitStack() as stack:
        items = []
        for key, body in bodies.items():
            staged = stack.enter_context(store.stage())
            staged.write(body)
            staged.seal()
            items.append((staged, key))
        store.publish(items)
        store.publish([])
        for staged, key in items:  # what was published can still be parsed from where it was staged
            assert staged.read_at(0, staged.size) == bodies[key]
    assert {key: b"".join(store.open_range(key)) for key in sorted(store.keys())} == bodies
    assert staged_files(tmp_path) == []


def test_a_batch_names_the_one_that_fails(store: ObjectStore, tmp_path: Path) -> None:
    store.put("taken", b"before")
    with store.stage() as first, store.stage() as second, store.stage() as third:
        for staged in (first, second, third):
            staged.write(b"new")
        with pytest.raises(KeyExists) as caught:
            store.publish([(first, "free/1"), (second, "taken"), (third, "free/2")])
    assert caught.value.key == "taken"
    assert store.read_range("taken", 0, 6) == b"before"
    for key in store.keys("free/"):
        assert store.read_range(key, 0, 3) == b"new"
    assert staged_files(tmp_path) == []


def test_discard_is_idempotent(store: ObjectStore, tmp_path: Path) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    staged = store.stage()
    staged.write(b"never mind")
    for _ in range(2):
        staged.discard()
    for use in (lambda: staged.write(b"x"), lambda: staged.read_at(0, 1), lambda: store.publish([(staged, "late")])):
        with pytest.raises(ValueError, match="discarded"):
            use()
    published = store.stage()
    published.write(b"kept")
    store.publish([(published, "kept")])
    published.discard()
    published.discard()
    assert store.read_range("kept", 0, 4) == b"kept"
    assert staged_files(tmp_path) == []
    if isinstance(store, FileObjectStore):  # S3 keeps connections open
        assert len(os.listdir("/proc/self/fd")) == descriptors


def test_sealed_takes_no_more(store: ObjectStore) -> None:
    with store.stage() as staged:
        staged.write(b"all")
        staged.seal()
        staged.seal()
        with pytest.raises(ValueError, match="sealed"):
            staged.write(b"more")
        assert (staged.size, staged.read_at(0, 9)) == (3, b"all")


def test_check(store: ObjectStore, tmp_path: Path) -> None:
    store.check()
    assert list(store.keys()) == []
    assert staged_files(tmp_path) == []


MEMORY_SCRIPT = """
import hashlib, os, sys
from pathlib import Path
from archive.object_store import build
from pacs_project.config import Config

kind, folder, prefix, endpoint, access, secret, bucket = sys.argv[1:]
store = build(Config(object_store=kind, data=Path(folder), s3=dict(endpoint_url=endpoint, bucket=bucket,
    region="us-east-1", access_key_id=access, secret_access_key=secret, prefix=prefix)))


def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])


def walk(key, mib):
    block = os.urandom(1 << 20)
    with store.stage() as staged:
        for _ in range(mib):
            staged.write(block)
        store.publish([(staged, key)])
        sent = staged.sha256
    got = hashlib.sha256()
    for piece in store.open_range(key):
        got.update(piece)
    assert got.digest() == sent and store.size(key) == mib << 20

before = peak()
walk("big", 300)
print(peak() - before)
"""


@pytest.mark.parametrize("kind", ["file", "s3"])
def test_memory_does_not_grow_with_the_object(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    place = ["", "", "", ""]
    if kind == "s3":
        bucket = request.getfixturevalue("bucket")
        place = [s3_variable("ENDPOINT"), s3_variable("ACCESS_KEY"), s3_variable("SECRET_KEY"), bucket]
    run = subprocess.run(
        [sys.executable, "-c", MEMORY_SCRIPT, kind, str(tmp_path), f"m-{secrets.token_hex(6)}", *place],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 64 * 1024  # KiB more than before the object of 300 MiB came


@pytest.mark.django_db  # whether its folder is new is asked of the index
def test_the_store_of_this_process(
    settings: Any, tmp_path: Path, s3_store: Callable[..., S3ObjectStore], bucket: str
) -> None:
    settings.PACS = settings.PACS.model_copy(update={"object_store": "file", "data": tmp_path})
    store = package.object_store()
    assert package.object_store() is store
    child = os.fork()
    if child == 0:
        other = package.object_store()
        other.put("from/child", b"c")
        os._exit(0 if other is not store else 1)
    assert os.waitpid(child, 0) == (child, 0)
    assert store.read_range("from/child", 0, 1) == b"c"
    there = {
        "endpoint_url": s3_variable("ENDPOINT"),
        "bucket": bucket,
        "region": "us-east-1",
        "access_key_id": s3_variable("ACCESS_KEY"),
        "secret_access_key": SecretStr(s3_variable("SECRET_KEY")),
        "prefix": "/settings/",
    }
    in_bucket = {"object_store": "s3", "s3": settings.PACS.s3.model_copy(update=there)}
    settings.PACS = settings.PACS.model_copy(update=in_bucket)
    package.object_store().check()
    package.object_store().put("from/settings", b"s")
    assert s3_store(prefix="/settings/").read_range("from/settings", 0, 1) == b"s"
