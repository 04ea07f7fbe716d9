"""Pictures by presentation states, with annotations and colour profiles: what the doors let through, and for whom."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from access.models import Grant, User
from archive.models import Study
from dicom.icc import space_profile
from tests.dicom.drawing import add_overlay
from tests.dicom.test_presentation_states import area, layers, voi
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.pixels import native_frames
from tests.dicomweb.reading import problem_of
from tests.dicomweb.test_rendered import with_limits

GSPS = "1.2.840.10008.5.1.4.1.1.11.1"


def state_for(image: Dataset, frames: Any = None, **values: Any) -> Dataset:
    """A presentation state of its own series that refers to the image."""
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    if frames is not None:
        reference.ReferencedFrameNumber = frames
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedImageSequence = image.SeriesInstanceUID, [reference]
    gone: tuple[str, ...] = ("PixelData", "Rows", "Columns", "WindowCenter", "WindowWidth", "SamplesPerPixel")
    gone += ("PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    return make_data_set(
        SOPClassUID=GSPS,
        Modality="PR",
        StudyInstanceUID=image.StudyInstanceUID,
        SeriesNumber=9,
        ReferencedSeriesSequence=[series],
        **dict.fromkeys(gone),
        **values,
    )


def path_of(image: Dataset) -> str:
    return f"studies/{image.StudyInstanceUID}/series/{image.SeriesInstanceUID}/instances/{image.SOPInstanceUID}"


def named(state: Dataset) -> str:
    return f"presentationSeriesUID={state.SeriesInstanceUID}&presentationUID={state.SOPInstanceUID}"


def store(door: Door, *objects: Dataset) -> None:
    response = door.store([to_bytes(each) for each in objects])
    assert response.status_code in (200, 202), response.content


def drawn(door: Door, path: str) -> NDArray[Any]:
    response = door.get(path, accept="image/png")
    assert response.status_code == 200, body_of(response)
    return np.asarray(Image.open(io.BytesIO(body_of(response))))


WINDOW = [voi(95.5, 191)]


def test_a_picture_by_a_presentation_state(technologist: Door) -> None:
    """The values 0 to 191, turned by a quarter, of them the area of rows 3 to 6 and columns 2 to 9, inverted."""
    image = make_data_set()
    state = state_for(
        image,
        SoftcopyVOILUTSequence=WINDOW,
        PresentationLUTShape="INVERSE",
        ImageRotation=90,
        ImageHorizontalFlip="N",
        DisplayedAreaSelectionSequence=area(2, 6, 9, 3),
    )
    store(technologist, image, state)
    values = np.arange(192, dtype=float).reshape(12, 16)[2:6, 1:9]
    expected = np.rot90(255 - values / 191 * 255, -1)
    query = named(state)
    for path in (f"{path_of(image)}/rendered?{query}", f"{path_of(image)}/frames/1/rendered?{query}"):
        assert np.abs(drawn(technologist, path) - expected).max() <= 1
    uids = f"studyUID={image.StudyInstanceUID}&seriesUID={image.SeriesInstanceUID}&objectUID={image.SOPInstanceUID}"
    old = f"wado?requestType=WADO&{uids}&contentType=image/png&{query}"
    assert np.abs(drawn(technologist, old) - expected).max() <= 1
    scaled = drawn(technologist, f"{path_of(image)}/rendered?{query}&viewport=40,400")
    assert scaled.shape == (80, 40)


def test_layers_text_and_own_overlays_reach_the_picture(technologist: Door) -> None:
    image = make_data_set()
    text = Dataset()
    text.UnformattedTextValue, text.AnchorPointAnnotationUnits = "R", "DISPLAY"
    text.AnchorPoint, text.AnchorPointVisibility = [0.5, 0.5], "N"
    annotation = Dataset()
    annotation.GraphicLayer, annotation.TextObjectSequence = "ONE", [text]
    state = state_for(
        image,
        SoftcopyVOILUTSequence=[voi(10_000, 2)],
        GraphicLayerSequence=layers(("ONE", 1, None)),
        GraphicAnnotationSequence=[annotation],
    )
    add_overlay(state, ["#"], group=0x6002, layer="ONE")
    store(technologist, image, state)
    picture = drawn(technologist, f"{path_of(image)}/rendered?{named(state)}&viewport=160,120")
    assert picture[2, 2] == 255, "the overlay, over black"
    assert picture[60:, 80:].max() > 200, "the text"
    assert picture[20:55].max() == 0


def test_each_frame_by_what_the_state_says_of_it(technologist: Door) -> None:
    image, _ = native_frames(3)
    state = state_for(image, frames=[1, 2], SoftcopyVOILUTSequence=[voi(-100_000, 2)])
    store(technologist, image, state)
    frames = f"{path_of(image)}/frames"
    assert drawn(technologist, f"{frames}/2/rendered?{named(state)}").min() == 255
    problem = problem_of(technologist.get(f"{frames}/3/rendered?{named(state)}", accept="image/png"), 400)
    assert "does not refer" in problem["detail"]


def test_states_of_other_images_and_studies_are_refused(technologist: Door) -> None:
    image, other = make_data_set(), make_data_set()
    state = state_for(image, SoftcopyVOILUTSequence=WINDOW)
    foreign = state_for(image, SoftcopyVOILUTSequence=WINDOW)
    foreign.StudyInstanceUID = other.StudyInstanceUID
    unrelated = state_for(image, SoftcopyVOILUTSequence=WINDOW)
    unrelated.ReferencedSeriesSequence[0].ReferencedImageSequence[0].ReferencedSOPInstanceUID = generate_uid()
    store(technologist, image, other, state, foreign, unrelated)
    path = f"{path_of(image)}/rendered"
    problem_of(technologist.get(f"{path}?{named(foreign)}"), 404)
    problem_of(technologist.get(f"{path}?{named(unrelated)}"), 400)
    problem_of(technologist.get(f"{path}?{named(image)}"), 400)
    for query in (
        f"presentationUID={state.SOPInstanceUID}",
        f"presentationSeriesUID={state.SeriesInstanceUID}",
        f"presentationSeriesUID={state.SeriesInstanceUID}&presentationUID=x",
        f"{named(state)}&window=1,2,linear",
        f"{named(state)}&viewport=8,8,1,1,4,4",
    ):
        problem_of(technologist.get(f"{path}?{query}"), 400)


def test_who_reaches_nothing_of_the_study_reaches_no_state(technologist: Door, door_for: Callable[..., Door]) -> None:
    image = make_data_set()
    state = state_for(image, SoftcopyVOILUTSequence=WINDOW)
    store(technologist, image, state)
    stranger = door_for("ai_vendor")
    problem_of(stranger.get(f"{path_of(image)}/rendered?{named(state)}"), 404)
    Grant.objects.create(study=Study.objects.get(), user=User.objects.latest("pk"))
    assert drawn(stranger, f"{path_of(image)}/rendered?{named(state)}").shape == (12, 16)


def filled(count: int, of: int) -> Dataset:
    """An annotation of `count` closed curves, each through `of` places all over the image."""
    places = np.random.default_rng(7).random((of, 2)) * 2048
    curve = Dataset()
    curve.GraphicAnnotationUnits, curve.GraphicDimensions, curve.NumberOfGraphicPoints = "PIXEL", 2, of
    curve.GraphicType, curve.GraphicFilled, curve.GraphicData = "INTERPOLATED", "Y", places.ravel().tolist()
    annotation = Dataset()
    annotation.GraphicLayer, annotation.GraphicObjectSequence = "ONE", [curve] * count
    return annotation


def test_a_state_that_draws_for_minutes_is_given_up(technologist: Door, settings: Any) -> None:
    """In a process of its own, and not in the one that answers."""
    image = make_data_set(Rows=2048, Columns=2048, PixelData=bytes(2 * 2048 * 2048))
    state = state_for(image, GraphicAnnotationSequence=[filled(4, 10_000)])
    store(technologist, image, state)
    with_limits(settings, codec_seconds=1)
    problem = problem_of(technologist.get(f"{path_of(image)}/rendered?{named(state)}", accept="image/png"), 406)
    assert "seconds" in problem["detail"]


def test_an_area_that_no_memory_holds_is_refused(technologist: Door) -> None:
    image = make_data_set(Rows=1, Columns=32_000, PixelData=bytes(64_000))
    state = state_for(image, DisplayedAreaSelectionSequence=area(1, 1, 128_000, 128_000))
    store(technologist, image, state)
    problem_of(technologist.get(f"{path_of(image)}/rendered?{named(state)}", accept="image/png"), 406)


def test_a_damaged_state_is_no_server_error(technologist: Door) -> None:
    image = make_data_set()
    broken = state_for(image, DisplayedAreaSelectionSequence=area(1, 1, 2, 2))
    del broken.DisplayedAreaSelectionSequence[0].DisplayedAreaBottomRightHandCorner
    outside = state_for(image, DisplayedAreaSelectionSequence=area(100, 100, 200, 200))
    store(technologist, image, broken, outside)
    for state in (broken, outside):
        problem_of(technologist.get(f"{path_of(image)}/rendered?{named(state)}"), 400)


def test_annotation_is_written_but_for_what_a_role_is_not_shown(
    technologist: Door, door_for: Callable[..., Door]
) -> None:
    """The minimum necessary: the picture of somebody who sees no identity has none, and says so."""
    image = make_data_set()
    store(technologist, image)
    path = f"{path_of(image)}/rendered?viewport=320,240"
    plain = drawn(technologist, path)
    patient = drawn(technologist, f"{path}&annotation=patient")
    assert (patient[:40] != plain[:40]).sum() > 50
    assert (patient[120:] == plain[120:]).all()
    vendor = door_for("ai_vendor")
    Grant.objects.create(study=Study.objects.get(), user=User.objects.latest("pk"))
    response = vendor.get(f"{path}&annotation=patient", accept="image/png")
    assert "left out" in response["Warning"]
    assert (np.asarray(Image.open(io.BytesIO(body_of(response)))) == plain).all()
    assert (drawn(vendor, f"{path}&annotation=technique") != plain).any()


@pytest.mark.parametrize("accept", ["image/png", "image/jpeg"])
def test_colour_profiles(technologist: Door, accept: str) -> None:
    colour = make_data_set(
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=bytes([219, 0, 0]) * 192,
        WindowCenter=None,
        WindowWidth=None,
    )
    colour.ICCProfile = space_profile("adobergb")
    store(technologist, colour)
    path = f"{path_of(colour)}/rendered"

    def shown(choice: str) -> tuple[list[int], bytes]:
        image = Image.open(io.BytesIO(body_of(technologist.get(f"{path}{choice}", accept=accept))))
        return np.asarray(image)[6, 8].tolist(), image.info.get("icc_profile", b"")

    for choice, red, profile in (
        ("", 219, b""),
        ("?iccprofile=no", 219, b""),
        ("?iccprofile=yes", 219, space_profile("adobergb")),
        ("?iccprofile=srgb", 255, space_profile("srgb")),
    ):
        found, embedded = shown(choice)
        assert abs(found[0] - red) <= 2
        assert embedded == profile
    problem_of(technologist.get(f"{path}?iccprofile=cmyk"), 400)


def test_overlays_in_unused_bits_reach_the_picture(technologist: Door) -> None:
    values = np.arange(192, dtype="<u2")
    values[20] |= 1 << 13
    image = make_data_set(PixelData=values.tobytes())
    for element, vr, value in (
        (0x0010, "US", 12),
        (0x0011, "US", 16),
        (0x0040, "CS", "G"),
        (0x0050, "SS", [1, 1]),
        (0x0100, "US", 16),
        (0x0102, "US", 13),
    ):
        image.add_new((0x6000, element), vr, value)
    store(technologist, image)
    picture = drawn(technologist, f"{path_of(image)}/rendered?window=95.5,191,linear-exact")
    assert picture[1, 4] == 255
    assert abs(int(picture[1, 5]) - round(21 / 191 * 255)) <= 1
