"""Frames of an instance, found through the frame table that ingest wrote: a look-up and a byte range."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from archive.errors import NotFound, NotRenderable
from archive.locate import Located
from archive.models import Instance
from archive.payload import Payload, in_memory, inflated, open_range, read_range
from archive.retrieve import little_endian
from dicom.codecs import DECODERS, DecodedFrame, decode_frame, native_bytes
from dicom.errors import CannotDecode
from dicom.frames import FrameRange, FrameTable
from dicom.part10 import ByteSource
from dicom.pixels import PixelDescription
from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TransferSyntax

# A frame as stored goes into memory to be decoded; what is larger (a whole video) can't be.
LARGEST_DECODED = 512 << 20
# Fragments of a frame that lie this close together are read at once.
_SPAN = 16 << 20
_PIECE = 1 << 20
_VR_OF_BITS = {16: "OW", 32: "OL", 64: "OV"}


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of one instance, numbered from 1.

    ``inflated`` is set where ranges refer to an inflated data set; its temporary file goes with the last reference.
    """

    instance: Located
    pixels: PixelDescription
    table: FrameTable
    inflated: ByteSource | None

    @property
    def count(self) -> int:
        """How many frames there are."""
        count: int = self.table.count
        return count

    @property
    def transfer_syntax(self) -> TransferSyntax:
        """In which frames leave without decoding.

        Native frames of any byte order or deflation leave as Explicit VR Little Endian: no other is defined for
        uncompressed frames (PS3.18 8.7.3.5.2).
        """
        stored = self.instance.transfer_syntax
        return stored if stored.encapsulated else EXPLICIT_VR_LITTLE_ENDIAN

    @property
    def decodable(self) -> bool:
        """Whether there is a decoder for the stored transfer syntax: for video there is none."""
        return self.instance.transfer_syntax.uid in DECODERS

    def open(self, number: int, transfer_syntax: TransferSyntax) -> Payload:
        """Frame ``number`` in ``transfer_syntax``: as it lies in the object, or decoded to Explicit VR LE.

        An encapsulated frame comes as the bare codestream, its fragments joined. Raises ``NotFound`` for a frame
        that is not there, ``NotRenderable`` for one that can't be decoded.
        """
        ranges = self._ranges(number)
        if transfer_syntax != self.transfer_syntax:
            try:
                return in_memory(native_bytes(self.decode(number), self.pixels))
            except CannotDecode as error:
                raise NotRenderable(str(error)) from error
        if not self._plain():
            return in_memory(self._native(number))
        key, length = self.instance.object_key, sum(r.length for r in ranges)
        if len(ranges) > 1 and _span(ranges) <= _SPAN:
            return in_memory(self._joined(ranges))
        first = open_range(key, ranges[0].offset, ranges[0].length)
        rest = (open_range(key, r.offset, r.length) for r in ranges[1:])
        return Payload(length, chain(first, chain.from_iterable(rest)))

    def open_value(self) -> Payload:
        """All native frames as the one value that they are in the data set, little endian (PS3.5 8.1.1)."""
        start, last = self.table.ranges(1)[0].offset, self.table.ranges(self.count)[-1]
        length = last.offset + last.length - start
        stored = self.instance.transfer_syntax
        if self.inflated is None and stored.little_endian:
            return Payload(length, open_range(self.instance.object_key, start, length))
        read = self._read if self.inflated is None else self.inflated.read_at
        pieces = (read(start + done, min(_PIECE, length - done)) for done in range(0, length, _PIECE))
        vr = _VR_OF_BITS.get(self.pixels.bits_allocated, self.pixels.value_representation)
        return Payload(length, pieces if stored.little_endian else (little_endian(piece, vr) for piece in pieces))

    def length(self, number: int, transfer_syntax: TransferSyntax) -> int | None:
        """Bytes of frame ``number`` as ``open`` gives it; ``None`` where only decoding can tell."""
        ranges = self._ranges(number)
        if transfer_syntax != self.transfer_syntax:
            return None
        return sum(r.length for r in ranges) if self._plain() else -(-self.table.frame_bits // 8)

    def decode(self, number: int) -> DecodedFrame:
        """The decoded pixels of one frame. Raises ``CannotDecode``, ``NotFound``."""
        plain = self.inflated is not None or self._swapped_pairs()
        stored = EXPLICIT_VR_LITTLE_ENDIAN if plain else self.instance.transfer_syntax
        size = sum(r.length for r in self._ranges(number))
        if not self.decodable or size > LARGEST_DECODED:
            raise CannotDecode(f"{stored.name}: a frame of {size} bytes is not decoded")
        return decode_frame(self._stored(number), stored.uid, self.pixels)

    def _plain(self) -> bool:
        """Whether a frame is simply a range of the object: no inflation, no other byte order, no packed bits."""
        stored = self.instance.transfer_syntax
        if stored.encapsulated:
            return True
        return self.inflated is None and stored.little_endian and self.pixels.bits_allocated != 1

    def _ranges(self, number: int) -> Sequence[FrameRange]:
        if not 1 <= number <= self.count:
            raise NotFound(f"the instance has {self.count} frames, there is no frame {number}")
        return self.table.ranges(number)

    def _stored(self, number: int) -> bytes:
        """The bytes of a frame as stored, fragments joined, packed bits brought to a byte boundary."""
        if self._swapped_pairs():
            return self._from_pairs(number)
        return self.table.extract_frame(self._joined(self._ranges(number)), number)

    def _joined(self, ranges: Sequence[FrameRange]) -> bytes:
        """The bytes of ``ranges`` one after the other, read at once where they lie close together."""
        read = self._read if self.inflated is None else self.inflated.read_at
        if len(ranges) == 1 or _span(ranges) > _SPAN:
            return b"".join(read(r.offset, r.length) for r in ranges)
        start = ranges[0].offset
        data = read(start, _span(ranges))
        return b"".join(data[r.offset - start : r.offset - start + r.length] for r in ranges)

    def _read(self, offset: int, length: int) -> bytes:
        return read_range(self.instance.object_key, offset, length)

    def _swapped_pairs(self) -> bool:
        """Samples of up to 8 bits in big-endian OW: each pair of bytes is swapped (PS3.5 A.3)."""
        pixels, stored = self.pixels, self.instance.transfer_syntax
        swapped = not stored.little_endian and not stored.encapsulated
        return swapped and pixels.value_representation == "OW" and pixels.bits_allocated <= 8

    def _from_pairs(self, number: int) -> bytes:
        """A frame out of swapped pairs; it may begin or end in the middle of one."""
        base = self.table.ranges(1)[0].offset
        (frame,) = self._ranges(number)
        begin, end = frame.offset - base, frame.offset - base + frame.length
        first, last = begin - begin % 2, end + end % 2
        data = little_endian(read_range(self.instance.object_key, base + first, last - first), "OW")
        return self.table.extract_frame(data[begin - first : end - first], number)

    def _native(self, number: int) -> bytes:
        data = self._stored(number)
        vr = _VR_OF_BITS.get(self.pixels.bits_allocated)
        return data if vr is None or self.instance.transfer_syntax.little_endian else little_endian(data, vr)


def _span(ranges: Sequence[FrameRange]) -> int:
    """Bytes from the beginning of the first range to the end of the last."""
    return ranges[-1].offset + ranges[-1].length - ranges[0].offset


def frames_of(instance: Located) -> Frames:
    """The frames of ``instance``. Raises ``NotFound`` when it has none."""
    packed = Instance.objects.values_list("frame_table", flat=True).get(pk=instance.pk)
    if packed is None or instance.pixels is None:
        raise NotFound("the instance has no frames")
    table = FrameTable.unpack(bytes(packed))
    if table.count == 0:
        raise NotFound("the instance has no frames")
    deflated = instance.transfer_syntax.deflated
    source = inflated(instance.object_key, instance.object_size) if deflated else None
    return Frames(instance, instance.pixels, table, source)
