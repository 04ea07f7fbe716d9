"""Instances in a transfer syntax that lies ready beside the stored one: found with the instance, read by range.

A reader who asks for such a transfer syntax gets its bytes without any decoding. Where its object is missing, or is not
as long as it was, its row goes, the stored object is transcoded as if there had never been another, and the
representation is made again.
"""

import logging
from dataclasses import replace

from django.db import transaction
from django.db.models.functions import Now

from archive import outbox
from archive.errors import ArchiveUnavailable
from archive.frames import Frames
from archive.locate import Held, Located
from archive.models import DeletedObject, Representation
from archive.object_store import object_store
from archive.object_store.errors import ObjectMissing, ObjectStoreError
from archive.outbox import Wish
from dicom.frames import FrameTable
from dicom.transfer_syntaxes import BY_UID, TransferSyntax

log = logging.getLogger("archive.representations")

MADE_AGAIN_AFTER = 5.0


def held_instance(instance: Located, target: TransferSyntax) -> Located | None:
    """``instance`` as it lies ready in ``target``, if it does. Raises ``ArchiveUnavailable``."""
    held = _ready(instance, target)
    return as_held(instance, held) if held else None


def held_frames(frames: Frames, target: TransferSyntax) -> Frames:
    """The frames as they lie ready in ``target``, else ``frames`` themselves. Raises ``ArchiveUnavailable``."""
    if target == frames.transfer_syntax:
        return frames
    held = _ready(frames.instance, target)
    if held is None:
        return frames
    packed = held.frame_table or _long_table(held)
    if packed is None:
        return frames
    return Frames(as_held(frames.instance, held), held.pixels, FrameTable.unpack(packed), None)


def _long_table(held: Held) -> bytes | None:
    packed = Representation.objects.filter(pk=held.pk).values_list("frame_table", flat=True).first()
    return None if packed is None else bytes(packed)


def as_held(instance: Located, held: Held) -> Located:
    """``instance`` as if what is ``held`` were the stored object."""
    return replace(
        instance,
        transfer_syntax=BY_UID[held.transfer_syntax_uid],
        object_key=held.object_key,
        object_size=held.object_size,
        object_sha256=bytes.fromhex(held.sha256),
        header_length=held.header_length,
        pixels=held.pixels,
        frame_table=held.frame_table,
        held=(),
        block_crcs=held.block_crcs,
    )


def forget(held: Held, series_pk: int) -> None:
    """Let go of a representation, and have it made again."""
    with transaction.atomic():
        if Representation.objects.filter(pk=held.pk).delete()[0]:
            # Should it be there after all, damaged: the sweep has it at once.
            DeletedObject.objects.get_or_create(
                object_key=held.object_key, defaults={"sweep_after": Now(), "deleted_by": "derived"}
            )
            outbox.wish([Wish(outbox.AT_REST, str(series_pk), MADE_AGAIN_AFTER)])


def _ready(instance: Located, target: TransferSyntax) -> Held | None:
    held = next((each for each in instance.held if each.transfer_syntax_uid == target.uid), None)
    if held is None:
        return None
    try:
        if object_store().size(held.object_key) == held.object_size:
            return held
    except ObjectMissing:
        pass
    except ObjectStoreError as error:
        raise ArchiveUnavailable("a stored object can't be read now") from error
    log.warning("a representation is missing or damaged, and is made again: %s", held.object_key)
    forget(held, instance.series_pk)
    return None
