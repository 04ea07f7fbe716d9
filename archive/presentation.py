"""The presentation state that a picture is drawn by: an object of the same study, within the caller's scope."""

from dataclasses import dataclass

from django.db.models import QuerySet

from archive.errors import NotFound
from archive.frames import Frames
from archive.locate import Address, Located, locate
from archive.models import Study
from archive.payload import inflated
from dicom.memory_source import MemorySource
from dicom.presentation_states import (
    MAX_BYTES,
    SOP_CLASSES,
    PresentationState,
    UnusablePresentationState,
    read_presentation_state,
)


@dataclass(frozen=True, slots=True, eq=False)
class PresentationReference:
    """The UIDs of a presentation state, and the studies in which whoever asks for it may see it."""

    series_instance_uid: str
    sop_instance_uid: str
    scope: QuerySet[Study]


def presentation_state(frames: Frames, number: int, reference: PresentationReference) -> PresentationState:
    """What the state says about frame ``number``.

    Raises ``NotFound`` for one that is not in the image's study or out of the caller's reach,
    ``UnusablePresentationState`` for another kind of object, and for one that does not refer to the frame.
    """
    image = frames.instance
    address = Address(image.study_instance_uid, reference.series_instance_uid, reference.sop_instance_uid)
    try:
        found = locate(reference.scope, address)[0]
    except NotFound as error:
        raise NotFound("presentationUID: there is no such presentation state in the study") from error
    if found.sop_class_uid not in SOP_CLASSES:
        raise UnusablePresentationState("presentationUID: the object is no softcopy presentation state for one image")
    source = _source(found)
    pixels = frames.pixels
    return read_presentation_state(
        source, found.transfer_syntax, image.sop_instance_uid, number, pixels.rows, pixels.columns
    )


def _source(found: Located) -> MemorySource:
    """The object, or the inflated data set of a deflated one."""
    if not found.transfer_syntax.deflated:
        return MemorySource(found.source.read_at(0, MAX_BYTES + 1))
    with inflated(found.source) as data_set:
        return MemorySource(data_set.read_at(0, MAX_BYTES + 1))
