"""From the pixel data of an instance to its frame table: how many frames there really are, and where."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence

from dicom.encapsulation import Fragments
from dicom.frames import FrameTable
from dicom.pixels import PixelDescription
from dicom.source import ByteSource
from dicom.transfer_syntaxes import BY_UID, RLE_LOSSLESS

Warn = Callable[[str], None]

# The first bytes of a codestream: JPEG and JPEG-LS (SOI), JPEG 2000 and HTJ2K (SOC, SIZ), JPEG XL, and the latter two
# in a file of boxes
_CODESTREAM_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\xff\x0a", b"\0\0\0\x0cjP  ", b"\0\0\0\x0cJXL ")
_LONGEST_START = 8


def native_frames(pixels: PixelDescription, offset: int, length: int, warn: Warn) -> FrameTable:
    """Frames without gaps (PS3.5 8.1.1, A.1 to A.3); only whole ones are counted."""
    samples = pixels.samples_per_pixel
    bits = pixels.rows * pixels.columns * samples * pixels.bits_allocated
    if pixels.photometric_interpretation == "YBR_FULL_422" and samples == 3:
        # chrominance at every other pixel (PS3.3 C.7.6.3.1.2), unless the writer forgot to subsample
        subsampled = bits // 3 * 2
        bits = bits if length * 8 >= bits * pixels.number_of_frames else subsampled
    if bits == 0:
        warn("Rows, Columns, Samples per Pixel or Bits Allocated leave no room for a frame")
        return FrameTable.native(offset, 0, 0)
    declared = (bits * pixels.number_of_frames + 7) // 8
    whole = length * 8 // bits
    if length < declared or length > declared + declared % 2:
        warn(
            f"{pixels.keyword} has {length} bytes, {pixels.number_of_frames} frame(s) of "
            f"{pixels.rows} rows and {pixels.columns} columns take {declared}"
        )
    return FrameTable.native(offset, bits, min(whole, pixels.number_of_frames))


def encapsulated_frames(
    source: ByteSource,
    fragments: Fragments,
    number_of_frames: int,
    transfer_syntax_uid: str,
    extended_offsets: Sequence[int],
    warn: Warn,
) -> FrameTable:
    """Which fragments make up which frame (PS3.5 A.4, PS3.3 C.7.6.3.1.8).

    Video is one codestream for all frames, so that it counts as one.
    """
    syntax = BY_UID[transfer_syntax_uid]
    offsets, lengths = fragments.offsets, fragments.lengths
    found = len(offsets)
    if found == 0:
        warn("the pixel data has no fragment")
        return FrameTable.encapsulated(offsets, lengths)
    if syntax.media_type.startswith("video/") or number_of_frames == 1:
        return FrameTable.encapsulated(offsets, lengths, array("I", (0,)))
    if found == number_of_frames:
        return FrameTable.encapsulated(offsets, lengths)
    for table in (extended_offsets, fragments.basic_offsets):
        first = _from_offset_table(table, fragments) if len(table) == number_of_frames else None
        if first is not None:
            return FrameTable.encapsulated(offsets, lengths, first)
    if found > number_of_frames and syntax is not RLE_LOSSLESS:
        first = _codestream_starts(source, fragments)
        if len(first) == number_of_frames and first[0] == 0:
            return FrameTable.encapsulated(offsets, lengths, first)
    count = min(found, number_of_frames)
    warn(f"{found} fragment(s) and no usable offset table for {number_of_frames} frames; each is taken for a frame")
    return FrameTable.encapsulated(offsets[:count], lengths[:count])


def _from_offset_table(table: Sequence[int], fragments: Fragments) -> array[int] | None:
    index_of = {offset - 8 - fragments.origin: index for index, offset in enumerate(fragments.offsets)}
    first = array("I")
    for offset in table:
        index = index_of.get(offset)
        if index is None or (first and index <= first[-1]) or (not first and index):
            return None
        first.append(index)
    return first


def _codestream_starts(source: ByteSource, fragments: Fragments) -> array[int]:
    first = array("I")
    for index, (offset, length) in enumerate(zip(fragments.offsets, fragments.lengths, strict=True)):
        if source.read_at(offset, min(length, _LONGEST_START)).startswith(_CODESTREAM_STARTS):
            first.append(index)
    return first
