"""A data set in the DICOM JSON Model as a client sends it (PS3.18 F.2), checked and in one form.

Everything here comes from a stranger: what does not fit its VR is refused with the tag and what was expected, never
with the value. There is no bulk data.
"""

from __future__ import annotations

import re
from typing import Any, Final

from dicom.errors import Malformed, TooComplex
from dicom.json_values import BINARY, VRS, dictionary_vrs, value_field
from dicom.vrs import describe

Attributes = dict[str, dict[str, Any]]

DEEPEST: Final = 16
MOST: Final = 20_000  # attributes and items
_TAG = re.compile(r"[0-9A-Fa-f]{8}")


def checked(attributes: Any) -> Attributes:
    """The data set with its tags ascending in capitals, each attribute with its VR, and with ``Value`` if it has one.

    Raises ``Malformed`` for what is none, ``TooComplex`` beyond ``DEEPEST`` levels or ``MOST`` attributes and items.
    """
    return _Checking().data_set(attributes, 0)


class _Checking:
    def __init__(self) -> None:
        self._count = 0

    def data_set(self, attributes: Any, depth: int) -> Attributes:
        if not isinstance(attributes, dict):
            raise Malformed("a DICOM JSON object was expected")
        if depth > DEEPEST:
            raise TooComplex(f"sequences nested more than {DEEPEST} deep")
        self._counted(len(attributes) + 1)
        found: Attributes = {}
        for name, attribute in attributes.items():
            if not _TAG.fullmatch(name):
                raise Malformed("the name of an attribute is to be its tag, eight hexadecimal digits")
            tag = name.upper()
            if tag in found:
                raise Malformed(f"{describe(int(tag, 16))}: found twice")
            found[tag] = self._attribute(int(tag, 16), attribute, depth)
        return dict(sorted(found.items()))

    def _attribute(self, tag: int, attribute: Any, depth: int) -> dict[str, Any]:
        if not isinstance(attribute, dict):
            raise Malformed(f"{describe(tag)}: a DICOM JSON attribute was expected")
        vr = _vr(tag, attribute.get("vr"))
        if attribute.get("BulkDataURI") is not None:
            raise Malformed(f"{describe(tag)}: no bulk data was expected")
        if vr == "SQ":
            items = attribute.get("Value") or []
            if not isinstance(items, list):
                raise Malformed(f"{describe(tag)}: Value is to be a list")
            return _filled(vr, [self.data_set({} if item is None else item, depth + 1) for item in items])
        value_field(tag, vr, attribute)
        if vr in BINARY:
            inline = attribute.get("InlineBinary")
            return {"vr": vr, "InlineBinary": inline} if inline else {"vr": vr}
        values = list(attribute.get("Value") or [])
        if vr == "PN":
            values = [{"Alphabetic": name} if isinstance(name, str) else name for name in values]
        return _filled(vr, values)

    def _counted(self, more: int) -> None:
        self._count += more
        if self._count > MOST:
            raise TooComplex(f"more than {MOST} attributes and items")


def _filled(vr: str, values: list[Any]) -> dict[str, Any]:
    said = any(value not in (None, "", {}) or vr == "SQ" for value in values)
    return {"vr": vr, "Value": values} if said else {"vr": vr}


def _vr(tag: int, given: Any) -> str:
    """The VR as sent, else that of the dictionary. It has to be one that the dictionary has for the tag."""
    known = dictionary_vrs(tag)
    if given is None and len(known) == 1:
        return next(iter(known))
    if not isinstance(given, str) or given not in VRS:
        raise Malformed(f"{describe(tag)}: a VR was expected")
    if known and given not in known and given != "UN":
        raise Malformed(f"{describe(tag)}: VR {' or '.join(sorted(known))} was expected")
    return given
