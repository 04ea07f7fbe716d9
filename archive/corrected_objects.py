"""Corrections in whole objects: which elements of the data set become what (PS3.3 C.12.1, PS3.5 6.1)."""

import unicodedata
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, Final

import orjson
from pydicom.charset import convert_encodings, encode_string
from pydicom.dataset import Dataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_sequence

from archive.corrections import ORIGINAL_ATTRIBUTES, corrected
from archive.errors import ArchiveUnavailable
from archive.locate import Located
from archive.payload import inflated
from dicom.charsets import parse_terms
from dicom.errors import DicomError
from dicom.part10 import parse
from dicom.picture_header import read_picture_header
from dicom.rewriting import Change
from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TransferSyntax

_CHARACTER_SET: Final = 0x00080005
# What is in force where no character set is named; one that has what German and French names need beside it.
_PLAIN, _LATIN, _UNICODE = ("", "ISO_IR 6"), "ISO_IR 100", "ISO_IR 192"


def given_syntax(instance: Located) -> TransferSyntax:
    """The transfer syntax in which an object leaves if none is named.

    That in which it is stored; but what is corrected is written in Explicit VR Little Endian, as all of ours is.
    """
    stored = instance.transfer_syntax
    as_it_is = not (stored.implicit_vr or stored.deflated) and stored.little_endian
    return stored if instance.correction is None or as_it_is else EXPLICIT_VR_LITTLE_ENDIAN


def changes_of(instance: Located) -> dict[int, Change]:
    """The elements that are corrected, by tag; none where the object says the same. Raises ``ArchiveUnavailable``."""
    if instance.correction is None:
        return {}
    try:
        before: dict[str, Any] = orjson.loads(parse(instance.source).json_text)
        after = corrected(before, instance.correction)
        if after is before:
            return {}
        terms = _terms(instance)
    except DicomError as error:
        raise ArchiveUnavailable("a stored object is damaged") from error
    tags = (*instance.correction.texts, ORIGINAL_ATTRIBUTES)
    changed = {tag: after[tag] for tag in tags if after.get(tag) != before.get(tag)}
    changes: dict[int, Change] = {}
    spoken = orjson.dumps(changed).decode()
    if not any(term not in _PLAIN for term in terms) and not spoken.isascii():
        terms = (_LATIN if _fits(spoken, "latin-1") else _UNICODE,)
        changes[_CHARACTER_SET] = Change("CS", terms[0].encode())
    encodings = _encodings(terms)
    for tag, attribute in changed.items():
        text = instance.correction.texts.get(tag)
        value = _items(attribute, encodings) if text is None else _text(text, encodings)
        changes[int(tag, 16)] = Change(attribute["vr"], value)
    return changes


def _terms(instance: Located) -> tuple[str, ...]:
    """Specific Character Set as the object names it, which is not how its metadata does."""
    wanted: Mapping[int, None] = {_CHARACTER_SET: None}
    syntax = instance.transfer_syntax
    if syntax.deflated:
        with inflated(instance.source) as source:
            header = read_picture_header(source, syntax, 1, wanted)
    else:
        header = read_picture_header(instance.header, syntax, 1, wanted)
    element = header.get_item(_CHARACTER_SET)
    return parse_terms(element.value) if element is not None and isinstance(element.value, bytes) else ()


def _fits(text: str, codec: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _encodings(terms: Sequence[str]) -> list[str]:
    try:
        return convert_encodings(list(terms) or [""])
    except LookupError:  # a name that nobody knows
        return ["ascii"]


def _text(text: str, encodings: Sequence[str]) -> bytes:
    value = encode_string(text if _writable(text, encodings) else _plain(text), encodings)
    return value + b" " * (len(value) % 2)


def _items(attribute: Mapping[str, Any], encodings: list[str]) -> bytes:
    writable = _writable(orjson.dumps(attribute).decode(), encodings)
    return _written(attribute if writable else _plain(attribute), encodings)


def _writable(text: str, encodings: Sequence[str]) -> bool:
    """Whether it can be written; with code extensions each part of it may be in another set."""
    return len(encodings) > 1 or _fits(text, encodings[0])


def _written(attribute: Mapping[str, Any], encodings: list[str]) -> bytes:
    holder = Dataset.from_json({ORIGINAL_ATTRIBUTES: dict(attribute)})
    buffer = BytesIO()
    file = DicomIO(buffer)
    file.is_implicit_VR, file.is_little_endian = False, True
    write_sequence(file, holder[int(ORIGINAL_ATTRIBUTES, 16)], encodings)
    return buffer.getvalue()


def _plain(value: Any) -> Any:
    """Text without what the object's character set may have no letter for: accents go, other letters become ``?``.

    All of an object's text would have to be written anew to change its character set. The metadata have it in full.
    """
    if isinstance(value, str):
        bare = (c for c in unicodedata.normalize("NFKD", value) if not unicodedata.combining(c))
        return "".join(bare).encode("ascii", "replace").decode()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
