"""Softcopy presentation states, worked by hand (PS3.3 A.33, C.10, C.11; PS3.4 N.2)."""

from __future__ import annotations

import io
import time
from typing import Any

import numpy
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, generate_uid

from dicom.codecs import DecodedFrame
from dicom.errors import DicomError
from dicom.memory_source import MemorySource
from dicom.presentation_states import (
    COLOR,
    GRAYSCALE,
    PSEUDO_COLOR,
    PresentationState,
    UnusablePresentationState,
    read_presentation_state,
)
from dicom.transfer_syntaxes import BY_UID
from tests.dicom.drawing import add_overlay, dataset, drawn, grey, marks, plain

IMAGE = generate_uid()
EXPLICIT = BY_UID["1.2.840.10008.1.2.1"]
AREA: dict[str, Any] = {"PresentationSizeMode": "SCALE TO FIT", "PresentationPixelAspectRatio": [1, 1]}


def reference(uid: str = IMAGE, frames: Any = None) -> Dataset:
    found = dataset(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID=uid)
    if frames is not None:
        found.ReferencedFrameNumber = frames
    return found


def as_object(state: Dataset) -> MemorySource:
    state.file_meta = FileMetaDataset()
    state.file_meta.TransferSyntaxUID = UID(EXPLICIT.uid)
    state.file_meta.MediaStorageSOPClassUID = state.SOPClassUID
    state.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    written = io.BytesIO()
    state.save_as(written, enforce_file_format=True)
    return MemorySource(written.getvalue())


def state_of(
    rows: int, columns: int, *, frame_number: int = 1, kind: str = GRAYSCALE, add: Dataset | None = None, **values: Any
) -> PresentationState:
    made = dataset(
        SOPClassUID=kind,
        SOPInstanceUID="1.2.3",
        ReferencedSeriesSequence=[dataset(SeriesInstanceUID="1.2", ReferencedImageSequence=[reference()])],
        **values,
    )
    made.update(add or Dataset())
    return read_presentation_state(as_object(made), EXPLICIT, IMAGE, frame_number, rows, columns)


def area(left: int, top: int, right: int, bottom: int, **more: Any) -> list[Dataset]:
    return [
        dataset(
            DisplayedAreaTopLeftHandCorner=[left, top],
            DisplayedAreaBottomRightHandCorner=[right, bottom],
            **AREA | more,
        )
    ]


def voi(center: float, width: float, **more: Any) -> Dataset:
    return dataset(WindowCenter=str(center), WindowWidth=str(width), VOILUTFunction="LINEAR_EXACT", **more)


def shown(frame: DecodedFrame, state: PresentationState, header: Dataset | None = None, **more: Any) -> NDArray[Any]:
    return drawn(frame, plain() if header is None else header, presentation=state, **more)


SHADES = DecodedFrame(numpy.array([[90, 95, 100, 105, 110]], "u2"), "MONOCHROME2")


def test_the_transformations_of_the_state_stand_in_the_place_of_the_images() -> None:
    """Also where the state has none: the image's own rescaling is not used (PS3.4 N.2.1)."""
    header = plain(RescaleSlope="5", RescaleIntercept="7", PresentationLUTShape="INVERSE")
    assert shown(SHADES, state_of(1, 5, SoftcopyVOILUTSequence=[voi(100, 20)]), header).tolist() == [
        [0, 64, 128, 191, 255]
    ]
    rescaled = state_of(1, 5, RescaleSlope="2", RescaleIntercept="0", SoftcopyVOILUTSequence=[voi(200, 40)])
    assert shown(SHADES, rescaled, header).tolist() == [[0, 64, 128, 191, 255]]


def test_each_image_and_frame_has_its_own_window() -> None:
    items = [
        voi(90, 20, ReferencedImageSequence=[reference(generate_uid())]),
        voi(100, 20, ReferencedImageSequence=[reference(frames=[2, 3])]),
        voi(110, 20, ReferencedImageSequence=[reference()]),
    ]
    centers = [
        shown(SHADES, state_of(1, 5, frame_number=number, SoftcopyVOILUTSequence=items)).tolist()[0].index(128)
        for number in (1, 2, 3)
    ]
    assert centers == [4, 2, 2]


def test_polarity_is_the_states_alone() -> None:
    dark = DecodedFrame(SHADES.array, "MONOCHROME1")
    window = [voi(100, 20)]
    assert shown(dark, state_of(1, 5, SoftcopyVOILUTSequence=window)).tolist() == [[0, 64, 128, 191, 255]]
    inverse = state_of(1, 5, SoftcopyVOILUTSequence=window, PresentationLUTShape="INVERSE")
    assert shown(dark, inverse).tolist() == shown(SHADES, inverse).tolist() == [[255, 191, 128, 64, 0]]


def test_a_presentation_lut_comes_after_the_window() -> None:
    """Its inputs are the whole range of what the window gives (PS3.3 C.11.4)."""
    table = dataset()
    table.add_new(0x00283002, "US", [5, 0, 8])
    table.add_new(0x00283006, "US", [255, 10, 20, 30, 0])
    state = state_of(1, 5, SoftcopyVOILUTSequence=[voi(100, 20)], PresentationLUTSequence=[table])
    assert shown(SHADES, state).tolist() == [[255, 10, 20, 30, 0]]


def test_modality_and_voi_tables() -> None:
    modality, shades = dataset(), dataset()
    modality.add_new(0x00283002, "US", [3, 95, 16])
    modality.add_new(0x00283006, "US", [1, 2, 3])
    shades.add_new(0x00283002, "US", [3, 1, 8])
    shades.add_new(0x00283006, "US", [9, 99, 199])
    state = state_of(1, 5, ModalityLUTSequence=[modality], SoftcopyVOILUTSequence=[dataset(VOILUTSequence=[shades])])
    frame = DecodedFrame(numpy.array([[90, 95, 96, 97, 99]], "u2"), "MONOCHROME2")
    assert shown(frame, state).tolist() == [[9, 9, 99, 199, 199]]


NUMBERED = DecodedFrame(numpy.arange(12, dtype="u2").reshape(3, 4) * 20, "MONOCHROME2")
WINDOW = [voi(127.5, 255)]


@pytest.mark.parametrize("flip", ["Y", "N"])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_comes_before_the_flip(rotation: int, flip: str) -> None:
    """Clockwise, then from left to right (PS3.3 C.10.6)."""
    state = state_of(3, 4, ImageRotation=rotation, ImageHorizontalFlip=flip, SoftcopyVOILUTSequence=WINDOW)
    expected = numpy.rot90(NUMBERED.array, -rotation // 90)
    expected = expected[:, ::-1] if flip == "Y" else expected
    assert shown(NUMBERED, state).tolist() == expected.tolist()


def test_the_displayed_area_is_cut_scaled_and_may_reach_beyond_the_image() -> None:
    """Corners are pixels from 1; what lies outside is black (PS3.3 C.10.4)."""
    part = state_of(3, 4, DisplayedAreaSelectionSequence=area(2, 2, 3, 3), SoftcopyVOILUTSequence=WINDOW)
    assert shown(NUMBERED, part).tolist() == NUMBERED.array[1:3, 1:3].tolist()
    assert shown(NUMBERED, part, viewport=(40, 60)).shape == (40, 40)
    beyond = state_of(3, 4, DisplayedAreaSelectionSequence=area(0, 2, 5, 4), SoftcopyVOILUTSequence=WINDOW)
    assert shown(NUMBERED, beyond).tolist() == [[0, 80, 100, 120, 140, 0], [0, 160, 180, 200, 220, 0], [0] * 6]


def test_corners_are_those_of_the_picture_once_it_is_turned() -> None:
    """Turned by a quarter, the top left corner of the picture is the bottom left one of the image."""
    state = state_of(
        3, 4, ImageRotation=90, DisplayedAreaSelectionSequence=area(1, 3, 2, 2), SoftcopyVOILUTSequence=WINDOW
    )
    assert shown(NUMBERED, state).tolist() == [[160, 80], [180, 100]]


def test_sizes_of_the_displayed_area() -> None:
    """PS3.18 9.5.2.3: fitted, or magnified and then cut to the viewport."""
    frame = grey(10, 20)

    def size(viewport: tuple[int, int] | None = None, **more: Any) -> tuple[int, ...]:
        state = state_of(10, 20, DisplayedAreaSelectionSequence=area(1, 1, 20, 10, **more))
        return shown(frame, state, viewport=viewport).shape

    assert size() == (10, 20)
    assert size((100, 100)) == (50, 100)
    true: dict[str, Any] = {"PresentationSizeMode": "TRUE SIZE", "PresentationPixelSpacing": ["0.2", "0.1"]}
    assert size(**true) == (20, 20)
    assert size((100, 100), **true) == (100, 100)
    magnified: dict[str, Any] = {"PresentationSizeMode": "MAGNIFY", "PresentationPixelMagnificationRatio": 3.0}
    assert size(**magnified) == (30, 60)
    assert size((15, 25), **magnified) == (25, 15)
    assert size((500, 500), **magnified) == (30, 60)
    huge: dict[str, Any] = magnified | {"PresentationPixelMagnificationRatio": 1e9}
    assert size(**huge) == (1024, 2048)


def graphic(kind: str, data: list[float], units: str = "PIXEL", *, filled: str = "N") -> Dataset:
    return dataset(
        GraphicAnnotationUnits=units,
        GraphicDimensions=2,
        NumberOfGraphicPoints=len(data) // 2,
        GraphicData=data,
        GraphicType=kind,
        GraphicFilled=filled,
    )


def layers(*described: tuple[str, int, int | None]) -> list[Dataset]:
    made = []
    for name, order, value in described:
        layer = dataset(GraphicLayer=name, GraphicLayerOrder=str(order))
        if value is not None:
            layer.GraphicLayerRecommendedDisplayGrayscaleValue = value
        made.append(layer)
    return made


def annotated(*graphics: Dataset, size: int = 9, **more: Any) -> NDArray[Any]:
    annotation = dataset(GraphicLayer="ONE", GraphicObjectSequence=list(graphics))
    state = state_of(
        size,
        size,
        SoftcopyVOILUTSequence=WINDOW,
        GraphicLayerSequence=layers(("ONE", 1, None)),
        GraphicAnnotationSequence=[annotation],
        **more,
    )
    return shown(grey(size, size), state)


def test_a_polyline_in_pixels_of_the_image() -> None:
    """0\\0 is the outer corner of the first pixel (PS3.3 C.10.5)."""
    picture = annotated(graphic("POLYLINE", [1.5, 2.5, 6.5, 2.5]))
    assert marks(picture)[2] == ".######.."
    assert sum(row.count("#") for row in marks(picture)) == 6


def test_a_polyline_in_parts_of_the_displayed_area() -> None:
    half = area(1, 1, 4, 4)
    picture = annotated(graphic("POLYLINE", [0.1, 0.6, 0.9, 0.6], "DISPLAY"), DisplayedAreaSelectionSequence=half)
    assert marks(picture) == ["....", "....", "####", "...."]
    turned = annotated(graphic("POLYLINE", [0.1, 0.6, 0.9, 0.6], "DISPLAY"), ImageRotation=90)
    assert marks(turned)[5] == "#########", "display units do not turn with the image"


def test_pixel_units_turn_with_the_image() -> None:
    picture = annotated(graphic("POLYLINE", [0.5, 0.5, 8.5, 0.5]), ImageRotation=90)
    assert [row[8] for row in marks(picture)] == ["#"] * 9


def test_circles_ellipses_and_curves() -> None:
    circle = marks(annotated(graphic("CIRCLE", [4.5, 4.5, 7.5, 4.5])))
    assert [circle[4][1], circle[4][7], circle[1][4], circle[7][4], circle[4][4]] == ["#", "#", "#", "#", "."]
    filled = marks(annotated(graphic("CIRCLE", [4.5, 4.5, 7.5, 4.5], filled="Y")))
    assert filled[4] == ".#######."
    ellipse = marks(annotated(graphic("ELLIPSE", [0.5, 4.5, 8.5, 4.5, 4.5, 2.5, 4.5, 6.5])))
    assert [ellipse[4][0], ellipse[4][8], ellipse[2][4], ellipse[6][4], ellipse[0][4]] == ["#", "#", "#", "#", "."]
    curve = annotated(graphic("INTERPOLATED", [5.5, 20.5, 20.5, 5.5, 35.5, 20.5]), size=40)
    assert curve[5, 20] == curve[20, 5] == 255
    assert curve[8, 12:15].max() == 255, "it bulges beyond the straight line"
    point = annotated(graphic("POINT", [4.5, 4.5]))
    assert point[4, 4] == 255


def test_layers_are_drawn_in_their_order_and_colour() -> None:
    bar = [graphic("POLYLINE", [0.5, 4.5, 8.5, 4.5])]
    both = [
        dataset(GraphicLayer="TOP", GraphicObjectSequence=bar),
        dataset(GraphicLayer="LOW", GraphicObjectSequence=bar),
    ]
    described = layers(("TOP", 2, 0x4040), ("LOW", 1, 0xFFFF))
    state = state_of(
        9, 9, SoftcopyVOILUTSequence=WINDOW, GraphicLayerSequence=described, GraphicAnnotationSequence=both
    )
    assert shown(grey(9, 9), state)[4].tolist() == [64] * 9
    described[0].GraphicLayerRecommendedDisplayCIELabValue = [35579, 53663, 50858]
    state = state_of(
        9, 9, SoftcopyVOILUTSequence=WINDOW, GraphicLayerSequence=described, GraphicAnnotationSequence=both
    )
    red = shown(grey(9, 9), state)[4, 4]
    assert red[0] > 250 > 10 > red[1]


def text(value: str, **more: Any) -> Dataset:
    return dataset(UnformattedTextValue=value, **more)


def test_text_in_a_box_and_at_an_anchor() -> None:
    boxed = text(
        "WWW",
        BoundingBoxAnnotationUnits="PIXEL",
        BoundingBoxTopLeftHandCorner=[10.0, 10.0],
        BoundingBoxBottomRightHandCorner=[60.0, 30.0],
        BoundingBoxTextHorizontalJustification="LEFT",
        AnchorPointAnnotationUnits="PIXEL",
        AnchorPoint=[90.0, 90.0],
        AnchorPointVisibility="Y",
    )
    annotation = dataset(GraphicLayer="ONE", TextObjectSequence=[boxed])
    state = state_of(100, 100, SoftcopyVOILUTSequence=WINDOW, GraphicAnnotationSequence=[annotation])
    picture = shown(grey(100, 100), state)
    assert (picture[8:35, 8:65] > 200).sum() > 30, "letters"
    assert (picture[60:90, 60:91] == 255).sum() > 20, "a line to the anchor"
    assert (picture[:, :8] == 100).all()
    free = text("A\r\nB", AnchorPointAnnotationUnits="DISPLAY", AnchorPoint=[0.5, 0.5], AnchorPointVisibility="N")
    annotation = dataset(GraphicLayer="ONE", TextObjectSequence=[free])
    state = state_of(100, 100, SoftcopyVOILUTSequence=WINDOW, GraphicAnnotationSequence=[annotation])
    picture = shown(grey(100, 100), state)
    assert (picture[50:, 50:] > 180).sum() > 5
    assert (picture[:48] == 100).all()


def test_annotations_of_other_images_are_not_drawn() -> None:
    bar = [graphic("POLYLINE", [0.5, 4.5, 8.5, 4.5])]
    other = dataset(GraphicLayer="ONE", GraphicObjectSequence=bar, ReferencedImageSequence=[reference(generate_uid())])
    state = state_of(9, 9, SoftcopyVOILUTSequence=WINDOW, GraphicAnnotationSequence=[other])
    assert (shown(grey(9, 9), state) == 100).all()


def test_only_overlays_that_are_activated_are_seen() -> None:
    """PS3.3 C.11.7: the image's by their group, and those that the state brings itself."""
    header = add_overlay(add_overlay(plain(), ["#.."]), ["..#"], group=0x6002)
    activated = Dataset()
    activated.add_new((0x6002, 0x1001), "CS", "ONE")
    one: dict[str, Any] = {"SoftcopyVOILUTSequence": WINDOW, "GraphicLayerSequence": layers(("ONE", 1, None))}
    assert marks(shown(grey(1, 3), state_of(1, 3, **one), header)) == ["..."]
    assert marks(shown(grey(1, 3), state_of(1, 3, add=activated, **one), header)) == ["..#"]
    own = add_overlay(Dataset(), [".#."], group=0x6004, layer="ONE")
    assert marks(shown(grey(1, 3), state_of(1, 3, add=own, **one), header)) == [".#."]


def test_shutters_cover_the_image_but_no_annotation() -> None:
    shutter: dict[str, Any] = {
        "ShutterShape": ["RECTANGULAR", "BITMAP"],
        "ShutterLeftVerticalEdge": "2",
        "ShutterRightVerticalEdge": "9",
        "ShutterUpperHorizontalEdge": "1",
        "ShutterLowerHorizontalEdge": "9",
        "ShutterOverlayGroup": 0x6000,
        "ShutterPresentationValue": 0,
    }
    bitmap = add_overlay(Dataset(), ["....#...."] * 9)
    line = dataset(GraphicLayer="ONE", GraphicObjectSequence=[graphic("POLYLINE", [0.5, 4.5, 8.5, 4.5])])
    state = state_of(9, 9, add=bitmap, SoftcopyVOILUTSequence=WINDOW, GraphicAnnotationSequence=[line], **shutter)
    picture = marks(shown(grey(9, 9), state))
    assert picture[0] == "x...x...."
    assert picture[4] == "#########"


def test_states_of_colour() -> None:
    colour = DecodedFrame(numpy.arange(27, dtype="u1").reshape(3, 3, 3), "RGB")
    turned = shown(colour, state_of(3, 3, kind=COLOR, ImageRotation=180, ICCProfile=b"\0" * 128), dataset(BitsStored=8))
    assert turned.tolist() == colour.array[::-1, ::-1].tolist()
    palette = Dataset()
    for number, values in enumerate(([0, 0x80, 0xFF], [0xFF, 0, 0], [0, 0, 0x40])):
        palette.add_new(0x00281101 + number, "US", [3, 0, 8])
        palette.add_new(0x00281201 + number, "OW", bytes([*values, 0]))
    pseudo = state_of(1, 5, kind=PSEUDO_COLOR, add=palette, SoftcopyVOILUTSequence=[voi(100, 20)])
    assert shown(SHADES, pseudo)[0, ::2].tolist() == [[0, 255, 0], [128, 0, 0], [255, 0, 64]]


def test_what_is_no_state_for_the_frame_is_refused() -> None:
    made = dataset(
        SOPClassUID=GRAYSCALE,
        ReferencedSeriesSequence=[dataset(ReferencedImageSequence=[reference(frames=2)])],
    )
    source = as_object(made)
    read_presentation_state(source, EXPLICIT, IMAGE, 2, 5, 5)
    for uid, number in ((IMAGE, 1), (generate_uid(), 2)):
        with pytest.raises(UnusablePresentationState, match="does not refer"):
            read_presentation_state(source, EXPLICIT, uid, number, 5, 5)
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    with pytest.raises(UnusablePresentationState, match="softcopy presentation state"):
        read_presentation_state(as_object(made), EXPLICIT, IMAGE, 2, 5, 5)


@pytest.mark.parametrize(
    "corners", [(6, 1, 9, 5), (-5, 1, 0, 5), (1, 1, 100_000, 5), (-(2**31), -(2**31), 2**31 - 1, 2**31 - 1)]
)
def test_areas_that_show_nothing_or_need_too_much_are_refused(corners: tuple[int, int, int, int]) -> None:
    with pytest.raises(UnusablePresentationState, match="area"):
        state_of(5, 5, DisplayedAreaSelectionSequence=area(*corners))


def test_broken_objects_are_left_out_and_broken_states_refused() -> None:
    broken = [
        graphic("SPIRAL", [1, 1, 2, 2]),
        graphic("POLYLINE", [1, 2, 3]),
        graphic("POLYLINE", [1, 1], "FURLONG"),
        graphic("CIRCLE", [1, 1]),
        graphic("ELLIPSE", [1, 1, 2, 2]),
        graphic("POLYLINE", [float("nan"), 1, float("inf"), 1e30]),
        dataset(),
        graphic("POLYLINE", [0.5, 4.5, 8.5, 4.5]),
    ]
    assert marks(annotated(*broken))[4] == "#########"
    with pytest.raises(DicomError):
        read_presentation_state(MemorySource(b"\0" * 200), EXPLICIT, IMAGE, 1, 5, 5)
    source = as_object(dataset(SOPClassUID=GRAYSCALE))
    for length in range(140, source.size, 7):
        with pytest.raises(DicomError):
            read_presentation_state(MemorySource(source.data[:length]), EXPLICIT, IMAGE, 1, 5, 5)


def test_a_state_of_many_items_is_refused_before_they_are_read() -> None:
    many = b"\x70\x00\x01\x00SQ\0\0" + (8 * 30_000).to_bytes(4, "little") + b"\xfe\xff\x00\xe0\0\0\0\0" * 30_000
    source = MemorySource(as_object(dataset(SOPClassUID=GRAYSCALE)).data + many)
    with pytest.raises(UnusablePresentationState, match="items"):
        read_presentation_state(source, EXPLICIT, IMAGE, 1, 5, 5)


def test_what_would_take_long_to_draw_is_cut_short() -> None:
    """A thousand filled discs over a large picture, and texts without end."""
    disc = graphic("CIRCLE", [500, 500, 900, 500], filled="Y")
    endless = text("W" * 1024, AnchorPointAnnotationUnits="DISPLAY", AnchorPoint=[0.5, 0.5], AnchorPointVisibility="N")
    annotation = dataset(GraphicLayer="ONE", GraphicObjectSequence=[disc] * 3000, TextObjectSequence=[endless] * 1000)
    state = state_of(1000, 1000, SoftcopyVOILUTSequence=WINDOW, GraphicAnnotationSequence=[annotation])
    (layer,) = state.layers
    assert len(layer.graphics) < 1000
    assert sum(len(each.text) for each in layer.texts) <= 20_000
    started = time.process_time()
    shown(grey(1000, 1000), state)
    assert time.process_time() - started < 30
