"""Softcopy presentation states: how one image is to be shown (PS3.3 A.33.1 to A.33.3, PS3.4 N.2)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from dicom import overlays
from dicom.errors import PROCESSING_FAILURE, DicomError
from dicom.graphic_annotations import graphic_layers
from dicom.graphics import GraphicLayer
from dicom.overlays import OverlayPlane, overlay_planes
from dicom.placement import ratio_of
from dicom.preamble import scan_meta
from dicom.references import applies
from dicom.scopes import first_number
from dicom.source import ByteSource, Window
from dicom.transfer_syntaxes import TransferSyntax

GRAYSCALE, COLOR, PSEUDO_COLOR = (f"1.2.840.10008.5.1.4.1.1.11.{number}" for number in (1, 2, 3))
SOP_CLASSES = frozenset((GRAYSCALE, COLOR, PSEUDO_COLOR))
MAX_BYTES = 8 << 20
# Items take time to read, even empty ones.
_MAX_ITEMS = 20_000
_ITEM = {True: b"\xfe\xff\x00\xe0", False: b"\xff\xfe\xe0\x00"}
_GREYSCALE_STEPS = ("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence")
_FUNCTIONAL_GROUPS = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")
_VOI = ("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence")
_PRESENTATION_LUT = ("PresentationLUTShape", "PresentationLUTSequence")
_PALETTE = tuple(
    f"{segmented}{colour}PaletteColorLookupTable{part}"
    for colour in ("Red", "Green", "Blue")
    for segmented, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
)
_TURNS = {90: 1, 180: 2, 270: 3}


class UnusablePresentationState(DicomError):
    """The object is no presentation state, or none for this image; the message is safe to show."""

    failure_reason = PROCESSING_FAILURE


@dataclass(frozen=True, slots=True)
class DisplayedArea:
    """The Specified Displayed Area by its edges in pixels of the image, which may lie outside of it."""

    left: int
    top: int
    right: int
    bottom: int
    aspect: float | None = None  # height of a pixel over its width
    magnified: float | None = None  # in MAGNIFY mode


@dataclass(frozen=True, slots=True, eq=False)
class PresentationState:
    """What a presentation state says about one frame of one image."""

    data_set: Dataset
    sop_class_uid: str
    voi: Dataset | None
    area: DisplayedArea | None
    turns: int
    flipped: bool
    layers: tuple[GraphicLayer, ...]

    def applied_to(self, header: Dataset) -> Dataset:
        """The image's header with the grayscale transformations of the state in the place of its own (PS3.4 N.2.1).

        A step that the state leaves out is left out. Of colour only the meaning of the colours is replaced.
        """
        shown = Dataset()
        shown.update({element.tag: element for element in header})
        if self.sop_class_uid != COLOR:
            for keyword in (*_GREYSCALE_STEPS, *_VOI, *_PRESENTATION_LUT, *_FUNCTIONAL_GROUPS, "PixelPresentation"):
                if keyword in shown:
                    del shown[keyword]
            _take_over(self.data_set, (*_GREYSCALE_STEPS, *_PRESENTATION_LUT), shown)
            if self.voi is not None:
                _take_over(self.voi, _VOI, shown)
        if self.sop_class_uid == PSEUDO_COLOR:
            _take_over(self.data_set, _PALETTE, shown)
        if self.sop_class_uid != GRAYSCALE:
            _take_over(self.data_set, ("ICCProfile",), shown)
        return shown

    def planes(self, header: Dataset, frame_number: int, cells: NDArray[Any] | None = None) -> tuple[OverlayPlane, ...]:
        """The overlays that are activated (PS3.3 C.11.7), of the image and of the state itself, with their layers."""
        own = {plane.group: plane for plane in overlay_planes(self.data_set, 1)}
        images = {plane.group: plane for plane in overlay_planes(header, frame_number, cells)}
        activated = []
        for group in overlays.GROUPS:
            layer = self.data_set.get((group, overlays.LAYER))
            plane = own.get(group) or images.get(group)
            if layer is not None and layer.value and plane is not None:
                activated.append(
                    OverlayPlane(group, plane.bits, plane.top, plane.left, plane.region_of_interest, str(layer.value))
                )
        return tuple(activated)

    def bitmap_shutter(self) -> OverlayPlane | None:
        """The state's own overlay that covers the image where it has a bit (PS3.3 C.7.6.15)."""
        if "BITMAP" not in _texts(self.data_set.get("ShutterShape")):
            return None
        group = first_number(self.data_set, "ShutterOverlayGroup")
        return next((plane for plane in overlay_planes(self.data_set, 1) if plane.group == group), None)


def read_presentation_state(
    source: ByteSource, syntax: TransferSyntax, sop_instance_uid: str, frame_number: int, rows: int, columns: int
) -> PresentationState:
    """What the state in `source` says of this frame of an image of so many rows and columns.

    `source` is the object, or the inflated data set of a deflated one. Raises `UnusablePresentationState` for what is
    no such state, too large to be read, or does not refer to the frame.
    """
    if source.size > MAX_BYTES:
        raise UnusablePresentationState(f"a presentation state of more than {MAX_BYTES} bytes is not read")
    start = 0 if syntax.deflated else scan_meta(Window(source)).data_set_offset
    data = source.read_at(start, source.size - start)
    if data.count(_ITEM[syntax.little_endian]) > _MAX_ITEMS:
        raise UnusablePresentationState(f"a presentation state of more than {_MAX_ITEMS} items is not read")
    try:
        data_set = read_dataset(io.BytesIO(data), syntax.implicit_vr, syntax.little_endian)
        return _state(data_set, sop_instance_uid, frame_number, rows, columns)
    except DicomError:
        raise
    except Exception as failure:  # whatever pydicom raises for values that the archive keeps without reading them
        raise UnusablePresentationState("the presentation state cannot be read") from failure


def _state(data_set: Dataset, uid: str, number: int, rows: int, columns: int) -> PresentationState:
    sop_class = str(data_set.get("SOPClassUID", ""))
    if sop_class not in SOP_CLASSES:
        raise UnusablePresentationState("presentationUID: the object is no softcopy presentation state for one image")
    if not any(
        applies(series, uid, number, if_absent=False) for series in data_set.get("ReferencedSeriesSequence") or ()
    ):
        raise UnusablePresentationState("presentationUID: the presentation state does not refer to this image")
    rotation = int(first_number(data_set, "ImageRotation") or 0) % 360
    return PresentationState(
        data_set,
        sop_class,
        next(_for_image(data_set, "SoftcopyVOILUTSequence", uid, number), None),
        _area(next(_for_image(data_set, "DisplayedAreaSelectionSequence", uid, number), None), rows, columns),
        _TURNS.get(rotation, 0),
        data_set.get("ImageHorizontalFlip") == "Y",
        graphic_layers(data_set, _for_image(data_set, "GraphicAnnotationSequence", uid, number)),
    )


def _for_image(data_set: Dataset, keyword: str, uid: str, number: int) -> Iterator[Dataset]:
    """Items that name this frame, or no image at all and with it all."""
    return (item for item in data_set.get(keyword) or () if applies(item, uid, number))


def _area(item: Dataset | None, rows: int, columns: int) -> DisplayedArea | None:
    """Corners are pixels, counted from 1, in the order of the picture once it is turned (PS3.3 C.10.4)."""
    if item is None:
        return None
    corners = [*item.DisplayedAreaTopLeftHandCorner, *item.DisplayedAreaBottomRightHandCorner]
    x, y = sorted(int(each) for each in corners[::2]), sorted(int(each) for each in corners[1::2])
    left, top, right, bottom = x[0] - 1, y[0] - 1, x[1], y[1]
    if not (left < columns and top < rows and right > 0 and bottom > 0):
        raise UnusablePresentationState("the presentation state displays an area outside of the image")
    if right - left > 4 * max(columns, rows) + 64 or bottom - top > 4 * max(columns, rows) + 64:
        raise UnusablePresentationState("the presentation state displays an area far larger than the image")
    aspect = ratio_of(item.get("PresentationPixelSpacing")) or ratio_of(item.get("PresentationPixelAspectRatio"))
    magnified = first_number(item, "PresentationPixelMagnificationRatio")
    usable = item.get("PresentationSizeMode") == "MAGNIFY" and magnified is not None and magnified > 0
    return DisplayedArea(left, top, right, bottom, aspect, magnified if usable else None)


def _take_over(source: Dataset, keywords: tuple[str, ...], target: Dataset) -> None:
    for keyword in keywords:
        if keyword in source:
            target[keyword] = source[keyword]


def _texts(value: Any) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(str(each) for each in value)
