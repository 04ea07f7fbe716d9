"""dcmjs: our metadata in its model, what it writes stored and read back, what we hand out parsed by it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    generate_uid,
)

from tests.conformance.javascript.foreign import Foreign
from tests.conformance.javascript.installation import Installation, address_of
from tests.dicomweb.objects import make_data_set, to_bytes

pytestmark = [pytest.mark.browser, pytest.mark.slow]

IMPLEMENTATION = "2.25.1907"
PERSON = "Jörg^Müller"


def natural(**values: Any) -> dict[str, Any]:
    """The start of a data set in dcmjs's model: keywords and plain values."""
    return {
        "SOPInstanceUID": generate_uid(),
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": PERSON,
        "PatientID": "JS-2",
        "StudyDate": "20240305",
        "SeriesNumber": "7",
        "InstanceNumber": "1",
        **values,
    }


def write(dicomweb: Foreign, dataset: dict[str, Any]) -> bytes:
    """Part 10 by dcmjs."""
    meta = {
        "MediaStorageSOPClassUID": dataset["SOPClassUID"],
        "MediaStorageSOPInstanceUID": dataset["SOPInstanceUID"],
        "TransferSyntaxUID": ExplicitVRLittleEndian,
        "ImplementationClassUID": IMPLEMENTATION,
    }
    return bytes(dicomweb("write", {"meta": meta, "dataset": dataset}).data)


def stored(dicomweb: Foreign, data: bytes) -> Dataset:
    """Stored by dicomweb-client; what Python reads of the same bytes."""
    assert dicomweb("upload", {"datasets": [data]})["status"] == 200
    return pydicom.dcmread(io.BytesIO(data))


def test_naturalizes_our_metadata(dicomweb: Foreign, installation: Installation) -> None:
    """PS3.18 Annex F: strings, numbers, names, sequences and a reference to bulk data come out as dcmjs has them."""
    ds = make_data_set(
        SpecificCharacterSet="ISO_IR 100",
        PatientName=PERSON,
        SliceThickness="2.50",
        ImagePositionPatient=["-1.5", "0", "1e2"],
        OtherPatientIDs=["A", "B"],
    )
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "T-D4000", "SRT", "Größe"
    ds.AnatomicRegionSequence = [code]
    installation.store(to_bytes(ds))
    [metadata] = dicomweb.request("retrieveInstanceMetadata", **address_of(ds))
    found = dicomweb("naturalize", metadata)
    assert found["SOPInstanceUID"] == ds.SOPInstanceUID
    assert found["PatientName"][0] == {"Alphabetic": PERSON}
    assert (found["Rows"], found["Columns"], found["InstanceNumber"]) == (12, 16, 1)
    assert (found["SliceThickness"], found["ImagePositionPatient"]) == (2.5, [-1.5, 0, 100])
    assert found["OtherPatientIDs"] == ["A", "B"]
    assert found["AnatomicRegionSequence"][0]["CodeMeaning"] == "Größe"
    assert found["PixelData"]["BulkDataURI"].startswith(f"{installation.root}/studies/{ds.StudyInstanceUID}/")
    assert found["_vrMap"]["PixelData"] == "OW"


def test_stores_a_picture_that_dcmjs_wrote(dicomweb: Foreign, installation: Installation) -> None:
    """A secondary capture in colour: byte for byte, by frame and by metadata."""
    pixels = np.random.default_rng(7).integers(0, 256, (8, 10, 3), np.uint8)
    dataset = natural(
        SOPClassUID=SecondaryCaptureImageStorage,
        Modality="OT",
        ConversionType="WSD",
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        Rows=8,
        Columns=10,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
        PixelData=[pixels.tobytes()],
        _vrMap={"PixelData": "OB"},
    )
    data = write(dicomweb, dataset)
    sent = stored(dicomweb, data)
    assert np.array_equal(sent.pixel_array, pixels)
    assert sent.PatientName == PERSON
    assert installation.part10(sent) == data
    [frame] = dicomweb.request("retrieveInstanceFrames", **address_of(sent), frameNumbers=[1])
    assert frame.data == pixels.tobytes()
    [metadata] = dicomweb.request("retrieveInstanceMetadata", **address_of(sent))
    assert metadata["00100010"]["Value"] == [{"Alphabetic": PERSON}]
    got = dicomweb("read", dicomweb.request("retrieveInstance", **address_of(sent)).data)
    assert got["meta"]["ImplementationClassUID"] == IMPLEMENTATION
    assert got["dataset"]["PixelData"][0].data == pixels.tobytes()
    assert got["dataset"]["PatientName"][0] == {"Alphabetic": PERSON}


def test_stores_a_report_that_dcmjs_wrote(dicomweb: Foreign, installation: Installation) -> None:
    """A text SR, whose nested sequences come back in metadata and object."""
    code = {"CodeValue": "121071", "CodingSchemeDesignator": "DCM", "CodeMeaning": "Finding"}
    item = {
        "RelationshipType": "CONTAINS",
        "ValueType": "TEXT",
        "ConceptNameCodeSequence": [code],
        "TextValue": "Größe unverändert, 5 µm",
    }
    dataset = natural(
        SOPClassUID=BasicTextSRStorage,
        Modality="SR",
        ValueType="CONTAINER",
        ContinuityOfContent="SEPARATE",
        CompletionFlag="COMPLETE",
        VerificationFlag="UNVERIFIED",
        ConceptNameCodeSequence=[code | {"CodeValue": "121060", "CodeMeaning": "History"}],
        ContentSequence=[item, item | {"TextValue": "zwei"}],
    )
    data = write(dicomweb, dataset)
    sent = stored(dicomweb, data)
    assert installation.part10(sent) == data
    [metadata] = dicomweb.request("retrieveInstanceMetadata", **address_of(sent))
    found = dicomweb("naturalize", metadata)
    assert [each["TextValue"] for each in found["ContentSequence"]] == ["Größe unverändert, 5 µm", "zwei"]
    assert found["ContentSequence"][0]["ConceptNameCodeSequence"][0]["CodeMeaning"] == "Finding"
    got = dicomweb("read", dicomweb.request("retrieveInstance", **address_of(sent)).data)
    # dcmjs reads text inside items as Latin-1 whatever Specific Character Set says; what is plain reads well.
    assert got["dataset"]["ContentSequence"][1]["TextValue"] == "zwei"


def test_stores_a_segmentation_that_dcmjs_derived(dicomweb: Foreign, installation: Installation) -> None:
    """Two of three retrieved slices are segmented; the bit frames come back as they were drawn (PS3.5 8.1.1)."""
    series = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    slices = [
        make_data_set(
            **series,
            InstanceNumber=number,
            FrameOfReferenceUID="2.25.1",
            ImagePositionPatient=[0, 0, number],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            PixelSpacing=[1, 1],
            SliceThickness=1,
            Manufacturer="Nobody",
        )
        for number in (1, 2, 3)
    ]
    installation.store(*(to_bytes(ds) for ds in slices))
    masks = np.random.default_rng(5).integers(0, 2, (2, 12, 16), np.uint8)
    address = {"studyInstanceUID": slices[0].StudyInstanceUID, "seriesInstanceUID": slices[0].SeriesInstanceUID}
    data = dicomweb("segment", {"series": address, "masks": masks.tobytes(), "frames": [1, 3]}).data
    sent = stored(dicomweb, data)
    assert sent.SOPClassUID == SegmentationStorage
    assert np.array_equal(sent.pixel_array, masks)
    assert installation.part10(sent) == data
    frames = dicomweb.request("retrieveInstanceFrames", **address_of(sent), frameNumbers=[1, 2])
    for frame, mask in zip(frames, masks, strict=True):
        assert frame.data[: 12 * 16 // 8] == np.packbits(mask.ravel(), bitorder="little").tobytes()
    found = dicomweb.request("searchForSeries", studyInstanceUID=address["studyInstanceUID"])
    assert sorted(each["00080060"]["Value"][0] for each in found) == ["CT", "SEG"]
    [metadata] = dicomweb.request("retrieveInstanceMetadata", **address_of(sent))
    labels = [each["SegmentLabel"] for each in dicomweb("naturalize", metadata)["SegmentSequence"]]
    assert labels == ["Liver"]
