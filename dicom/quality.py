"""What can be seen to be wrong with an image, cheaply: its header against itself, and one frame against its header.

Pure facts with a code, for a person to judge: nothing is refused or mended because of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy
from pydicom.dataset import Dataset

from dicom.codecs import DecodedFrame
from dicom.picture_header import WANTED, Wanted
from dicom.pixels import PixelDescription
from dicom.quality_codes import Finding

# Pixels of a frame that are looked at.
_SAMPLED = 1 << 18
# A frame of which at least this share has one value shows next to nothing.
_NEARLY_ALL = 0.999
# A frame of which this share lies at its highest possible value is burnt out.
_SATURATED = 0.25
# Kinds of images whose pixels have a size in the patient (PS3.3 C.7.6.2, C.7.6.16.2.1, C.8.11.4.1).
_MEASURED = frozenset({"CT", "MR", "PT", "DX", "CR", "MG"})
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_ONE_SAMPLE = frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})
_THREE_SAMPLES = frozenset(
    {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT", "XYB"}
)


def _with_measures(groups: Any) -> Wanted:
    return {**groups, 0x00289110: {0x00280030: None}}


# What the checks need of a header, beside what drawing needs (``dicom.picture_header.read_picture_header``).
CHECKED: Wanted = {
    **WANTED,
    0x00080008: None,  # ImageType
    0x00080060: None,  # Modality
    0x00181164: None,  # ImagerPixelSpacing
    0x00182010: None,  # NominalScannedPixelSpacing
    0x00280030: None,  # PixelSpacing
    0x00280106: None,  # SmallestImagePixelValue
    0x00280107: None,  # LargestImagePixelValue
    0x52009229: _with_measures(WANTED[0x52009229]),
    0x52009230: _with_measures(WANTED[0x52009230]),
}


def header_findings(header: Dataset, pixels: PixelDescription, frames_there: int) -> list[Finding]:
    """What the header itself shows; ``header`` has the elements of ``CHECKED``. Never raises for odd values."""
    found = [*_layout(pixels), *_tables(header, pixels), *_mapping(header)]
    if pixels.number_of_frames != frames_there:
        found.append(Finding("frames", 0, {"declared": pixels.number_of_frames, "there": frames_there}))
    if _text(header, "Modality") in _MEASURED and not _has_spacing(header):
        found.append(Finding("pixel-spacing"))
    return _first_of_each(found)


def is_localizer(header: Dataset) -> bool:
    """Whether the image only shows where others lie (PS3.3 C.8.2.1.1.1, value 3 of Image Type)."""
    return "LOCALIZER" in _text(header, "ImageType").split("\\")


def frame_findings(
    frame: DecodedFrame, header: Dataset, pixels: PixelDescription, number: int, raw: bytes | None = None
) -> list[Finding]:
    """What the decoded frame ``number`` shows; ``raw`` is a native little-endian frame as stored, if it is one."""
    step = max(1, math.isqrt(frame.array.shape[0] * frame.array.shape[1] // _SAMPLED))
    values = frame.array[::step, ::step]
    found = [] if raw is None else _unused_bits(raw, pixels, number)
    if not values.size or values.dtype.kind not in "iuf":
        return found
    colour = values.ndim == 3
    if values.dtype.kind == "f":
        values = values[numpy.isfinite(values)]
        if not values.size:
            return [*found, Finding("blank", number)]
    if colour:
        first = values.reshape(-1, values.shape[2])
        same = float((first == first[first.shape[0] // 2]).all(axis=1).mean())
        low, high = float(values.min()), float(values.max())
    else:
        seen = values if values.dtype.kind == "f" else frame.array
        low, high = float(seen.min()), float(seen.max())
        same = _share_of_the_commonest(values)
    if same == 1.0 and (colour or low == high):
        found.append(Finding("blank", number, {} if colour else {"value": low}))
        return found
    if pixels.bits_allocated == 1:
        return found
    if same >= _NEARLY_ALL:
        found.append(Finding("nearly-blank", number, {"share": round(same, 4)}))
    return [*found, *_saturation(values, pixels, number), *([] if colour else _range(header, low, high, number))]


def _layout(pixels: PixelDescription) -> Iterator[Finding]:
    allocated, stored = pixels.bits_allocated, pixels.bits_stored
    if pixels.keyword == "PixelData":
        if not 1 <= stored <= allocated:
            yield Finding("bits-stored", 0, {"stored": stored, "allocated": allocated})
        elif pixels.high_bit != stored - 1:
            yield Finding("high-bit", 0, {"high": pixels.high_bit, "stored": stored})
    photometric, samples = pixels.photometric_interpretation, pixels.samples_per_pixel
    if photometric not in _ONE_SAMPLE | _THREE_SAMPLES:
        yield Finding("photometric")
    elif samples != (1 if photometric in _ONE_SAMPLE else 3):
        yield Finding("samples", 0, {"samples": samples})


def _tables(header: Dataset, pixels: PixelDescription) -> Iterator[Finding]:
    if pixels.photometric_interpretation == "PALETTE COLOR":
        for prefix in ("Red", "Green", "Blue"):
            name = f"{prefix}PaletteColorLookupTable"
            if not _value(header, f"{name}Descriptor"):
                yield Finding("palette")
            elif f"Segmented{name}Data" not in header:
                if _value(header, f"{name}Data") is None:
                    yield Finding("palette")
                else:
                    yield from _table(header, f"{name}Descriptor", f"{name}Data")
    for scope in _scopes(header):
        for sequence in ("ModalityLUTSequence", "VOILUTSequence"):
            for item in list(_value(scope, sequence) or ())[:1]:
                yield from _table(item, "LUTDescriptor", "LUTData")


def _table(item: Dataset, descriptor: str, data: str) -> Iterator[Finding]:
    """Entries may be words, or half of one each where they have 8 bits."""
    numbers = _numbers(item, descriptor)
    if len(numbers) != 3 or not 1 <= numbers[2] <= 16:
        yield Finding("lut-descriptor")
        return
    entries = (int(numbers[0]) & 0xFFFF) or 0x10000
    value = _value(item, data)
    if isinstance(value, bytes):
        possible = {len(value) // 2, *([len(value), len(value) - 1] if numbers[2] <= 8 else [])}
    elif value is None:
        possible = {0}
    else:
        possible = {len(_numbers(item, data))}
    if entries not in possible:
        yield Finding("lut-length", 0, {"declared": entries, "there": max(possible)})


def _mapping(header: Dataset) -> Iterator[Finding]:
    for scope in _scopes(header):
        linear = _text(scope, "VOILUTFunction") in ("", "LINEAR")
        for width in _numbers(scope, "WindowWidth"):
            # LINEAR is also what a floating point map has that says nothing: there a small width is none too small
            if width <= 0 or (linear and width < 1 and _numbers(header, "BitsStored")):
                yield Finding("window-width", 0, {"width": width})
        if 0.0 in _numbers(scope, "RescaleSlope"):
            yield Finding("rescale-slope")


def _saturation(values: Any, pixels: PixelDescription, number: int) -> Iterator[Finding]:
    if values.dtype.kind == "f" or not 1 < pixels.bits_stored <= values.dtype.itemsize * 8:
        return
    top = (1 << (pixels.bits_stored - (values.dtype.kind == "i"))) - 1
    share = float((values >= top).mean())
    if share >= _SATURATED and pixels.photometric_interpretation != "PALETTE COLOR":
        yield Finding("saturated", number, {"share": round(share, 4)})


def _range(header: Dataset, low: float, high: float, number: int) -> Iterator[Finding]:
    declared = [_numbers(header, f"{end}ImagePixelValue")[:1] for end in ("Smallest", "Largest")]
    # What pads a frame is no value of the image, and often lies outside of them.
    padded = bool(_numbers(header, "PixelPaddingValue"))
    if not padded and declared[0] and declared[1] and (low < declared[0][0] or high > declared[1][0]):
        yield Finding(
            "declared-range",
            number,
            {"low": low, "high": high, "declared_low": declared[0][0], "declared_high": declared[1][0]},
        )
    slope, intercept, center, width = (
        next((n[0] for s in _scopes(header) if (n := _numbers(s, keyword))), None)
        for keyword in ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth")
    )
    tables = any(_value(s, f"{kind}LUTSequence") for s in _scopes(header) for kind in ("Modality", "VOI"))
    if center is None or width is None or width <= 0 or tables:
        return
    ends = sorted(end * (slope or 1.0) + (intercept or 0.0) for end in (low, high))
    if ends[1] <= center - width / 2 or ends[0] >= center + width / 2:
        yield Finding("window-empty", number, {"center": center, "width": width, "low": ends[0], "high": ends[1]})


def _unused_bits(raw: bytes, pixels: PixelDescription, number: int) -> list[Finding]:
    """Bits outside of Bits Stored that hold neither zeros nor the sign: overlays of old, or damage (PS3.5 8.1.1)."""
    width, stored = pixels.bits_allocated, pixels.bits_stored
    if width not in (8, 16) or not 0 < stored < width or pixels.high_bit != stored - 1:
        return []
    samples = numpy.frombuffer(
        raw, f"<{'i' if pixels.pixel_representation == 1 else 'u'}{width // 8}", len(raw) * 8 // width
    )
    samples = samples[:: max(1, samples.size // _SAMPLED)]
    signed = pixels.pixel_representation == 1
    low, high = (-(1 << (stored - 1)), (1 << (stored - 1)) - 1) if signed else (0, (1 << stored) - 1)
    beyond = float(((samples < low) | (samples > high)).mean()) if samples.size else 0.0
    # negative samples whose sign was not extended are told from overlays by nobody: both are worth a look
    return [Finding("beyond-bits", number, {"share": round(beyond, 4), "stored": stored})] if beyond else []


def _share_of_the_commonest(values: Any) -> float:
    flat = values.reshape(-1)
    if flat.dtype.kind == "f":
        return float((flat == numpy.median(flat)).mean())
    low, high = int(flat.min()), int(flat.max())
    if high - low > 0xFFFF:
        return float((flat == flat[flat.size // 2]).mean())
    return float(numpy.bincount(flat.astype(numpy.int64) - low).max() / flat.size)


def _has_spacing(header: Dataset) -> bool:
    if any(len(_numbers(header, keyword)) == 2 for keyword in _SPACINGS):
        return True
    groups = (item for scope in _groups(header) for item in list(_value(scope, "PixelMeasuresSequence") or ())[:1])
    return any(len(_numbers(item, "PixelSpacing")) == 2 for item in groups)


def _groups(header: Dataset) -> Iterator[Dataset]:
    for sequence in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        yield from list(_value(header, sequence) or ())[:1]


def _scopes(header: Dataset) -> Iterator[Dataset]:
    """Where an attribute of the frame may stand: its functional group, the shared one, the data set (C.7.6.16)."""
    for groups in _groups(header):
        for sequence in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
            yield from list(_value(groups, sequence) or ())[:1]
    yield header


def _value(item: Dataset, keyword: str) -> Any:
    """The value, ``None`` where there is none or pydicom can't make one of it."""
    try:
        return item.get(keyword)
    except Exception:  # noqa: BLE001 - whatever pydicom raises for values that the archive keeps without reading them
        return None


def _numbers(item: Dataset, keyword: str) -> list[float]:
    value = _value(item, keyword)
    if value is None or isinstance(value, (str, bytes)):
        return []
    try:
        numbers = [float(each) for each in (value if hasattr(value, "__iter__") else [value])]
    except (TypeError, ValueError, OverflowError):
        return []
    return numbers if all(math.isfinite(each) for each in numbers) else []


def _text(item: Dataset, keyword: str) -> str:
    value = _value(item, keyword)
    if value is None:
        return ""
    return value if isinstance(value, str) else "\\".join(map(str, value)) if hasattr(value, "__iter__") else str(value)


def _first_of_each(findings: list[Finding]) -> list[Finding]:
    return list({finding.code: finding for finding in reversed(findings)}.values())[::-1]
