"""The least that could answer on this machine: what ``benchmarks.floor`` has our web server serve. No rights, no trail.

``/json`` a kilobyte, ``/bytes`` half a megabyte out of memory, ``/file`` the same out of a file with the CRC of its
blocks; ``/search`` a kilobyte after two look-ups and a durable row, in three round trips; ``/frame`` the file after two
look-ups in one round trip and a durable row in another: what a search and a frame cannot do without. ``/study`` that
file three hundred times in one answer. ``/dicom-web/store`` takes half a megabyte: hashed, with the CRC of its blocks,
written, flushed and linked beside the statements, which are two look-ups, a locked row, two new ones and a commit, in
six round trips: what a store of one instance cannot do without.
"""

import hashlib
import os
import threading
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Final

import psycopg
from isal import isal_zlib

BLOCK: Final = 64 * 1024
JSON: Final = b"[" + b" " * 1022 + b"]"
BYTES: Final = bytes(512 * 512 * 2)
_LOOK_UP: Final = "SELECT value FROM floor_known WHERE key = %s"
_WRITE: Final = "INSERT INTO floor_written (value) VALUES (%s) RETURNING id"
_LOCK: Final = "SELECT value FROM floor_known WHERE key = %s FOR UPDATE"
INSTANCES: Final = 300
_of_thread = threading.local()


def _connection() -> psycopg.Connection[Any]:
    found: psycopg.Connection[Any] | None = getattr(_of_thread, "connection", None)
    if found is None:
        found = _of_thread.connection = psycopg.connect(os.environ["FLOOR_DATABASE"], autocommit=True)
        found.prepare_threshold = 0
    return found


def _from_file() -> bytes:
    descriptor = os.open(os.environ["FLOOR_FILE"], os.O_RDONLY)
    try:
        data = os.pread(descriptor, len(BYTES), 0)
    finally:
        os.close(descriptor)
    view = memoryview(data)
    for begin in range(0, len(data), BLOCK):
        isal_zlib.crc32(view[begin : begin + BLOCK])
    return data


def _searched() -> bytes:
    for statement, value in ((_LOOK_UP, 7), (_LOOK_UP, 70), (_WRITE, "x" * 200)):
        _connection().execute(statement, [value]).fetchone()
    return JSON


def _framed() -> bytes:
    with _connection().pipeline():
        found = [_connection().execute(_LOOK_UP, [value]) for value in (7, 70)]
    for each in found:
        each.fetchone()
    data = _from_file()
    _connection().execute(_WRITE, ["x" * 200]).fetchone()
    return data


def _stored(body: Any) -> bytes:
    _connection().execute(_LOOK_UP, [7]).fetchone()
    folder = Path(os.environ["FLOOR_FILE"]).parent
    name = uuid.uuid4().hex
    staged = folder / f"staged-{name}"
    hashed = hashlib.sha256()
    descriptor = os.open(staged, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        while piece := body.read(1 << 20):
            hashed.update(piece)
            view = memoryview(piece)
            for begin in range(0, len(view), BLOCK):
                isal_zlib.crc32(view[begin : begin + BLOCK])
            os.write(descriptor, piece)
        _connection().execute(_LOOK_UP, [70]).fetchone()
        durable = _threads().submit(_published, descriptor, staged, folder / "stored" / name)
        with _connection().transaction():
            _connection().execute(_LOCK, [threading.get_ident() % 1000 + 1]).fetchone()
            _connection().execute(_WRITE, [hashed.hexdigest() * 30]).fetchone()
            durable.result()
            _connection().execute(_WRITE, ["x" * 200]).fetchone()
    finally:
        os.close(descriptor)
    return JSON


def _published(descriptor: int, staged: Path, goal: Path) -> None:
    os.fsync(descriptor)
    os.link(staged, goal)
    folder = os.open(goal.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    staged.unlink()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(64)


ANSWERS: Final[dict[str, Callable[[], bytes]]] = {
    "/json": lambda: JSON,
    "/bytes": lambda: BYTES,
    "/file": _from_file,
    "/search": _searched,
    "/frame": _framed,
}
# Below this path alone the web server takes large bodies.
STORE: Final = "/dicom-web/store"
STUDY: Final = "/study"


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """WSGI."""
    path = environ["PATH_INFO"]
    if path == STUDY:
        start_response("200 OK", _fields(INSTANCES * len(BYTES)))
        return (_from_file() for _ in range(INSTANCES))
    body = _stored(environ["wsgi.input"]) if path == STORE else ANSWERS.get(path, ANSWERS["/json"])()
    start_response("200 OK", _fields(len(body)))
    return [body]


def _fields(length: int) -> list[tuple[str, str]]:
    return [("Content-Type", "application/octet-stream"), ("Content-Length", str(length))]
