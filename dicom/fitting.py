"""A finished picture into the size that was asked for, with every pixel counted: thin lines and letters stay."""

from __future__ import annotations

import numpy
from numpy.typing import NDArray
from PIL import Image

from dicom.placement import MAXIMUM_ENLARGED
from dicom.region import Region


def fitted(
    picture: NDArray[numpy.uint8], viewport: tuple[int, int] | None, region: Region | None = None
) -> NDArray[numpy.uint8]:
    """`picture`, or `region` of it, scaled to fit into `viewport`, (width, height), with its aspect kept.

    It is made larger up to an edge of MAXIMUM_ENLARGED pixels. Raises OutsideImage (PS3.18 8.3.5.1.3).
    """
    if region:
        picture = region.of(*picture.shape[:2]).cut(picture)
    rows, columns = picture.shape[:2]
    if viewport is None:
        return picture
    scale = min(viewport[0] / columns, viewport[1] / rows)
    scale = min(scale, max(1.0, MAXIMUM_ENLARGED / max(rows, columns)))
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    if size == (columns, rows):
        return picture
    image = Image.fromarray(numpy.ascontiguousarray(picture))
    return numpy.asarray(image.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST))
