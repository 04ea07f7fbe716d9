"""The kinds of findings about images: the one table that the checks, the archive and the documents read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

# Grows when checks are added or changed: what was checked by an earlier one is checked again.
VERSION = 1

ERROR, WARNING, NOTE = SEVERITIES = "error", "warning", "note"


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of finding: how bad it is, the clause that it is about, and what it means in words."""

    severity: str
    clause: str
    meaning: str


CODES: Mapping[str, Code] = MappingProxyType(
    {
        "unreadable": Code(ERROR, "PS3.10 7", "the stored object can't be read"),
        "undecodable": Code(ERROR, "PS3.5 8.2", "the frame can't be decoded"),
        "bits-stored": Code(ERROR, "PS3.3 C.7.6.3.1", "Bits Stored is 0 or more than Bits Allocated"),
        "high-bit": Code(WARNING, "PS3.5 8.1.1", "High Bit is not one less than Bits Stored"),
        "photometric": Code(ERROR, "PS3.3 C.7.6.3.1.2", "Photometric Interpretation is missing or not a known one"),
        "samples": Code(ERROR, "PS3.3 C.7.6.3.1.1", "Samples per Pixel and Photometric Interpretation disagree"),
        "palette": Code(ERROR, "PS3.3 C.7.6.3.1.5", "PALETTE COLOR without its three tables"),
        "lut-descriptor": Code(ERROR, "PS3.3 C.11.1.1.1", "a LUT Descriptor is not three numbers that can be used"),
        "lut-length": Code(ERROR, "PS3.3 C.11.1.1.1", "a table has not as many entries as its LUT Descriptor says"),
        "window-width": Code(WARNING, "PS3.3 C.11.2.1.2", "Window Width is below 1 (LINEAR), or not above 0"),
        "window-empty": Code(WARNING, "PS3.3 C.11.2.1.2", "the window shows nothing of the values of the frame"),
        "rescale-slope": Code(ERROR, "PS3.3 C.11.1", "Rescale Slope is 0"),
        "frames": Code(ERROR, "PS3.3 C.7.6.6", "Number of Frames is not the number of frames that are there"),
        "pixel-spacing": Code(NOTE, "PS3.3 10.7", "no size of the pixels: nothing can be measured"),
        "declared-range": Code(NOTE, "PS3.3 C.7.6.3", "values outside of Smallest to Largest Image Pixel Value"),
        "beyond-bits": Code(WARNING, "PS3.5 8.1.1", "samples use bits beyond Bits Stored"),
        "blank": Code(WARNING, "", "all pixels of the frame have one value"),
        "nearly-blank": Code(NOTE, "", "nearly all pixels of the frame have one value"),
        "saturated": Code(NOTE, "", "much of the frame lies at the highest value there is"),
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact of kind ``code``; ``frame`` counts from 1, 0 is the header. ``numbers`` say how much, never whose."""

    code: str
    frame: int = 0
    numbers: Mapping[str, float] = field(default_factory=dict)
