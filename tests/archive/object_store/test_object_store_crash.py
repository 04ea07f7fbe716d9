"""Killed at any moment, the file store keeps every object it acknowledged and never shows a part of one.

SIGKILL leaves the kernel's pages in place, so this shows the order of names and bytes; that they are also on disk
before the acknowledgement is shown by the order of the system calls in test_object_store.py.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from archive.object_store import ObjectMissing
from archive.object_store.file import FileObjectStore

ROOT = Path(__file__).resolve().parents[3]
KILLS = 6
WRITERS = 3

# Each key says what its object is: "<seed>-<size>" holds `size` bytes of the seed's SHA-256, over and over.
WRITER = """
import hashlib, os, random, sys
from contextlib import ExitStack
from pathlib import Path
from archive.object_store.file import FileObjectStore

store = FileObjectStore(Path(sys.argv[1]))
chance = random.Random(sys.argv[2])
turn = 0
while True:
    with ExitStack() as stack:
        items = []
        for number in range(chance.randint(1, 6)):
            size = chance.choice([0, 1, 5000, 300_000, 3_000_000])
            seed = f"{sys.argv[2]}.{turn}.{number}"
            data = (hashlib.sha256(seed.encode()).digest() * (size // 32 + 1))[:size]
            staged = stack.enter_context(store.stage())
            for begin in range(0, size, 65536):
                staged.write(data[begin : begin + 65536])
            staged.seal()
            items.append((staged, f"{turn % 7}/{number}/{seed}-{size}"))
        store.publish(items)
        os.write(1, "".join(key + "\\n" for _, key in items).encode())
    turn += 1
"""


def expected(key: str) -> bytes:
    seed, _, size = key.rpartition("/")[2].rpartition("-")
    return (hashlib.sha256(seed.encode()).digest() * (int(size) // 32 + 1))[: int(size)]


def whole(store: FileObjectStore, key: str) -> bool:
    return b"".join(store.open_range(key)) == expected(key)


@pytest.mark.timeout(60)
def test_killed_writers_lose_nothing_and_show_no_part(tmp_path: Path) -> None:
    store = FileObjectStore(tmp_path / "store")
    chance = random.Random(20)
    acknowledged: list[str] = []
    seen_alive = 0
    for kill in range(KILLS):
        writers = []
        for number in range(WRITERS):
            said = tmp_path / f"said-{kill}-{number}"
            command = [sys.executable, "-c", WRITER, str(tmp_path / "store"), f"k{kill}w{number}"]
            with said.open("wb") as output:
                writers.append((subprocess.Popen(command, cwd=ROOT, stdout=output), said))
        try:
            deadline = time.monotonic() + 20
            while not all(said.stat().st_size for _, said in writers) and time.monotonic() < deadline:
                time.sleep(0.01)
            stop = time.monotonic() + chance.uniform(0.02, 0.4)
            while time.monotonic() < stop:  # whatever shows while they write is whole
                for key in list(store.keys(f"{kill % 7}/"))[-20:]:
                    assert whole(store, key), key
                    seen_alive += 1
        finally:
            for writer, _ in writers:
                writer.send_signal(signal.SIGKILL)
            codes = [writer.wait(10) for writer, _ in writers]
        assert codes == [-signal.SIGKILL] * WRITERS
        for _, said in writers:
            lines = said.read_text().splitlines(keepends=True)
            acknowledged += [line.strip() for line in lines if line.endswith("\n")]

    visible = set(store.keys())
    assert len(acknowledged) > KILLS * WRITERS
    assert seen_alive > 0
    assert set(acknowledged) <= visible
    for key in visible:
        assert whole(store, key), key

    left = len(os.listdir(tmp_path / "store/staging"))
    assert store.clear_staging(0) == left
    assert os.listdir(tmp_path / "store/staging") == []
    for key in acknowledged:
        store.delete(key)
    for key in acknowledged[:5]:
        with pytest.raises(ObjectMissing):
            store.size(key)
