"""Values out of a workitem's data set by keyword, and attributes made of values (DICOM JSON, PS3.18 F.2)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

Attributes = dict[str, dict[str, Any]]
Item = Mapping[str, Any]
# (code value, coding scheme, meaning)
Code = tuple[str, str, str]


@cache
def tag(keyword: str) -> str:
    """The tag of a keyword of the standard, eight hexadecimal digits."""
    number = tag_for_keyword(keyword)
    if number is None:
        raise KeyError(keyword)
    return f"{number:08X}"


def is_filled(data_set: Item, keyword: str) -> bool:
    """Whether the attribute is there and has a value."""
    attribute = data_set.get(tag(keyword)) or {}
    return bool(attribute.get("Value") or attribute.get("InlineBinary"))


def text(data_set: Item, keyword: str) -> str:
    """The values as one text in DICOM's own form, "" if there is none; of a name its groups between ``=``."""
    values = (data_set.get(tag(keyword)) or {}).get("Value") or []
    return "\\".join(_spelled(value) for value in values)


def items(data_set: Item, *keywords: str) -> Iterator[Attributes]:
    """The items of a sequence, or those of one inside of all its items, and so on."""
    first, *rest = keywords
    for item in (data_set.get(tag(first)) or {}).get("Value") or []:
        if rest:
            yield from items(item, *rest)
        else:
            yield item


def attribute(keyword: str, *values: object) -> Attributes:
    """The attribute with these values; empty texts and no values are an attribute without a value."""
    vr = dictionary_VR(tag(keyword))
    kept = [value for value in values if value not in ("", None)]
    return {tag(keyword): {"vr": vr, "Value": kept} if kept else {"vr": vr}}


def coded(code: Code) -> Attributes:
    """A code sequence's item (PS3.3 8.8)."""
    value, scheme, meaning = code
    return (
        attribute("CodeValue", value) | attribute("CodingSchemeDesignator", scheme) | attribute("CodeMeaning", meaning)
    )


def moment(at: datetime) -> str:
    """A DT value in UTC."""
    return f"{at.astimezone(UTC):%Y%m%d%H%M%S}+0000"


def only(data_set: Item, keywords: Sequence[str]) -> Attributes:
    """Those of the attributes that are there."""
    return {tag(keyword): data_set[tag(keyword)] for keyword in keywords if tag(keyword) in data_set}


def ascending(data_set: Item) -> Attributes:
    """The attributes in the order of their tags (PS3.18 F.2.2)."""
    return dict(sorted(data_set.items()))


def _spelled(value: Any) -> str:
    if isinstance(value, Mapping):
        return "=".join(str(value.get(group) or "") for group in ("Alphabetic", "Ideographic", "Phonetic")).rstrip("=")
    return "" if value is None else str(value).strip()
