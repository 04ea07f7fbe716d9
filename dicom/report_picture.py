"""Pages of a structured report as pictures, from its DICOM JSON."""

from __future__ import annotations

import numpy
import orjson
from numpy.typing import NDArray

from dicom.page_picture import draw_page, pages_of
from dicom.report import has_content, report_lines
from dicom.windowing import RenderingError


def draw_report_page(text: bytes, number: int, more_font: str = "") -> tuple[int, NDArray[numpy.uint8]]:
    """How many pages there are, and page `number`, from 1, as (rows, columns, 3) RGB.

    The picture of a page that is not there is empty. Raises RenderingError where there is no content tree.
    """
    document = orjson.loads(text)
    if not has_content(document):
        raise RenderingError("the report has no content that could be shown")
    pages = pages_of(report_lines(document), more_font)
    if not 1 <= number <= len(pages):
        return len(pages), numpy.zeros((0, 0, 3), numpy.uint8)
    return len(pages), draw_page(pages, number, more_font)
