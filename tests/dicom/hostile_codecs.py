"""What a codec may do to its process; called in codec processes by tests/archive/test_codec_processes.py."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import imagecodecs
import numpy

from dicom.codecs.encoders import jpeg_xl
from dicom.errors import CannotDecode, TooComplex
from dicom.region import OutsideImage


def echo(value: Any) -> Any:
    return value


def crash() -> None:
    ctypes.string_at(0)


def abort() -> None:
    os.abort()


def leave() -> None:
    os._exit(0)


def spin() -> None:
    while True:
        pass


def sleep() -> None:
    time.sleep(3600)


def fill_memory() -> int:
    return sum(len(bytearray(64 << 20)) for _ in [bytearray(64 << 20) for _ in range(4096)])


def lie(answer: bytes) -> None:
    """Write an answer of one's own on the socket, as a codec that has been taken over might."""
    for number in range(3, 64):
        try:
            os.write(number, answer)
        except OSError:
            continue
    time.sleep(3600)


def refuse(kind: str) -> None:
    raise {"cannot": CannotDecode, "complex": TooComplex, "outside": OutsideImage, "value": ValueError}[kind]("told")


def surroundings() -> dict[str, Any]:
    """What a codec can see and do."""
    try:
        with open("/tmp/a-file-of-a-codec", "wb") as file:
            file.write(b"x")
        written = True
    except OSError:
        written = False
    return {
        "environment": dict(os.environ),
        "files": sorted(_open_files()),
        "folder": os.getcwd(),
        "written": written,
        "pid": os.getpid(),
        "parent": os.getppid(),
    }


def _open_files() -> Iterator[str]:
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the listing's own
            yield os.readlink(f"/proc/self/fd/{number}")


def samples(rows: int) -> Any:
    return numpy.arange(rows * rows, dtype="<i2").reshape(rows, rows)


def noise_in_jpeg_xl(edge: int) -> bool:
    """Whether frames of noise come back; libjxl wrote behind its memory, of which one frame does not always die."""
    for seed in range(20):
        noise = numpy.random.default_rng(seed).integers(0, 1 << 16, (edge, edge), dtype=numpy.uint16)
        if not numpy.array_equal(imagecodecs.jpegxl_decode(jpeg_xl(noise, 16)), noise):
            return False
    return True


def no_plain_form() -> Any:
    return object()


def where_a_frame_is_made(codestream: bytes, stored_uid: str, pixels: Any, target_uid: str) -> bytes:
    """The number of the process that it is made in."""
    return str(os.getpid()).encode()


def crash_over_a_frame(codestream: bytes, stored_uid: str, pixels: Any, target_uid: str) -> bytes:
    """What stands in for `dicom.described.recoded` where a codec is to crash."""
    ctypes.string_at(0)
    return b""
