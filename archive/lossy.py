"""Copies that lose something: new instances in a new series, labelled as what they are, never in place of anything.

PS3.3 C.7.6.1.1.5 and C.12.4: ImageType says DERIVED, Lossy Image Compression is 01 with ratio and method, and the
source is referred to. They come in by the one way in, as anything else does.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from struct import pack
from typing import IO, Any

import orjson
from django.conf import settings
from pydicom.uid import generate_uid

from archive.codec_processes import away
from archive.errors import NotFound, NotRenderable
from archive.frames import Frames, frames_of
from archive.importing import record_import
from archive.locate import Address, Located, locate
from archive.models import Study
from archive.standstill import refuse_writing
from archive.store import Batching, store
from dicom.element_writer import Layout
from dicom.elements import PIXEL_DATA
from dicom.errors import DicomError
from dicom.lossy import encode_jpeg_2000
from dicom.part10 import parse
from dicom.rewriting import SOP_INSTANCE_UID, Change, rewrite
from dicom.transfer_syntaxes import JPEG_2000

METHOD = "ISO_15444_1"
_IMAGE_TYPE, _DERIVATION_DESCRIPTION, _SOURCE_IMAGE_SEQUENCE = 0x00080008, 0x00082111, 0x00082112
_DERIVATION_CODE_SEQUENCE, _SERIES_DESCRIPTION, _SERIES_INSTANCE_UID = 0x00089215, 0x0008103E, 0x0020000E
_PHOTOMETRIC_INTERPRETATION, _PLANAR_CONFIGURATION = 0x00280004, 0x00280006
_LOSSY, _RATIO, _METHOD = 0x00282110, 0x00282112, 0x00282114
_PURPOSE_OF_REFERENCE = 0x0040A170
_FUNCTIONAL_GROUPS = ("52009230", "52009229")
_LOSSY_COMPRESSION = ("113040", "DCM", "Lossy Compression")
_PREDECESSOR = ("121320", "DCM", "Uncompressed predecessor")
_COLOURS = {"MONOCHROME1": "", "MONOCHROME2": "", "RGB": "YBR_ICT", "YBR_FULL": ""}
_PIXEL_DATA = next(tag for tag, keyword in PIXEL_DATA.items() if keyword == "PixelData")


@dataclass(frozen=True, slots=True)
class _Source:
    """An instance to be copied, with its data set as DICOM JSON and its SOP Instance UID to be."""

    instance: Located
    values: Mapping[str, Any]
    frames: Frames
    uid: str
    series_uid: str


def copies(study_instance_uid: str, ratio: float) -> Iterator[tuple[str, str]]:
    """Make lossy JPEG 2000 copies of the instances of a study, about ``ratio`` times smaller.

    Yields the SOP Instance UID of each source, with the reason where it has no copy. Raises ``NotFound``,
    ``ArchiveUnavailable``, ``ArchiveFull``, ``Standstill``.
    """
    found = locate(Study.objects.all(), Address(study_instance_uid))
    series: dict[str, str] = {}
    given: list[str] = []
    refused: list[tuple[str, str]] = []

    def objects() -> Iterator[Iterator[bytes]]:
        for instance in found:
            refuse_writing()
            series_uid = series.setdefault(instance.series_instance_uid, generate_uid(prefix=None))
            try:
                source = _source(instance, series_uid)
                with tempfile.TemporaryFile() as file:
                    lengths, colours = _encode(source, ratio, file)
                    given.append(instance.sop_instance_uid)
                    yield _pieces(source, lengths, colours, file)
            except (NotRenderable, NotFound, DicomError) as error:
                refused.append((instance.sop_instance_uid, str(error)))

    limits = settings.PACS.limits
    batching = Batching(
        limits.store_batch_instances,
        limits.store_batch_bytes,
        limits.store_part_bytes,
        limits.archive_bytes,
        settings.PACS.quota.sites,
    )
    for at, stored in enumerate(store(objects(), batching=batching, record=record_import)):
        yield given[at], stored.text if stored.failure_reason is not None else ""
    yield from refused


def _source(instance: Located, series_uid: str) -> _Source:
    """Raises ``NotRenderable`` for what must not be copied with loss, ``NotFound`` for what has no frames."""
    syntax, pixels = instance.transfer_syntax, instance.pixels
    if not syntax.lossless:
        raise NotRenderable(f"it is in {syntax.name} already")
    if pixels is None or pixels.keyword != "PixelData" or pixels.bits_allocated not in (8, 16):
        raise NotRenderable("it has no pixels of 8 or 16 bits")
    if pixels.photometric_interpretation not in _COLOURS:
        raise NotRenderable("its photometric interpretation is not copied with loss")
    values = orjson.loads(parse(instance.source).json_text)
    modality = _texts(values, "00080060")
    if set(modality) & set(settings.PACS.at_rest.never_lossy):
        raise NotRenderable(f"copies of modality {modality[0][:16]} must not lose anything")
    if _texts(values, f"{_LOSSY:08X}") == ["01"]:
        raise NotRenderable("it has lost something once already")
    if any(tag in values for tag in _FUNCTIONAL_GROUPS):
        raise NotRenderable("objects with functional groups are not copied with loss")
    return _Source(instance, values, frames_of(instance), generate_uid(prefix=None), series_uid)


def _encode(source: _Source, ratio: float, file: IO[bytes]) -> tuple[list[int], str]:
    """Write the codestreams; their lengths, and the photometric interpretation of what was encoded."""
    lengths, colours = [], ""
    for number in range(1, source.frames.count + 1):
        frame = source.frames.decode(number)
        codestream = away(encode_jpeg_2000, frame, source.frames.pixels, ratio)
        file.write(codestream)
        lengths.append(len(codestream))
        colours = frame.photometric_interpretation
    return lengths, _COLOURS.get(colours) or colours


def _pieces(source: _Source, lengths: Sequence[int], colours: str, file: IO[bytes]) -> Iterator[bytes]:
    instance, pixels = source.instance, source.frames.pixels
    native = pixels.rows * pixels.columns * pixels.samples_per_pixel * pixels.bits_allocated // 8 * len(lengths)
    whole = rewrite(
        instance.source,
        source.frames.inflated,
        instance.transfer_syntax,
        JPEG_2000.uid,
        _changes(source, colours, native / max(1, sum(lengths))),
        cut_pixels=True,
        bits_allocated=pixels.bits_allocated,
    )
    whole.before.start_sequence(_PIXEL_DATA, "OB")
    whole.before.start_item(0)
    yield from whole.before.chunks()
    file.seek(0)
    for length in lengths:
        yield pack("<HHI", 0xFFFE, 0xE000, length) + file.read(length)
    yield pack("<HHI", 0xFFFE, 0xE0DD, 0)
    yield from whole.after.chunks()


def _changes(source: _Source, colours: str, ratio: float) -> dict[int, Change]:
    values, instance = source.values, source.instance
    kind = ["DERIVED", *(_texts(values, f"{_IMAGE_TYPE:08X}")[1:] or ["PRIMARY"])]
    description = " ".join(_texts(values, f"{_SERIES_DESCRIPTION:08X}"))
    label = f"JPEG 2000 lossy {ratio:.3g}:1"
    named = f"{description[:38]} {label}" if description.isascii() and description else label
    ratios = [*_texts(values, f"{_RATIO:08X}"), f"{ratio:.4g}"]
    methods = [*_texts(values, f"{_METHOD:08X}"), METHOD]
    changes = {
        _IMAGE_TYPE: _text("CS", "\\".join(kind)),
        SOP_INSTANCE_UID: _uid(source.uid),
        _SERIES_DESCRIPTION: _text("LO", named[:64]),
        _DERIVATION_DESCRIPTION: _text("ST", f"Lossy compression with JPEG 2000, {ratio:.3g}:1"),
        _SOURCE_IMAGE_SEQUENCE: _sequence(_reference(instance)),
        _DERIVATION_CODE_SEQUENCE: _sequence(_code(*_LOSSY_COMPRESSION)),
        _SERIES_INSTANCE_UID: _uid(source.series_uid),
        _PHOTOMETRIC_INTERPRETATION: _text("CS", colours),
        _LOSSY: _text("CS", "01"),
        _RATIO: _text("DS", "\\".join(ratios)),
        _METHOD: _text("CS", "\\".join(methods)),
    }
    if source.frames.pixels.samples_per_pixel > 1:
        changes[_PLANAR_CONFIGURATION] = Change("US", pack("<H", 0))
    return changes


def _reference(instance: Located) -> Layout:
    item = Layout()
    for tag, uid in ((0x00081150, instance.sop_class_uid), (0x00081155, instance.sop_instance_uid)):
        item.element(tag, "UI", _uid(uid).value)
    item.element(_PURPOSE_OF_REFERENCE, "SQ", _sequence(_code(*_PREDECESSOR)).value)
    return item


def _code(value: str, scheme: str, meaning: str) -> Layout:
    item = Layout()
    for tag, vr, text in ((0x00080100, "SH", value), (0x00080102, "SH", scheme), (0x00080104, "LO", meaning)):
        item.element(tag, vr, _text(vr, text).value)
    return item


def _sequence(item: Layout) -> Change:
    """A sequence of one item, with its lengths (PS3.5 7.5.1)."""
    body = b"".join(item.chunks())
    return Change("SQ", pack("<HHI", 0xFFFE, 0xE000, len(body)) + body)


def _texts(values: Mapping[str, Any], tag: str) -> list[str]:
    return [str(value) for value in values.get(tag, {}).get("Value", []) if value is not None]


def _text(vr: str, value: str) -> Change:
    return Change(vr, value.encode() + b" " * (len(value) % 2))


def _uid(value: str) -> Change:
    return Change("UI", value.encode() + b"\0" * (len(value) % 2))
