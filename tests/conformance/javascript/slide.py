"""A small whole slide image: a pyramid of tiled JPEG instances (PS3.3 A.32.8, TILED_FULL) that a test can read back."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms
from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit, VLWholeSlideMicroscopyImageStorage, generate_uid

from tests.dicomweb.pixels import encapsulated

TILE = 128
BASE = (1024, 768)  # columns, rows
BASE_MILLIMETRES = 0.01  # one pixel of the base
QUARTERS = ((200, 40, 40), (40, 160, 60), (50, 70, 200), (220, 200, 50))  # top left and right, bottom left and right
# A square at the centre, a quarter as high as the slide, has another colour in each level: it tells which is shown.
CENTRES = ((255, 0, 255), (0, 255, 255), (255, 255, 255))


@dataclass(frozen=True, slots=True)
class Slide:
    """The instances of one series, finest first."""

    objects: list[bytes]
    instances: list[Dataset]
    frames: list[int]


def make_slide() -> Slide:
    """Three levels of 48, 12 and 4 tiles, with an ICC profile in the item of the optical path."""
    shared: dict[str, Any] = {
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "FrameOfReferenceUID": generate_uid(),
        "DimensionOrganizationSequence": [_item(DimensionOrganizationUID=generate_uid())],
    }
    made = [_level(number, shared) for number in range(len(CENTRES))]
    return Slide([data for data, _ in made], [ds for _, ds in made], [int(ds.NumberOfFrames) for _, ds in made])


def _level(number: int, shared: dict[str, Any]) -> tuple[bytes, Dataset]:
    pixels = _painted(number)
    rows, columns = pixels.shape[:2]
    tiles = [
        _jpeg(_padded(pixels[top : top + TILE, left : left + TILE]))
        for top in range(0, rows, TILE)
        for left in range(0, columns, TILE)
    ]
    return encapsulated(
        [[tile] for tile in tiles],
        JPEGBaseline8Bit,
        **shared,
        SOPClassUID=VLWholeSlideMicroscopyImageStorage,
        Modality="SM",
        InstanceNumber=number + 1,
        ImageType=[
            "ORIGINAL" if number == 0 else "DERIVED",
            "PRIMARY",
            "VOLUME",
            "NONE" if number == 0 else "RESAMPLED",
        ],
        WindowCenter=None,
        WindowWidth=None,
        Rows=TILE,
        Columns=TILE,
        SamplesPerPixel=3,
        PhotometricInterpretation="YBR_FULL_422",
        PlanarConfiguration=0,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        TotalPixelMatrixColumns=columns,
        TotalPixelMatrixRows=rows,
        TotalPixelMatrixFocalPlanes=1,
        NumberOfOpticalPaths=1,
        TotalPixelMatrixOriginSequence=[_item(XOffsetInSlideCoordinateSystem=20, YOffsetInSlideCoordinateSystem=40)],
        ImagedVolumeWidth=BASE[0] * BASE_MILLIMETRES,
        ImagedVolumeHeight=BASE[1] * BASE_MILLIMETRES,
        ImagedVolumeDepth=1,
        ImageOrientationSlide=[0, -1, 0, -1, 0, 0],
        DimensionOrganizationType="TILED_FULL",
        ContainerIdentifier="SLIDE-1",
        IssuerOfTheContainerIdentifierSequence=[],
        SpecimenDescriptionSequence=[_item(SpecimenIdentifier="SPECIMEN-1", SpecimenUID="2.25.77")],
        VolumetricProperties="VOLUME",
        FocusMethod="AUTO",
        ExtendedDepthOfField="NO",
        BurnedInAnnotation="NO",
        LossyImageCompression="01",
        OpticalPathSequence=[_optical_path()],
        SharedFunctionalGroupsSequence=[_functional_groups(number)],
    )


def _painted(number: int) -> NDArray[np.uint8]:
    columns, rows = BASE[0] >> number, BASE[1] >> number
    pixels = np.zeros((rows, columns, 3), np.uint8)
    for quarter, colour in enumerate(QUARTERS):
        down, right = divmod(quarter, 2)
        pixels[down * rows // 2 : (down + 1) * rows // 2, right * columns // 2 : (right + 1) * columns // 2] = colour
    half = rows // 8
    pixels[rows // 2 - half : rows // 2 + half, columns // 2 - half : columns // 2 + half] = CENTRES[number]
    return pixels


def _padded(tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A tile at the edge is whole, with white beyond the slide."""
    whole = np.full((TILE, TILE, 3), 255, np.uint8)
    whole[: tile.shape[0], : tile.shape[1]] = tile
    return whole


def _jpeg(tile: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(tile).save(file, "JPEG", quality=92, subsampling="4:2:2")
    data = file.getvalue()
    return data + b"\0" * (len(data) % 2)


def _optical_path() -> Dataset:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return _item(
        OpticalPathIdentifier="1",
        IlluminationTypeCodeSequence=[_code("111744", "DCM", "Brightfield illumination")],
        IlluminationColorCodeSequence=[_code("414298005", "SCT", "Full Spectrum")],
        ICCProfile=profile + b"\0" * (len(profile) % 2),
    )


def _functional_groups(number: int) -> Dataset:
    spacing = BASE_MILLIMETRES * 2**number
    measures = _item(PixelSpacing=[spacing, spacing], SliceThickness=0.001, SpacingBetweenSlices=0.001)
    return _item(
        PixelMeasuresSequence=[measures],
        OpticalPathIdentificationSequence=[_item(OpticalPathIdentifier="1")],
        WholeSlideMicroscopyImageFrameTypeSequence=[_item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])],
    )


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    return _item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def _item(**values: Any) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item
