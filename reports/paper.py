"""Pages of a report's PDF as pictures. A PDF is a stranger's program: it is drawn in a process of its own."""

from __future__ import annotations

from archive.codec_processes import away
from dicom.pdf_picture import draw_pdf_page
from dicom.rendering import encode_picture

_SMALL = (16, 16)


def draw_page(pdf: bytes, number: int, *, small: bool = False) -> tuple[int, bytes]:
    """How many pages there are, and page ``number``, from 1, as image/png; b"" for one that isn't there.

    ``small`` is for who only wants to count. Raises ``dicom.errors.DicomError`` for a PDF that can't be drawn,
    ``ArchiveUnavailable`` without a process to draw it.
    """
    count, picture = away(draw_pdf_page, pdf, number, _SMALL if small else None)
    return count, encode_picture(picture, "image/png") if picture.size else b""
