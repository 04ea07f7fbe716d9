"""What a compressed frame says of itself: any bytes, before any codec sees them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import imagecodecs
import numpy
from PIL import Image

from dicom.codestream import read_jpeg_2000_header, read_jpeg_header, read_jpeg_xl_header
from dicom.errors import CannotDecode
from dicom.frame_header import codestream_of, read_frame_header
from dicom.memory_source import MemorySource
from tests.fuzz.target import Target

READERS: tuple[Callable[[bytes], object], ...] = (read_jpeg_header, read_jpeg_2000_header, read_jpeg_xl_header)


def check(data: bytes) -> None:
    """Read or refused with CannotDecode; numbers are not negative."""
    for reader in READERS:
        try:
            header = reader(data)
        except CannotDecode:
            continue
        check_numbers(header)
    try:
        source = codestream_of(MemorySource(data))
        assert source.size <= len(data)
        header = read_frame_header(source)
    except CannotDecode:
        return
    assert header.transfer_syntaxes
    assert header.samples >= 0
    assert header.precision >= 0


def check_numbers(header: object) -> None:
    """Nothing that a codec would be asked to allocate is negative."""
    for name in ("rows", "columns", "components", "precision"):
        assert getattr(header, name) >= 0, name


def seeds() -> Iterator[bytes]:
    """A small frame of every kind of codestream."""
    grey, colour = numpy.arange(64, dtype="uint8").reshape(8, 8), numpy.zeros((8, 8, 3), "uint8")
    for pixels in (grey, colour):
        yield bytes(imagecodecs.jpeg8_encode(pixels))
        yield bytes(imagecodecs.jpegls_encode(pixels))
        yield bytes(imagecodecs.ljpeg_encode(grey))
        yield bytes(imagecodecs.jpeg2k_encode(pixels, codecformat="j2k"))
        yield bytes(imagecodecs.jpeg2k_encode(pixels, codecformat="jp2"))
        yield bytes(imagecodecs.jpegxl_encode(pixels))
    progressive = io.BytesIO()
    Image.fromarray(colour).save(progressive, "jpeg", progressive=True)
    yield progressive.getvalue()


TARGET = Target(
    name="codestream",
    check=check,
    seeds=seeds,
    words=(
        b"\xff\xd8\xff",
        b"\xff\xc0",
        b"\xff\xc3",
        b"\xff\xf7",
        b"\xff\xda",
        b"\xff\xd9",
        b"\xff\x4f\xff\x51",
        b"\xff\x52",
        b"\xff\x53",
        b"\xff\x5f",
        b"\xff\x50",
        b"\xff\x90",
        b"\xff\x93",
        b"jp2c",
        b"\0\0\0\x0cjP  ",
        b"\0\0\0\x0cJXL ",
        b"jxlc",
        b"jxlp",
        b"\xff\x0a",
        b"\xff\xff\xff\xff",
    ),
    longest=4096,
)
