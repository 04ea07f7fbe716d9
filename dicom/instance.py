"""What one scan of an object yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dicom.frames import FrameTable
from dicom.pixels import PixelDescription

# Stands for the public DICOMweb root in BulkDataURIs until they are served
BULKDATA_ROOT = "lightbox:root"


@dataclass(frozen=True, slots=True)
class BulkValue:
    """A value kept out of the metadata: `length` bytes from `offset`, in the byte order of the object.

    The offset counts from the start of the Part 10 object, or of the inflated data set if that is deflated.
    """

    vr: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Warning_:
    """Something odd about an object that is kept all the same (PS3.18 Table I.2-1)."""

    reason: int
    text: str


@dataclass(frozen=True, slots=True)
class ParsedInstance:
    """Everything the archive keeps about an object beside its bytes."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    # every keyword of ATTRIBUTES and PLACES -> decoded text, several values joined by a backslash
    values: Mapping[str, str]
    request_attributes: (
        str  # the RequestAttributesSequence attribute as DICOM JSON, reduced to the required return keys
    )
    json_text: bytes  # the data set as one DICOM JSON object (PS3.18 Annex F)
    bulk: Mapping[str, BulkValue]  # by the path behind /bulkdata/; pixel data is in `frames`
    pixels: PixelDescription | None
    frames: FrameTable | None
    warnings: tuple[Warning_, ...]
    header_length: int  # bytes up to the value of the pixel data, or all
