"""Query strings as the client wrote them, and what is told of those that were asked in vain."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl

from dicomweb.errors import BadRequest

SERVICE: Final = "Lightbox"
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def pairs_of(query_string: str) -> list[tuple[str, str]]:
    """Names and values of a query string, whose bytes WSGI hands over as Latin-1. Raises ``BadRequest``."""
    try:
        text = query_string.encode("latin-1").decode("utf-8")
        if _BROKEN_ESCAPE.search(text):
            raise BadRequest("the query string holds a percent sign that begins no percent-encoding")
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError as error:
        raise BadRequest("the query string is not percent-encoded UTF-8, or has too many parameters") from error


def warning(texts: Iterable[str]) -> str:
    """The value of a Warning header field (PS3.18 8.3.4)."""
    return ", ".join(f'299 {SERVICE}: "{_quotable(text)}"' for text in texts)


def _quotable(text: str) -> str:
    """Text fit for a quoted string in a header field: printable ASCII without quotes."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text)[:200]
