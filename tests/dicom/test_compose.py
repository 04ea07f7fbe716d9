"""Part 10 objects from metadata and bulk data (PS3.18 10.5.1), read back by pydicom and by `part10.parse`."""

from __future__ import annotations

import tracemalloc
from base64 import b64encode
from io import BytesIO
from struct import pack
from typing import Any

import numpy as np
import orjson
import pydicom
import pytest

from dicom import transfer_syntaxes as ts
from dicom.bulk_parts import BulkPart
from dicom.codecs import decode_frame
from dicom.compose import compose
from dicom.errors import (
    Truncated,
)
from dicom.memory_source import MemorySource
from dicom.part10 import parse
from tests.dicom.composing import (
    COMPRESSED,
    GREY8,
    GREY16,
    J2K,
    Endless,
    Model,
    base,
    described,
    filled,
    part,
    read_back,
    text,
    write,
)
from tests.dicom.part10_objects import INSTANCE, RAW_DATA, SECONDARY_CAPTURE, Memory, readable_files
from tests.dicom.pydicom_oracle import frame


def test_the_file_meta_information_is_ours() -> None:
    _, ds, _, data = read_back(base())
    assert data[:132] == b"\0" * 128 + b"DICM"
    assert ds.file_meta.FileMetaInformationVersion == b"\0\1"
    assert ds.file_meta.MediaStorageSOPClassUID == RAW_DATA
    assert ds.file_meta.MediaStorageSOPInstanceUID == INSTANCE
    assert ds.file_meta.TransferSyntaxUID == ts.EXPLICIT_VR_LITTLE_ENDIAN.uid
    assert ds.file_meta.ImplementationClassUID.startswith("2.25.")
    assert ds.file_meta.ImplementationClassUID.is_valid
    assert ds.file_meta.ImplementationVersionName == "LIGHTBOX"
    length = ds.file_meta.FileMetaInformationGroupLength
    assert data[132 + 12 + length :][:4] == b"\x08\0\x05\0", "the group length counts to the data set"


def test_values_of_every_vr() -> None:
    attributes = base(
        t00080005=text("CS", "ISO_IR 192"),
        t00080008=text("CS", "ORIGINAL", None, "AXIAL"),
        t00080020=text("DA", "20240229"),
        t00080030=text("TM", "120000.123"),
        t0008002A=text("DT", "20240229120000+0100"),
        t00080054=text("AE", "A", "B"),
        t00081190=text("UR", "https://example.com/a?b"),
        t00100010=text("PN", {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}),
        t00101002={"vr": "SQ"},
        t00101010=text("AS", "042Y"),
        t00101020=text("DS", 1.5, 2, -3e-7, 0.1, "1.50"),
        t00104000=text("LT", "a\\b\r\nü"),
        t00080119=text("UC", "long", "ä"),
        t00080120=text("UR", "urn:x"),
        t00189087=text("FD", 0.1, -0.0, 1e300),
        t00189313=text("FD", 1),
        t00200013=text("IS", -7),
        t00280009=text("AT", "00181063", "7FE00010"),
        t00280010=text("US", 0, 65535),
        t00281101=text("US", 1, 2, 3),
        t00091001=text("SS", -32768),
        t00091002=text("SL", -(2**31)),
        t00091003=text("SV", -(2**63)),
        t00091004=text("UV", 2**64 - 1),
        t00091005=text("UL", 2**32 - 1),
        t00091006=text("FL", 0.5),
        t00091007=text("UT", "x"),
        t00091008={"vr": "OB", "InlineBinary": b64encode(b"\1\2\3").decode()},
        t00091009={"vr": "OD", "InlineBinary": b64encode(pack("<2d", 1, 2)).decode()},
        t0009100A={"vr": "OV", "InlineBinary": b64encode(pack("<Q", 1)).decode()},
        t0009100B={"vr": "UN", "InlineBinary": b64encode(b"\1\2").decode()},
        t00090010=text("LO", "ACME"),
        t00100040={"vr": "CS", "Value": []},
        t00100030={"vr": "DA", "Value": None},
    )
    _, _, parsed, data = read_back(attributes)
    found = orjson.loads(parsed.json_text)
    expected = {
        tag: one if one.get("Value") or "InlineBinary" in one else {"vr": one["vr"]} for tag, one in attributes.items()
    }
    expected["00091008"] = {"vr": "OB", "InlineBinary": b64encode(b"\1\2\3\0").decode()}
    expected["00101020"] = text("DS", 1.5, 2, -3e-7, 0.1, 1.5)
    found.pop("00083002")
    assert found == expected
    assert b"1.5\\2\\-3e-7\\0.1\\1.50" in data
    tags = [element.tag for element in pydicom.dcmread(BytesIO(data))]
    assert tags == sorted(tags)


@pytest.mark.parametrize(
    ("value", "written", "rounded"),
    [
        (0.3333333333333333, b"0.33333333333333", True),
        (-0.3333333333333333, b"-0.3333333333333", True),
        (-1.2345678901234567e-300, b"-1.23456789e-300", True),
        (1e22, b"1e22", False),
        (123456789012e10, b"1.23456789012e21", False),
        ("0.33333333333333333", b"0.33333333333333", True),
        (2**53 + 1, b"9007199254740993", False),
        (12345678901234567890, b"1.2345678901e+19"[:0] + b"1.23456789012e19", True),
        (0.0, b"0.0", False),
    ],
)
def test_decimals_fit_into_sixteen_characters(value: Any, written: bytes, rounded: bool) -> None:
    composed, ds, _, data = read_back(base(t00180050=text("DS", value)))
    assert len(written) <= 16
    assert b"DS" + pack("<H", len(written) + len(written) % 2) + written in data
    assert [warning.reason for warning in composed.warnings] == ([0xB000] if rounded else [])
    assert float(ds.SliceThickness) == pytest.approx(float(value), rel=1e-8)


def test_another_character_set_is_coerced() -> None:
    attributes = base(
        t00080005=text("CS", "ISO_IR 100"),
        t00100010=text("PN", {"Alphabetic": "Müller"}),
        t00400275=text("SQ", {"00080005": text("CS", "GB18030"), "00400009": text("SH", "é")}),
    )
    composed, ds, _, _ = read_back(attributes)
    assert ds.SpecificCharacterSet == "ISO_IR 192"
    assert ds.PatientName == "Müller"
    assert ds.RequestAttributesSequence[0].ScheduledProcedureStepID == "é"
    assert [(one.keyword, one.before) for one in composed.coercions] == [
        ("SpecificCharacterSet", text("CS", "ISO_IR 100"))
    ]


def test_what_describes_another_encoding_is_left_out() -> None:
    attributes = base(
        t00020010=text("UI", ts.EXPLICIT_VR_BIG_ENDIAN.uid),
        t00020002=text("UI", "1.2"),
        t00080000=text("UL", 7),
        t00083002=text("UI", ts.JPEG_2000.uid),
        t00090000=text("UL", 7),
    )
    composed, ds, _, _ = read_back(attributes)
    assert composed.transfer_syntax_uid == ts.EXPLICIT_VR_LITTLE_ENDIAN.uid
    assert ds.file_meta.MediaStorageSOPClassUID == RAW_DATA
    assert not {0x00080000, 0x00083002, 0x00090000} & set(ds.keys())


def test_native_pixels_in_one_part() -> None:
    pixels = np.arange(2 * 3 * 5, dtype="<u2").tobytes()
    attributes = described(3, 5, 16) | {"00280008": text("IS", 2)}
    attributes["7FE00010"]["vr"] = "OB"
    composed, ds, parsed, _ = read_back(attributes, pixels=part(pixels))
    assert ds["PixelData"].VR == "OW"
    assert ds.PixelData == pixels
    assert parsed.frames is not None
    assert parsed.frames.count == 2
    assert composed.coercions == ()
    inline = attributes | {"7FE00010": {"vr": "OW", "InlineBinary": b64encode(pixels).decode()}}
    assert read_back(inline)[1].PixelData == pixels
    implicit = part(pixels, uid=ts.IMPLICIT_VR_LITTLE_ENDIAN.uid)
    assert read_back(attributes, pixels=implicit)[0].transfer_syntax_uid == ts.EXPLICIT_VR_LITTLE_ENDIAN.uid


def test_odd_native_pixels_are_padded() -> None:
    _, ds, parsed, data = read_back(described(3, 3), pixels=part(b"123456789"))
    assert ds.PixelData == b"123456789\0"
    assert parsed.warnings == ()
    assert len(data) % 2 == 0


def test_float_pixels() -> None:
    attributes = described(1, 2, 32)
    for tag in ("7FE00010", "00280101", "00280102", "00280103"):
        del attributes[tag]
    attributes["7FE00008"] = {"vr": "OF", "BulkDataURI": "pixels"}
    _, ds, parsed, _ = read_back(attributes, pixels=part(pack("<2f", 0.5, 2)))
    assert ds.FloatPixelData == pack("<2f", 0.5, 2)
    assert parsed.pixels is not None
    assert parsed.pixels.keyword == "FloatPixelData"


@pytest.mark.parametrize(
    ("codestream", "media_type", "syntax", "expected"),
    [case[1:] for case in COMPRESSED],
    ids=[case[0] for case in COMPRESSED],
)
def test_the_frame_describes_itself(
    codestream: bytes | bytearray, media_type: str, syntax: ts.TransferSyntax, expected: Model
) -> None:
    attributes = base(t7FE00010={"vr": "OB", "BulkDataURI": "pixels"}, t00080016=text("UI", SECONDARY_CAPTURE))
    composed, _, parsed, data = read_back(attributes, pixels=part(codestream, media_type=media_type))
    assert composed.transfer_syntax_uid in (syntax.uid, *_rpcl(syntax))
    told = filled(composed)
    assert expected.items() <= told.items()
    assert told["Rows"] == 16
    assert told["Columns"] == 24
    assert ("LossyImageCompression" in told) == (not syntax.lossless)
    assert "NumberOfFrames" not in told
    assert parsed.frames is not None
    assert parsed.pixels is not None
    stored = frame(parsed, Memory(data), 1)
    assert stored.rstrip(b"\0") in codestream
    decoded = decode_frame(stored, composed.transfer_syntax_uid, parsed.pixels)
    assert decoded.array.shape[:2] == (16, 24)
    if syntax.lossless and told["SamplesPerPixel"] == 1:
        assert np.array_equal(decoded.array, GREY16 if told["BitsAllocated"] == 16 else GREY8)
    # described by what was filled in, nothing is left to coerce
    again = {one.tag: one.after for one in composed.coercions} | attributes
    assert (
        write(again, pixels=part(codestream, media_type=media_type, uid=composed.transfer_syntax_uid))[0].coercions
        == ()
    )


def _rpcl(syntax: ts.TransferSyntax) -> tuple[str, ...]:
    return (ts.HTJ2K_LOSSLESS_RPCL.uid,) if syntax is ts.HTJ2K_LOSSLESS else ()


def test_frames_are_encapsulated_with_a_basic_offset_table() -> None:
    attributes = base(t7FE00010={"vr": "OB", "BulkDataURI": "pixels"})
    frames = [J2K[0], J2K[1] + b"\0" * (1 - len(J2K[1]) % 2), J2K[2]]
    composed, ds, parsed, data = read_back(attributes, pixels=part(*frames, media_type="image/jp2"))
    assert filled(composed)["NumberOfFrames"] == 3
    offsets, _ = pydicom.encaps.parse_basic_offsets(BytesIO(ds.PixelData)), None
    lengths = [8 + len(one) + len(one) % 2 for one in frames]
    assert offsets == [0, lengths[0], lengths[0] + lengths[1]]
    assert parsed.frames is not None
    for number, codestream in enumerate(frames, 1):
        assert frame(parsed, Memory(data), number).rstrip(b"\0") == codestream.rstrip(b"\0")
    assert np.array_equal(ds.pixel_array[2], GREY16 + 2)


def test_offsets_beyond_32_bits_go_into_the_extended_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicom.compose.LONGEST", len(J2K[0]) + 100)
    attributes = base(t7FE00010={"vr": "OB", "BulkDataURI": "pixels"}, t7FE00001={"vr": "OV", "InlineBinary": "AAAA"})
    _, ds, parsed, _ = read_back(attributes, pixels=part(*J2K, media_type="image/jp2"))
    assert pydicom.encaps.parse_basic_offsets(BytesIO(ds.PixelData)) == []
    step = [8 + len(one) + len(one) % 2 for one in J2K]
    assert ds.ExtendedOffsetTable == pack("<3Q", 0, step[0], step[0] + step[1])
    assert ds.ExtendedOffsetTableLengths == pack("<3Q", *[len(one) for one in J2K])
    assert parsed.frames is not None
    assert parsed.frames.count == 3


def test_frames_as_octets_of_a_named_transfer_syntax() -> None:
    attributes = base(t7FE00010={"vr": "OB", "BulkDataURI": "pixels"})
    composed, _, _, _ = read_back(attributes, pixels=part(J2K[0], uid=ts.JPEG_2000_LOSSLESS.uid))
    assert composed.transfer_syntax_uid == ts.JPEG_2000_LOSSLESS.uid
    declared = attributes | {"00020010": text("UI", ts.JPEG_2000.uid)}
    composed, _, _, _ = read_back(declared, pixels=part(J2K[0], media_type="image/jp2"))
    assert composed.transfer_syntax_uid == ts.JPEG_2000.uid
    # what was declared for the metadata gives way to what the part is
    jpeg = part(COMPRESSED[0][1], media_type="image/jpg")
    assert read_back(declared, pixels=jpeg)[0].transfer_syntax_uid == ts.JPEG_BASELINE.uid


def test_run_length_encoding() -> None:
    ds = pydicom.dcmread(next(path for path in readable_files() if path.name == "MR_small_RLE.dcm"))
    (encoded,) = pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1)
    attributes = described(64, 64, 16)
    composed, found, _, _ = read_back(attributes, pixels=part(encoded, media_type="image/dicom-rle"))
    assert composed.transfer_syntax_uid == ts.RLE_LOSSLESS.uid
    assert np.array_equal(found.pixel_array, ds.pixel_array.astype("u2"))


@pytest.mark.parametrize(
    ("media_type", "uid", "expected"),
    [
        ("video/mp4", None, ts.MPEG4_HIGH_41),
        ("video/mp4", ts.HEVC_MAIN_51.uid, ts.HEVC_MAIN_51),
        ("video/mpeg", None, ts.MPEG2_MAIN_LEVEL),
        ("application/octet-stream", ts.MPEG4_BD_41.uid, ts.MPEG4_BD_41),
    ],
)
def test_video_is_one_fragment(media_type: str, uid: str | None, expected: ts.TransferSyntax) -> None:
    video = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 9 + b"x"
    attributes = described(480, 640, 8, 3, "YBR_PARTIAL_420") | {"00280008": text("IS", 99), "00280006": text("US", 0)}
    composed, ds, parsed, _ = read_back(attributes, pixels=part(video, media_type=media_type, uid=uid))
    assert composed.transfer_syntax_uid == expected.uid
    assert ds.PixelData == b"\xfe\xff\0\xe0\0\0\0\0" + b"\xfe\xff\0\xe0" + pack(
        "<I", len(video) + 1
    ) + video + b"\0" + (b"\xfe\xff\xdd\xe0\0\0\0\0" if ds.PixelData.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0") else b"")
    assert parsed.frames is not None
    assert parsed.frames.count == 1


def test_a_document() -> None:
    pdf = b"%PDF-1.7\n" + b"x" * 2000
    attributes = base(t00420011={"vr": "OB", "BulkDataURI": "pdf"})
    composed, ds, parsed, _ = read_back(attributes, pdf=part(pdf, media_type="application/pdf"))
    assert filled(composed) == {"MIMETypeOfEncapsulatedDocument": "application/pdf", "EncapsulatedDocumentLength": 2009}
    assert ds.EncapsulatedDocument == pdf + b"\0"
    assert ds.EncapsulatedDocumentLength == 2009
    assert parsed.bulk["00420011"].length == 2010
    told = attributes | {"00420012": text("LO", "application/pdf"), "00420015": text("UL", 2009)}
    assert read_back(told, pdf=part(pdf))[0].coercions == ()


def test_bulk_data_inside_sequences_and_of_other_vrs() -> None:
    wave, table, private = bytes(range(200)) * 20, pack("<20000H", *range(20000)), b"\1" * 3001
    attributes = base(
        t54000100=text(
            "SQ",
            {"54001004": text("US", 16)},
            {"54001010": {"vr": "OW", "BulkDataURI": "wave"}, "00400555": text("SQ", None)},
        ),
        t00091001={"vr": "UN", "BulkDataURI": "private"},
        t00281201={"vr": "OW", "BulkDataURI": "table"},
        t00700022={"vr": "FL", "BulkDataURI": "points"},
        t00104000={"vr": "UT", "BulkDataURI": "note"},
        t00200032={"vr": "DS", "BulkDataURI": "many"},
    )
    points, note, many = pack("<20000f", *range(20000)), "ü".encode() * 40_000 + b"x", b"1\\" * 40_000 + b"1 "
    _, data = write(
        attributes,
        wave=part(wave),
        private=part(private),
        table=part(table, uid=ts.EXPLICIT_VR_LITTLE_ENDIAN.uid),
        points=part(points),
        note=part(note),
        many=part(many),
    )
    ds, parsed = pydicom.dcmread(BytesIO(data)), parse(Memory(data))
    assert ds.WaveformSequence[1].WaveformData == wave
    assert len(ds.WaveformSequence[1].AcquisitionContextSequence) == 1
    assert ds[0x00091001].value == private + b"\0"
    assert ds.RedPaletteColorLookupTableData == table
    assert ds.GraphicData == points, "pydicom leaves so long a UN as it is"
    assert ds.PatientComments == "ü" * 40_000 + "x"
    assert ds.ImagePositionPatient == many, "too long for VR DS, so that it was written as UN"
    assert parsed.bulk["54000100/2/54001010"].length == len(wave)
    assert parsed.bulk["00200032"].vr == "DS"


def test_long_inline_values_are_written_as_un() -> None:
    _, data = write(base(t00700022=text("FL", *range(20_000))))
    ds = pydicom.dcmread(BytesIO(data))
    assert parse(Memory(data)).bulk["00700022"].vr == "FL"
    assert ds.GraphicData == pack("<20000f", *range(20_000))
    assert b"\x70\0\x22\0UN" in data


class Counted:
    """A sink that only counts."""

    size = 0

    def write(self, data: bytes) -> None:
        self.size += len(data)


def test_bulk_data_is_streamed() -> None:
    rows = columns = 16384
    source = BulkPart(ts.OCTET_STREAM, None, (Endless(rows * columns),))
    sink = Counted()
    tracemalloc.start()
    try:
        composed = compose(described(rows, columns), {"pixels": source}.get, sink)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert composed.size == sink.size > 268_000_000
    assert peak < 8 * 1024 * 1024


def test_a_source_that_ends_early_is_noticed() -> None:
    class Short(MemorySource):
        def read_at(self, offset: int, length: int) -> bytes:
            return self.data[offset : offset + length - 1]

    with pytest.raises(Truncated):
        compose(described(4, 4), {"pixels": BulkPart(ts.OCTET_STREAM, None, (Short(b"x" * 16),))}.get, Counted())
