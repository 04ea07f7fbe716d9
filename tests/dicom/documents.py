"""Data sets that are no images, as the archive sees them: Part 10 objects parsed to DICOM JSON."""

from __future__ import annotations

from typing import Any

import orjson
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from dicom.memory_source import MemorySource
from dicom.part10 import parse
from tests.dicomweb.objects import make_data_set, to_bytes

_NO_PIXELS = dict.fromkeys(
    (
        *("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
        *("SamplesPerPixel", "PhotometricInterpretation", "WindowCenter", "WindowWidth"),
    )
)


def packaged(name: str) -> bytes:
    """A file that comes with pydicom."""
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str), f"pydicom does not ship {name}"
    with open(path, "rb") as file:
        return file.read()


def json_text(data: bytes) -> bytes:
    """The data set of an object as DICOM JSON."""
    return parse(MemorySource(data)).json_text


def as_json(data: bytes) -> dict[str, Any]:
    """The same, loaded."""
    loaded: dict[str, Any] = orjson.loads(json_text(data))
    return loaded


def without_pixels(sop_class: str, **values: Any) -> Dataset:
    """A data set of this SOP class with ``values`` on top of those every instance has."""
    return make_data_set(**{**_NO_PIXELS, "SOPClassUID": f"1.2.840.10008.5.1.4.1.1.{sop_class}", **values})


def code(meaning: str, value: str = "1", scheme: str = "99TEST") -> list[Dataset]:
    """A code sequence of one item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return [item]


def content(kind: str, name: str, children: list[Dataset] | None = None, **values: Any) -> Dataset:
    """One content item of a structured report."""
    item = Dataset()
    item.ValueType = kind
    if name:
        item.ConceptNameCodeSequence = code(name)
    for keyword, value in values.items():
        setattr(item, keyword, value)
    if children:
        item.ContentSequence = children
    return item


def report(children: list[Dataset], title: str = "Report", sop_class: str = "88.33", **values: Any) -> Dataset:
    """A structured report with these content items."""
    ds = without_pixels(sop_class, Modality="SR", ValueType="CONTAINER", ConceptNameCodeSequence=code(title), **values)
    ds.ContentSequence = children
    return ds


def waveform(
    samples: bytes, channels: int, interpretation: str = "SS", frequency: float = 500, bits: int = 16, **more: Any
) -> Dataset:
    """An ECG of one multiplex group whose channels are in microvolts, one a bit."""
    group = Dataset()
    group.NumberOfWaveformChannels = channels
    group.NumberOfWaveformSamples = len(samples) // (channels * bits // 8)
    group.SamplingFrequency = frequency
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = bits, interpretation
    definitions = []
    for at in range(channels):
        channel = Dataset()
        channel.ChannelSourceSequence = code(f"Lead {at + 1}")
        channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline = 1, 1, 0
        channel.ChannelSensitivityUnitsSequence = code("microvolt", "uV", "UCUM")
        definitions.append(channel)
    group.ChannelDefinitionSequence = definitions
    group.add_new(0x54001010, "OW" if bits == 16 else "OB", samples)
    for keyword, value in more.items():
        setattr(group, keyword, value)
    return without_pixels("9.1.1", Modality="ECG", WaveformSequence=[group])


def contours(*slices: tuple[int, list[float]], names: tuple[str, ...] = ("Heart", "Lung")) -> Dataset:
    """A structure set: for each (region number, points) a closed contour."""
    rois, drawn = [], []
    for number, name in enumerate(names, 1):
        roi, contour_set = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, name
        contour_set.ReferencedROINumber = number
        contour_set.ROIDisplayColor = [255, 0, 0] if number == 1 else [0, 0, 255]
        lines = []
        for region, points in slices:
            if region == number:
                line = Dataset()
                line.ContourGeometricType, line.NumberOfContourPoints = "CLOSED_PLANAR", len(points) // 3
                line.ContourData = points
                lines.append(line)
        contour_set.ContourSequence = lines
        rois.append(roi)
        drawn.append(contour_set)
    return without_pixels(
        "481.3", Modality="RTSTRUCT", StructureSetROISequence=rois, ROIContourSequence=drawn, StructureSetLabel="S"
    )


def square(z: float, edge: float = 40.0, at: float = 0.0) -> list[float]:
    """The points of a square in an axial slice."""
    return [at, at, z, at + edge, at, z, at + edge, at + edge, z, at, at + edge, z]


def pdf(pages: int = 1, size: str = "0 0 200 300") -> bytes:
    """A PDF whose pages are red in their lower left quarter."""
    kids = " ".join(f"{number} 0 R" for number in range(4, 4 + pages))
    drawing = "1 0 0 rg 0 0 100 150 re f"
    bodies = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>",
        f"<< /Length {len(drawing)} >>\nstream\n{drawing}\nendstream",
        *[f"<< /Type /Page /Parent 2 0 R /MediaBox [{size}] /Contents 3 0 R /Resources << >> >>"] * pages,
    ]
    out, places = "%PDF-1.4\n", []
    for number, body in enumerate(bodies, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    end = f"trailer\n<< /Size {len(bodies) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return (out + f"xref\n0 {len(bodies) + 1}\n0000000000 65535 f \n{table}{end}").encode()


def encapsulated(document: bytes, sop_class: str = "104.1", mime: str = "application/pdf") -> bytes:
    """A document in an object."""
    ds = without_pixels(sop_class, Modality="DOC", MIMETypeOfEncapsulatedDocument=mime)
    ds.EncapsulatedDocumentLength = len(document)
    ds.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    return to_bytes(ds)
