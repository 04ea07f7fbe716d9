"""Whether two objects show the same: every frame decoded from both, read from the object store."""

import hashlib
from dataclasses import dataclass, replace

import numpy

from archive.block_crcs import BlockCrcs
from archive.errors import NotRenderable
from archive.frames import Frames, frames_of
from archive.locate import Located
from archive.object_store import object_store
from archive.object_store.errors import ObjectDamaged, ObjectMissing
from archive.payload import StoredSource
from dicom.described import described
from dicom.errors import DicomError
from dicom.instance import ParsedInstance
from dicom.part10 import parse
from dicom.pixels import PixelDescription
from dicom.transfer_syntaxes import BY_UID, EXPLICIT_VR_LITTLE_ENDIAN

# What makes samples what they are; number_of_frames may have been wrong in the header before.
_SHAPE = ("rows", "columns", "samples_per_pixel", "bits_allocated", "bits_stored", "high_bit", "pixel_representation")


class Differs(Exception):
    """The two don't show the same; the message says where."""


@dataclass(frozen=True, slots=True)
class Equal:
    """The new object as the scan found it; ``exact`` where native frames are also the same byte for byte."""

    parsed: ParsedInstance
    frames: Frames
    exact: bool


def compare(old: Located, key: str, size: int, sha256: bytes) -> Equal:
    """Read the object at ``key`` back and compare each of its frames with those of ``old``.

    Raises ``Differs``, ``NotRenderable`` for what can't be decoded, ``ArchiveUnavailable``, ``ObjectStoreError``.
    """
    digest, crcs = _counted(key)
    if digest != sha256:
        raise Differs("the object has not the bytes that were written")
    try:
        parsed = parse(StoredSource(key, size, crcs))
    except DicomError as error:
        raise Differs("the object can't be read") from error
    if (parsed.study_instance_uid, parsed.series_instance_uid, parsed.sop_instance_uid) != (
        old.study_instance_uid,
        old.series_instance_uid,
        old.sop_instance_uid,
    ):
        raise Differs("it is another instance")
    before = frames_of(old)
    if parsed.pixels is None or parsed.frames is None or parsed.frames.count != before.count:
        raise Differs(f"{before.count} frames expected, found {parsed.frames.count if parsed.frames else 0}")
    new = replace(
        old,
        transfer_syntax=BY_UID[parsed.transfer_syntax_uid],
        object_key=key,
        object_size=size,
        object_sha256=sha256,
        header_length=parsed.header_length,
        pixels=parsed.pixels,
        frame_table=parsed.frames.pack(),
        held=(),
        block_crcs=crcs,
    )
    after = Frames(new, parsed.pixels, parsed.frames, None)
    _check_shape(described(before.pixels), described(after.pixels))
    exact = True
    for number in range(1, before.count + 1):
        exact &= _frame_is_exact(before, after, number)
    return Equal(parsed, after, exact)


def is_intact(instance: Located) -> bool:
    """Whether the stored object still is what was received: what is made from another must not outlive it.

    Raises ``ObjectStoreError`` where nobody can tell.
    """
    try:
        return _counted(instance.object_key)[0] == instance.object_sha256
    except (ObjectMissing, ObjectDamaged):
        return False


def _check_shape(before: PixelDescription, after: PixelDescription) -> None:
    for name in (*_SHAPE, "photometric_interpretation"):
        if getattr(before, name) != getattr(after, name):
            raise Differs(f"{name} was {getattr(before, name)} and is {getattr(after, name)}")


def _frame_is_exact(before: Frames, after: Frames, number: int) -> bool:
    """``False`` where samples are equal, but bits that belong to none are not. Raises ``Differs``."""
    native = not before.instance.transfer_syntax.encapsulated
    decoded = after.transcoded(number, EXPLICIT_VR_LITTLE_ENDIAN)
    if native:
        stored = b"".join(before.open(number, EXPLICIT_VR_LITTLE_ENDIAN).open())
        if _by_pixel(stored, before.pixels) == _by_pixel(decoded, after.pixels):
            return True
    samples = before.transcoded(number, EXPLICIT_VR_LITTLE_ENDIAN)
    if _by_pixel(samples, before.pixels) != _by_pixel(decoded, after.pixels):
        raise Differs(f"frame {number} is not what it was")
    return not native


def _by_pixel(frame: bytes, pixels: PixelDescription) -> bytes:
    """The samples of a native frame colour by pixel, whatever the planar configuration."""
    shown = described(pixels)
    if shown.samples_per_pixel == 1 or shown.planar_configuration == 0:
        return frame
    if len(frame) != shown.rows * shown.columns * shown.samples_per_pixel * shown.bits_allocated // 8:
        raise NotRenderable(f"a frame of {len(frame)} bytes is not what its description says")
    cells = numpy.frombuffer(frame, numpy.uint8).reshape(shown.samples_per_pixel, -1, shown.bits_allocated // 8)
    return cells.transpose(1, 0, 2).tobytes()


def _counted(key: str) -> tuple[bytes, bytes]:
    """SHA-256, and the CRCs of the blocks, of what is stored under ``key``."""
    digest, crcs = hashlib.sha256(), BlockCrcs()
    for piece in object_store().open_range(key):
        digest.update(piece)
        crcs.add(piece)
    return digest.digest(), crcs.packed()
