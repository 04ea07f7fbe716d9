"""HTTP field values that carry media types: Content-Type and Accept (RFC 9110 5.6, 8.3.1 and 12.5.1).

One grammar for both, read the way real clients write it: parameter values may be quoted or not, and an unquoted value
may hold characters that a token may not (`type=application/octet-stream`). Parameters in the RFC 2231 form (`name*=`)
have no use in DICOMweb and are kept under the name they came with. Every pattern is linear in the length of the text.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_TCHARS: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# dicomweb-client writes `image/` for any image; old Java clients write a bare `*` for anything.
_TYPE: Final = re.compile(rf"[ \t]*(?:({_TCHARS})/({_TCHARS})?|(\*))[ \t]*")
_PARAMETER: Final = re.compile(rf';[ \t]*(?:({_TCHARS})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^";,\s]*))[ \t]*)?')
_ELEMENT: Final = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*"?)+')
_ESCAPE: Final = re.compile(r"\\(.)")


class MediaTypeError(ValueError):
    """The text is not a media type. The message does not repeat the text."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """`type` in lower case ("multipart/related"); `parameters` by lower-case name, values unquoted, case kept."""

    type: str
    parameters: Mapping[str, str]


def parse_content_type(text: str) -> MediaType:
    """Read a Content-Type value or one element of an Accept list (RFC 9110 8.3.1).

    `image/` is read as `image/*` and `*` as `*/*`. Of a parameter given twice the first counts. Raises MediaTypeError.
    """
    match = _TYPE.match(text)
    if match is None:
        raise MediaTypeError("not a media type: expected type/subtype")
    position = match.end()
    parameters: dict[str, str] = {}
    while position < len(text):
        parameter = _PARAMETER.match(text, position)
        if parameter is None:
            raise MediaTypeError(f"not a media type: expected ;name=value at character {position + 1}")
        name, quoted, plain = parameter.groups()
        if name:
            value = _ESCAPE.sub(r"\1", quoted) if quoted is not None else plain
            parameters.setdefault(name.lower(), value)
        position = parameter.end()
    main, subtype, anything = match.groups()
    name = "*/*" if anything else f"{main}/{subtype or '*'}".lower()
    return MediaType(name, MappingProxyType(parameters))


def split_list(text: str) -> Iterator[str]:
    """The elements of a comma-separated field value; commas inside quotes do not separate (RFC 9110 5.6.1)."""
    return (element.group() for element in _ELEMENT.finditer(text) if element.group().strip())
