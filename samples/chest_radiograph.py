"""The radiograph of the chest: the trunk projected from behind, with its ribs and vessels drawn finely."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian

from .canvas import Ellipse
from .documents import text_report
from .fields import Floats, blurred, gaussian
from .lettering import lettering
from .objects import Visit, codes, encode
from .torso import CAGE_BACK, CAGE_DEPTH, CAGE_WIDTH, TOP, Torso

FULL, SMALL = (2500, 3000), (500, 600)
WIDTH, HEIGHT = 360.0, 300.0
PLATE = 420.0
REFERENCE = 115.0
FINDINGS = (
    "Lungs clear, no pleural effusion, no pneumothorax.",
    "Heart and mediastinum of normal width. Bones unremarkable.",
    "The image was computed. No person was examined.",
)


def instance_count() -> int:
    return 2


def generate(visit: Visit, shape: tuple[int, int]) -> Iterator[bytes]:
    """The radiograph of `shape` (rows, columns) and its report."""
    stored = _expose(shape)
    data_set = visit.data_set(ComputedRadiographyImageStorage, "pa", "1")
    data_set.Modality = "CR"
    data_set.ImageType = ["ORIGINAL", "PRIMARY"]
    data_set.SeriesNumber, data_set.InstanceNumber, data_set.AcquisitionNumber = 1, 1, 1
    data_set.SeriesDescription, data_set.ProtocolName = "Chest PA", "Chest"
    data_set.SeriesDate, data_set.SeriesTime = visit.date, visit.time
    data_set.AcquisitionDate = data_set.ContentDate = visit.date
    data_set.AcquisitionTime = data_set.ContentTime = visit.time
    data_set.PerformedProcedureStepStartDate, data_set.PerformedProcedureStepStartTime = visit.date, visit.time
    data_set.StationName, data_set.BodyPartExamined, data_set.ViewPosition = "LBXCR1", "CHEST", "PA"
    data_set.AnatomicRegionSequence = codes(("51185008", "SCT", "Chest"))
    data_set.ViewCodeSequence = codes(("272479007", "SCT", "postero-anterior"))
    data_set.PatientOrientation = ["L", "F"]
    data_set.KVP, data_set.Exposure, data_set.ExposureTime = "125", "2", "10"
    data_set.DistanceSourceToDetector, data_set.DistanceSourceToPatient = "1800", "1540"
    data_set.PlateID, data_set.CassetteSize, data_set.PlateType = "P1", "35CMX43CM", "Storage phosphor"
    data_set.ImagerPixelSpacing = [f"{PLATE / shape[1]:.6g}"] * 2
    data_set.BurnedInAnnotation, data_set.LossyImageCompression = "NO", "00"
    data_set.SamplesPerPixel, data_set.PhotometricInterpretation = 1, "MONOCHROME1"
    data_set.Rows, data_set.Columns = shape
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit, data_set.PixelRepresentation = 16, 12, 11, 0
    data_set.RescaleIntercept, data_set.RescaleSlope, data_set.RescaleType = "0", "1", "US"
    data_set.WindowCenter, data_set.WindowWidth = "2048", "4096"
    data_set.PixelData = stored.astype("<u2").tobytes()
    yield encode(data_set, ExplicitVRLittleEndian)
    yield text_report(visit, FINDINGS, "Normal chest.")


def _expose(shape: tuple[int, int]) -> npt.NDArray[np.uint16]:
    """The stored image: white is low (MONOCHROME1), more exposure is higher."""
    rows, columns = shape
    torso = Torso(320, WIDTH / 320)
    thick, airy = np.zeros((150, 320), np.float32), np.zeros((150, 320), np.float32)
    for row in range(150):
        dense = np.maximum(torso.section(HEIGHT - 1 - 2 * row, fine=False) + np.float32(1000), 0)
        airy[row] = ((dense > 60) & (dense < 350)).sum(axis=0) * np.float32(torso.spacing / 45)
        # Bone takes more of the rays than its density says. Sums of whole numbers are the same in any order.
        dense += np.maximum(dense - np.float32(1150), 0) * np.float32(0.5)
        table = np.float32(30)
        thick[row] = np.maximum(np.rint(dense).astype(np.int64).sum(axis=0) * (torso.spacing / 1000) - table, 0)
    # Ribs and vessels are drawn at half the size of the image.
    half = (rows // 2, columns // 2)
    plane = _enlarge(_enlarge(thick, 0, half[0]), 1, half[1])
    step = WIDTH / half[1]
    for number in range(12):
        for side in (-1, 1):
            points = torso.bones.rib(number, side, _shell)
            _add(plane, _ribbon(half, step, points), 1.5)
    for collar in torso.bones.collar:
        _add(plane, _ribbon(half, step, [(x, y, z) for x, y, z, _ in collar.tolist()], 5.6, 1.9), 1.3)
    lung = np.clip(_enlarge(_enlarge(blurred(airy), 0, half[0]), 1, half[1]), 0, 1)
    depth = torso.chest.vessels[:, 1]
    for low, high in ((-99, -25), (-25, 0), (0, 20), (20, 99)):
        branches = _vessels(half, step, torso.chest.vessels[(depth > low) & (depth <= high)])
        plane += np.minimum(branches, 6) * lung * np.float32(1.35)
    return _develop(_harmonize(plane, thick), shape)


def _harmonize(plane: Floats, coarse: Floats) -> Floats:
    """Brightness 0..1 of each sample: the wide differences between lung and belly flattened, the fine ones raised."""
    bright = plane / (plane + np.float32(REFERENCE))
    wide = coarse / (coarse + np.float32(REFERENCE))
    for _ in range(110):
        wide = blurred(wide)
    wide = _enlarge(_enlarge(wide, 0, plane.shape[0]), 1, plane.shape[1])
    inside = np.clip(wide * 5 - np.float32(0.6), 0, 1)
    harmonized: Floats = wide * np.float32(0.86) + (bright - wide) * (np.float32(1) + inside * np.float32(0.75))
    return harmonized


def _shell(z: float) -> Ellipse:
    return Ellipse(0, CAGE_BACK(z), CAGE_WIDTH(z), CAGE_DEPTH(z), square=0.35)


def _enlarge(plane: Floats, axis: int, count: int) -> Floats:
    """More samples along one axis, through the given ones (Catmull-Rom)."""
    size = plane.shape[axis]
    at = (np.arange(count, dtype=np.float32) + np.float32(0.5)) * np.float32(size / count) - np.float32(0.5)
    at = np.clip(at, 0, size - 1)
    base = np.minimum(at.astype(np.int64), size - 2)
    f = (at - base).astype(np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
    weights = (
        ((2 - f) * f - 1) * f * np.float32(0.5),
        ((3 * f - 5) * f * f + 2) * np.float32(0.5),
        ((4 - 3 * f) * f + 1) * f * np.float32(0.5),
        (f - 1) * f * f * np.float32(0.5),
    )
    total: Floats = weights[0] * np.take(plane, np.maximum(base - 1, 0), axis)
    for index in (1, 2, 3):
        total = total + weights[index] * np.take(plane, np.minimum(base + index - 1, size - 1), axis)
    return total


def _add(plane: Floats, patch: tuple[tuple[slice, slice], Floats] | None, weight: float) -> None:
    if patch:
        plane[patch[0]] += patch[1] * np.float32(weight)


def _ribbon(
    shape: tuple[int, int],
    step: float,
    points: Sequence[tuple[float, float, float]],
    radius: float = 6.2,
    shell: float = 1.3,
) -> tuple[tuple[slice, slice], Floats] | None:
    """A bone tube seen from the front: how much bone in mm lies behind each sample; brightest along its edges."""
    xs, zs = [p[0] for p in points], [p[2] for p in points]
    margin = radius + 1
    top, bottom = int((TOP - max(zs) - margin) / step), int((TOP - min(zs) + margin) / step) + 1
    left, right = int((min(xs) - margin + WIDTH / 2) / step), int((max(xs) + margin + WIDTH / 2) / step) + 1
    rows, columns = slice(max(top, 0), min(bottom, shape[0])), slice(max(left, 0), min(right, shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    best = np.full((rows.stop - rows.start, columns.stop - columns.start), np.float32(1))
    slants = np.ones(best.shape, np.float32)
    for (x1, y1, z1), (x2, y2, z2) in itertools.pairwise(points):
        r1 = max(int((TOP - max(z1, z2) - margin) / step) - rows.start, 0)
        r2 = max(int((TOP - min(z1, z2) + margin) / step) + 2 - rows.start, 0)
        c1 = max(int((min(x1, x2) - margin + WIDTH / 2) / step) - columns.start, 0)
        c2 = max(int((max(x1, x2) + margin + WIDTH / 2) / step) + 2 - columns.start, 0)
        patch = best[r1:r2, c1:c2]
        if not patch.size:
            continue
        x = (np.arange(c1, c1 + patch.shape[1], dtype=np.float32) + np.float32(columns.start + 0.5)) * np.float32(
            step
        ) - np.float32(WIDTH / 2)
        z = np.float32(TOP) - (
            np.arange(r1, r1 + patch.shape[0], dtype=np.float32) + np.float32(rows.start + 0.5)
        ) * np.float32(step)
        ex, ez = x2 - x1, z2 - z1
        dx, dz = (x - np.float32(x1))[None, :], (z - np.float32(z1))[:, None]
        along = np.clip((dx * ex + dz * ez) * np.float32(1 / max(ex * ex + ez * ez, 0.01)), 0, 1)
        dx, dz = dx - along * np.float32(ex), dz - along * np.float32(ez)
        square = (dx * dx + dz * dz) * np.float32(1 / (radius * radius))
        # Where it runs towards the viewer the rays pass through more of it.
        slant = min(1 + 0.55 * abs(y2 - y1) / max((ex * ex + ez * ez) ** 0.5, 0.3), 2.6)
        slants[r1:r2, c1:c2] = np.where(square < patch, np.float32(slant), slants[r1:r2, c1:c2])
        np.minimum(patch, square, out=patch)
    outer = np.sqrt(1 - best)
    inner = np.sqrt(np.maximum(1 - best * np.float32((radius / (radius - shell)) ** 2), 0))
    return (rows, columns), (outer * np.float32(7.2) - inner * np.float32(3.6)) * slants


def _vessels(shape: tuple[int, int], step: float, spheres: Floats) -> Floats:
    """Thickness of the branching vessels in mm on each sample."""
    plane = np.zeros(shape, np.float32)
    for low, high in ((0.0, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 9.0)):
        some = spheres[(spheres[:, 3] > low) & (spheres[:, 3] <= high)]
        reach = np.arange(-int(high / step) - 1, int(high / step) + 2)
        for start in range(0, len(some), 2000):
            part = some[start : start + 2000]
            column = ((part[:, 0] + np.float32(WIDTH / 2)) * np.float32(1 / step)).astype(np.int64)[:, None] + reach
            row = ((np.float32(TOP) - part[:, 2]) * np.float32(1 / step)).astype(np.int64)[:, None] + reach
            dx = (column + np.float32(0.5)) * np.float32(step) - np.float32(WIDTH / 2) - part[:, 0, None]
            dz = np.float32(TOP) - (row + np.float32(0.5)) * np.float32(step) - part[:, 2, None]
            rest = (part[:, 3] * part[:, 3])[:, None, None] - (dx * dx)[:, None, :] - (dz * dz)[:, :, None]
            chord = np.sqrt(np.maximum(rest, 0)).astype(np.float32) * 2
            column, row = np.clip(column, 0, shape[1] - 1), np.clip(row, 0, shape[0] - 1)
            where = row[:, :, None] * shape[1] + column[:, None, :]
            np.maximum.at(plane.reshape(-1), where.reshape(-1), chord.reshape(-1))
    return plane


def _develop(bright: Floats, shape: tuple[int, int]) -> npt.NDArray[np.uint16]:
    """Brightness 0..1 at half size -> stored values at full size, with noise, collimated edges and a side marker."""
    rows, columns = shape
    noise = blurred(gaussian("radiograph/noise", 640, 640)) * np.float32(58)
    stored = np.empty(shape, np.uint16)
    low, high = 0.2, 0.66
    film = _soft_step(np.clip((blurred(bright) - np.float32(low)) * np.float32(1 / (high - low)), 0, 1))
    film *= np.float32(3900)
    for start in range(0, rows, 250):
        stop = min(start + 250, rows)
        strip = _enlarge_rows(film, start, stop, shape)
        down = (np.arange(start, stop) * 5 + np.arange(start, stop) // 640 * 101) % 640
        across = (np.arange(columns) * 7 + np.arange(columns) // 640 * 211) % 640
        strip += noise[down][:, across]
        stored[start:stop] = np.clip(np.rint(np.float32(4000) - strip), 0, 4095).astype(np.uint16)
    edge = max(rows // 110, 2)
    for border in (stored[:edge], stored[-edge:], stored[:, :edge], stored[:, -edge:]):
        border[:] = 3980
    ink = lettering("L", max(rows // 140, 1))
    corner = (edge * 4, columns - edge * 5 - ink.shape[1])
    stored[corner[0] : corner[0] + ink.shape[0], corner[1] : corner[1] + ink.shape[1]][ink] = 120
    return stored


def _soft_step(part: Floats) -> Floats:
    """A film curve: gentle at both ends."""
    return part * part * (3 - 2 * part) * np.float32(0.5) + part * np.float32(0.5)


def _enlarge_rows(film: Floats, start: int, stop: int, shape: tuple[int, int]) -> Floats:
    """Rows `start` to `stop` of the film at full size, linear between its samples."""
    at = np.clip(
        (np.arange(start, stop, dtype=np.float32) + np.float32(0.5)) * np.float32(film.shape[0] / shape[0])
        - np.float32(0.5),
        0,
        film.shape[0] - 1.01,
    )
    base = at.astype(np.int64)
    f = (at - base).astype(np.float32)[:, None]
    lines = film[base] * (1 - f) + film[base + 1] * f
    at = np.clip(
        (np.arange(shape[1], dtype=np.float32) + np.float32(0.5)) * np.float32(film.shape[1] / shape[1])
        - np.float32(0.5),
        0,
        film.shape[1] - 1.01,
    )
    base = at.astype(np.int64)
    f = (at - base).astype(np.float32)
    enlarged: Floats = lines[:, base] * (1 - f) + lines[:, base + 1] * f
    return enlarged
