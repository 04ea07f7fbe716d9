"""What the colours of a picture mean: ICC profiles (PS3.3 C.11.15, PS3.18 8.3.5.1.5)."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy
from numpy.typing import NDArray
from PIL import Image, ImageCms
from pydicom.dataset import Dataset

from dicom.windowing import RenderingError

Picture = NDArray[numpy.uint8]
Curve = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Space:
    """XYZ of the three primaries under D50, and the curve from coded to linear values (ICC.1:2022 10.18)."""

    name: str
    primaries: tuple[tuple[float, float, float], ...]
    curve: Curve


_SRGB_CURVE: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
# By the values of the iccprofile parameter
SPACES: Mapping[str, _Space] = {
    "srgb": _Space(
        "sRGB", ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)), _SRGB_CURVE
    ),
    "adobergb": _Space(
        "Adobe RGB (1998) compatible",
        ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
        (563 / 256,),
    ),
    "rommrgb": _Space(
        "ROMM RGB",
        ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03135, 0.00009, 0.82491)),
        (1.8, 1.0, 0.0, 1 / 16, 1 / 32),
    ),
    "displayp3": _Space(
        "Display P3 compatible",
        ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
        _SRGB_CURVE,
    ),
}
CHOICES = ("no", "yes", *SPACES)
_D50 = (0.9642, 1.0, 0.8249)
_LARGEST_PROFILE = 4 << 20


def profile_in(header: Dataset) -> bytes:
    """The ICC profile of the data set, or of its optical path (PS3.3 C.8.12.5); empty if there is none."""
    for item in (header, *(header.get("OpticalPathSequence") or ())[:1]):
        value = item.get("ICCProfile")
        if isinstance(value, bytes) and 128 < len(value) <= _LARGEST_PROFILE:
            return value
    return b""


def colour_managed(picture: Picture, profile: bytes, choice: str) -> tuple[Picture, bytes]:
    """The picture as the iccprofile parameter wants it, and the profile that goes into its file.

    ``profile`` is the image's own; without one its colours count as sRGB. `no` has no profile, `yes` the image's own
    (a grey picture: one that says grey), the name of a colour space that one, the colours converted. Raises
    RenderingError for a profile that cannot be used.
    """
    if choice not in SPACES:
        if choice != "yes":
            return picture, b""
        return picture, grey_profile() if picture.ndim == 2 else profile or space_profile("srgb")
    target = space_profile(choice)
    if picture.ndim == 2:
        picture, profile = numpy.repeat(picture[..., None], 3, axis=-1), b""
    source = profile or space_profile("srgb")
    if source == target:
        return picture, target
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(source)), ImageCms.ImageCmsProfile(io.BytesIO(target)), "RGB", "RGB"
        )
        converted = ImageCms.applyTransform(Image.fromarray(numpy.ascontiguousarray(picture)), transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as failure:
        raise RenderingError("(0028,2000) ICCProfile: the colour profile cannot be used") from failure
    return numpy.asarray(converted), target


@cache
def space_profile(choice: str) -> bytes:
    """The profile of a colour space by its name in the parameter (ICC.1:2022 8.3, three-component matrix-based)."""
    space = SPACES[choice]
    tags = {f"{colour}XYZ": _xyz(xyz) for colour, xyz in zip("rgb", space.primaries, strict=True)}
    tags |= {f"{colour}TRC": _curve(space.curve) for colour in "rgb"}
    return _profile(space.name, b"RGB ", tags)


@cache
def grey_profile() -> bytes:
    """Grey with the curve of sRGB: what pictures without a profile are taken for."""
    return _profile("Grey, sRGB curve", b"GRAY", {"kTRC": _curve(_SRGB_CURVE)})


def _profile(name: str, colours: bytes, tags: dict[str, bytes]) -> bytes:
    tags = {"desc": _text(name), "cprt": _text("Public domain"), "wtpt": _xyz(_D50), **tags}
    place = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for signature, value in tags.items():
        table += struct.pack(">4sII", signature.encode(), place + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    header = struct.pack(
        ">I4sI4s4s4s6H4s4sI4sIQI3i4s44x",
        place + len(data),
        bytes(4),
        0x04300000,
        b"mntr",
        colours,
        b"XYZ ",
        *(2024, 1, 1, 0, 0, 0),
        b"acsp",
        bytes(4),
        0,
        bytes(4),
        0,
        0,
        0,
        *_fixed(_D50),
        bytes(4),
    )
    return header + table + data


def _fixed(numbers: tuple[float, ...]) -> list[int]:
    return [round(number * 0x10000) for number in numbers]


def _xyz(numbers: tuple[float, float, float]) -> bytes:
    return struct.pack(">4s4x3i", b"XYZ ", *_fixed(numbers))


def _curve(numbers: Curve) -> bytes:
    kind = 0 if len(numbers) == 1 else 3
    return struct.pack(f">4s4xHH{len(numbers)}i", b"para", kind, 0, *_fixed(numbers))


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return struct.pack(">4s4xII2s2sII", b"mluc", 1, 12, b"en", b"US", len(encoded), 28) + encoded
