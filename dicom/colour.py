"""YBR samples and CIELab values to RGB (PS3.3 C.7.6.3.1.2, C.10.7.1.1)."""

from __future__ import annotations

from typing import Any

import numpy
from numpy.typing import NDArray

from dicom.errors import CannotDecode

# Red, green and blue, 0 to 255 each
Colour = tuple[int, int, int]

# Rows: R, G, B from Y, Cb, Cr. ITU-T T.871 for the full range; ITU-R BT.601, 16-235 and 16-240, for the partial.
_FULL = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))
_PARTIAL = (
    (1.164383, 0.0, 1.596027),
    (1.164383, -0.391762, -0.812968),
    (1.164383, 2.017232, 0.0),
)
_MATRICES = {
    "YBR_FULL": (_FULL, 0),
    "YBR_FULL_422": (_FULL, 0),
    "YBR_PARTIAL_422": (_PARTIAL, 16),
    "YBR_PARTIAL_420": (_PARTIAL, 16),
}
# What the JPEG 2000 codecs have already undone when the samples arrive here.
_ALREADY_RGB = ("RGB", "YBR_ICT", "YBR_RCT")


def is_rgb(photometric_interpretation: str) -> bool:
    """Whether ``to_rgb`` leaves the samples as they are."""
    return photometric_interpretation in _ALREADY_RGB


def to_rgb(array: NDArray[Any], photometric_interpretation: str) -> NDArray[Any]:
    """(rows, columns, 3) unsigned samples of any colour photometric interpretation to RGB of the same dtype.

    Chrominance must not be subsampled any more. Raises CannotDecode for what is no YBR or RGB.
    """
    if photometric_interpretation in _ALREADY_RGB:
        return array
    if photometric_interpretation not in _MATRICES:
        raise CannotDecode(
            f"(0028,0004) PhotometricInterpretation: no conversion from {photometric_interpretation[:16]!r} to RGB"
        )
    matrix, black = _MATRICES[photometric_interpretation]
    white = int(numpy.iinfo(array.dtype).max)
    half, scale = (white + 1) // 2, (white + 1) // 256
    samples = array.astype(numpy.float32)
    samples -= numpy.array((black * scale, half, half), numpy.float32)
    samples = samples @ numpy.array(matrix, numpy.float32).T
    numpy.rint(samples, out=samples)
    numpy.clip(samples, 0, white, out=samples)
    return samples.astype(array.dtype)


# XYZ of D50, what PCS-Values refer to, to linear sRGB; and that white
_XYZ_TO_SRGB = (
    (3.1338561, -1.6168667, -0.4906146),
    (-0.9787684, 1.9161415, 0.0334540),
    (0.0719453, -0.2289914, 1.4052427),
)
_WHITE = (0.9642, 1.0, 0.8249)


def cielab_to_rgb(values: Any) -> Colour | None:
    """Three PCS-Values of 16 bits, L* 0 to 100, a* and b* -128 to 127, as sRGB; None for anything else."""
    try:
        scaled = [float(value) / 0xFFFF for value in values]
        lightness, a, b = scaled[0] * 100, scaled[1] * 255 - 128, scaled[2] * 255 - 128
    except (TypeError, ValueError, IndexError):
        return None
    middle = (lightness + 16) / 116
    cubed = [_uncompressed(each) for each in (middle + a / 500, middle, middle - b / 200)]
    linear = numpy.array(_XYZ_TO_SRGB) @ (numpy.array(cubed) * _WHITE)
    linear = linear.clip(0, 1)
    encoded = numpy.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = numpy.rint(encoded * 255).astype(int).tolist()
    return (red, green, blue)


def _uncompressed(value: float) -> float:
    return value**3 if value > 6 / 29 else 3 * (6 / 29) ** 2 * (value - 4 / 29)
