"""The least that could answer on this machine: what ``benchmarks.floor`` has our web server serve. No rights, no trail.

``/json`` a kilobyte, ``/bytes`` half a megabyte out of memory, ``/file`` the same out of a file with the CRC of its
blocks; ``/search`` a kilobyte after two look-ups and a durable row, in three round trips; ``/frame`` the file after two
look-ups in one round trip and a durable row in another: what a search and a frame cannot do without.
"""

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

import psycopg
from isal import isal_zlib

BLOCK: Final = 64 * 1024
JSON: Final = b"[" + b" " * 1022 + b"]"
BYTES: Final = bytes(512 * 512 * 2)
_LOOK_UP: Final = "SELECT value FROM floor_known WHERE key = %s"
_WRITE: Final = "INSERT INTO floor_written (value) VALUES (%s) RETURNING id"
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


ANSWERS: Final[dict[str, Callable[[], bytes]]] = {
    "/json": lambda: JSON,
    "/bytes": lambda: BYTES,
    "/file": _from_file,
    "/search": _searched,
    "/frame": _framed,
}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """WSGI."""
    body = ANSWERS.get(environ["PATH_INFO"], ANSWERS["/json"])()
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))])
    return [body]
