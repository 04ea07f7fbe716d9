"""The Native DICOM Model in XML to DICOM JSON (PS3.18 F.3, PS3.19 A.1), from whoever sent it.

The document is handed to expat with everything refused that could make a small one large or reach outside: document
types, and with them every entity and default. Nesting, counts and size are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn
from xml.parsers import expat

from dicom.errors import Malformed, TooComplex
from dicom.limits import in_force
from dicom.vrs import LONG, SHORT, describe
from dicom.xml_numbers import FLOATS, INTEGERS, decimal, integer
from dicom.xml_writer import NAME_COMPONENTS, NAME_GROUPS, NAMESPACE, is_private_creator

Attributes = dict[str, dict[str, Any]]

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_BINARY = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
_VRS = frozenset(vr.decode() for vr in SHORT | LONG)
_INLINE, _BULK, _VALUE, _NAME, _ITEM = "InlineBinary", "BulkData", "Value", "PersonName", "Item"
_ROOT, _ATTRIBUTE = "NativeDicomModel", "DicomAttribute"

_BLOCKS = tuple(f"{number:02X}" for number in range(0x10, 0x100))

_CHILDREN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "": frozenset((_ROOT,)),
        _ROOT: frozenset((_ATTRIBUTE,)),
        _ITEM: frozenset((_ATTRIBUTE,)),
        _ATTRIBUTE: frozenset((_INLINE, _BULK, _VALUE, _NAME, _ITEM)),
        _NAME: frozenset(NAME_GROUPS),
        **dict.fromkeys(NAME_GROUPS, frozenset(NAME_COMPONENTS)),
    }
)
_TEXTS = frozenset((_VALUE, _INLINE, *NAME_COMPONENTS))
_CONVERT: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {**dict.fromkeys(INTEGERS, integer), **dict.fromkeys(FLOATS, decimal)}
)


def from_xml(document: bytes) -> Attributes:
    """The DICOM JSON object of a NativeDicomModel document, tags in ascending order.

    With or without the namespace. Private attributes written as gggg00ee beside a privateCreator get
    the block that their creator reserved, or the next free one. Raises `Malformed` or `TooComplex`.
    """
    limits = in_force()
    if len(document) > limits.xml_bytes:
        raise TooComplex(f"an XML document of more than {limits.xml_bytes} bytes")
    return _Reader().read(document)


class _DataSet:
    """The data set or item being read; `private` waits until all creators are known."""

    __slots__ = ("attributes", "private")

    def __init__(self) -> None:
        self.attributes: Attributes = {}
        self.private: list[tuple[str, str, dict[str, Any]]] = []  # tag, creator, attribute


class _Attribute:
    """The attribute being read."""

    __slots__ = ("body", "creator", "kind", "tag", "values", "vr")

    def __init__(self, tag: str, vr: str, creator: str | None) -> None:
        self.tag = tag
        self.vr = vr
        self.creator = creator
        self.kind = ""
        self.body = ""
        self.values: list[Any] = []


class _Reader:
    """The state of one document: open elements, and the data sets and attributes among them, outermost first."""

    def __init__(self) -> None:
        self._limits = in_force()
        self._path = [""]
        self._sets: list[_DataSet] = []
        self._open: list[_Attribute] = []
        self._text: list[str] = []
        self._result: Attributes = {}
        self._attributes = 0
        self._values = 0
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.EntityDeclHandler = self._refuse
        self._parser.ExternalEntityRefHandler = self._refuse
        self._parser.SkippedEntityHandler = self._refuse
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    def read(self, document: bytes) -> Attributes:
        try:
            self._parser.Parse(document, True)
        except expat.ExpatError as error:
            raise Malformed(f"no XML: {expat.ErrorString(error.code)} at line {error.lineno}") from error
        except (LookupError, ValueError) as error:  # an encoding that Python does not know either
            raise Malformed("no XML: the encoding that it declares cannot be read") from error
        return self._result

    def _refuse(self, *_: object) -> NoReturn:
        raise Malformed(f"line {self._parser.CurrentLineNumber}: an XML document type or entity is not accepted")

    def _fail(self, text: str) -> NoReturn:
        place = f"{describe(int(self._open[-1].tag, 16))}: " if self._open else ""
        raise Malformed(f"{place}{text} at line {self._parser.CurrentLineNumber}")

    def _start(self, qualified: str, attributes: dict[str, str]) -> None:
        namespace, _, name = qualified.rpartition(" ")
        within = self._path[-1]
        if namespace not in ("", NAMESPACE) or name not in _CHILDREN.get(within, ()):
            expected = " or ".join(sorted(_CHILDREN.get(within, ()))) or "no element"
            self._fail(f"{expected} was expected in {within or 'the document'}")
        self._path.append(name)
        self._text.clear()
        if name == _ATTRIBUTE:
            self._start_attribute(attributes)
        elif name == _ROOT:
            self._sets.append(_DataSet())
        elif within == _ATTRIBUTE:
            self._start_value(name, attributes)
        elif within == _NAME:
            if name in self._open[-1].values[-1]:
                self._fail(f"{name} appears twice")
            self._open[-1].values[-1][name] = {}

    def _start_attribute(self, attributes: dict[str, str]) -> None:
        tag, vr, creator = attributes.get("tag", ""), attributes.get("vr", ""), attributes.get("privateCreator")
        if _TAG.fullmatch(tag) is None:
            self._fail("a tag of eight hexadecimal digits was expected")
        self._attributes += 1
        if self._attributes > self._limits.elements:
            raise TooComplex(f"more than {self._limits.elements} attributes")
        self._open.append(_Attribute(tag.upper(), vr, creator))
        if vr not in _VRS:
            self._fail("vr is no VR")
        if creator is not None and not (int(tag[3], 16) & 1 and creator.strip()):
            self._fail("a privateCreator was found, but the tag is not private or the creator empty")

    def _start_value(self, name: str, attributes: dict[str, str]) -> None:
        attribute = self._open[-1]
        allowed = {"SQ": (_ITEM,), "PN": (_NAME, _BULK)}.get(
            attribute.vr, (_INLINE, _BULK) if attribute.vr in _BINARY else (_VALUE, _BULK)
        )
        if name not in allowed:
            self._fail(f"{' or '.join(allowed)} was expected in an attribute of VR {attribute.vr}")
        if attribute.kind and (name in (_INLINE, _BULK) or attribute.kind != name):
            self._fail(f"{name} follows {attribute.kind}")
        attribute.kind = name
        if name == _BULK:
            if not attributes.get("uri"):
                self._fail("a BulkData without a uri")
            attribute.body = attributes["uri"]
        elif name != _INLINE:
            self._number(attribute, attributes.get("number"))
            attribute.values.append({} if name in (_NAME, _ITEM) else None)
        if name == _ITEM:
            if len(self._sets) > self._limits.sequence_depth:
                raise TooComplex(f"sequences nested more than {self._limits.sequence_depth} deep")
            self._sets.append(_DataSet())

    def _number(self, attribute: _Attribute, number: str | None) -> None:
        """Values that were left out are null; an item or value without a number follows the last."""
        expected = len(attribute.values) + 1
        if number is not None and _NUMBER.fullmatch(number) is None:
            self._fail("a positive number was expected")
        found = expected if number is None else int(number)
        if found < expected or (found > expected and attribute.vr == "SQ"):
            self._fail(f"number {expected} was expected, found {found}")
        self._values += found - expected + 1
        if self._values > self._limits.elements:
            raise TooComplex(f"more than {self._limits.elements} values")
        attribute.values.extend([None] * (found - expected))

    def _characters(self, text: str) -> None:
        if self._path[-1] in _TEXTS:
            self._text.append(text)
        elif text.strip():
            self._fail(f"text was found in {self._path[-1]}")

    def _end(self, _: str) -> None:
        name = self._path.pop()
        if name in _TEXTS:
            self._end_text(name, "".join(self._text))
            self._text.clear()
        elif name in NAME_GROUPS:
            self._open[-1].values[-1][name] = _joined(self._open[-1].values[-1][name])
        elif name == _NAME:
            names = self._open[-1].values
            names[-1] = {group: text for group, text in names[-1].items() if text} or None
        elif name == _ATTRIBUTE:
            self._end_attribute(self._open.pop())
        elif name == _ITEM:
            self._open[-1].values[-1] = self._end_data_set()
        elif name == _ROOT:
            self._result = self._end_data_set()

    def _end_text(self, name: str, text: str) -> None:
        attribute = self._open[-1]
        if name == _INLINE:
            attribute.body = "".join(text.split())
        elif name == _VALUE:
            try:
                attribute.values[-1] = _CONVERT.get(attribute.vr, str)(text) if text else None
            except ValueError:
                self._fail(f"value {len(attribute.values)} is no number of VR {attribute.vr}")
        else:
            group = attribute.values[-1][self._path[-1]]
            if name in group:
                self._fail(f"{name} appears twice")
            group[name] = text

    def _end_attribute(self, attribute: _Attribute) -> None:
        found: dict[str, Any] = {"vr": attribute.vr}
        if attribute.kind == _BULK:
            found["BulkDataURI"] = attribute.body
        elif attribute.body:
            found["InlineBinary"] = attribute.body
        elif attribute.values:
            found["Value"] = attribute.values
        level = self._sets[-1]
        if attribute.creator is not None and attribute.tag[4:6] == "00":
            level.private.append((attribute.tag, attribute.creator.strip(), found))
        else:
            self._add(level, attribute.tag, found)

    def _add(self, level: _DataSet, tag: str, attribute: dict[str, Any]) -> None:
        if tag in level.attributes:
            self._fail(f"{describe(int(tag, 16))} appears twice")
        level.attributes[tag] = attribute

    def _end_data_set(self) -> Attributes:
        level = self._sets.pop()
        if level.private:
            self._place_private(level)
        return {tag: level.attributes[tag] for tag in sorted(level.attributes)}

    def _place_private(self, level: _DataSet) -> None:
        blocks: dict[tuple[str, str], str] = {}
        for tag in sorted((tag for tag in level.attributes if is_private_creator(tag)), reverse=True):
            for creator in level.attributes[tag].get("Value", ()):
                blocks[tag[:4], str(creator).strip()] = tag[6:]
        taken: dict[str, set[str]] = {}
        for tag in level.attributes:
            taken.setdefault(tag[:4], set()).add(tag[6:] if tag[4:6] == "00" else tag[4:6])
        for tag, creator, attribute in level.private:
            group = tag[:4]
            block = blocks.get((group, creator))
            if block is None:
                block = self._reserve(level, taken.setdefault(group, set()), group, creator)
                blocks[group, creator] = block
            self._add(level, f"{group}{block}{tag[6:]}", attribute)

    def _reserve(self, level: _DataSet, taken: set[str], group: str, creator: str) -> str:
        block = next((name for name in _BLOCKS if name not in taken), None)
        if block is None:
            self._fail(f"no block is free for private attributes of group {group}")
        taken.add(block)
        level.attributes[f"{group}00{block}"] = {"vr": "LO", "Value": [creator]}
        return block


def _joined(components: Mapping[str, str]) -> str:
    """The components of a name with their carets; those behind the last that is there are left out."""
    places = [place for place, name in enumerate(NAME_COMPONENTS) if name in components]
    return "^".join(components.get(name, "") for name in NAME_COMPONENTS[: places[-1] + 1]) if places else ""
