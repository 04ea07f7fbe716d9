"""Studies like those of a hospital, of nobody, the same bytes on every machine: made once and kept in a folder.

- ``ct``: 300 slices of 512 x 512, with as many attributes as a scanner writes
- ``cr``: a radiograph of 3000 x 2500
- ``mr``: one enhanced object of 200 frames
- ``us``: one object of 60 colour frames of 640 x 480, native: 55 MB
- ``small``: 2,000 studies of three tiny objects, for searches
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread
from pydicom.dataset import Dataset

from benchmarks.bench.packs import Pack, write_pack

VERSION: Final = "1"
SEARCHED: Final = ("PatientID", "PatientName", "StudyDate", "AccessionNumber", "Modality")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SURNAMES: Final = _words(
    "Abel Adler Arnold Bauer Beck Berger Brandt Busch Dietrich Engel Fischer Frank Fuchs Graf Gross Haas "
    "Hahn Hartmann Herrmann Huber Jung Kaiser Keller Koch Kraus Lang Lorenz Maier Martin Meyer Moser "
    "Nagel Neumann Otto Peters Pohl Richter Roth Sauer Schmitt Schreiber Seidel Simon Stein Thomas Ulrich "
    "Vogel Wagner Weber Winter "
)
GIVEN: Final = _words("Ada Ben Carl Dora Emil Finn Gina Hugo Ines Jana Kurt Lea Mia Nils Olaf Paula Rita Sven Tina Udo")


@dataclass(frozen=True, slots=True)
class Size:
    """How much of each kind."""

    slices: int = 300
    mr_frames: int = 200
    us_frames: int = 60
    small_studies: int = 2000


@dataclass(frozen=True, slots=True)
class Studies:
    """A pack of each kind."""

    ct: Pack
    cr: Pack
    mr: Pack
    us: Pack
    small: Pack


def studies(folder: Path, size: Size, say: Callable[[str], None]) -> Studies:
    """From ``folder``, made there first where they are not."""
    makers: dict[str, Callable[[], Iterator[bytes]]] = {
        f"ct-{size.slices}": lambda: ct(size.slices),
        "cr": cr,
        f"mr-{size.mr_frames}": lambda: mr(size.mr_frames),
        f"us-{size.us_frames}": lambda: us(size.us_frames),
        f"small-{size.small_studies}": lambda: small(size.small_studies),
    }
    place = folder / f"studies-{VERSION}"
    place.mkdir(parents=True, exist_ok=True)
    packs = []
    for name, make in makers.items():
        file = place / f"{name}.pack"
        if not file.exists():
            say(f"Making {name} ...")
            write_pack(file, ((data, known(data)) for data in make()))
        packs.append(Pack(file))
    return Studies(*packs)


def known(data: bytes) -> dict[str, Any]:
    """What ``Instance`` holds of an explicit little endian object whose last element are its native pixels."""
    found = dcmread(BytesIO(data))
    length = len(found.PixelData)
    frames = int(found.get("NumberOfFrames", 1))
    frame_size = found.Rows * found.Columns * found.SamplesPerPixel * found.BitsAllocated // 8
    if not data.endswith(found.PixelData) or frame_size * frames != length:
        raise ValueError("the pixels are not where they were looked for")
    return {
        "study": str(found.StudyInstanceUID),
        "series": str(found.SeriesInstanceUID),
        "uid": str(found.SOPInstanceUID),
        "sop_class": str(found.SOPClassUID),
        "pixels": len(data) - length,
        "frame_size": frame_size,
        "frames": frames,
        "rows": int(found.Rows),
        "columns": int(found.Columns),
        "tags": {keyword: str(found.get(keyword, "")) for keyword in SEARCHED},
    }


def ct(slices: int) -> Iterator[bytes]:
    """The samples' CT of the trunk, its axial slices only, with more attributes."""
    from samples import ct_torso
    from samples.people import CT_TORSO

    visit = replace(CT_TORSO, key="bench/ct")
    for number, data in enumerate(ct_torso.generate(visit, ct_torso.Plan(slices, 1.0, 0.0))):
        if number == slices:
            return
        yield _written(_as_a_scanner(dcmread(BytesIO(data)), number))


def cr() -> Iterator[bytes]:
    """The samples' radiograph of the chest."""
    from samples import chest_radiograph
    from samples.people import CHEST_RADIOGRAPH

    yield next(chest_radiograph.generate(replace(CHEST_RADIOGRAPH, key="bench/cr"), chest_radiograph.FULL))


def mr(frames: int) -> Iterator[bytes]:
    """The samples' enhanced MR of the head."""
    from samples import mr_head
    from samples.people import MR_HEAD

    yield from mr_head.generate(replace(MR_HEAD, key="bench/mr"), frames)


def us(frames: int) -> Iterator[bytes]:
    """The samples' echocardiogram, its frames as pixels."""
    import imagecodecs
    from pydicom.encaps import generate_frames
    from pydicom.uid import ExplicitVRLittleEndian

    from samples import echocardiogram
    from samples.objects import encode
    from samples.people import ECHOCARDIOGRAM

    data = next(echocardiogram.generate(replace(ECHOCARDIOGRAM, key="bench/us"), frames))
    found = dcmread(BytesIO(data))
    pixels = [imagecodecs.jpeg8_decode(frame) for frame in generate_frames(found.PixelData, number_of_frames=frames)]
    found.PhotometricInterpretation, found.PlanarConfiguration = "RGB", 0
    found.PixelData = b"".join(frame.tobytes() for frame in pixels)
    found["PixelData"].is_undefined_length = False
    yield encode(found, ExplicitVRLittleEndian)


def small(count: int) -> Iterator[bytes]:
    """``count`` studies of one series of three objects of 32 x 32, over two years and a thousand names."""
    import numpy as np
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    from samples.objects import Person, Visit, encode

    rows = columns = 32
    for number in range(count):
        name = f"{SURNAMES[number % len(SURNAMES)]}^{GIVEN[number // len(SURNAMES) % len(GIVEN)]}"
        person = Person(
            name, f"BENCH{number:06}", f"19{30 + number % 70}0{1 + number % 9}1{number % 10}", "F", "1.70", "70"
        )
        date = f"{2024 + number % 2}{1 + number // 2 % 12:02}{1 + number // 24 % 28:02}"
        visit = Visit(
            f"bench/small/{number}", person, date, f"{8 + number % 10:02}1500", f"BA{number:08}", str(number),
            f"Examination {number % 40}", "Modell^Erika", "050Y",
        )  # fmt: skip
        for instance in range(1, 4):
            found = visit.data_set(CTImageStorage, "series", str(instance))
            found.Modality = ("CT", "MR", "CR", "US")[number % 4]
            found.SeriesNumber, found.InstanceNumber = 1, instance
            found.SeriesDescription = f"Series {number % 7}"
            found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
            found.Rows, found.Columns = rows, columns
            found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 16, 12, 11, 0
            seed = np.arange(rows * columns, dtype="<u2")
            found.PixelData = ((seed * (number + instance)) % 4096).astype("<u2").tobytes()
            yield encode(found, ExplicitVRLittleEndian)


def _as_a_scanner(found: Dataset, number: int) -> Dataset:
    """With a request, people, dose and a block of the maker's own: 5 KB of attributes as in a hospital."""
    from samples.objects import code, stable_uid

    found.OperatorsName, found.PerformingPhysicianName = "Operator^One", "Physician^Two"
    found.NameOfPhysiciansReadingStudy, found.InstitutionAddress = "Reader^Three", "Street 1, Town"
    found.InstitutionalDepartmentName, found.StudyComments = "Radiology", "for measurements"
    request = Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepID = "RP1401", "SPS1401"
    request.RequestedProcedureDescription = "CT chest and abdomen"
    request.ScheduledProcedureStepDescription = "CT chest and abdomen, portal venous"
    found.RequestAttributesSequence = [request]
    found.ProcedureCodeSequence = [code("169070004", "SCT", "CT of chest and abdomen")]
    found.RequestedProcedureCodeSequence = [code("169070004", "SCT", "CT of chest and abdomen")]
    source = Dataset()
    source.ReferencedSOPClassUID = found.SOPClassUID
    source.ReferencedSOPInstanceUID = stable_uid(f"bench/ct/scout/{number}")
    found.ReferencedImageSequence = found.SourceImageSequence = [source]
    found.CTDIvol, found.SingleCollimationWidth, found.TotalCollimationWidth = 7.5 + number % 20 / 10, 0.6, 38.4
    found.TableSpeed, found.TableFeedPerRotation, found.SpiralPitchFactor = 46.0, 23.0, 0.6
    found.ExposureModulationType, found.FocalSpots, found.GeneratorPower = "XYZ_EC", "1.2", "60"
    found.ReconstructionAlgorithm = "ITERATIVE"
    found.ContrastBolusVolume, found.ContrastBolusIngredient = "90", "IODINE"
    found.SliceLocation = found.ImagePositionPatient[2]
    maker = found.private_block(0x0019, "LIGHTBOX BENCH", create=True)
    for element in range(24):
        maker.add_new(element, "LO", f"maker's value {element} of a scan")
    blob = b"".join(hashlib.sha256(f"{number // 10}/{part}".encode()).digest() for part in range(32))
    maker.add_new(0x40, "OB", blob)
    return found


def _written(found: Dataset) -> bytes:
    from pydicom.uid import ExplicitVRLittleEndian

    from samples.objects import encode

    return encode(found, ExplicitVRLittleEndian)
