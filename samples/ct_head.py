"""The CT study of the head without contrast: axial slices compressed with JPEG 2000, reversible."""

from collections.abc import Iterator
from dataclasses import dataclass

import imagecodecs
import numpy as np
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, JPEG2000Lossless

from .fields import Floats, blurred, gaussian
from .head import Head, Palette
from .objects import Visit, codes, encode

HU = Palette(
    air=-1000,
    skin=40,
    fat=-95,
    muscle=55,
    bone=1150,
    marrow=520,
    fluid=7,
    grey=39,
    white=29,
    nuclei=37,
    eye=10,
    lens=70,
    blood=55,
    dura=52,
    mucosa=35,
)
SIZE, SPACING = 512, 0.46875
INTERCEPT = -1024


@dataclass(frozen=True, slots=True)
class Plan:
    slices: int
    step: float


FULL, SMALL = Plan(38, 4.0), Plan(4, 36.0)
BOTTOM = -61.0


def slices(plan: Plan) -> Iterator[tuple[float, Floats]]:
    """Height in mm and HU (rows, columns) of each slice, from the feet upwards."""
    head = Head(SIZE, SPACING)
    noise = blurred(blurred(gaussian("ct-head/noise", SIZE + 128, SIZE + 128))) * np.float32(9)
    for number in range(plan.slices):
        z = BOTTOM + number * plan.step
        oy, ox = number * 53 % 128, number * 29 % 128
        yield z, blurred(head.section(z, HU)) + noise[oy : oy + SIZE, ox : ox + SIZE]


def generate(visit: Visit, plan: Plan) -> Iterator[bytes]:
    for index, (z, hu) in enumerate(slices(plan)):
        stored = np.clip(np.rint(hu) - INTERCEPT, 0, 4095).astype(np.uint16)
        data_set = visit.data_set(CTImageStorage, "axial", str(index + 1))
        data_set.Modality = "CT"
        data_set.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        data_set.SeriesNumber, data_set.InstanceNumber, data_set.AcquisitionNumber = 1, index + 1, 1
        data_set.SeriesDescription, data_set.ProtocolName = "Head 4.0 Hr38 (JPEG 2000)", "Head without contrast"
        data_set.SeriesDate, data_set.SeriesTime = visit.date, visit.time
        data_set.AcquisitionDate = data_set.ContentDate = visit.date
        data_set.AcquisitionTime = data_set.ContentTime = visit.time
        data_set.PerformedProcedureStepStartDate, data_set.PerformedProcedureStepStartTime = visit.date, visit.time
        data_set.StationName, data_set.BodyPartExamined = "LBXCT1", "HEAD"
        data_set.AnatomicRegionSequence = codes(("69536005", "SCT", "Head"))
        data_set.FrameOfReferenceUID = visit.uid("frame-of-reference")
        data_set.PositionReferenceIndicator, data_set.PatientPosition = "OM", "HFS"
        data_set.KVP, data_set.XRayTubeCurrent, data_set.ExposureTime, data_set.Exposure = "120", "300", "1000", "300"
        data_set.FilterType, data_set.ConvolutionKernel = "HEAD", "Hr38"
        data_set.GantryDetectorTilt, data_set.ScanOptions = "0", "AXIAL MODE"
        data_set.ReconstructionDiameter = f"{SIZE * SPACING:g}"
        data_set.SliceThickness, data_set.SpacingBetweenSlices = "4", f"{plan.step:g}"
        data_set.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        corner = -(SIZE - 1) / 2 * SPACING
        data_set.ImagePositionPatient = [f"{corner:g}", f"{corner - 6:g}", f"{z:g}"]
        data_set.SliceLocation = f"{z:g}"
        data_set.PixelSpacing = [f"{SPACING:g}"] * 2
        data_set.SamplesPerPixel, data_set.PhotometricInterpretation = 1, "MONOCHROME2"
        data_set.Rows, data_set.Columns = SIZE, SIZE
        data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit, data_set.PixelRepresentation = 16, 12, 11, 0
        data_set.RescaleIntercept, data_set.RescaleSlope, data_set.RescaleType = str(INTERCEPT), "1", "HU"
        data_set.WindowCenter, data_set.WindowWidth = ["35", "500"], ["85", "2500"]
        data_set.WindowCenterWidthExplanation = ["BRAIN", "BONE"]
        data_set.LossyImageCompression = "00"
        codestream = imagecodecs.jpeg2k_encode(stored, codecformat="j2k", reversible=True, bitspersample=12, level=0)
        data_set.PixelData = encapsulate([bytes(codestream)])
        data_set["PixelData"].VR = "OB"
        yield encode(data_set, JPEG2000Lossless)
