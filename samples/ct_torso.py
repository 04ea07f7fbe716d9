"""The CT study of chest and abdomen: an axial series, two scout views made from it, and a report as PDF."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from .documents import pdf_report
from .objects import Visit, codes, encode
from .torso import Torso

INTERCEPT = -1024
FRONT = -180.0
REPORT = (
    "Sample report",
    "",
    "CT of the chest and abdomen with intravenous contrast, portal venous phase.",
    "",
    "Lungs clear. No pleural effusion. Heart and great vessels of normal size.",
    "Liver, spleen, pancreas, adrenal glands and kidneys unremarkable.",
    "No free fluid. No destructive bone lesion.",
    "",
    "The images were computed. No person was examined.",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How many axial slices, how far apart in mm, at which height the first one lies."""

    slices: int
    spacing: float
    bottom: float


FULL = Plan(300, 1.0, 0.0)
SMALL = Plan(12, 25.0, 10.0)


def instance_count(plan: Plan) -> int:
    return plan.slices + 3


def generate(visit: Visit, plan: Plan) -> Iterator[bytes]:
    """Axial slices from the head downwards, then the scouts and the report; one slice in memory."""
    torso = Torso()
    front = np.zeros((plan.slices, torso.size), np.int64)
    side = np.zeros((plan.slices, torso.size), np.int64)
    for index in range(plan.slices):
        z = plan.bottom + (plan.slices - 1 - index) * plan.spacing
        hu = np.rint(torso.scanned(z, index)).astype(np.int16)
        np.clip(hu, INTERCEPT, 3071, out=hu)
        # A scout is a radiograph: every voxel adds its attenuation, air nothing.
        dense = np.maximum(hu.astype(np.int64) + 1000, 0)
        front[index], side[index] = dense.sum(axis=0), dense.sum(axis=1)
        yield _axial(visit, plan, torso, index, z, hu - np.int16(INTERCEPT))
    yield _scout(visit, plan, torso, 1, front)
    yield _scout(visit, plan, torso, 2, side)
    yield pdf_report(visit, REPORT)


def _common(visit: Visit, series: str, number: int, instance: int) -> Dataset:
    data_set = visit.data_set(CTImageStorage, series, str(instance))
    data_set.Modality = "CT"
    data_set.SeriesNumber, data_set.InstanceNumber, data_set.AcquisitionNumber = number, instance, 1
    data_set.SeriesDate, data_set.SeriesTime = visit.date, visit.time
    data_set.AcquisitionDate = data_set.ContentDate = visit.date
    data_set.AcquisitionTime = data_set.ContentTime = visit.time
    data_set.PerformedProcedureStepStartDate, data_set.PerformedProcedureStepStartTime = visit.date, visit.time
    data_set.StationName = "LBXCT1"
    data_set.FrameOfReferenceUID = visit.uid("frame-of-reference")
    data_set.PositionReferenceIndicator = "SN"
    data_set.PatientPosition = "HFS"
    data_set.BodyPartExamined = "CHESTABDOMEN"
    data_set.KVP = "120"
    data_set.SamplesPerPixel, data_set.PhotometricInterpretation = 1, "MONOCHROME2"
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit, data_set.PixelRepresentation = 16, 16, 15, 1
    data_set.RescaleIntercept, data_set.RescaleSlope, data_set.RescaleType = str(INTERCEPT), "1", "HU"
    return data_set


def _axial(visit: Visit, plan: Plan, torso: Torso, index: int, z: float, stored: npt.NDArray[np.int16]) -> bytes:
    data_set = _common(visit, "axial", 1, index + 1)
    data_set.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data_set.SeriesDescription = "Thorax-Abdomen 1.0 Br40"
    data_set.ProtocolName = "Thorax Abdomen portal venous"
    data_set.ContrastBolusAgent, data_set.ContrastBolusRoute = "Iodinated contrast (simulated)", "IV"
    data_set.ScanOptions = "HELICAL MODE"
    data_set.SliceThickness = "1"
    data_set.SpacingBetweenSlices = f"{plan.spacing:g}"
    data_set.DataCollectionDiameter = "500"
    data_set.ReconstructionDiameter = f"{torso.size * torso.spacing:g}"
    data_set.GantryDetectorTilt, data_set.TableHeight, data_set.RotationDirection = "0", "150", "CW"
    data_set.ExposureTime, data_set.XRayTubeCurrent, data_set.Exposure = "500", "240", "120"
    data_set.FilterType, data_set.ConvolutionKernel = "BODY", "Br40"
    data_set.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    corner = -(torso.size - 1) / 2 * torso.spacing
    data_set.ImagePositionPatient = [f"{corner:g}", f"{corner:g}", f"{z:g}"]
    data_set.SliceLocation = f"{z:g}"
    data_set.PixelSpacing = [f"{torso.spacing:g}"] * 2
    data_set.Rows, data_set.Columns = stored.shape
    data_set.WindowCenter, data_set.WindowWidth = ["50", "-600", "450"], ["400", "1500", "1800"]
    data_set.WindowCenterWidthExplanation = ["ABDOMEN", "LUNG", "BONE"]
    data_set.AnatomicRegionSequence = codes(("416775004", "SCT", "Chest, Abdomen and Pelvis"))
    data_set.PixelData = stored.astype("<i2").tobytes()
    return encode(data_set, ExplicitVRLittleEndian)


def _scout(visit: Visit, plan: Plan, torso: Torso, instance: int, lines: npt.NDArray[np.int64]) -> bytes:
    """A radiograph as a localizer: `lines` (slices, columns) summed along y (instance 1) or x (instance 2)."""
    rows = round(plan.slices * plan.spacing / torso.spacing)
    at = np.arange(rows, dtype=np.float64) * (torso.spacing / plan.spacing)
    upper = np.minimum(at.astype(np.int64), plan.slices - 1)
    lower = np.minimum(upper + 1, plan.slices - 1)
    part = (at - upper)[:, None]
    density = lines[upper] * (1 - part) + lines[lower] * part
    stored = np.rint(np.clip(density * (1 / 150 if instance == 1 else 1 / 230), 0, 4000)).astype(np.int16)
    data_set = _common(visit, "scout", 2, instance)
    data_set.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    data_set.SeriesDescription = "Scout"
    data_set.ProtocolName = "Scout"
    data_set.ScanOptions = "SCOUT MODE"
    data_set.RescaleType = "US"
    data_set.SliceThickness = ""
    top = plan.bottom + (plan.slices - 1) * plan.spacing
    if instance == 1:
        data_set.ImageOrientationPatient = ["1", "0", "0", "0", "0", "-1"]
        data_set.ImagePositionPatient = [f"{FRONT:g}", "0", f"{top:g}"]
    else:
        data_set.ImageOrientationPatient = ["0", "1", "0", "0", "0", "-1"]
        data_set.ImagePositionPatient = ["0", f"{FRONT:g}", f"{top:g}"]
    data_set.PixelSpacing = [f"{torso.spacing:g}"] * 2
    data_set.Rows, data_set.Columns = stored.shape
    data_set.WindowCenter, data_set.WindowWidth = "150", "2200"
    data_set.AnatomicRegionSequence = codes(("416775004", "SCT", "Chest, Abdomen and Pelvis"))
    data_set.PixelData = stored.astype("<i2").tobytes()
    return encode(data_set, ExplicitVRLittleEndian)
