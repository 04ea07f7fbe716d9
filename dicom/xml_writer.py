"""DICOM JSON to the Native DICOM Model in XML (PS3.18 F.3, PS3.19 A.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import orjson
from pydicom.datadict import dictionary_keyword

from dicom.errors import Malformed, TooComplex
from dicom.limits import in_force

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
NAME_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")

_START = f'<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'
_END = "</NativeDicomModel>"

_TAG = re.compile(r"[0-9A-F]{8}")
_VR = re.compile(r"[A-Z]{2}")
# What XML 1.0 has no way to write (2.2) becomes U+FFFD. A bare CR would be read as LF (2.11), and so would white space
# in an attribute as a space (3.3.3).
_NOT_XML = "\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff"
_IN_TEXT = re.compile(rf"[&<>\r{_NOT_XML}]")
_IN_ATTRIBUTE = re.compile(rf'[&<>"\t\n\r{_NOT_XML}]')
_ESCAPED: Mapping[str, str] = MappingProxyType(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)


def to_xml(json_text: bytes) -> bytes:
    """One DICOM JSON object, as `part10.parse` or a search makes it, as a NativeDicomModel document in UTF-8.

    A null among values becomes an empty Value, so that the values behind it keep their numbers. The tag of a private
    attribute is written as gggg00ee beside its privateCreator, unless that is not the creator's first block there.
    Raises `Malformed` for what is no DICOM JSON object, `TooComplex` for too deep a nesting.
    """
    try:
        attributes = orjson.loads(json_text)
    except orjson.JSONDecodeError as error:
        raise Malformed("one DICOM JSON object was expected, found no JSON") from error
    out = [_START]
    _data_set(out, attributes, 0)
    out.append(_END)
    return "".join(out).encode()


def _data_set(out: list[str], attributes: Any, depth: int) -> None:
    if not isinstance(attributes, dict):
        raise Malformed("a DICOM JSON object was expected")
    limits = in_force()
    if depth > limits.sequence_depth:
        raise TooComplex(f"sequences nested more than {limits.sequence_depth} deep")
    creators = _creators(attributes)
    for tag, attribute in attributes.items():
        if not isinstance(attribute, dict):
            raise Malformed(f"{_shown(tag)}: a DICOM JSON attribute was expected")
        creator = creators.get(tag[:6]) if creators else None
        vr = attribute.get("vr")
        if not isinstance(vr, str):
            raise Malformed(f"{_shown(tag)}: a VR was expected")
        head = _head(tag, vr) if creator is None else _private(tag, vr, *creator)
        size = len(out)
        out.append(head)
        _body(out, tag, attribute, depth)
        if len(out) == size + 1:
            out[size] = head[:-1] + "/>"
        else:
            out.append("</DicomAttribute>")


def _body(out: list[str], tag: str, attribute: dict[str, Any], depth: int) -> None:
    uri, inline = attribute.get("BulkDataURI"), attribute.get("InlineBinary")
    if isinstance(uri, str):
        out.append(f'<BulkData uri="{_attribute(uri)}"/>')
    elif isinstance(inline, str):
        out.append(f"<InlineBinary>{_text(inline)}</InlineBinary>")
    values = attribute.get("Value", ())
    if not isinstance(values, list | tuple):
        raise Malformed(f"{_shown(tag)}: a list of values was expected")
    if attribute["vr"] == "SQ":
        for number, item in enumerate(values, 1):
            out.append(f'<Item number="{number}">')
            _data_set(out, {} if item is None else item, depth + 1)
            out.append("</Item>")
    elif attribute["vr"] == "PN":
        out.extend([_person_name(tag, number, name) for number, name in enumerate(values, 1)])
    else:
        out.extend([f'<Value number="{number}">{_value(tag, one)}</Value>' for number, one in enumerate(values, 1)])


def _value(tag: str, value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if value is None:
        return ""
    if isinstance(value, dict | list | bool):
        raise Malformed(f"{_shown(tag)}: a text or number was expected")
    return repr(value)


def _person_name(tag: str, number: int, name: Any) -> str:
    groups = {} if name is None else {"Alphabetic": name} if isinstance(name, str) else name
    if not isinstance(groups, dict):
        raise Malformed(f"{_shown(tag)}: a person name was expected")
    parts = [f"<{group}>{_components(groups[group])}</{group}>" for group in NAME_GROUPS if groups.get(group)]
    return f'<PersonName number="{number}">{"".join(parts)}</PersonName>'


def _components(group: str) -> str:
    """The components of a name; empty ones are left out but for the last, which keeps the carets before it."""
    parts = str(group).split("^", len(NAME_COMPONENTS) - 1)
    last = len(parts) - 1
    return "".join(
        f"<{NAME_COMPONENTS[place]}>{_text(part)}</{NAME_COMPONENTS[place]}>"
        for place, part in enumerate(parts)
        if part or place == last
    )


@lru_cache(maxsize=8192)
def _head(tag: str, vr: str) -> str:
    """The start of a public attribute, or of a private one whose creator is not known."""
    if _TAG.fullmatch(tag) is None or _VR.fullmatch(vr) is None:
        raise Malformed(f"{_shown(tag)}: a tag of eight hexadecimal digits and a VR were expected")
    try:
        keyword = dictionary_keyword(int(tag, 16))
    except KeyError:
        keyword = ""
    named = f' keyword="{keyword}"' if keyword else ""
    return f'<DicomAttribute tag="{tag}" vr="{vr}"{named}>'


def _private(tag: str, vr: str, creator: str, first: bool) -> str:
    _head(tag, vr)
    shown = f"{tag[:4]}00{tag[6:]}" if first else tag
    return f'<DicomAttribute tag="{shown}" vr="{vr}" privateCreator="{_attribute(creator)}">'


def _creators(attributes: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """Group and block of private attributes -> who reserved it, and whether that is its first block there."""
    found: dict[str, tuple[str, bool]] = {}
    seen: set[tuple[str, str]] = set()
    for tag in sorted(tag for tag in attributes if is_private_creator(tag)):
        attribute = attributes[tag]
        values = attribute.get("Value") if isinstance(attribute, dict) else None
        if isinstance(values, list) and len(values) == 1 and isinstance(values[0], str):
            creator = values[0].strip()
            found[tag[:4] + tag[6:]] = (creator, (tag[:4], creator) not in seen)
            seen.add((tag[:4], creator))
    return found


def is_private_creator(tag: str) -> bool:
    """Whether a tag such as 00090010 reserves a block of private attributes (PS3.5 7.8.1)."""
    return tag[3:4] in "13579BDF" and tag[4:6] == "00" and tag[6:8] >= "10" and len(tag) == 8


def _text(value: str) -> str:
    return _IN_TEXT.sub(_escape, value) if _IN_TEXT.search(value) else value


def _attribute(value: str) -> str:
    return _IN_ATTRIBUTE.sub(_escape, value)


def _escape(match: re.Match[str]) -> str:
    return _ESCAPED.get(match[0], "\N{REPLACEMENT CHARACTER}")


def _shown(tag: str) -> str:
    return f"({tag[:4]},{tag[4:]})" if _TAG.fullmatch(tag) else "an attribute whose name is no tag"
