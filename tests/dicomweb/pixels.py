"""Objects with pixel data of every encoding, each with its frames as they must come out."""

from __future__ import annotations

from struct import pack
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, generate_uid

from tests.dicomweb.objects import make_data_set, to_bytes


def packaged(name: str) -> bytes:
    """A file that comes with pydicom."""
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str), f"pydicom does not ship {name}"
    with open(path, "rb") as file:
        return file.read()


def native_frames(count: int = 3, dtype: str = "<u2", **more: Any) -> tuple[Dataset, list[bytes]]:
    """A multi-frame CT whose frames differ, and each frame's bytes."""
    frames: list[NDArray[Any]] = [np.arange(12 * 16).reshape(12, 16).astype(dtype) + n for n in range(count)]
    frames = [frame.astype(dtype) for frame in frames]
    bits = np.dtype(dtype).itemsize * 8
    ds = make_data_set(
        NumberOfFrames=count,
        BitsAllocated=bits,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelData=b"".join(frame.tobytes() for frame in frames),
        **more,
    )
    ds["PixelData"].VR = "OW" if bits > 8 else "OB"
    return ds, [frame.tobytes() for frame in frames]


def bits(count: int = 3, rows: int = 5, columns: int = 7) -> tuple[Dataset, list[bytes]]:
    """A 1-bit segmentation whose frames of 35 bits do not begin on bytes (PS3.5 8.1.1)."""
    masks = [np.random.default_rng(n).integers(0, 2, rows * columns, np.uint8) for n in range(count)]
    whole = np.packbits(np.concatenate(masks), bitorder="little").tobytes()
    ds = make_data_set(
        Rows=rows,
        Columns=columns,
        NumberOfFrames=count,
        BitsAllocated=1,
        BitsStored=1,
        HighBit=0,
        PixelData=whole + b"\0" * (len(whole) % 2),
    )
    ds["PixelData"].VR = "OB"
    return ds, [np.packbits(mask, bitorder="little").tobytes() for mask in masks]


def big_endian(count: int = 2) -> tuple[bytes, list[bytes]]:
    """Explicit VR Big Endian (retired), and the frames little endian."""
    ds, frames = native_frames(count)
    ds.PixelData = b"".join(np.frombuffer(frame, "<u2").byteswap().tobytes() for frame in frames)
    ds["PixelData"].VR = "OW"
    return to_bytes(ds, ExplicitVRBigEndian), frames


def deflated(count: int = 2) -> tuple[bytes, list[bytes]]:
    ds, frames = native_frames(count)
    return to_bytes(ds, DeflatedExplicitVRLittleEndian), frames


def encapsulated(
    frames: list[list[bytes]], transfer_syntax_uid: str, *, offsets: bool = True, **more: Any
) -> tuple[bytes, Dataset]:
    """Frames given as lists of fragments (of even length), with or without a Basic Offset Table (PS3.5 A.4)."""
    items, table, position = b"", b"", 0
    for fragments in frames:
        table += pack("<I", position)
        for fragment in fragments:
            item = pack("<HHI", 0xFFFE, 0xE000, len(fragment)) + fragment
            items += item
            position += len(item)
    table = table if offsets else b""
    value = pack("<HHI", 0xFFFE, 0xE000, len(table)) + table + items
    ds = make_data_set(SOPInstanceUID=generate_uid(), **{"NumberOfFrames": len(frames), **more})
    ds.PixelData = value + pack("<HHI", 0xFFFE, 0xE0DD, 0)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return to_bytes(ds, UID(transfer_syntax_uid)), ds
