"""The sample studies are the same everywhere, valid, and show what they say."""

import hashlib
import io
import itertools
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import imagecodecs
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from openjpeg.utils import decode as decode_with_openjpeg
from pydicom.encaps import generate_frames
from pydicom.uid import (
    BasicTextSRStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    UltrasoundMultiFrameImageStorage,
)

import samples
from samples import ct_head, ct_torso, fields
from samples.lettering import GLYPHS, lettering
from samples.people import CT_HEAD
from samples.torso import Torso

ROOT = Path(__file__).parents[2]
AXIAL, SCOUT = 1, 2
NAMES = ("ct-torso", "mr-head", "echocardiogram", "chest-radiograph", "ct-head")

# Written down once: the pictures must not change by a bit with the processor, the day or the order of work.
FIRST_INSTANCES = {
    "ct-torso": "aee3aae7bfab410d3e7da5e91eb18461ec3fbae2160446a21e35b849021e42ef",
    "mr-head": "2356e0365d35d786aa176b0233087ac025448fb0186400b0d613293e14820516",
    "echocardiogram": "ba63366bec276cfb81993bf5f16fdfa65444936f2ab20c8ccb6b46f4b283d6d1",
    "chest-radiograph": "8b1160cc81961ca417cf8bf7306830d4cad06933b6a6fcad615a844a9f6d7b46",
    "ct-head": "0958eff5501e3032ab4659a19e4ba26c2d9c04a40034f6044485fe17ab539d2f",
}


@pytest.fixture(scope="module")
def objects() -> dict[str, list[bytes]]:
    """The instances of each small study, by its name."""
    return {study.name: list(study.generate()) for study in samples.studies(small=True)}


@pytest.fixture(scope="module")
def data_sets(objects: dict[str, list[bytes]]) -> dict[str, list[pydicom.Dataset]]:
    return {name: [pydicom.dcmread(io.BytesIO(data)) for data in parts] for name, parts in objects.items()}


def hounsfield(data_set: pydicom.Dataset) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float64] = data_set.pixel_array * float(data_set.RescaleSlope)
    return values + float(data_set.RescaleIntercept)


def test_the_bytes_are_the_ones_written_down(objects: dict[str, list[bytes]]) -> None:
    assert {name: hashlib.sha256(parts[0]).hexdigest() for name, parts in objects.items()} == FIRST_INSTANCES


def test_another_process_makes_the_same_bytes(objects: dict[str, list[bytes]]) -> None:
    program = (
        "import hashlib, samples\n"
        "for study in samples.studies(small=True):\n"
        "    if study.name in ('mr-head', 'ct-head', 'echocardiogram'):\n"
        "        print(study.name, hashlib.sha256(b''.join(study.generate())).hexdigest())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        name, digest = line.split()
        assert hashlib.sha256(b"".join(objects[name])).hexdigest() == digest
    assert len(done.stdout.splitlines()) == 3


def test_generating_again_starts_anew(objects: dict[str, list[bytes]]) -> None:
    study = samples.studies(small=True)[4]
    assert next(study.generate()) == next(study.generate()) == objects["ct-head"][0]


def test_each_study_has_the_instances_it_announces(objects: dict[str, list[bytes]]) -> None:
    assert tuple(objects) == NAMES
    assert [len(parts) for parts in objects.values()] == [15, 1, 1, 2, 4]
    assert [study.instance_count for study in samples.studies(small=True)] == [15, 1, 1, 2, 4]
    assert [study.instance_count for study in samples.studies()] == [303, 1, 1, 2, 38]


def test_uids_are_unique_and_the_tree_is_consistent(data_sets: dict[str, list[pydicom.Dataset]]) -> None:
    seen: set[str] = set()
    owners: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    patients: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for study in samples.studies(small=True):
        for data_set in data_sets[study.name]:
            assert data_set.StudyInstanceUID == study.study_instance_uid
            assert data_set.SOPInstanceUID not in seen
            seen.add(data_set.SOPInstanceUID)
            for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
                uid = data_set[keyword].value
                assert uid.is_valid
                assert uid.startswith("2.25.")
                assert len(uid) <= 64
            assert data_set.file_meta.MediaStorageSOPInstanceUID == data_set.SOPInstanceUID
            assert data_set.file_meta.MediaStorageSOPClassUID == data_set.SOPClassUID
            owners[data_set.SeriesInstanceUID].add((data_set.StudyInstanceUID, data_set.Modality, data_set.SOPClassUID))
            owners[data_set.StudyInstanceUID].add((data_set.PatientID, data_set.StudyDate, data_set.AccessionNumber))
            patients[data_set.PatientID].add(
                (str(data_set.PatientName), data_set.PatientBirthDate, data_set.PatientSex)
            )
    assert all(len(values) == 1 for values in (*owners.values(), *patients.values()))


def test_small_studies_share_no_uid_with_the_whole_ones() -> None:
    whole = {study.study_instance_uid for study in samples.studies()}
    small = {study.study_instance_uid for study in samples.studies(small=True)}
    assert len(whole) == len(small) == 5
    assert not whole & small


def test_nobody_is_shown(data_sets: dict[str, list[pydicom.Dataset]]) -> None:
    for data_set in itertools.chain.from_iterable(data_sets.values()):
        assert str(data_set.PatientName).startswith("Phantom^")
        assert data_set.PatientID.startswith("LB-")
        assert data_set.IssuerOfPatientID == "LIGHTBOX SAMPLES"
        assert data_set.QualityControlSubject == data_set.PatientIdentityRemoved == "YES"


def test_kinds_and_encodings(data_sets: dict[str, list[pydicom.Dataset]]) -> None:
    kinds = {
        name: {(part.SOPClassUID, part.Modality, part.file_meta.TransferSyntaxUID) for part in parts}
        for name, parts in data_sets.items()
    }
    assert kinds == {
        "ct-torso": {
            (CTImageStorage, "CT", ExplicitVRLittleEndian),
            (EncapsulatedPDFStorage, "DOC", ExplicitVRLittleEndian),
        },
        "mr-head": {(EnhancedMRImageStorage, "MR", ExplicitVRLittleEndian)},
        "echocardiogram": {(UltrasoundMultiFrameImageStorage, "US", JPEGBaseline8Bit)},
        "chest-radiograph": {
            (ComputedRadiographyImageStorage, "CR", ExplicitVRLittleEndian),
            (BasicTextSRStorage, "SR", ExplicitVRLittleEndian),
        },
        "ct-head": {(CTImageStorage, "CT", JPEG2000Lossless)},
    }


def test_the_ct_holds_air_lung_fat_soft_tissue_and_bone(data_sets: dict[str, list[pydicom.Dataset]]) -> None:
    axial = [part for part in data_sets["ct-torso"] if part.get("SeriesNumber") == AXIAL]
    assert len(axial) == ct_torso.SMALL.slices
    volume = np.stack([hounsfield(part) for part in axial])
    assert axial[0].PixelRepresentation == 1
    assert volume.shape == (12, 512, 512)
    # Share of the volume in percent, at least, at most.
    for low, high, least, most in (
        (-1100, -950, 40, 75),
        (-930, -780, 4, 20),
        (-130, -70, 4, 20),
        (30, 200, 8, 25),
        (350, 1500, 0.4, 4),
    ):
        share = 100 * np.count_nonzero((volume > low) & (volume < high)) / volume.size
        assert least < share < most, (low, high, share)
    # Noise, not paint: the liver varies, as a scanner's does.
    liver = hounsfield(axial[8])[230:262, 130:170]
    assert 95 < liver.mean() < 130
    assert 5 < liver.std() < 25


def test_ct_slices_are_evenly_spaced_and_run_downwards(data_sets: dict[str, list[pydicom.Dataset]]) -> None:
    for name, step in (("ct-torso", -25.0), ("ct-head", 36.0)):
        images = [part for part in data_sets[name] if part.get("SeriesNumber") == AXIAL]
        heights = [float(part.ImagePositionPatient[2]) for part in images]
        assert [b - a for a, b in itertools.pairwise(heights)] == [step] * (len(images) - 1)
        assert {float(part.SpacingBetweenSlices) for part in images} == {abs(step)}
        assert {tuple(map(float, part.ImageOrientationPatient)) for part in images} == {(1, 0, 0, 0, 1, 0)}
        assert len({part.FrameOfReferenceUID for part in images}) == 1


def test_neighbouring_slices_look_alike_but_have_their_own_noise() -> None:
    torso = Torso()
    one, near, far = torso.scanned(150, 0), torso.scanned(151, 1), torso.scanned(200, 2)
    assert 5 < np.abs(one - near).mean() < 25
    assert np.abs(one - far).mean() > 1.8 * np.abs(one - near).mean()


def test_scouts_are_planes_through_the_same_patient(data_sets: dict[str, list[pydicom.Dataset]]) -> None:
    scouts = [part for part in data_sets["ct-torso"] if part.get("SeriesNumber") == SCOUT]
    axial = data_sets["ct-torso"][0]
    assert [list(map(float, part.ImageOrientationPatient)) for part in scouts] == [
        [1, 0, 0, 0, 0, -1],
        [0, 1, 0, 0, 0, -1],
    ]
    for scout in scouts:
        assert scout.ImageType[2] == "LOCALIZER"
        assert scout.FrameOfReferenceUID == axial.FrameOfReferenceUID
        assert scout.pixel_array.std() > 300


def test_the_pdf_is_whole(data_sets: dict[str, list[pydicom.Dataset]]) -> None:
    report = data_sets["ct-torso"][-1]
    document = report.EncapsulatedDocument[: report.EncapsulatedDocumentLength]
    assert document.startswith(b"%PDF-1.4")
    assert document.endswith(b"%%EOF\n")
    table = int(document.rsplit(b"startxref\n", 1)[1].split()[0])
    assert document[table:].startswith(b"xref")
    for number, line in enumerate(document[table:].splitlines()[3:8], 1):
        assert document[int(line.split()[0]) :].startswith(b"%d 0 obj" % number)
    length = int(document.split(b"/Length ")[1].split()[0])
    assert document.split(b"stream\n", 1)[1][length:].startswith(b"\nendstream")


def test_the_mr_describes_each_frame(data_sets: dict[str, list[pydicom.Dataset]]) -> None:
    (image,) = data_sets["mr-head"]
    frames = image.PerFrameFunctionalGroupsSequence
    assert image.NumberOfFrames == len(frames) == 8
    assert image.pixel_array.shape == (8, 256, 256)
    heights = [float(frame.PlanePositionSequence[0].ImagePositionPatient[2]) for frame in frames]
    shared = image.SharedFunctionalGroupsSequence[0]
    step = float(shared.PixelMeasuresSequence[0].SpacingBetweenSlices)
    assert [round(b - a, 4) for a, b in itertools.pairwise(heights)] == [step] * 7
    assert [frame.FrameContentSequence[0].InStackPositionNumber for frame in frames] == list(range(1, 9))
    assert [list(frame.FrameContentSequence[0].DimensionIndexValues) for frame in frames] == [
        [1, n] for n in range(1, 9)
    ]
    for keyword in (
        "PlaneOrientationSequence",
        "MRImageFrameTypeSequence",
        "PixelValueTransformationSequence",
        "FrameVOILUTSequence",
    ):
        assert len(shared[keyword].value) == 1
    # White matter brighter than grey, grey brighter than fluid: the histogram of a T1 image has them all.
    middle = image.pixel_array[4]
    for low, high in ((90, 210), (430, 520), (620, 760), (760, 1000)):
        assert np.count_nonzero((middle > low) & (middle < high)) > 400


def test_the_ultrasound_moves_and_has_colour(data_sets: dict[str, list[pydicom.Dataset]]) -> None:
    (image,) = data_sets["echocardiogram"]
    frames = list(generate_frames(image.PixelData, number_of_frames=int(image.NumberOfFrames)))
    assert len(frames) == 6
    assert all(frame.startswith(b"\xff\xd8") for frame in frames)
    pictures = np.stack([imagecodecs.jpeg8_decode(frame) for frame in frames]).astype(np.int16)
    assert pictures.shape == (6, 480, 640, 3)
    assert all(np.abs(a - b).mean() > 1 for a, b in itertools.pairwise(pictures))
    red, blue = pictures[..., 0], pictures[..., 2]
    assert (red - blue > 100).sum(axis=(1, 2)).max() > 1500
    assert (blue - red > 100)[:, 120:].sum(axis=(1, 2)).max() > 400
    assert image.PhotometricInterpretation == "YBR_FULL_422"
    assert image.BurnedInAnnotation == "NO"
    assert image.FrameIncrementPointer == 0x00181063
    assert float(image.FrameTime) * image.NumberOfFrames == pytest.approx(1000, abs=0.01)
    for region in image.SequenceOfUltrasoundRegions:
        assert region.RegionLocationMaxX1 < image.Columns
        assert region.RegionLocationMaxY1 < image.Rows


def test_the_jpeg_is_subsampled_as_it_says(data_sets: dict[str, list[pydicom.Dataset]]) -> None:
    """YBR_FULL_422 (PS3.3 C.7.6.3.1.2): luminance twice as wide as the colours, as tall as them."""
    (image,) = data_sets["echocardiogram"]
    frame = next(generate_frames(image.PixelData, number_of_frames=int(image.NumberOfFrames)))
    header = frame[frame.index(b"\xff\xc0") :]
    assert header[9] == 3
    assert [header[11 + 3 * part] for part in range(3)] == [0x21, 0x11, 0x11]


def test_the_radiograph_shows_lungs_darker_than_the_heart(data_sets: dict[str, list[pydicom.Dataset]]) -> None:
    image = data_sets["chest-radiograph"][0]
    assert image.PhotometricInterpretation == "MONOCHROME1"
    assert image.BitsStored == 12
    stored = image.pixel_array
    assert stored.shape == (500, 600)
    assert stored.max() < 4096
    # MONOCHROME1: low is white. The lungs let rays through, what lies between them does not.
    lung, middle, air = stored[180:220, 150:180], stored[180:220, 285:315], stored[200:300, 12:25]
    assert middle.mean() + 700 < lung.mean() < air.mean()


def test_the_report_is_readable(data_sets: dict[str, list[pydicom.Dataset]]) -> None:
    report = data_sets["chest-radiograph"][1]
    texts = [item.TextValue for section in report.ContentSequence[1:] for item in section.ContentSequence]
    assert texts[0].startswith("Lungs clear")
    assert texts[-1] == "Normal chest."


def test_jpeg_2000_gives_back_what_was_encoded(data_sets: dict[str, list[pydicom.Dataset]]) -> None:
    """Decoded by OpenJPEG through another binding than the one that encoded."""
    for data_set, (_, hu) in zip(data_sets["ct-head"], ct_head.slices(ct_head.SMALL), strict=True):
        codestream = next(generate_frames(data_set.PixelData, number_of_frames=1))
        expected = np.clip(np.rint(hu) - ct_head.INTERCEPT, 0, 4095).astype(np.uint16)
        assert np.array_equal(decode_with_openjpeg(codestream), expected)
        assert expected.std() > 100
        assert data_set.StudyInstanceUID != CT_HEAD.uid()


def test_no_text_but_scales_can_be_burned_in() -> None:
    assert set(GLYPHS) == set("0123456789+-./bcmpszFHLMR ")
    assert lettering("10").shape == (7, 12)
    assert all([len(row) for row in glyph.split("/")] == [5] * 7 for letter, glyph in GLYPHS.items() if letter != "/")


def test_random_values_are_fixed() -> None:
    assert fields.uniform("a", 4).tolist() == [
        -0.256011962890625,
        0.483978271484375,
        -0.333282470703125,
        -0.559478759765625,
    ]
    values = fields.gaussian("b", 200, 200)
    assert abs(float(values.mean())) < 0.02
    assert abs(float(values.std()) - 1) < 0.02
    assert values.dtype == np.float32


def test_fields_stay_in_single_precision() -> None:
    """Double precision would double the time and the memory without a trace in the picture."""
    assert fields.smooth_plane("c", 40, 50, 8).dtype == np.float32
    assert Torso(64, 5.6).section(120).dtype == np.float32
