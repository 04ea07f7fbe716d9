"""Whole objects in another transfer syntax than the stored one (PS3.18 8.7.3.5), made frame by frame as they leave.

What is stored never changes; corrections are made on the way out (``archive.corrected_objects``). The data set is
written anew in Explicit VR Little Endian (``dicom.rewriting``), the frames are decoded, and coded if that is asked for;
attributes that describe the encoding say what is there now. Nothing is lost that the stored frames still had, so that
the SOP Instance UID stays.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from struct import pack
from tempfile import SpooledTemporaryFile

from archive.corrected_objects import changes_of, given_syntax
from archive.errors import NotFound, NotRenderable
from archive.frames import Frames, Tables, frame_tables, frames_of
from archive.frames_ahead import begin, window
from archive.locate import Located
from archive.payload import Payload, inflated
from archive.payload import stored as stored_object
from archive.representations import held_instance
from dicom.codecs import CODECS, cannot_encode
from dicom.described import described
from dicom.element_writer import Layout, even
from dicom.elements import PIXEL_DATA
from dicom.errors import DicomError
from dicom.pixels import PixelDescription
from dicom.rewriting import Change, Rewritten, rewrite
from dicom.source import ByteSource
from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, RLE_LOSSLESS, TransferSyntax

TARGETS: Sequence[TransferSyntax] = (
    EXPLICIT_VR_LITTLE_ENDIAN,
    *(codec.transfer_syntax for codec in CODECS.values() if codec.encode),
)
_NUMBER_OF_FRAMES, _PHOTOMETRIC_INTERPRETATION, _PLANAR_CONFIGURATION = 0x00280008, 0x00280004, 0x00280006
_LOSSY_IMAGE_COMPRESSION = 0x00282110
_TAGS = {keyword: tag for tag, keyword in PIXEL_DATA.items()}
_SHARED_CHROMINANCE = ("_422", "_420")
_IN_MEMORY = 32 << 20
# Frame tables that are looked up together
_TABLES = 20
_FLOATS = {"FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}


@dataclass(frozen=True, slots=True)
class Transcoded:
    """An object on its way out, its first frame made: a ``payload`` if its length is known before, else ``pieces``."""

    payload: Payload | None
    pieces: Callable[[], Iterator[bytes]]

    @property
    def length(self) -> int | None:
        """Bytes, if they can be known before they are made."""
        return self.payload.length if self.payload is not None else None


# The frames of these numbers, in their order
_Making = Callable[[range], Iterator[bytes]]
# The object; if it is wanted whole, all frames are made first, so that none can be missing later.
_Finish = Callable[[bool], Transcoded]
# What comes before the first frame and behind the last, that frame, and all of them
_FirstMade = tuple[Rewritten, bytes, Frames]


@dataclass(frozen=True, slots=True)
class _Segment:
    length: int
    part: Callable[[int, int], Iterator[bytes]]


def cannot_give(instance: Located, target: TransferSyntax) -> str:
    """Why ``instance``, and its frames, can't be given in ``target``; "" where they can, as far as its header tells."""
    if target == instance.transfer_syntax != given_syntax(instance):
        return "what is corrected is written in Explicit VR Little Endian"
    return _cannot_give(instance.transfer_syntax, instance.pixels, target)


@lru_cache(maxsize=1024)
def targets_of(stored: TransferSyntax, pixels: PixelDescription | None) -> tuple[TransferSyntax, ...]:
    """In which of ``TARGETS`` an instance of this kind can be given; it follows from nothing else, and so is kept."""
    return tuple(target for target in TARGETS if not _cannot_give(stored, pixels, target))


def _cannot_give(stored: TransferSyntax, pixels: PixelDescription | None, target: TransferSyntax) -> str:
    if target == stored:
        return ""
    if target not in TARGETS:
        return "objects are not written in this transfer syntax"
    if pixels is None:
        return "the instance has no pixel data" if target.encapsulated else ""
    if not target.encapsulated and not stored.encapsulated:
        return ""
    if CODECS[stored.uid].decode is None:
        return f"{stored.name} is not decoded"
    if not target.encapsulated:
        return ""
    if stored.lossless and pixels.photometric_interpretation.endswith(_SHARED_CHROMINANCE):
        return (
            f"(0028,0004) PhotometricInterpretation is {pixels.photometric_interpretation[:16]}: colours would change"
        )
    return cannot_encode(target.uid, pixels)


def given_object(instance: Located) -> Payload:
    """``instance`` as a Part 10 object in ``given_syntax``: byte for byte as it was received, or corrected.

    Raises ``NotRenderable`` for a header that can't be read, ``ArchiveUnavailable``.
    """
    if instance.correction is None:
        return stored_object(instance.source, 0, instance.object_size)
    given = _begun(instance, given_syntax(instance))(False).payload
    if given is None:
        raise NotRenderable("the length of the object is not known")
    return given


def transcode(instance: Located, target: TransferSyntax) -> Transcoded:
    """``instance`` as a Part 10 object in ``target``, one of ``TARGETS`` but the stored one.

    Raises ``NotRenderable`` with the reason where that can't be, ``ArchiveUnavailable``.
    """
    return _begun(instance, target)(False)


def transcode_each(instances: Sequence[Located], target: TransferSyntax) -> Iterator[tuple[Located, Transcoded | None]]:
    """Each of several in its turn, the next ones begun before; all of an object's frames are made by then.

    ``None`` stands for those that lie in ``target`` already, and for those whose frames turn out to be damaged, which
    may still be given as they are stored.
    """
    waiting: deque[tuple[Located, _Finish | None]] = deque()
    tables: Tables = {}
    for at, instance in enumerate(instances):
        if at % _TABLES == 0:
            tables = frame_tables([each for each in instances[at : at + _TABLES] if each.transfer_syntax != target])
        waiting.append((instance, _begun_or_none(instance, target, tables)))
        if len(waiting) > window(instance.pixels.frame_bytes if instance.pixels else 0):
            yield _finished(*waiting.popleft())
    while waiting:
        yield _finished(*waiting.popleft())


def _begun_or_none(instance: Located, target: TransferSyntax, tables: Tables) -> _Finish | None:
    if target == instance.transfer_syntax:
        return None
    try:
        return _begun(instance, target, tables, ahead=True)
    except NotRenderable:
        return None


def _finished(instance: Located, finish: _Finish | None) -> tuple[Located, Transcoded | None]:
    try:
        return instance, finish and finish(True)
    except NotRenderable:
        return instance, None


def _begun(instance: Located, target: TransferSyntax, tables: Tables | None = None, *, ahead: bool = False) -> _Finish:
    """All that asks the database; data set and first frame are made by what is returned, or ``ahead`` of it."""
    corrections = changes_of(instance)
    if ready := held_instance(instance, target):
        instance = ready
    if target == instance.transfer_syntax and not corrections:
        payload = stored_object(instance.source, 0, instance.object_size)
        return lambda whole: Transcoded(payload, payload.open)
    if reason := cannot_give(instance, target):
        raise NotRenderable(reason)
    stored, pixels = instance.transfer_syntax, instance.pixels
    if pixels is None or target == stored or not (stored.encapsulated or target.encapsulated):
        data_set = inflated(instance.source) if stored.deflated else None
        written = _rewrite(instance, instance.source, data_set, target, corrections, cut_pixels=False)
        return lambda whole: _measured([_layout(written.before), _layout(written.after)])
    try:
        frames = frames_of(instance, tables)
    except NotFound as error:
        raise NotRenderable("the pixel data have no frames that could be decoded") from error
    make = partial(_first_made, frames, target, _changes(frames, pixels, target) | corrections)
    first_made = begin(make).result if ahead else make

    def finish(whole: bool) -> Transcoded:
        written, first, source = first_made()
        made = (_kept if whole and frames.count > 1 else _later)(first, source, target)
        if target.encapsulated:
            written.before.start_sequence(_TAGS[pixels.keyword], "OB")
            written.before.start_item(0)
            return Transcoded(None, lambda: _encapsulated(written, made, frames.count))
        return _native(written, made, frames.count, pixels)

    return finish


def _first_made(frames: Frames, target: TransferSyntax, changes: Mapping[int, Change]) -> _FirstMade:
    read = frames

    def made() -> bytes:
        nonlocal read
        read = frames.in_memory()
        return read.transcoded(1, target)

    first = frames.made(1, target, made)
    # Where another made it, little more than the header is read here.
    return _rewrite(read.instance, read.source, read.inflated, target, changes, cut_pixels=True), first, read


def _later(first: bytes, frames: Frames, target: TransferSyntax) -> _Making:
    def made(numbers: range) -> Iterator[bytes]:
        if numbers.start == 1:
            yield first
            numbers = numbers[1:]
        yield from frames.made_ahead(numbers, target)

    return made


def _kept(first: bytes, frames: Frames, target: TransferSyntax) -> _Making:
    """All frames, in memory or, if they are large, in a file without a name."""
    file, ends = SpooledTemporaryFile(_IN_MEMORY), [0]  # noqa: SIM115 - goes with the last reference
    for frame in _later(first, frames, target)(range(1, frames.count + 1)):
        file.write(frame)
        ends.append(ends[-1] + len(frame))

    def made(numbers: range) -> Iterator[bytes]:
        for number in numbers:
            file.seek(ends[number - 1])
            yield file.read(ends[number] - ends[number - 1])

    return made


def _native(written: Rewritten, made: _Making, count: int, pixels: PixelDescription) -> Transcoded:
    bits = pixels.rows * pixels.columns * pixels.samples_per_pixel * pixels.bits_allocated
    size = -(-bits * count // 8)
    vr = _FLOATS.get(pixels.keyword, "OB" if pixels.bits_allocated <= 8 else "OW")
    written.before.header(_TAGS[pixels.keyword], vr, even(size))
    if bits % 8:
        value = _Segment(size, lambda offset, length: _cut(_packed(made, count, bits), offset, length))
    else:
        value = _Segment(size, lambda offset, length: _samples(made, bits // 8, offset, length))
    padding = _Segment(size % 2, lambda offset, length: iter([b"\0"]))
    return _measured([_layout(written.before), value, padding, _layout(written.after)])


def _rewrite(
    instance: Located,
    source: ByteSource,
    data_set: ByteSource | None,
    target: TransferSyntax,
    changes: Mapping[int, Change],
    *,
    cut_pixels: bool,
) -> Rewritten:
    bits = instance.pixels.bits_allocated if instance.pixels is not None else 16
    try:
        return rewrite(
            source,
            data_set,
            instance.transfer_syntax,
            target.uid,
            changes,
            cut_pixels=cut_pixels,
            bits_allocated=bits,
        )
    except DicomError as error:
        raise NotRenderable(str(error)) from error


def _changes(frames: Frames, pixels: PixelDescription, target: TransferSyntax) -> dict[int, Change]:
    """The attributes that describe the encoding, as they are after it (PS3.3 C.7.6.3, PS3.5 8.2)."""
    now, changes = described(pixels), dict[int, Change]()
    if now.photometric_interpretation != pixels.photometric_interpretation:
        changes[_PHOTOMETRIC_INTERPRETATION] = _text("CS", now.photometric_interpretation)
    if pixels.samples_per_pixel > 1:
        by_plane = target == RLE_LOSSLESS or (not target.encapsulated and now.planar_configuration == 1)
        changes[_PLANAR_CONFIGURATION] = Change("US", pack("<H", by_plane))
    if frames.count != pixels.number_of_frames:
        changes[_NUMBER_OF_FRAMES] = _text("IS", str(frames.count))
    if not frames.instance.transfer_syntax.lossless:
        changes[_LOSSY_IMAGE_COMPRESSION] = Change("CS", b"01", only_if_absent=True)
    return changes


def _text(vr: str, value: str) -> Change:
    return Change(vr, value.encode() + b" " * (len(value) % 2))


def _encapsulated(whole: Rewritten, made: _Making, count: int) -> Iterator[bytes]:
    """Each frame a fragment, behind an empty Basic Offset Table: nobody knows the lengths yet (PS3.5 A.4)."""
    yield from whole.before.chunks()
    for codestream in made(range(1, count + 1)):
        yield pack("<HHI", 0xFFFE, 0xE000, len(codestream)) + codestream
    yield pack("<HHI", 0xFFFE, 0xE0DD, 0)
    yield from whole.after.chunks()


def _samples(made: _Making, size: int, offset: int, count: int) -> Iterator[bytes]:
    """``count`` bytes from ``offset`` of frames of ``size`` bytes; only those that are asked for are made."""
    end = offset + count
    numbers = range(offset // size + 1, -(-end // size) + 1)
    for number, frame in zip(numbers, made(numbers), strict=True):
        if len(frame) != size:
            raise NotRenderable(f"frame {number}: {size} bytes expected, found {len(frame)}")
        before = (number - 1) * size
        yield frame[max(0, offset - before) : end - before]


def _packed(made: _Making, count: int, bits: int) -> Iterator[bytes]:
    """1-bit frames one after the other without a gap (PS3.5 8.1.1)."""
    waiting, held = 0, 0
    for number, frame in enumerate(made(range(1, count + 1)), 1):
        waiting |= int.from_bytes(frame, "little") << held
        held += bits
        whole = held // 8 if number < count else -(-held // 8)
        yield (waiting & ((1 << whole * 8) - 1)).to_bytes(whole, "little")
        waiting >>= whole * 8
        held = max(0, held - whole * 8)


def _layout(layout: Layout) -> _Segment:
    return _Segment(layout.size, lambda offset, count: _cut(layout.chunks(), offset, count))


def _cut(pieces: Iterator[bytes], offset: int, count: int) -> Iterator[bytes]:
    """``count`` bytes from ``offset`` of what ``pieces`` are together."""
    end, position = offset + count, 0
    for piece in pieces:
        if position >= end:
            return
        if position + len(piece) > offset:
            yield piece[max(0, offset - position) : end - position]
        position += len(piece)


def _measured(segments: Sequence[_Segment]) -> Transcoded:
    """Segments one after the other as a payload of which any part can be had."""

    def part(offset: int, count: int) -> Iterator[bytes]:
        end, position = offset + count, 0
        for segment in segments:
            begin, stop = max(offset - position, 0), min(end - position, segment.length)
            if begin < stop:
                yield from segment.part(begin, stop - begin)
            position += segment.length

    payload = Payload(sum(segment.length for segment in segments), part)
    return Transcoded(payload, payload.open)
