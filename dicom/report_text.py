"""A report's lines as text/plain and as text/html that runs nothing, loads nothing and needs no style."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from dicom.page_picture import Line

_INDENT = "  "
_DEEPEST_HEADING = 6


def as_plain_text(lines: Sequence[Line]) -> bytes:
    """UTF-8, lines indented by their depth; the title is underlined."""
    written = []
    for line in lines:
        indent = _INDENT * line.depth
        body = f"\n{indent}".join(_printable(line.text).split("\n"))
        if line.style == "title":
            written.append(f"{body}\n{'=' * min(len(body), 72)}\n")
        else:
            written.append(("\n" if line.style == "heading" else "") + indent + body)
    return ("\n".join(written) + "\n").encode()


def as_html(lines: Sequence[Line]) -> bytes:
    """A page in UTF-8: headings, and lists as deep as the tree."""
    title = next((line.text for line in lines if line.style == "title"), "Report")
    body: list[str] = []
    depth = 0
    for line in lines:
        # an item stays open for the list of what is below it
        body.extend("</li></ul>" for _ in range(line.depth, depth))
        if line.depth and line.depth <= depth:
            body.append("</li>")
        body.extend("<ul><li>" for _ in range(depth, line.depth - 1))
        if line.depth:
            body.append("<ul><li>" if line.depth > depth else "<li>")
        depth = line.depth
        inside = "<br>".join(escape(_printable(line.text)).split("\n"))
        body.append(_element(line, inside))
    body.extend("</li></ul>" for _ in range(depth))
    head = (
        '<!doctype html>\n<html><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        '<meta name="viewport" content="width=device-width">'
    )
    page = f"{head}<title>{escape(_printable(title))}</title></head>\n<body>\n{chr(10).join(body)}\n</body></html>\n"
    return page.encode()


def _element(line: Line, inside: str) -> str:
    if line.style == "title":
        return f"<h1>{inside}</h1>"
    if line.style == "heading":
        level = min(line.depth + 2, _DEEPEST_HEADING)
        return f"<h{level}>{inside}</h{level}>"
    if line.style == "small":
        return f"<p><small>{inside}</small></p>"
    return inside if line.depth else f"<p>{inside}</p>"


def _printable(text: str) -> str:
    """With `\\n` as the only line end and control character; bare marks of direction are kept, being text."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(each for each in text if each in "\n\t" or (each >= " " and not "\x7f" <= each <= "\x9f"))
