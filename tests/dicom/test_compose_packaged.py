"""Objects that others made, taken apart into metadata and bulk data and composed again (PS3.18 10.5.1)."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pydicom
import pytest
from pydicom.dataset import Dataset

from dicom import transfer_syntaxes as ts
from dicom.bulk_parts import BulkPart
from dicom.compose import compose
from dicom.inflate import inflate
from dicom.instance import BULKDATA_ROOT
from dicom.part10 import ParsedInstance, parse
from dicom.preamble import read_meta
from dicom.source import ByteSource
from dicom.xml import from_xml, to_xml
from tests.dicom.composing import (
    Model,
    Written,
    part,
)
from tests.dicom.part10_objects import Memory, readable_files
from tests.dicom.pydicom_oracle import _compare, differences, frame

# Truncated, of another VR than declared, and a codestream whose header was overwritten
REFUSED = {
    "MR_truncated.dcm",
    "rtplan_truncated.dcm",
    "SC_rgb_jpeg.dcm",
    "JPEG2000-embedded-sequence-delimiter.dcm",
}
READABLE = [path for path in readable_files() if path.name not in REFUSED]


def bulk_of(parsed: ParsedInstance, data: bytes) -> Any:
    """What a client would send for the metadata of an object: each BulkDataURI its bytes, pixel data as frames."""
    syntax = ts.BY_UID[parsed.transfer_syntax_uid]
    stream: ByteSource = inflate(Memory(data)) if syntax.deflated else Memory(data)
    prefix = (
        f"{BULKDATA_ROOT}/studies/{parsed.study_instance_uid}/series/{parsed.series_instance_uid}"
        f"/instances/{parsed.sop_instance_uid}/bulkdata/"
    )

    def bulk(uri: str) -> BulkPart:
        path = uri.removeprefix(prefix)
        if path in parsed.bulk:
            value = parsed.bulk[path]
            return part(stream.read_at(value.offset, value.length))
        assert parsed.frames is not None
        numbers = range(1, parsed.frames.count + 1)
        if syntax.encapsulated:
            frames = [frame(parsed, stream, number) for number in numbers]
            return part(*frames, media_type=syntax.media_type, uid=syntax.uid)
        first, last = parsed.frames.ranges(1)[0], parsed.frames.ranges(parsed.frames.count)[-1]
        return part(stream.read_at(first.offset, last.offset + last.length - first.offset))

    return bulk


def comparable(json_text: bytes) -> Model:
    attributes: Model = orjson.loads(json_text)
    attributes.pop("00083002")
    if "7FE00010" in attributes:
        assert attributes["7FE00010"].pop("vr") in ("OB", "OW")
    return attributes


def syntax_of(path: Path) -> ts.TransferSyntax:
    """What an object says it is in."""
    return ts.BY_UID[read_meta(Memory(path.read_bytes())).transfer_syntax_uid]


# Bulk data of clients is Little Endian (PS3.18 8.7.3.3)
LITTLE = [path for path in READABLE if syntax_of(path).little_endian]


@pytest.mark.parametrize("path", LITTLE, ids=lambda path: path.name)
def test_every_packaged_object_is_composed_again(path: Path) -> None:
    data = path.read_bytes()
    before = parse(Memory(data))
    sink = Written()
    composed = compose(orjson.loads(before.json_text), bulk_of(before, data), sink)
    written = bytes(sink)
    after = parse(Memory(written))
    assert comparable(after.json_text) == comparable(before.json_text)
    assert composed.coercions == ()
    assert differences(written, after, Memory(written)) == []
    syntax = ts.BY_UID[before.transfer_syntax_uid]
    assert after.transfer_syntax_uid == (syntax.uid if syntax.encapsulated else ts.EXPLICIT_VR_LITTLE_ENDIAN.uid)
    if before.frames is not None:
        assert after.frames is not None
        assert after.frames.count == before.frames.count
        stream: ByteSource = inflate(Memory(data)) if syntax.deflated else Memory(data)
        for number in range(1, before.frames.count + 1):
            old, new = frame(before, stream, number), frame(after, Memory(written), number)
            if syntax.media_type == "image/jp2" and old[4:8] == b"jP  ":
                assert new in old
                assert new.startswith(b"\xff\x4f\xff\x51")
            else:
                assert new.rstrip(b"\0") == old.rstrip(b"\0")


# Lossless JPEG that happens to use the first predictor, lossless J2K under the name that allows both, and Extended for
# 8 bits in the baseline process
SAID_OTHERWISE = {
    (ts.JPEG_LOSSLESS, ts.JPEG_LOSSLESS_SV1),
    (ts.JPEG_2000, ts.JPEG_2000_LOSSLESS),
    (ts.JPEG_EXTENDED, ts.JPEG_BASELINE),
}
WITH_HEADERS = [path for path in LITTLE if syntax_of(path).media_type in ("image/jpeg", "image/jls", "image/jp2")]


@pytest.mark.parametrize("path", WITH_HEADERS, ids=lambda path: path.name)
def test_the_transfer_syntax_is_read_from_the_frames(path: Path) -> None:
    data = path.read_bytes()
    parsed = parse(Memory(data))
    bulk, said = bulk_of(parsed, data), syntax_of(path)
    unnamed = compose(
        orjson.loads(parsed.json_text), lambda uri: replace(bulk(uri), transfer_syntax_uid=None), Written()
    )
    found = ts.BY_UID[unnamed.transfer_syntax_uid]
    assert found is said or (said, found) in SAID_OTHERWISE


def test_there_are_enough_packaged_objects() -> None:
    assert len(LITTLE) >= 110
    assert len(WITH_HEADERS) >= 20
    assert len({syntax_of(path) for path in WITH_HEADERS}) >= 6


@pytest.mark.parametrize("path", LITTLE[::5], ids=lambda path: path.name)
def test_the_same_object_comes_from_xml(path: Path) -> None:
    data = path.read_bytes()
    parsed = parse(Memory(data))
    from_json, through_xml = Written(), Written()
    attributes = orjson.loads(parsed.json_text)
    compose(attributes, bulk_of(parsed, data), from_json)
    compose(from_xml(to_xml(parsed.json_text)), bulk_of(parsed, data), through_xml)
    assert through_xml == from_json


# pydicom writes values into JSON as they are; these are none of their VR
NO_JSON = {"badVR.dcm"}


@pytest.mark.parametrize("path", LITTLE, ids=lambda path: path.name)
def test_json_that_pydicom_writes(path: Path) -> None:
    """Every value inline, as pydicom reads it from its own JSON."""
    ds = pydicom.dcmread(path)
    for tag in [tag for tag in ds.keys() if tag.group == 0x7FE0]:  # noqa: SIM118 - iterating reads the values
        del ds[tag]
    try:
        attributes = orjson.loads(ds.to_json())
    except Exception:  # noqa: BLE001 - of some values pydicom cannot make JSON
        assert path.name in NO_JSON
        return
    sink = Written()
    compose(attributes, lambda uri: None, sink)
    attributes = {tag: one for tag, one in attributes.items() if not tag.endswith("0000")}
    found: list[str] = []
    _compare(Dataset.from_json(json.dumps(attributes)), pydicom.dcmread(BytesIO(bytes(sink))), "", False, True, found)
    assert found == []
