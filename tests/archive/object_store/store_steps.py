"""Steps that several tests of the object store take."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from archive.object_store import KeyExists, ObjectStore

MIB = 1024 * 1024


ROOT = Path(__file__).resolve().parents[3]


S3_VARIABLES = ("PACS_TEST_S3_ENDPOINT", "PACS_TEST_S3_ACCESS_KEY", "PACS_TEST_S3_SECRET_KEY")


def s3_variable(name: str) -> str:
    missing = [variable for variable in S3_VARIABLES if not os.environ.get(variable)]
    if missing:
        pytest.fail(f"the S3 tests need a server: {', '.join(missing)} not set (tests/conftest.py starts one)")
    return os.environ[f"PACS_TEST_S3_{name}"]


def publish(store: ObjectStore, key: str, data: bytes) -> None:
    with store.stage() as staged:
        for begin in range(0, len(data), MIB):
            staged.write(memoryview(data)[begin : begin + MIB])
        staged.seal()
        store.publish([(staged, key)])


def staged_files(tmp_path: Path) -> list[Path]:
    return [path for folder in ("store/staging", "spool") for path in (tmp_path / folder).glob("*")]


def race(store: ObjectStore, key: str, racers: int, size: int) -> tuple[list[bytes], list[bool]]:
    """Publish as many bodies under one key at once; the bodies, and which of them were acknowledged."""
    bodies = [bytes([number]) * size for number in range(racers)]
    start = threading.Barrier(racers)

    def run(body: bytes) -> bool:
        with store.stage() as staged:
            staged.write(body)
            start.wait()
            try:
                store.publish([(staged, key)])
            except KeyExists:
                return False
            return True

    with ThreadPoolExecutor(racers) as threads:
        return bodies, list(threads.map(run, bodies))
