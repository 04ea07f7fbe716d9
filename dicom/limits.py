"""How large, deep and numerous what a stranger sends may be before it is refused. Defaults fit what real devices make.

One installation has one set of limits: `use` sets it when a process starts, before any object is read.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, counts, and ratios of what comes out to what was sent; all of one object or one frame."""

    sequence_depth: int = 100
    elements: int = 500_000  # items count too
    inline_bytes: int = 32 << 20  # of values that metadata carry
    json_bytes: int = 64 << 20  # of the DICOM JSON of one instance
    json_ratio: int = 128
    xml_bytes: int = 32 << 20  # of one Native DICOM Model document
    # A slide of 131,072 x 131,072 pixels in tiles of 256 x 256. Each costs 12 bytes of the frame table, which is loaded
    # for every frame that is read
    fragments: int = 1 << 18
    # A stream of zeros deflates a thousandfold, real data sets seldom more than twentyfold
    inflated_bytes: int = 1 << 30
    inflate_ratio: int = 200
    # 11585 x 11585, or 6689 x 6689 in colour: three times the largest mammogram. JPEG 2000 takes 4 bytes for each
    frame_samples: int = 1 << 27
    frame_bytes: int = 512 << 20  # encoded, and decoded: 8192 x 8192 of 64 bits
    # A scan of a few bytes costs a progressive JPEG decoder a pass over the whole image
    jpeg_scans: int = 100
    # A frame in one tile is the rule. Each tile costs the J2K decoder some KiB before the first sample is read
    jpeg_2000_tiles: int = 8192
    # Precincts and code-blocks of all subbands. One costs OpenJPEG up to 800 bytes and 2 microseconds; the largest
    # frame that is decoded has 131,072 code-blocks of 32 x 32 samples, which is smaller than encoders make them
    jpeg_2000_blocks: int = 1 << 18
    # Packets (a precinct in one layer), and places that a progression by position looks at to find them. 20 layers
    # of the largest frame in precincts of 128 x 128 are less than a million packets
    jpeg_2000_packets: int = 1 << 24


_in_force = Limits()


def in_force() -> Limits:
    """The limits of this process."""
    return _in_force


def use(limits: Limits) -> None:
    """Put other limits in force; what is being read goes on under those it began with."""
    global _in_force
    _in_force = limits
