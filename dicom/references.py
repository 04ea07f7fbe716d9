"""Whether an item of a presentation state is about an image (PS3.3 C.11.11, 10.3)."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset


def applies(item: Dataset, sop_instance_uid: str, frame_number: int, *, if_absent: bool = True) -> bool:
    """Whether ReferencedImageSequence names this frame; ``if_absent`` where there is no such sequence.

    A reference without ReferencedFrameNumber is about all frames.
    """
    references = item.get("ReferencedImageSequence")
    if not references:
        return if_absent
    return any(
        str(reference.get("ReferencedSOPInstanceUID", "")) == sop_instance_uid
        and (not (frames := _numbers(reference.get("ReferencedFrameNumber"))) or frame_number in frames)
        for reference in references
    )


def _numbers(value: Any) -> tuple[int, ...]:
    if value is None or value == "":
        return ()
    return (int(value),) if isinstance(value, (int, str)) else tuple(int(each) for each in value)
