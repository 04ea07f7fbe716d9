"""Pages of an encapsulated PDF as pictures (PS3.3 A.45.1). A PDF is a stranger's program: to be called away."""

from __future__ import annotations

import math
import threading

import numpy
from numpy.typing import NDArray

from dicom.windowing import RenderingError

MAXIMUM_EDGE = 2048
# 120 dots an inch where nobody asks for a size
_USUAL_SCALE = 120 / 72
# The library is not made for threads
_ALONE = threading.Lock()


def draw_pdf_page(data: bytes, number: int, viewport: tuple[int, int] | None) -> tuple[int, NDArray[numpy.uint8]]:
    """How many pages there are, and page `number`, from 1, as (rows, columns, 3) RGB on white.

    The page fits into `viewport`, (width, height), where there is one, and is never larger than MAXIMUM_EDGE. Of a page
    that is not there the picture is empty. Scripts are not run, forms not filled. Raises RenderingError.
    """
    import pypdfium2

    with _ALONE:
        try:
            document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            raise RenderingError("the PDF is damaged, or needs a password") from error
        try:
            count = len(document)
            if not 1 <= number <= count:
                return count, numpy.zeros((0, 0, 3), numpy.uint8)
            page = document[number - 1]
            width, height = page.get_size()
            bitmap = page.render(scale=_scale(width, height, viewport), rev_byteorder=True, may_draw_forms=False)
            picture = numpy.array(bitmap.to_numpy()[:, :, :3])
        except (pypdfium2.PdfiumError, ValueError, ArithmeticError, MemoryError) as error:
            raise RenderingError("the page of the PDF cannot be drawn") from error
        finally:
            document.close()
    return count, picture


def _scale(width: float, height: float, viewport: tuple[int, int] | None) -> float:
    """Pixels of a point, 1/72 inch."""
    if not (math.isfinite(width) and math.isfinite(height) and width > 0 and height > 0):
        raise RenderingError("the page of the PDF has no size")
    if max(width, height) / min(width, height) > MAXIMUM_EDGE:
        raise RenderingError("the page of the PDF is a line")
    most = MAXIMUM_EDGE / max(width, height)
    if viewport is None:
        return min(most, _USUAL_SCALE)
    wanted = min(viewport[0] / width, viewport[1] / height)
    # twice as fine as a small picture, which is scaled down afterwards: letters stay smooth
    return min(most, wanted * 2 if wanted * max(width, height) < MAXIMUM_EDGE / 4 else wanted)
