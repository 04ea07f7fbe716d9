"""pydicom's reading of an object, held against what the scanner says of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pydicom
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from dicom.attributes import ATTRIBUTES
from dicom.inflate import inflate
from dicom.instance import BULKDATA_ROOT
from dicom.part10 import ParsedInstance
from dicom.source import ByteSource
from dicom.transfer_syntaxes import BY_UID
from dicom.vrs import little_endian

OURS = {0x00080005, 0x00083002}  # written by the server: the JSON is UTF-8 whatever the object was
BINARY = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}
PIXEL_DATA = {0x7FE00008, 0x7FE00009, 0x7FE00010}


def differences(data: bytes, parsed: ParsedInstance, source: ByteSource, *, texts: bool = True) -> list[str]:
    """Every place where the scanner and pydicom disagree about the values of an object."""
    theirs = pydicom.dcmread(BytesIO(data))
    stream: ByteSource = inflate(source) if BY_UID[parsed.transfer_syntax_uid].deflated else source
    ours = Dataset.from_json(parsed.json_text.decode(), _bulk_reader(parsed, stream))
    found: list[str] = []
    swap = not BY_UID[parsed.transfer_syntax_uid].little_endian
    _compare(ours, theirs, "", swap, texts, found)
    for attribute in ATTRIBUTES:
        element = theirs.get(int(attribute.tag, 16))
        expected = _text(element)
        if texts and _loose(parsed.values[attribute.keyword]) != _loose(expected):
            found.append(f"values[{attribute.keyword}]")
    return found


def _bulk_reader(parsed: ParsedInstance, stream: ByteSource) -> Callable[[str, str, str], bytes | None]:
    prefix = (
        f"{BULKDATA_ROOT}/studies/{parsed.study_instance_uid}/series/{parsed.series_instance_uid}"
        f"/instances/{parsed.sop_instance_uid}/bulkdata/"
    )

    def read(tag: str, vr: str, uri: str) -> bytes | None:
        assert uri.startswith(prefix)
        path = uri.removeprefix(prefix)
        assert path.endswith(tag)
        if path not in parsed.bulk:
            assert parsed.frames is not None
            assert path in ("7FE00008", "7FE00009", "7FE00010")
            return None
        value = parsed.bulk[path]
        assert value.vr == vr
        return stream.read_at(value.offset, value.length)

    return read


def _compare(ours: Dataset, theirs: Dataset, place: str, swap: bool, texts: bool, found: list[str]) -> None:
    # group lengths, command elements and misplaced file meta are no part of the DICOM JSON model
    left_out = {tag for tag in set(theirs.keys()) if tag.element == 0 or tag.group in (0x0000, 0x0002, 0xFFFE)}
    expected_tags = set(theirs.keys()) - left_out - OURS
    for tag in sorted(expected_tags ^ (set(ours.keys()) - OURS)):
        found.append(f"{place}{tag}: {'only pydicom' if tag in expected_tags else 'only ours'}")
    for tag in sorted(expected_tags & set(ours.keys())):
        raw = theirs.get_item(tag)
        mine = ours[tag]
        where = f"{place}{tag} {mine.VR}"
        if tag in PIXEL_DATA and mine.value is None:
            continue
        if mine.VR == "UN" and isinstance(raw, RawDataElement):
            if (mine.value or b"") != (raw.value or b""):
                found.append(f"{where}: bytes")
            continue
        element = theirs[tag]
        if mine.VR == "SQ" and element.VR == "SQ":
            if len(mine.value) != len(element.value):
                found.append(f"{where}: {len(mine.value)} items, not {len(element.value)}")
            for number, pair in enumerate(zip(mine.value, element.value, strict=False), 1):
                _compare(pair[0], pair[1], f"{place}{tag}[{number}]", swap, texts, found)
        elif mine.VR in BINARY:
            expected = _bytes(element)
            if swap and mine.VR != "UN":
                expected = little_endian(mine.VR.encode(), expected)
                # bulk data is served in the byte order of the object until it is retrieved
                if (mine.value or b"") == _bytes(element):
                    continue
            if (mine.value or b"") != expected:
                found.append(f"{where}: bytes")
        elif (texts or mine.VR not in ("LO", "LT", "PN", "SH", "ST", "UC", "UT")) and _values(mine) != _values(element):
            found.append(f"{where}: {_values(mine)!r:.200} is not {_values(element)!r:.200}")


def _bytes(element: DataElement) -> bytes:
    value = element.value or b""
    return value if isinstance(value, bytes) else str(value).encode("latin-1")


def _list(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__") or hasattr(value, "components"):
        return [value]
    return list(value)


def _values(element: DataElement) -> list[Any]:
    values = _list(element.value)
    if element.VR in ("DS", "IS", "FL", "FD", "US", "SS", "UL", "SL", "SV", "UV"):
        numbers = [_float(value) for value in values]
        return [] if numbers == [None] else numbers
    if element.VR == "AT":
        return [int(value) for value in values]
    texts = [_loose(str(value)) for value in values]
    return texts if any(texts) else []


def _float(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _loose(text: str) -> str:
    return "\\".join(part.strip(" \0\n\r\t").rstrip("= ") for part in text.replace("\0", "").split("\\"))


def _text(element: DataElement | None) -> str:
    if element is None:
        return ""
    values = _list(element.value)
    return "\\".join(_original(value) for value in values)


def _original(value: Any) -> str:
    written = getattr(value, "original_string", None)  # of a number as it was written; bytes for a person name
    if isinstance(written, str):
        return written
    return "" if value is None else str(value)


def reference_frames(data: bytes) -> list[bytes]:
    """The frames as pydicom cuts them; whole fragments for encapsulated pixel data."""
    ds = pydicom.dcmread(BytesIO(data))
    number = int(ds.get("NumberOfFrames", 1) or 1)
    return list(generate_frames(ds.PixelData, number_of_frames=number))


def frame(parsed: ParsedInstance, stream: ByteSource, number: int) -> bytes:
    """The frame as the frame table finds it."""
    assert parsed.frames is not None
    joined = b"".join(stream.read_at(piece.offset, piece.length) for piece in parsed.frames.ranges(number))
    return parsed.frames.extract_frame(joined, number)
