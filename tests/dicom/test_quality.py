"""Findings about images: each kind has an image that shows it, and a sound one shows none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom.codecs import DecodedFrame
from dicom.part10 import parse
from dicom.picture_header import read_picture_header
from dicom.quality import CHECKED, frame_findings, header_findings, is_localizer
from dicom.quality_codes import CODES, SEVERITIES, Finding
from dicom.transfer_syntaxes import BY_UID
from tests.dicomweb.objects import make_data_set, to_bytes

_SOUND = {"PixelSpacing": [0.5, 0.5], "RescaleSlope": 1, "RescaleIntercept": 0}
_PIXELS = np.arange(12 * 16, dtype="<u2")


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data, self.size = data, len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]


def table(entries: int, there: int) -> Dataset:
    item = Dataset()
    item.add_new(0x00283002, "US", [entries, 0, 16])
    item.add_new(0x00283006, "OW", np.arange(there, dtype="<u2").tobytes())
    return item


def findings(pixels: np.ndarray[Any, Any] = _PIXELS, **values: Any) -> list[Finding]:
    """As a worker finds them, out of the bytes of an object."""
    given = {"PixelData": pixels.tobytes(), **_SOUND, **values}
    ds = make_data_set(**{keyword: value for keyword, value in given.items() if value is not None})
    data = _Bytes(to_bytes(ds))
    parsed = parse(data)
    assert parsed.pixels is not None
    assert parsed.frames is not None
    header = read_picture_header(data, BY_UID[parsed.transfer_syntax_uid], 1, CHECKED)
    samples = parsed.pixels.samples_per_pixel
    shape = (12, 16) if samples == 1 else (-1, 16, samples)
    width = parsed.pixels.bits_allocated // 8
    kind = "i" if parsed.pixels.pixel_representation else "u"
    array = np.frombuffer(ds.PixelData, f"<{kind}{width}").reshape(shape)
    frame = DecodedFrame(array, parsed.pixels.photometric_interpretation)
    found = header_findings(header, parsed.pixels, parsed.frames.count)
    return found + frame_findings(frame, header, parsed.pixels, 1, bytes(ds.PixelData))


def codes(*args: Any, **values: Any) -> set[str]:
    found = findings(*args, **values)
    assert len({each.code for each in found}) == len(found)
    assert all(isinstance(number, (int, float)) for each in found for number in each.numbers.values())
    return {each.code for each in found}


def test_a_sound_image_has_none() -> None:
    assert codes() == set()
    assert codes(SmallestImagePixelValue=0, LargestImagePixelValue=191) == set()
    assert codes(VOILUTSequence=Sequence([table(4096, 4096)])) == set()
    assert codes(Modality="US", PixelSpacing=None) == set()
    assert codes(_PIXELS.astype("<i2") - 90, PixelRepresentation=1, WindowCenter=0) == set()


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("bits-stored", {"BitsStored": 17, "HighBit": 16}),
        ("high-bit", {"HighBit": 15}),
        ("photometric", {"PhotometricInterpretation": "MONOCHROME3"}),
        ("samples", {"PhotometricInterpretation": "RGB"}),
        ("palette", {"PhotometricInterpretation": "PALETTE COLOR"}),
        ("lut-descriptor", {"VOILUTSequence": Sequence([Dataset()])}),
        ("lut-length", {"VOILUTSequence": Sequence([table(4096, 100)])}),
        ("lut-length", {"ModalityLUTSequence": Sequence([table(0, 100)])}),
        ("window-width", {"WindowWidth": 0}),
        ("window-width", {"WindowWidth": [400, -1], "WindowCenter": [40, 40]}),
        ("window-width", {"WindowWidth": 0.5}),
        ("window-empty", {"WindowCenter": 5000, "WindowWidth": 100}),
        ("window-empty", {"RescaleIntercept": 4000}),
        ("rescale-slope", {"RescaleSlope": 0}),
        ("frames", {"NumberOfFrames": 7}),
        ("pixel-spacing", {"PixelSpacing": None}),
        ("declared-range", {"SmallestImagePixelValue": 5, "LargestImagePixelValue": 100}),
    ],
)
def test_what_the_header_shows(code: str, values: dict[str, Any]) -> None:
    assert code in codes(**values)


@pytest.mark.parametrize(
    ("code", "pixels"),
    [
        ("blank", np.full(192, 77, "<u2")),
        ("beyond-bits", _PIXELS + 0x3000),
        ("saturated", np.where(_PIXELS < 100, 0x0FFF, _PIXELS).astype("<u2")),
    ],
)
def test_what_the_frame_shows(code: str, pixels: Any) -> None:
    assert code in codes(pixels)


def test_nearly_blank_and_colour() -> None:
    one = np.zeros((100, 100), np.uint16)
    one[0, 0] = 900
    frame = DecodedFrame(one, "MONOCHROME2")
    [pixels] = [parse(_Bytes(to_bytes(make_data_set()))).pixels]
    assert pixels is not None
    assert "nearly-blank" in {each.code for each in frame_findings(frame, Dataset(), pixels, 1)}
    black = DecodedFrame(np.zeros((10, 10, 3), np.uint8), "RGB")
    assert [each.code for each in frame_findings(black, Dataset(), pixels, 3)] == ["blank"]
    nothing = DecodedFrame(np.full((10, 10), np.nan, np.float32), "MONOCHROME2")
    assert [each.code for each in frame_findings(nothing, Dataset(), pixels, 1)] == ["blank"]


def test_a_localizer_is_known() -> None:
    header = Dataset()
    assert not is_localizer(header)
    header.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    assert is_localizer(header)


def test_odd_values_are_no_reason_to_fail() -> None:
    ds = make_data_set(**_SOUND)
    data = to_bytes(ds)
    for tag, vr in ((b"\x28\x00\x30\x00", b"DS"), (b"\x28\x00\x51\x10", b"DS"), (b"\x28\x00\x53\x10", b"DS")):
        place = data.index(tag + vr) + 8
        data = data[:place] + b"x" + data[place + 1 :]
    source = _Bytes(data)
    parsed = parse(source)
    assert parsed.pixels is not None
    header = read_picture_header(source, BY_UID[parsed.transfer_syntax_uid], 1, CHECKED)
    assert "pixel-spacing" in {each.code for each in header_findings(header, parsed.pixels, 1)}


def test_a_sign_that_cannot_be_read_leaves_the_header() -> None:
    data = to_bytes(make_data_set(**_SOUND, SmallestImagePixelValue=0, PixelRepresentation=0))
    data = data.replace(b"\x28\x00\x03\x01US\x02\x00", b"\x28\x00\x03\x01FL\x02\x00")
    data = data.replace(b"\x28\x00\x06\x01US\x02\x00\0\0", b"\x28\x00\x06\x01UN\0\0\x02\0\0\0\0\0")
    header = read_picture_header(_Bytes(data), BY_UID["1.2.840.10008.1.2.1"], 1, CHECKED)
    assert header.SmallestImagePixelValue == 0


def test_the_table_says_all_of_each_code() -> None:
    for code, said in CODES.items():
        assert code == code.lower()
        assert said.severity in SEVERITIES
        assert said.meaning
