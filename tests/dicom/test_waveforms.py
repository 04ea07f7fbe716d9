"""Waveforms: samples in their units, and as traces on paper (PS3.3 C.10.9)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.waveforms.numpy_handler import multiplex_array

from dicom.memory_source import MemorySource
from dicom.part10 import parse
from dicom.waveform_picture import draw_strip
from dicom.waveforms import Strip, samples_of, strips_of
from dicom.windowing import RenderingError
from tests.dicom.documents import as_json, packaged, waveform
from tests.dicomweb.objects import to_bytes

_MM = 5
_LEFT = 22 * _MM
_TOP = 14 * _MM


def one_strip(ds: Any) -> Strip:
    (strip,) = strips_of(as_json(to_bytes(ds)))
    return strip


def dark(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = picture.max(axis=2) < 60
    return found


def columns_drawn(picture: NDArray[np.bool_]) -> int:
    """How many columns right of the labels, and below the title, have something in them."""
    return int(np.count_nonzero(picture[_TOP:, _LEFT:].any(axis=0)))


def test_samples_are_those_that_pydicom_reads() -> None:
    data = packaged("waveform_ecg.dcm")
    parsed, ds = parse(MemorySource(data)), dcmread(DicomBytesIO(data))
    for strip in strips_of(as_json(data)):
        value = parsed.bulk[strip.group.path]
        assert strip.length <= value.length
        ours = samples_of(strip, data[value.offset + strip.offset :][: strip.length])
        assert np.allclose(ours.T, multiplex_array(ds, strip.group.index - 1, as_raw=False))


@pytest.mark.parametrize(
    ("interpretation", "bits", "stored", "expected"),
    [
        ("SB", 8, b"\x80\x7f", [-128, 127]),
        ("UB", 8, b"\x80\x7f", [128, 127]),
        ("SS", 16, b"\x00\x80\xff\x7f", [-32768, 32767]),
        ("US", 16, b"\x00\x80\xff\x7f", [32768, 32767]),
        ("SL", 32, b"\x00\x00\x00\x80\x01\x00\x00\x00", [-(2**31), 1]),
        ("UL", 32, b"\x00\x00\x00\x80\x01\x00\x00\x00", [2**31, 1]),
        # ITU-T G.711, tables 1 and 2: the ends and the middle of the scale, on 16 bits
        ("MB", 8, b"\x00\x80\x7f\xff", [-32124, 32124, 0, 0]),
        ("AB", 8, b"\xaa\x2a\xd5\x55", [32256, -32256, 8, -8]),
    ],
)
def test_every_sample_interpretation(interpretation: str, bits: int, stored: bytes, expected: list[int]) -> None:
    ds = waveform(stored, 1, interpretation, bits=bits)
    assert samples_of(one_strip(ds), stored)[0].tolist() == expected


def test_sensitivity_correction_baseline_and_padding_count() -> None:
    stored = np.array([100, 200, -32768], "<i2").tobytes()
    ds = waveform(stored, 1)
    channel = ds.WaveformSequence[0].ChannelDefinitionSequence[0]
    channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline = 2.5, 2, -10
    ds.WaveformSequence[0].add_new(0x5400100A, "OW", b"\x00\x80")
    values = samples_of(one_strip(ds), stored)[0]
    assert values[:2].tolist() == [490, 990]
    assert np.isnan(values[2])


def test_an_ecg_is_drawn_to_scale() -> None:
    """A step of 1 mV after 4 s rises by 10 mm, 100 mm behind the beginning."""
    samples = np.zeros(5000, "<i2")
    samples[2000:2500] = 1000
    ds = waveform(samples.tobytes(), 1, frequency=500)
    picture = dark(draw_strip(one_strip(ds), samples.tobytes(), on_millimetres=True))
    middle = _TOP + 22 * _MM // 2
    inside = picture[:, _LEFT : _LEFT + 250 * _MM]
    assert inside[middle, : 100 * _MM].all()
    assert not inside[middle, 100 * _MM + 2 : 125 * _MM - 2].any()
    assert inside[middle - 10 * _MM, 100 * _MM + 2 : 125 * _MM - 2].all()
    assert inside[middle - 10 * _MM : middle, 100 * _MM - 1 : 100 * _MM + 2].any(axis=1).all(), "the edge is drawn"


def test_a_spike_between_two_pixels_is_drawn() -> None:
    """At 10 kHz a pixel is 80 samples wide."""
    samples = np.zeros(100_000, "<i2")
    samples[50_001] = 1000
    ds = waveform(samples.tobytes(), 1, frequency=10_000)
    picture = dark(draw_strip(one_strip(ds), samples.tobytes(), on_millimetres=True))
    middle = _TOP + 22 * _MM // 2
    assert picture[middle - 9 * _MM : middle, _LEFT + 125 * _MM].all()


def test_a_long_recording_is_cut_into_strips_of_ten_seconds() -> None:
    samples = np.arange(25 * 100, dtype="<i2")
    strips = strips_of(as_json(to_bytes(waveform(samples.tobytes(), 1, frequency=100))))
    assert [(s.start, s.count) for s in strips] == [(0, 1000), (1000, 1000), (2000, 500)]
    assert samples_of(strips[1], samples.tobytes()[strips[1].offset :][: strips[1].length])[0][0] == 1000


def test_other_waveforms_are_drawn_to_their_range() -> None:
    samples = np.arange(-500, 500, dtype="<i2")
    ds = waveform(samples.tobytes(), 1, frequency=100)
    picture = draw_strip(one_strip(ds), samples.tobytes(), on_millimetres=False, title="Pressure")
    assert (picture[0, 0] == 255).all(), "no grid"
    assert columns_drawn(dark(picture)) >= 249 * _MM


def test_a_recording_that_ends_early_is_drawn_as_far_as_it_goes() -> None:
    ds = waveform(b"\1\0" * 500, 1)
    strip = one_strip(ds)
    assert samples_of(strip, b"\1\0" * 100 + b"\1").shape == (1, 100)
    assert draw_strip(strip, b"", on_millimetres=True).size


@pytest.mark.parametrize(
    "changed",
    [
        {"SamplingFrequency": 0},
        {"NumberOfWaveformSamples": 0},
        {"NumberOfWaveformChannels": 0},
        {"NumberOfWaveformChannels": 60_000},
        {"WaveformSampleInterpretation": "XX"},
        {"WaveformBitsAllocated": 32},
        {"NumberOfWaveformSamples": 4_000_000_000, "SamplingFrequency": 0.5},
    ],
)
def test_what_cannot_be_understood_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(RenderingError):
        strips_of(as_json(to_bytes(waveform(b"\0\0" * 10, 1, **changed))))
