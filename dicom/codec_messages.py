"""What goes to a codec process and what comes back, as bytes on a socket.

A request is ours and is pickled, its arrays beside it. An answer comes from a process that has read strangers' bytes,
so nothing in it is ever executed: JSON that names a few plain forms, and the raw bytes of arrays and strings behind it.
Classes are rebuilt by name from `CLASSES` alone, errors are `DicomError`s.
"""

from __future__ import annotations

import json
import pickle
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, partial
from importlib import import_module
from math import prod
from typing import Any, TypeVar

import numpy

from dicom.errors import CannotDecode, DicomError
from dicom.limits import Limits, in_force

Data = TypeVar("Data", bytes, bytearray)

# Frozen dataclasses that functions may answer with; add a line for another.
CLASSES = frozenset({"dicom.codecs.decoded:DecodedFrame"})
_JSON_BYTES = 8 << 20
_BUFFERS = 4096
_DEPTH = 20
_TEXT = 1000
_HEAD = struct.Struct("<QI")
_SIZE = struct.Struct("<Q")
# Smaller pieces are sent together with what stands before them.
_TOGETHER = 64 << 10


class BadAnswer(Exception):
    """What a codec process said is no answer: it must be ended, and nothing that it says be used."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call: limits that are in force, processor seconds that it may take, and what to call."""

    limits: Limits
    seconds: float
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


def pack_request(seconds: float, function: Callable[..., Any], arguments: Any, keywords: Any) -> list[bytes]:
    """The pieces of a request under the limits of this process; arrays and frames are not copied."""
    buffers: list[Any] = []
    arguments = tuple(pickle.PickleBuffer(each) if type(each) is bytes else each for each in arguments)
    request = (in_force(), seconds, function, arguments, keywords)
    pickled = pickle.dumps(request, protocol=5, buffer_callback=buffers.append)
    return _pieces(pickled, [buffer.raw() for buffer in buffers])


def receive_request(connection: socket.socket) -> Request | None:
    """The next request, its arrays read-only; ``None`` when whoever asked has gone."""
    try:
        pickled, buffers = _receive(connection, _whole)
    except EOFError:
        return None
    return Request(*pickle.loads(pickled, buffers=buffers))  # noqa: S301 - of our own process, never a stranger's


def pack_answer(value: Any) -> list[bytes]:
    """The pieces of an answer. Raises TypeError for a value that has no plain form."""
    buffers: list[Any] = []
    return _pieces(json.dumps({"value": _plain(value, buffers)}).encode(), buffers)


def pack_error(error: Exception) -> list[bytes]:
    """The pieces of an answer that is an error: a DicomError with its text, of any other only what it is called."""
    text = str(error)[:_TEXT] if isinstance(error, DicomError) else ""
    return _pieces(json.dumps({"error": type(error).__name__, "text": text}).encode(), [])


def receive_answer(connection: socket.socket, most: int, seconds: float) -> Any:
    """The value of an answer of at most `most` bytes, which is there within `seconds`.

    Raises the DicomError that it is, `Unexpected` for any other error there;
    TimeoutError, BadAnswer, EOFError, OSError.
    """
    until = time.monotonic() + seconds
    text, buffers = _receive(connection, partial(_by_then, until), _JSON_BYTES, most)
    try:
        answer = json.loads(text)
        if isinstance(answer, dict) and "error" in answer:
            error = _error(str(answer["error"]), str(answer.get("text", ""))[:_TEXT])
        else:
            return _rebuilt(answer["value"], buffers, _DEPTH)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as malformed:
        raise BadAnswer from malformed
    raise error


class Unexpected(CannotDecode):
    """An error that is none of `dicom.errors`: a defect, or a codec's own way to say that it can't."""


def send(connection: socket.socket, pieces: Sequence[bytes]) -> None:
    """All of the pieces, one after the other. Raises OSError."""
    for piece in pieces:
        connection.sendall(piece)


def _pieces(head: bytes, buffers: Sequence[Any]) -> list[bytes]:
    sizes = b"".join(_SIZE.pack(memoryview(buffer).nbytes) for buffer in buffers)
    first = _HEAD.pack(len(head), len(buffers)) + sizes
    pieces = [first + head] if len(head) <= _TOGETHER else [first, head]
    for buffer in buffers:
        if memoryview(buffer).nbytes + len(pieces[-1]) <= _TOGETHER:
            pieces[-1] += bytes(buffer)
        else:
            pieces.append(buffer)
    return pieces


def _receive(
    connection: socket.socket,
    read: Callable[[socket.socket, int], Data],
    most_head: int = 1 << 62,
    most_bytes: int = 1 << 62,
) -> tuple[Data, list[Data]]:
    length, count = _HEAD.unpack(read(connection, _HEAD.size))
    if length > most_head or count > _BUFFERS:
        raise BadAnswer
    sizes = [size for (size,) in _SIZE.iter_unpack(read(connection, count * _SIZE.size))]
    if sum(sizes) > most_bytes:
        raise BadAnswer
    head = read(connection, length)
    return head, [read(connection, size) for size in sizes]


def _whole(connection: socket.socket, length: int) -> bytes:
    """`length` bytes of a socket that may wait for them as long as it takes."""
    data = connection.recv(length, socket.MSG_WAITALL) if length else b""
    if len(data) != length:
        raise EOFError
    return data


def _by_then(until: float, connection: socket.socket, length: int) -> bytearray:
    data = bytearray(length)
    view, place = memoryview(data), 0
    while place < length:
        connection.settimeout(max(0.001, until - time.monotonic()))
        got = connection.recv_into(view[place:])
        if not got:
            raise EOFError
        place += got
    return data


def _plain(value: Any, buffers: list[Any]) -> Any:
    """`value` in JSON; bytes and arrays go to `buffers`, everything that JSON would confuse is tagged."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        buffers.append(value)
        return {"bytes": len(buffers) - 1}
    if isinstance(value, numpy.ndarray) and value.dtype.kind in "biuf":
        buffers.append(numpy.ascontiguousarray(value).reshape(-1).view(numpy.uint8).data)
        return {"array": len(buffers) - 1, "dtype": value.dtype.str, "shape": value.shape}
    if isinstance(value, numpy.generic) and value.dtype.kind in "biuf":
        return value.item()
    if isinstance(value, list):
        return [_plain(each, buffers) for each in value]
    if type(value) is tuple:
        return {"tuple": [_plain(each, buffers) for each in value]}
    if type(value) is dict and all(type(key) is str for key in value):
        return {"dict": {key: _plain(each, buffers) for key, each in value.items()}}
    name = f"{type(value).__module__}:{type(value).__qualname__}"
    if is_dataclass(value) and name in CLASSES:
        return {"class": name, "fields": {f.name: _plain(getattr(value, f.name), buffers) for f in fields(value)}}
    raise TypeError(f"{name} has no plain form")


def _rebuilt(plain: Any, buffers: Sequence[bytearray], depth: int) -> Any:
    if plain is None or isinstance(plain, bool | int | float | str):
        return plain
    if not depth:
        raise BadAnswer
    if isinstance(plain, list):
        return [_rebuilt(each, buffers, depth - 1) for each in plain]
    if "bytes" in plain:
        return bytes(buffers[plain["bytes"]])
    if "array" in plain:
        return _array(buffers[plain["array"]], plain["dtype"], plain["shape"])
    if "tuple" in plain:
        return tuple(_rebuilt(each, buffers, depth - 1) for each in plain["tuple"])
    if "dict" in plain:
        return {key: _rebuilt(each, buffers, depth - 1) for key, each in plain["dict"].items()}
    made = _class(plain["class"])
    return made(**{key: _rebuilt(each, buffers, depth - 1) for key, each in plain["fields"].items()})


def _array(buffer: bytearray, kind: str, shape: Sequence[int]) -> Any:
    dtype = numpy.dtype(kind)
    if dtype.kind not in "biuf" or prod(shape) * dtype.itemsize != len(buffer) or min(shape, default=0) < 0:
        raise BadAnswer
    return numpy.frombuffer(buffer, dtype).reshape(shape)


@cache
def _class(name: str) -> Any:
    if name not in CLASSES:
        raise BadAnswer
    module, _, qualified = name.partition(":")
    return getattr(import_module(module), qualified)


def _error(name: str, text: str) -> DicomError:
    known: list[type[DicomError]] = [DicomError]
    for each in known:
        if each.__name__ == name and each is not Unexpected:
            return each(text)
        known += each.__subclasses__()
    return Unexpected(name[:64] if name.isidentifier() else "an error without a name")
