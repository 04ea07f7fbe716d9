"""Frames of an instance, found through the frame table that ingest wrote: a look-up and a byte range."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import chain

from pydicom.dataset import Dataset

from archive.codec_processes import away, has_own_children
from archive.corrections import corrected_header
from archive.decoding import decoding
from archive.errors import NotFound, NotRenderable
from archive.frame_cache import FrameCache, FrameKey, frame_cache
from archive.frames_ahead import ahead
from archive.locate import Located
from archive.payload import Payload, in_memory, inflated, open_range, read_range, stored
from archive.retrieve import little_endian, of_their_objects
from audit.prepared import PreparedSql
from dicom import annotation
from dicom.codecs import CODECS, DecodedFrame, decode_frame, is_coded_safely
from dicom.described import recoded
from dicom.errors import CannotDecode
from dicom.frames import FrameRange, FrameTable
from dicom.instance import ParsedInstance
from dicom.limits import in_force
from dicom.memory_source import MemorySource
from dicom.part10 import ByteSource
from dicom.picture_header import WANTED, Wanted, read_picture_header
from dicom.pixels import PixelDescription
from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TransferSyntax

# An object of one frame and no more than this is read at once, header and frame.
_SMALL = 4 << 20
# Fragments of a frame that lie this close together are read at once.
_SPAN = 16 << 20
_PIECE = 1 << 20
# Values of any VR begin at multiples of this many bytes, and so do pieces.
_WORD = 8
# Frame tables by the primary key of their instance
Tables = Mapping[int, bytes | None]
_TABLES = PreparedSql("SELECT id, object_key, frame_table FROM archive_instance WHERE id = ANY(%s::bigint[])")
_TABLE_BYTES = 16 << 20
_VR_OF_BITS = {16: "OW", 32: "OL", 64: "OV"}


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of one instance, numbered from 1.

    ``inflated`` is set where ranges refer to an inflated data set; its temporary file goes with the last reference.
    ``whole`` is the object, where it has been read.
    """

    instance: Located
    pixels: PixelDescription
    table: FrameTable
    inflated: ByteSource | None
    whole: MemorySource | None = field(default=None, kw_only=True)

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
        return CODECS[self.instance.transfer_syntax.uid].decode is not None

    @property
    def source(self) -> ByteSource:
        """The object."""
        return self.whole or self.instance.source

    def in_memory(self) -> "Frames":
        """The same with the object read, if that is one frame and not large; else as they are.

        For who reads header and frame anyway. Raises ``ArchiveUnavailable``.
        """
        size = self.instance.object_size
        if self.count > 1 or size > _SMALL or self.inflated is not None:
            return self
        return replace(self, whole=MemorySource(read_range(self.instance.source, 0, size)))

    def open(self, number: int, transfer_syntax: TransferSyntax) -> Payload:
        """Frame ``number`` in ``transfer_syntax``: as it lies in the object, decoded to Explicit VR LE, or coded anew.

        An encapsulated frame comes as the bare codestream, its fragments joined. Raises ``NotFound`` for a frame
        that is not there, ``NotRenderable`` for one that can't be decoded, or coded in this transfer syntax.
        """
        ranges = self._ranges(number)
        if transfer_syntax != self.transfer_syntax:
            return in_memory(self.made(number, transfer_syntax))
        if not self._plain():
            return in_memory(self._native(number))
        return Payload(
            sum(r.length for r in ranges), lambda offset, length: self._pieces(_within(ranges, offset, length))
        )

    def transcoded(self, number: int, transfer_syntax: TransferSyntax) -> bytes:
        """Frame ``number`` decoded, and coded in ``transfer_syntax`` if that is an encapsulated one.

        Its colours are those of ``dicom.described``. Raises as ``open`` does.
        """
        try:
            if self._length_stored(number) <= _SPAN:
                return self._recoded(number, transfer_syntax)
            with decoding():  # before it is read: many of them would not fit into memory
                return self._recoded(number, transfer_syntax)
        except CannotDecode as error:
            raise NotRenderable(str(error)) from error

    def made(self, number: int, transfer_syntax: TransferSyntax, make: Callable[[], bytes] | None = None) -> bytes:
        """``transcoded``, or what ``make`` returns in its place: once for all who ask for it at the same time, and kept
        as long as there is room. What is made at rest nobody else asks for."""
        making = make or (lambda: self.transcoded(number, transfer_syntax))
        if has_own_children():
            return making()
        key = FrameKey(self.instance.object_key, number, transfer_syntax.uid)
        return frame_cache().get(key, making)

    def made_ahead(self, numbers: Iterable[int], transfer_syntax: TransferSyntax) -> Iterator[bytes]:
        """The same for each of ``numbers``, in their order, some made before their turn comes."""
        making = (partial(self.made, number, transfer_syntax) for number in numbers)
        return ahead(making, self.pixels.frame_bytes)

    def open_ahead(self, numbers: Iterable[int], transfer_syntax: TransferSyntax) -> Iterator[Payload]:
        """``open`` for each of ``numbers``, in their order; those that must be made are begun before their turn."""
        if transfer_syntax == self.transfer_syntax:
            return (self.open(number, transfer_syntax) for number in numbers)
        opening = (partial(self.open, number, transfer_syntax) for number in numbers)
        return ahead(opening, self.pixels.frame_bytes)

    def open_value(self) -> Payload:
        """All native frames as the one value that they are in the data set, little endian (PS3.5 8.1.1)."""
        start, last = self.table.ranges(1)[0].offset, self.table.ranges(self.count)[-1]
        length = last.offset + last.length - start
        if self.inflated is None and self.instance.transfer_syntax.little_endian:
            return stored(self.instance.source, start, length)

        def part(offset: int, count: int) -> Iterator[bytes]:
            begin, end = offset - offset % _WORD, min(length, offset + count + -(offset + count) % _WORD)
            for at in range(begin, end, _PIECE):
                piece = self._ordered(start + at, min(_PIECE, end - at))
                yield piece[max(0, offset - at) : offset + count - at]

        return Payload(length, part)

    def length(self, number: int, transfer_syntax: TransferSyntax) -> int | None:
        """Bytes of frame ``number`` as ``open`` gives it; ``None`` where only decoding can tell."""
        ranges = self._ranges(number)
        if transfer_syntax != self.transfer_syntax:
            return None
        return sum(r.length for r in ranges) if self._plain() else -(-self.table.frame_bits // 8)

    def picture_header(self, number: int) -> Dataset:
        """What drawing a frame needs of the header; frame ``number`` is the first of its functional groups.

        Raises ``ArchiveUnavailable``.
        """
        return self._header(number)

    def annotation_header(self, number: int) -> Dataset:
        """What ``dicom.annotation`` writes about the image. Raises ``ArchiveUnavailable``."""
        return corrected_header(self._header(number, annotation.TAGS), self.instance.correction)

    def _header(self, number: int, wanted: Wanted = WANTED) -> Dataset:
        source = self.inflated or self.instance.header
        return read_picture_header(source, self.instance.transfer_syntax, number, wanted)

    def decode(self, number: int) -> DecodedFrame:
        """The decoded pixels of one frame, to be asked for inside ``decoding()``.

        Raises ``CannotDecode``, ``NotFound``, ``ArchiveUnavailable``.
        """
        stored = self._codec(number)
        if stored.encapsulated:
            return away(decode_frame, self._stored(number), stored.uid, self.pixels)
        return decode_frame(self._stored(number), stored.uid, self.pixels)

    def _recoded(self, number: int, transfer_syntax: TransferSyntax) -> bytes:
        stored = self._codec(number)
        if not (stored.encapsulated or transfer_syntax.encapsulated):  # nothing there that could do harm
            return recoded(self._stored(number), stored.uid, self.pixels, transfer_syntax.uid)
        if not stored.encapsulated and is_coded_safely(transfer_syntax.uid, self.pixels) and not has_own_children():
            with decoding():
                return recoded(self._stored(number), stored.uid, self.pixels, transfer_syntax.uid)
        return away(recoded, self._stored(number), stored.uid, self.pixels, transfer_syntax.uid)

    def _codec(self, number: int) -> TransferSyntax:
        """In which ``_stored`` gives the frame, if that can be decoded. Raises ``CannotDecode``."""
        plain = self.inflated is not None or self._swapped_pairs()
        stored = EXPLICIT_VR_LITTLE_ENDIAN if plain else self.instance.transfer_syntax
        # A frame as stored goes into memory to be decoded; what is larger (a whole video) can't be.
        size = self._length_stored(number)
        if not self.decodable or size > in_force().frame_bytes:
            raise CannotDecode(f"{stored.name}: a frame of {size} bytes is not decoded")
        return stored

    def _length_stored(self, number: int) -> int:
        return sum(r.length for r in self._ranges(number))

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

    def _ordered(self, offset: int, length: int) -> bytes:
        """Bytes of the value, inflated and little endian; ``offset`` and ``length`` split no word."""
        read = self._read if self.inflated is None else self.inflated.read_at
        data = read(offset, length)
        if self.instance.transfer_syntax.little_endian:
            return data
        return little_endian(data, _VR_OF_BITS.get(self.pixels.bits_allocated, self.pixels.value_representation))

    def _pieces(self, ranges: Sequence[FrameRange]) -> Iterator[bytes]:
        """The bytes of fragments one after the other, the first in hand."""
        if not ranges:
            return iter(())
        if len(ranges) > 1 and _span(ranges) <= _SPAN:
            return iter([self._joined(ranges)])
        source = self.instance.source
        first = open_range(source, ranges[0].offset, ranges[0].length)
        rest = (open_range(source, r.offset, r.length) for r in ranges[1:])
        return chain(first, chain.from_iterable(rest))

    def _read(self, offset: int, length: int) -> bytes:
        if self.whole is not None:
            return self.whole.read_at(offset, length)
        return read_range(self.instance.source, offset, length)

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
        data = little_endian(self._read(base + first, last - first), "OW")
        return self.table.extract_frame(data[begin - first : end - first], number)

    def _native(self, number: int) -> bytes:
        data = self._stored(number)
        vr = _VR_OF_BITS.get(self.pixels.bits_allocated)
        return data if vr is None or self.instance.transfer_syntax.little_endian else little_endian(data, vr)


def _within(ranges: Sequence[FrameRange], offset: int, length: int) -> list[FrameRange]:
    """What of ``ranges``, joined, lies at ``offset``: ``length`` bytes of it."""
    found, passed = [], 0
    for each in ranges:
        begin, end = max(offset - passed, 0), min(offset + length - passed, each.length)
        if begin < end:
            found.append(FrameRange(each.offset + begin, end - begin))
        passed += each.length
    return found


def _span(ranges: Sequence[FrameRange]) -> int:
    """Bytes from the beginning of the first range to the end of the last."""
    return ranges[-1].offset + ranges[-1].length - ranges[0].offset


def frame_tables(instances: Sequence[Located]) -> Tables:
    """The frame tables of several instances, by primary key: for ``frames_of`` each of them.

    Most were read with the instance; of longer ones one look-up, or none where the one that is asked for is known.
    """
    tables = {each.pk: each.frame_table for each in instances}
    long = [each for each in instances if each.frame_table == b""]
    if len(long) == 1:
        tables[long[0].pk] = _known_tables().get(long[0].object_key, lambda: _long_table(long[0]))
    elif long:
        tables |= _look_up(long)
    return tables


def _long_table(instance: Located) -> bytes:
    packed = _look_up([instance]).get(instance.pk)
    if packed is None:
        raise NotFound("the instance has no frames")
    return packed


def _look_up(instances: Sequence[Located]) -> dict[int, bytes | None]:
    return of_their_objects(instances, _TABLES, lambda packed: packed, _packed)


def _packed(parsed: ParsedInstance) -> bytes | None:
    return parsed.frames.pack() if parsed.frames is not None else None


@cache
def _known_tables() -> FrameCache:
    """Long frame tables by the key of their object, which is written once: none ever has to be forgotten."""
    return FrameCache(_TABLE_BYTES)


def frames_of(instance: Located, tables: Tables | None = None) -> Frames:
    """The frames of ``instance``, its table taken from ``tables`` if they are known. Raises ``NotFound`` for none."""
    packed, pixels = (tables or frame_tables([instance])).get(instance.pk), instance.pixels
    if not packed or pixels is None:
        raise NotFound("the instance has no frames")
    table = FrameTable.unpack(packed)
    if table.count == 0:
        raise NotFound("the instance has no frames")
    deflated = instance.transfer_syntax.deflated
    source = inflated(instance.source) if deflated else None
    if instance.block_crcs == b"":  # looked up here: the threads that make frames ahead ask no database
        instance = replace(instance, block_crcs=instance.source.known())
    return Frames(instance, pixels, table, source)
