"""Waveform multiplex groups: what was recorded when, by which channels, in which units (PS3.3 C.10.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy
from numpy.typing import NDArray

from dicom.json_items import Item, code_value, inline, items, meaning, number, text, whole
from dicom.windowing import RenderingError

# Seconds in one picture: 10 s are the usual strip of a 12-lead ECG
SECONDS = 10.0
MAXIMUM_CHANNELS = 1024
# Of all groups together; an EEG has some hundreds
MAXIMUM_TRACES = 1 << 14
MAXIMUM_PICTURES = 1 << 16

_SEQUENCE, _DATA = "54000100", "54001010"
# PS3.3 C.10.9.1.5; what a sample is in the file, before mu-law and A-law are expanded (ITU-T G.711)
_SAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "SB": "<i1",
        "UB": "<u1",
        "MB": "<u1",
        "AB": "<u1",
        "SS": "<i2",
        "US": "<u2",
        "SL": "<i4",
        "UL": "<u4",
        "SV": "<i8",
        "UV": "<u8",
    }
)


@dataclass(frozen=True, slots=True)
class Channel:
    """One trace: a sample is `sample * sensitivity + baseline` in `unit`, a UCUM code ("" if not stated)."""

    label: str
    unit: str
    sensitivity: float
    baseline: float


@dataclass(frozen=True, slots=True)
class Group:
    """One item of the Waveform Sequence, counted from 1; its samples are interleaved by channel."""

    index: int
    label: str
    frequency: float
    samples: int
    interpretation: str
    padding: float | None
    channels: tuple[Channel, ...]

    @property
    def path(self) -> str:
        """Where the samples are as a bulk value."""
        return f"{_SEQUENCE}/{self.index}/{_DATA}"

    @property
    def sample_bytes(self) -> int:
        """Of all channels at one moment."""
        return numpy.dtype(_SAMPLES[self.interpretation]).itemsize * len(self.channels)


@dataclass(frozen=True, slots=True)
class Strip:
    """What one picture shows: `count` moments of a group from `start`."""

    group: Group
    start: int
    count: int

    @property
    def offset(self) -> int:
        """Where it begins in the value, in bytes."""
        return self.start * self.group.sample_bytes

    @property
    def length(self) -> int:
        """How many bytes it is."""
        return self.count * self.group.sample_bytes


def strips_of(document: Item) -> list[Strip]:
    """The groups that can be drawn, one after the other, each cut into pieces of SECONDS.

    Raises RenderingError if there is none.
    """
    found: list[Strip] = []
    traces = 0
    for index, item in enumerate(items(document, _SEQUENCE), 1):
        group = _group(index, item)
        if group is None:
            continue
        traces += len(group.channels)
        if traces > MAXIMUM_TRACES:
            raise RenderingError(f"waveforms of more than {MAXIMUM_TRACES} channels are not drawn")
        step = max(1, round(group.frequency * SECONDS))
        pieces = -(-group.samples // step)
        if pieces > MAXIMUM_PICTURES - len(found):
            raise RenderingError(f"waveforms of more than {MAXIMUM_PICTURES} times {SECONDS:g} s are not drawn")
        # a rest of less than a tenth of a second is a rounding of the frequency
        found += [
            Strip(group, at * step, min(step, group.samples - at * step))
            for at in range(pieces)
            if not at or group.samples - at * step > step // 100
        ]
    if not found:
        raise RenderingError("there is no waveform that can be drawn")
    return found


def samples_of(strip: Strip, data: bytes) -> NDArray[numpy.float64]:
    """(channels, moments) in the units of the channels; NaN where nothing was recorded. `data` is of that strip."""
    group = strip.group
    moments = min(strip.count, len(data) // group.sample_bytes)
    dtype = numpy.dtype(_SAMPLES[group.interpretation])
    stored = numpy.frombuffer(data, dtype, moments * len(group.channels)).reshape(moments, len(group.channels))
    linear = _expand(group.interpretation, stored)
    baselines = numpy.array([channel.baseline for channel in group.channels])
    factors = numpy.array([channel.sensitivity for channel in group.channels])
    scaled: NDArray[numpy.float64] = linear * factors + baselines
    if group.padding is not None:
        scaled[stored == group.padding] = numpy.nan
    return scaled.T


def _expand(interpretation: str, stored: NDArray[Any]) -> NDArray[numpy.float64]:
    if interpretation == "MB":
        code = ~stored
        magnitude = (((code & 0x0F).astype(numpy.int32) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
        return numpy.where(code & 0x80, -magnitude, magnitude).astype(numpy.float64)
    if interpretation == "AB":
        code = stored ^ 0x55
        exponent = ((code & 0x70) >> 4).astype(numpy.int32)
        mantissa = (code & 0x0F).astype(numpy.int32) << 4
        magnitude = numpy.where(exponent > 0, mantissa + 0x108 << numpy.maximum(exponent - 1, 0), mantissa + 8)
        return numpy.where(code & 0x80, magnitude, -magnitude).astype(numpy.float64)
    return stored.astype(numpy.float64)


def _group(index: int, item: Item) -> Group | None:
    """None for a group whose samples cannot be understood."""
    frequency, interpretation = number(item, "003A001A"), text(item, "54001006")
    definitions = items(item, "003A0200")
    count, samples = whole(item, "003A0005"), whole(item, "003A0010")
    if interpretation not in _SAMPLES or not frequency or not 1e-3 <= frequency <= 1e9 or samples <= 0:
        return None
    if not 1 <= count <= MAXIMUM_CHANNELS or len(definitions) > count:
        return None
    width = numpy.dtype(_SAMPLES[interpretation]).itemsize * 8
    if whole(item, "54001004", width) != width:
        return None
    channels = [_channel(at, definition) for at, definition in enumerate(definitions, 1)]
    channels += [Channel(f"Channel {at}", "", 1.0, 0.0) for at in range(len(channels) + 1, count + 1)]
    # WaveformPaddingValue (5400,100A) is a binary value of one sample
    return Group(
        index,
        text(item, "003A0020"),
        frequency,
        samples,
        interpretation,
        _padding(item, interpretation),
        tuple(channels),
    )


def _padding(item: Item, interpretation: str) -> float | None:
    """WaveformPaddingValue, one sample in binary."""
    value = inline(item, "5400100A")
    dtype = numpy.dtype(_SAMPLES[interpretation])
    return float(numpy.frombuffer(value, dtype, 1)[0]) if value and len(value) >= dtype.itemsize else None


def _channel(at: int, definition: Item) -> Channel:
    """PS3.3 C.10.9.1.4: sensitivity, its correction factor, and the baseline in the same units."""
    sensitivity = number(definition, "003A0210")
    factor = number(definition, "003A0212")
    baseline = number(definition, "003A0213")
    label = meaning(definition, "003A0208") or text(definition, "003A0203") or f"Channel {at}"
    unit = code_value(definition, "003A0211")
    scale = (1.0 if sensitivity is None else sensitivity) * (1.0 if factor is None else factor)
    return Channel(label, unit if sensitivity is not None else "", scale, baseline or 0.0)


def lead(label: str) -> str:
    """The short name of an ECG lead: `aVR` for `Lead aVR`."""
    words: Sequence[str] = label.split()
    return words[1] if len(words) > 1 and words[0].lower() == "lead" else label
