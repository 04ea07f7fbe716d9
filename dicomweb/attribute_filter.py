"""The minimum necessary: attributes that a role is not shown leave neither answers nor, by searching, a trace.

They are taken out of DICOM JSON objects at any depth, and with a sequence all that is inside. Whoever sees all
attributes pays nothing. Whole Part 10 objects, pixels, private attributes and free text stay what they are.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from isal import igzip
from rest_framework.exceptions import PermissionDenied

from archive.extended_declaration import ExtendedAttribute
from archive.metadata import Document, objects_of
from archive.retrieve import BulkTable
from archive.search import SearchQuery

LEFT_OUT = "Attributes that your role is not shown are left out."
_ENTRIES = b",\n"

Tags = frozenset[str]


def without(text: bytes, withheld: Tags) -> bytes:
    """A DICOM JSON object without the attributes ``withheld``."""
    return orjson.dumps(_without(orjson.loads(text), withheld)) if withheld else text


def added_without(before: str, after: str, withheld: Tags) -> str:
    """``after`` without those of the attributes ``withheld`` that it has on top of ``before``."""
    shown: dict[str, Any] = _without(orjson.loads(after), withheld) | orjson.loads(before)
    return orjson.dumps({tag: shown[tag] for tag in sorted(shown)}).decode()


def document_without(document: Document, withheld: Tags) -> Document:
    """The metadata of instances without these attributes, with an entity tag of its own."""
    if not withheld:
        return document
    lines = [without(line, withheld) for line in objects_of(document) if line]
    return Document(igzip.compress(b"[" + _ENTRIES.join(lines) + b"]", 1), tag_without(document.etag, withheld))


def tag_without(etag: str, withheld: Tags) -> str:
    """The entity tag of a document that has ``etag`` with all its attributes."""
    return hashlib.sha256(" ".join((etag, *sorted(withheld))).encode()).hexdigest()[:32] if withheld else etag


def table_without(table: BulkTable, withheld: Tags) -> BulkTable:
    """The bulk values of an instance without those that belong to these attributes."""
    return {path: entry for path, entry in table.items() if not hides(path, withheld)} if withheld else table


def hides(path: str, withheld: Tags) -> bool:
    """Whether a bulk value (``54000100/1/54001010``) is, or lies in, one of these attributes."""
    return not withheld.isdisjoint(path.upper().split("/"))


def check_keys(query: SearchQuery, withheld: Tags) -> bool:
    """Whether the query asks for attributes in vain. Raises PermissionDenied for one that matches or sorts by them:
    leaving the key out would answer another question, and the answer to this one tells their values.
    """
    if not withheld:
        return False
    keys = {match.attribute.tag for match in query.matches} | {order.attribute.tag for order in query.order}
    keys |= {tag for tag, _ in query.item_matches}
    keys |= {step for match in query.extended for step in match.attribute.steps}
    if not keys.isdisjoint(withheld):
        raise PermissionDenied("your role is not shown one of the attributes that this search matches or sorts by")
    return not (query.include or frozenset()).isdisjoint(withheld) or any(
        _declares(each, withheld) for each in query.extended_include
    )


def _declares(attribute: ExtendedAttribute, withheld: Tags) -> bool:
    return not withheld.isdisjoint(attribute.steps)


def _without(data_set: Mapping[str, Any], withheld: Tags) -> dict[str, Any]:
    return {tag: _attribute(value, withheld) for tag, value in data_set.items() if tag not in withheld}


def _attribute(attribute: Any, withheld: Tags) -> Any:
    if isinstance(attribute, dict) and attribute.get("vr") == "SQ" and "Value" in attribute:
        items = [_without(item, withheld) if isinstance(item, dict) else item for item in attribute["Value"]]
        return {**attribute, "Value": items}
    return attribute
