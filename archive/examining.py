"""One look at an instance by a worker: its thumbnail and what is wrong with it, for one decoding of one frame."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from struct import error as StructError

from django.conf import settings
from pydicom.dataset import Dataset

from archive.decoding import decoding
from archive.drawings import is_drawn
from archive.errors import ArchiveDamaged, ArchiveError, ArchiveUnavailable, NotFound, NotRenderable
from archive.frames import Frames, frames_of
from archive.locate import Located
from archive.models import Instance
from archive.object_store import object_store
from archive.object_store.errors import ObjectDamaged, ObjectMissing, ObjectStoreError
from archive.pictures import Rendering, draw, render
from dicom.codecs import DecodedFrame
from dicom.errors import DicomError
from dicom.picture_header import read_picture_header
from dicom.pixels import PixelDescription
from dicom.quality import CHECKED, frame_findings, header_findings, is_localizer
from dicom.quality_codes import Finding

log = logging.getLogger("archive.thumbnails")

# What only a mistake of ours, or an object beyond all limits, raises. What the database raises goes through.
_MISTAKES = (
    ArchiveError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    DicomError,
    LookupError,
    MemoryError,
    RecursionError,
    StructError,
    TypeError,
    ValueError,
)
THUMBNAIL_EDGE = 256
THUMBNAIL = Rendering(viewport=(THUMBNAIL_EDGE, THUMBNAIL_EDGE), quality=80)
# The rank of what is no image (``rank``).
NO_IMAGE = 2
# Kinds of objects that have frames and are still no images of somebody.
_NO_IMAGES = frozenset({"SR", "PR", "KO", "DOC", "SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "REG", "FID", "RWV"})
# Kinds that are images of screens and paper as often as of patients.
_LESSER = frozenset({"OT", "SC"})


@dataclass(frozen=True, slots=True)
class Examined:
    """The thumbnail as a JPEG, empty if there is none, and the findings."""

    picture: bytes
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True)
class _Decoded(Frames):
    """Frames of which one, read as ``described``, is decoded already."""

    described: PixelDescription
    frame: DecodedFrame

    def decode(self, number: int) -> DecodedFrame:
        """The decoded frame, or the same one anew if its cells are to be read in another way."""
        return self.frame if self.pixels == self.described else Frames.decode(self, number)


def examine(instance: Located, *, thoroughly: bool) -> Examined | None:
    """Draw the middle frame and check it; ``None`` if the instance is gone. Nothing about one instance raises.

    ``thoroughly`` reads a native frame as it lies, too. Raises ``ArchiveUnavailable`` only where that is so of more
    than this object.
    """
    try:
        return _examined(instance, thoroughly=thoroughly)
    except Instance.DoesNotExist:
        return None
    except ArchiveUnavailable as error:
        if not (isinstance(error, ArchiveDamaged) or _is_lost(instance)):
            raise
        return Examined(b"", [Finding("unreadable")])
    except _MISTAKES as error:  # one bad instance must not keep the others from theirs
        # no message, which might quote a value
        log.error("instance %s could not be examined: %s", instance.sop_instance_uid, type(error).__name__)
        return Examined(b"", [])


def rank(instance: Located, modality: str) -> int:
    """How well it stands for a study: 0 an image, 1 a localizer or a capture, 2 what is no image.

    Raises ``ArchiveUnavailable``.
    """
    if instance.pixels is None or modality in _NO_IMAGES:
        return NO_IMAGE
    header = _header(instance, None, 1)
    return int(modality in _LESSER or (header is not None and is_localizer(header)))


def _examined(instance: Located, *, thoroughly: bool) -> Examined:
    if is_drawn(instance):
        return Examined(_or_nothing(instance), [])
    try:
        frames = frames_of(instance)
    except NotFound:
        return Examined(b"", [])
    number = (frames.count + 1) // 2
    header = _header(instance, frames, number)
    if header is None or not frames.decodable:
        return Examined(_or_nothing(instance), [])
    found = header_findings(header, frames.pixels, frames.count)
    with decoding():
        try:
            frame = frames.decode(number)
        except DicomError:
            return Examined(_or_nothing(instance), [*found, Finding("undecodable", number)])
        raw = _as_stored(frames, number) if thoroughly else None
        found += frame_findings(frame, header, frames.pixels, number, raw)
        decoded = _Decoded(
            **{f.name: getattr(frames, f.name) for f in fields(frames)}, described=frames.pixels, frame=frame
        )
        try:
            return Examined(draw(decoded, number, THUMBNAIL), found)
        except NotRenderable:
            return Examined(b"", found)


def _or_nothing(instance: Located) -> bytes:
    """The picture of what is not simply a frame that can be decoded."""
    try:
        return render(instance, None, THUMBNAIL)
    except ArchiveUnavailable:
        raise
    except ArchiveError:
        return b""


def _header(instance: Located, frames: Frames | None, number: int) -> Dataset | None:
    """What the checks need of the header; ``None`` where it is too long, or no header."""
    if instance.header_length > settings.PACS.limits.picture_header_bytes:
        return None
    source = (frames.inflated if frames else None) or instance.header
    try:
        return read_picture_header(source, instance.transfer_syntax, number, CHECKED)
    except DicomError:
        return None


def _as_stored(frames: Frames, number: int) -> bytes | None:
    pixels, syntax = frames.pixels, frames.instance.transfer_syntax
    if syntax.encapsulated or not syntax.little_endian or pixels.bits_stored >= pixels.bits_allocated:
        return None
    return b"".join(frames.open(number, frames.transfer_syntax).open())


def _is_lost(instance: Located) -> bool:
    """Whether it is this object alone that can't be read. Raises ``ArchiveUnavailable`` if it is all of them."""
    try:
        object_store().check()
        return object_store().size(instance.object_key) < instance.object_size
    except (ObjectMissing, ObjectDamaged):
        return True
    except ObjectStoreError as error:
        raise ArchiveUnavailable("the object store does not answer") from error
