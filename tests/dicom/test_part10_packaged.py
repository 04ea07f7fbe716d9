"""Every object that pydicom ships, read by the scanner and by pydicom."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels.utils import iter_pixels

from dicom.frames import FrameTable
from dicom.inflate import inflate
from dicom.part10 import parse
from dicom.transfer_syntaxes import BY_UID
from tests.dicom.part10_objects import Memory, completed, is_readable, packaged_files, readable_files
from tests.dicom.pydicom_oracle import differences, frame, reference_frames

# Truncated on purpose, or Implicit VR under a transfer syntax that says Explicit: pydicom reads what it can of them
REFUSED = {"MR_truncated.dcm", "rtplan_truncated.dcm", "SC_rgb_jpeg.dcm"}
# A Number of Frames of 1A, which pydicom cannot count either
UNCOUNTED = {"badVR.dcm"}
READABLE = [path for path in readable_files() if path.name not in REFUSED]


def test_pydicom_still_ships_enough_of_them() -> None:
    assert len(READABLE) >= 120


@pytest.mark.parametrize("path", READABLE, ids=lambda path: path.name)
def test_the_values_are_those_pydicom_reads(path: Path) -> None:
    data = path.read_bytes()
    source = Memory(data)
    parsed = parse(source)
    assert differences(data, parsed, source) == []


def test_objects_without_uids_are_read_once_they_have_them() -> None:
    count = 0
    for path in packaged_files():
        raw = path.read_bytes()
        if is_readable(raw) or path.name in REFUSED or path.suffix != ".dcm" or path.name.startswith("DICOMDIR"):
            continue
        try:
            data = completed(path)
        except Exception:  # noqa: BLE001, S112 - pydicom cannot write what it could not read
            continue
        source = Memory(data)
        assert differences(data, parse(source), source) == [], path.name
        count += 1
    assert count >= 15


@pytest.mark.parametrize("path", READABLE, ids=lambda path: path.name)
def test_every_frame_is_where_the_table_says(path: Path) -> None:
    data = path.read_bytes()
    parsed = parse(Memory(data))
    ds = pydicom.dcmread(BytesIO(data))
    if parsed.frames is None:
        assert "PixelData" not in ds
        return
    assert FrameTable.unpack(parsed.frames.pack()) == parsed.frames
    syntax = BY_UID[parsed.transfer_syntax_uid]
    if path.name not in UNCOUNTED and path.name != "liver_expb_1frame.dcm":
        assert parsed.frames.count == int(ds.get("NumberOfFrames") or 1) or parsed.warnings
    stream = inflate(Memory(data)) if syntax.deflated else Memory(data)
    frames = [frame(parsed, stream, number + 1) for number in range(parsed.frames.count)]
    if syntax.encapsulated:
        assert frames == reference_frames(data)
    elif ds.BitsAllocated == 1:
        for packed, pixels in zip(frames, iter_pixels(BytesIO(data)), strict=True):
            bits = np.unpackbits(np.frombuffer(packed, "u1"), bitorder="little")[: pixels.size]
            if syntax.little_endian:
                assert (bits.reshape(pixels.shape) == pixels).all()
    else:
        joined = b"".join(frames)
        assert joined == ds.PixelData[: len(joined)]
        assert len(ds.PixelData) - len(joined) <= 1 or parsed.warnings


@pytest.mark.parametrize("path", READABLE, ids=lambda path: path.name)
def test_the_json_is_one_object_in_order_without_line_breaks(path: Path) -> None:
    parsed = parse(Memory(path.read_bytes()))

    def refuse(literal: str) -> None:
        raise AssertionError(f"{literal} is no JSON")

    model = json.loads(parsed.json_text, parse_constant=refuse)
    _assert_ordered(model)
    assert b"\n" not in parsed.json_text
    assert model["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert model["00083002"] == {"vr": "UI", "Value": [parsed.transfer_syntax_uid]}
    assert not any(tag.endswith("0000") or tag.startswith("0002") for tag in model)


def _assert_ordered(model: dict[str, dict[str, object]]) -> None:
    assert list(model) == sorted(model)
    for attribute in model.values():
        assert set(attribute) <= {"vr", "Value", "BulkDataURI", "InlineBinary"}
        assert len(attribute) <= 2
        values = attribute.get("Value", [None])
        assert isinstance(values, list)
        assert values, "an empty Value is left out"
        if attribute["vr"] == "SQ":
            for item in values:
                _assert_ordered(item or {})


@pytest.mark.parametrize("path", READABLE, ids=lambda path: path.name)
def test_no_pixel_is_loaded(path: Path) -> None:
    data = path.read_bytes()
    source = Memory(data)
    parsed = parse(source)
    assert parsed.header_length <= len(data)
    blocks = 2 + len(parsed.json_text) // 30_000 + len(parsed.bulk) * 2
    assert sum(length for _, length in source.reads if length > 64) <= blocks * 64 * 1024 + len(data) // 4
