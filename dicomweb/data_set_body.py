"""One data set as the body of a request: DICOM JSON or Native DICOM XML, alone or as a multipart body of one part.

PS3.18 8.6, 8.7.3, Annex F.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson
from django.http import HttpRequest

from dicom.errors import DicomError
from dicom.xml import from_xml
from dicomweb.body import body_reader
from dicomweb.errors import BadRequest, TooLarge, UnsupportedMediaType
from dicomweb.multipart import Limits, MultipartReader, parse_content_type

DataSet = dict[str, Any]

XML: Final = "application/dicom+xml"
JSON: Final = ("application/dicom+json", "application/json")
# Of what is sent here none has pixels.
MOST_BYTES: Final = 4 << 20
_READ: Final = 1 << 16
_TOO_LARGE: Final = 1 << 63
_DEEPEST: Final = 16
_TAG: Final = re.compile(r"[0-9A-F]{8}")
_VR: Final = re.compile(r"[A-Z]{2}")
_GROUPS: Final = frozenset({"Alphabetic", "Ideographic", "Phonetic"})
_BYTES: Final = ("InlineBinary", "BulkDataURI")
_CONTENT: Final = frozenset({"vr", "Value", *_BYTES})


def data_set_of(request: HttpRequest) -> DataSet:
    """The data set of the body, well-formed at any depth, with tags in upper case.

    Raises ``UnsupportedMediaType``, ``TooLarge``, ``BadRequest``, ``MultipartError``.
    """
    media_type = parse_content_type(request.META.get("CONTENT_TYPE", ""))
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("Content-Encoding: a body without content coding is expected")
    read = body_reader(request)
    if media_type.type != "multipart/related":
        return _data_set(_whole(_pieces(read)), media_type.type)
    boundary = media_type.parameters.get("boundary")
    if not boundary:
        raise BadRequest("Content-Type has no boundary")
    root = media_type.parameters.get("type") or JSON[0]
    found = [
        _data_set(_whole(part.chunks()), parse_content_type(part.headers.get("content-type") or root).type)
        for part in MultipartReader(read, boundary, Limits(parts=1))
    ]
    if not found:
        raise BadRequest("the body has no part")
    return found[0]


def _pieces(read: Callable[[int], bytes]) -> Iterable[bytes]:
    return iter(lambda: read(_READ), b"")


def _whole(pieces: Iterable[bytes]) -> bytes:
    text = bytearray()
    for piece in pieces:
        text += piece
        if len(text) > MOST_BYTES:
            raise TooLarge(f"a data set has at most {MOST_BYTES} bytes")
    return bytes(text)


def _data_set(text: bytes, media_type: str) -> DataSet:
    if media_type not in (XML, *JSON):
        raise UnsupportedMediaType(f"expected {JSON[0]} or {XML}, found {media_type}")
    try:
        found = from_xml(text) if media_type == XML else orjson.loads(text)
    except (DicomError, orjson.JSONDecodeError) as error:
        # What is wrong with XML names the place; what is wrong with JSON, too, and neither repeats a value.
        raise BadRequest(f"the body can't be read as {media_type}: {error}") from error
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    return _checked(found, _DEEPEST)


def _checked(found: Any, depth: int) -> DataSet:
    if not isinstance(found, dict) or not depth:
        raise BadRequest("expected one DICOM JSON object (PS3.18 F.2), sequences at most 16 deep")
    checked: DataSet = {}
    for name, attribute in found.items():
        tag = name.upper()
        if not _TAG.fullmatch(tag) or tag in checked:
            raise BadRequest("a name that is no tag of eight hexadecimal digits, or one that comes twice")
        checked[tag] = _attribute(tag, attribute, depth)
    return checked


def _attribute(tag: str, attribute: Any, depth: int) -> dict[str, Any]:
    place = f"({tag[:4]},{tag[4:]})"
    if not isinstance(attribute, dict) or not attribute.keys() <= _CONTENT:
        raise BadRequest(f"{place}: expected vr with Value, InlineBinary or BulkDataURI")
    if any(not isinstance(attribute.get(name, ""), str) or "\0" in attribute.get(name, "") for name in _BYTES):
        raise BadRequest(f"{place}: InlineBinary and BulkDataURI are text")
    values = attribute.get("Value", [])
    if not _VR.fullmatch(str(attribute.get("vr", ""))) or not isinstance(values, list):
        raise BadRequest(f"{place}: expected a vr of two letters and an array of values")
    if attribute["vr"] == "SQ":
        return attribute | {"Value": [_checked(value or {}, depth - 1) for value in values]}
    if any(_is_odd(value) for value in values):
        raise BadRequest(f"{place}: a value of this vr is text, a number of 64 bits, or a name in its groups")
    return attribute


def _is_odd(value: Any) -> bool:
    """No text, number or name; or a text that no database takes; or a number that comes back from one as an integer
    that is too long for JSON."""
    if isinstance(value, dict):
        return not value.keys() <= _GROUPS or any(not isinstance(each, str) or "\0" in each for each in value.values())
    if isinstance(value, float):
        return abs(value) >= _TOO_LARGE
    return isinstance(value, list) or (isinstance(value, str) and "\0" in value)
