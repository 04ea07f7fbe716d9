"""The header of a picture: the same pictures as from the whole data set, in a fraction of its time."""

from __future__ import annotations

import copy
import io
import time
from struct import pack
from typing import Any

import numpy
import pydicom
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID

from dicom import transfer_syntaxes as ts
from dicom.codecs import DecodedFrame, decode_frame
from dicom.errors import CannotDecode, DicomError
from dicom.inflate import inflate
from dicom.part10 import ByteSource, parse
from dicom.picture_header import MAX_VALUE, WANTED, read_picture_header
from dicom.rendering import render_frame
from dicom.transfer_syntaxes import BY_UID, TransferSyntax
from tests.dicom.part10_objects import (
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    Memory,
    element,
    image,
    instance,
    item,
    meta,
    readable_files,
)

PER_FRAME = 0x52009230
EXPLICIT = ts.EXPLICIT_VR_LITTLE_ENDIAN


def picture(frame: DecodedFrame, header: Dataset, number: int) -> bytes | str:
    try:
        return render_frame(frame, header, frame_number=number, viewport=(100, 100), media_type="image/png")
    except DicomError as refused:
        return str(refused)


def test_pictures_of_packaged_objects_are_those_of_their_whole_headers() -> None:
    drawn = 0
    for path in readable_files():
        data = path.read_bytes()
        try:
            parsed = parse(Memory(data))
        except DicomError:
            continue
        if parsed.frames is None or parsed.pixels is None:
            continue
        syntax = BY_UID[parsed.transfer_syntax_uid]
        source: ByteSource = inflate(Memory(data)) if syntax.deflated else Memory(data)
        before: ByteSource = source if syntax.deflated else Memory(data[: parsed.header_length])
        number = parsed.frames.count
        stored = b"".join(source.read_at(r.offset, r.length) for r in parsed.frames.ranges(number))
        try:
            frame = decode_frame(parsed.frames.extract_frame(stored, number), syntax.uid, parsed.pixels)
        except CannotDecode:
            continue
        whole = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
        assert picture(frame, read_picture_header(before, syntax, number), 1) == picture(frame, whole, number), path
        drawn += 1
    assert drawn > 50


def groups(slope: float, center: float) -> Dataset:
    group, transformation, window = Dataset(), Dataset(), Dataset()
    transformation.RescaleSlope, transformation.RescaleIntercept, transformation.RescaleType = slope, -5, "US"
    window.WindowCenter, window.WindowWidth = [center, 7], [100, 8]
    group.PixelValueTransformationSequence, group.FrameVOILUTSequence = [transformation], [window]
    group.FrameContentSequence = [Dataset()]
    return group


def table(signed: bool) -> Dataset:
    made = Dataset()
    made.add_new(0x00283002, "SS" if signed else "US", [4, -2 if signed else 0xFFFE, 16])
    made.add_new(0x00283006, "US", [0, 100, 65000, 7])
    return made


def everything(signed: bool, undefined: bool) -> Dataset:
    made = Dataset()
    made.PixelAspectRatio, made.BitsStored, made.PixelRepresentation = ["2", "1"], 12, int(signed)
    made.add_new(0x00280120, "SS" if signed else "US", -3 if signed else 3)
    made.add_new(0x00280121, "SS" if signed else "US", -1 if signed else 5)
    made.WindowCenter, made.WindowWidth, made.VOILUTFunction = [50, 3], [100, 4], "SIGMOID"
    made.RescaleIntercept, made.RescaleSlope, made.PresentationLUTShape = -1024, 2.5, "INVERSE"
    made.ModalityLUTSequence, made.VOILUTSequence = [table(signed), table(signed)], [table(signed)]
    made.SharedFunctionalGroupsSequence = [groups(9, 9)]
    made.PerFrameFunctionalGroupsSequence = [groups(number, number) for number in range(1, 6)]
    made.ReferencedImageSequence = [Dataset(), groups(77, 77)]
    for number in range(3):
        made.add_new(0x00281101 + number, "US", [4, 0, 16])
        made.add_new(0x00281201 + number, "OW", bytes(range(8)))
    if undefined:
        for found in made.iterall():
            if found.VR == "SQ":
                found.is_undefined_length = True
                for inside in found.value:
                    inside.is_undefined_length_sequence_item = True
    return made


def written(made: Dataset, syntax: TransferSyntax) -> bytes:
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(syntax.uid)
    made.SOPClassUID, made.SOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.7"), UID("1.2.3")
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def known(made: Dataset, wanted: Any = WANTED) -> dict[int, Any]:
    """The values of what is wanted; of each sequence the first item.

    A descriptor without its sign: pydicom reads it one way or the other in implicit VR, and who applies it cares not.
    """
    found: dict[int, Any] = {}
    for tag, inside in wanted.items():
        if tag in made:
            value = made[tag].value
            value = [number & 0xFFFF for number in value] if tag == 0x00283002 else value
            found[tag] = known(value[0], inside) if inside is not None else value
    return found


@pytest.mark.parametrize("syntax", [EXPLICIT, ts.IMPLICIT_VR_LITTLE_ENDIAN, ts.EXPLICIT_VR_BIG_ENDIAN])
@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_every_value_that_is_wanted(syntax: TransferSyntax, undefined: bool, signed: bool) -> None:
    data = written(everything(signed, undefined), syntax)
    for number in (1, 4, 6):
        whole = pydicom.dcmread(io.BytesIO(data))
        whole.PerFrameFunctionalGroupsSequence = whole.PerFrameFunctionalGroupsSequence[number - 1 : number]
        header = read_picture_header(Memory(data), syntax, number)
        if number == 6:
            assert not known(header)[PER_FRAME], "there is no sixth"
            header = copy.deepcopy(header)  # others have it too
            del header[PER_FRAME], whole[PER_FRAME]
        assert known(header) == known(whole)
        assert {int(tag) for tag in header.keys()} <= set(WANTED)  # noqa: SIM118 - iterating gives elements
        values = numpy.arange(-40, 60).reshape(10, 10).astype("i2" if signed else "u2")
        frame = DecodedFrame(values, "MONOCHROME2")
        assert picture(frame, header, 1) == picture(frame, whole, 1)


def test_sequences_that_came_as_un() -> None:
    """PS3.5 6.2.2: implicit VR inside, known or not."""
    inside = element(0x00281050, "DS", b"77", syntax=ts.IMPLICIT_VR_LITTLE_ENDIAN)
    voi = element(0x00289132, "SQ", item(inside), syntax=ts.IMPLICIT_VR_LITTLE_ENDIAN)
    for tag in (PER_FRAME, 0x52009229):
        for value, length in ((item(voi), None), (item(voi) + SEQUENCE_END, UNDEFINED)):
            private = element(0x00291010, "UN", item(voi, UNDEFINED) + ITEM_END + SEQUENCE_END, UNDEFINED)
            data = instance(tail=private + element(tag, "UN", value, length))
            header = read_picture_header(Memory(data), EXPLICIT, 1)
            assert header[tag].value[0].FrameVOILUTSequence[0].WindowCenter == 77


HOSTILE = {
    "480,000 empty items": {PER_FRAME: ("SQ", item(b"") * 480_000)},
    "240,000 items of undefined length": {PER_FRAME: ("SQ", (item(b"", UNDEFINED) + ITEM_END) * 240_000)},
    "480,000 items of a lookup table": {0x00283010: ("SQ", item(b"") * 480_000)},
    "480,000 private elements": {
        (0x0011 + 2 * (number >> 15)) << 16 | 0x1000 + (number & 0x7FFF): ("LO", b"12") for number in range(480_000)
    },
    "30,000 windows": {0x00281050: ("DS", b"1\\" * 30_000), 0x00281051: ("DS", b"1\\" * 30_000)},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_headers_that_took_pydicom_half_a_minute(name: str) -> None:
    data = image(bytes(16), more=HOSTILE[name])
    parsed = parse(Memory(data))
    frame = DecodedFrame(numpy.arange(16, dtype="u1").reshape(4, 4), "MONOCHROME2")
    started = time.process_time()
    for number in (1, 200_000):
        header = read_picture_header(Memory(data[: parsed.header_length]), EXPLICIT, number)
        assert isinstance(picture(frame, header, 1), bytes)
    assert time.process_time() - started < 3


def test_undefined_lengths_inside_undefined_lengths_are_walked_once() -> None:
    junk = element(0x00400275, "SQ", (item(b"", UNDEFINED) + ITEM_END) * 100_000 + SEQUENCE_END, UNDEFINED)
    table_item = item(junk, UNDEFINED) + ITEM_END + SEQUENCE_END
    group = element(0x00289145, "SQ", item(element(0x00283000, "SQ", table_item, UNDEFINED), UNDEFINED), UNDEFINED)
    value = item(group + ITEM_END + SEQUENCE_END, UNDEFINED) + ITEM_END + SEQUENCE_END
    data = instance(tail=element(PER_FRAME, "SQ", value, UNDEFINED))
    started = time.process_time()
    assert PER_FRAME in read_picture_header(Memory(data), EXPLICIT, 1)
    assert time.process_time() - started < 1.5


@pytest.mark.parametrize(
    "tail",
    [
        element(0x00400275, "SQ", b"", UNDEFINED) + item(b"", UNDEFINED) * 1,
        (element(0x00400275, "SQ", b"", UNDEFINED) + item(b"", UNDEFINED)) * 5000,
        element(PER_FRAME, "SQ", item(b"", 0xFFFFFFF0)),
        element(PER_FRAME, "SQ", b"12345678"),
        element(0x00281050, "DS", b"1 ", 0xFF00),
        element(0x00283010, "SQ", b"", 0x7FFFFFF0),
        pack("<HHI", 0xFFFE, 0xE000, UNDEFINED),
        b"\0" * 64,
        b"no element at all",
    ],
)
def test_a_header_that_cannot_be_followed_ends_there(tail: bytes) -> None:
    data = instance({0x00280101: ("US", b"\x0c\0"), 0x00281052: ("DS", b"5 ")}, tail=tail)
    header = read_picture_header(Memory(data), EXPLICIT, 1)
    assert header.RescaleIntercept == 5


def test_values_longer_than_any_picture_needs_are_absent() -> None:
    center = b"1" * (MAX_VALUE + 2)
    header = read_picture_header(Memory(instance({0x00281050: ("DS", center), 0x00281052: ("DS", b"5 ")})), EXPLICIT, 1)
    assert "WindowCenter" not in header
    assert header.RescaleIntercept == 5
    with pytest.raises(DicomError):
        read_picture_header(Memory(meta()[:100]), EXPLICIT, 1)
