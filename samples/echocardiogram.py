"""The ultrasound study: a beating heart in colour, a multi-frame image compressed with JPEG."""

from collections.abc import Iterator

import imagecodecs
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEGBaseline8Bit, UltrasoundMultiFrameImageStorage

from .echo_heart import APEX, DEPTH, HEIGHT, OPENING, PIXEL, WIDTH, EchoHeart
from .fields import sine
from .objects import Visit, codes, encode

FULL, SMALL = 40, 6
BEAT = 1000.0


def generate(visit: Visit, frames: int) -> Iterator[bytes]:
    """One object: one beat of the heart in `frames` frames."""
    heart = EchoHeart()
    codestreams = [
        bytes(
            imagecodecs.jpeg8_encode(
                heart.frame(number / frames), level=92, colorspace="rgb", outcolorspace="ycbcr", subsampling="422"
            )
        )
        for number in range(frames)
    ]
    data_set = visit.data_set(UltrasoundMultiFrameImageStorage, "four-chamber", "1")
    data_set.Modality = "US"
    data_set.ImageType = ["ORIGINAL", "PRIMARY", "TTE", "0011"]
    data_set.SeriesNumber, data_set.InstanceNumber = 1, 1
    data_set.SeriesDescription, data_set.ProtocolName = "Apical four chamber, colour", "Adult echo"
    data_set.SeriesDate, data_set.SeriesTime = visit.date, visit.time
    data_set.AcquisitionDateTime = visit.date + visit.time
    data_set.ContentDate, data_set.ContentTime = visit.date, visit.time
    data_set.PerformedProcedureStepStartDate, data_set.PerformedProcedureStepStartTime = visit.date, visit.time
    data_set.StationName, data_set.BodyPartExamined = "LBXUS1", "HEART"
    data_set.AnatomicRegionSequence = codes(("80891009", "SCT", "Heart"))
    data_set.TransducerData = ""
    data_set.PatientOrientation = ""
    data_set.NumberOfFrames = frames
    data_set.FrameTime = f"{BEAT / frames:.6g}"
    data_set.FrameIncrementPointer = 0x00181063
    data_set.CineRate = data_set.RecommendedDisplayFrameRate = str(round(1000 * frames / BEAT))
    data_set.StartTrim, data_set.StopTrim = "1", str(frames)
    data_set.EffectiveDuration = "1"
    data_set.HeartRate = "60"
    data_set.BurnedInAnnotation = "NO"
    data_set.UltrasoundColorDataPresent = 1
    data_set.SequenceOfUltrasoundRegions = Sequence([_region(1), _region(2)])
    data_set.SamplesPerPixel, data_set.PhotometricInterpretation, data_set.PlanarConfiguration = 3, "YBR_FULL_422", 0
    data_set.Rows, data_set.Columns = HEIGHT, WIDTH
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit, data_set.PixelRepresentation = 8, 8, 7, 0
    data_set.LossyImageCompression = "01"
    ratio = WIDTH * HEIGHT * 3 * frames / sum(map(len, codestreams))
    data_set.LossyImageCompressionRatio, data_set.LossyImageCompressionMethod = f"{ratio:.2f}", "ISO_10918_1"
    data_set.PixelData = encapsulate(codestreams)
    data_set["PixelData"].VR = "OB"
    yield encode(data_set, JPEGBaseline8Bit)


def _region(data_type: int) -> Dataset:
    """A calibrated region of the picture (PS3.3 C.8.5.5): the tissue (1) or the colour flow (2) in it."""
    region = Dataset()
    half = round(DEPTH / PIXEL * sine(OPENING * 0.0174532925))
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, data_type, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = APEX[0] - half, APEX[1]
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = APEX[0] + half, APEX[1] + round(DEPTH / PIXEL)
    region.ReferencePixelX0, region.ReferencePixelY0 = half, 0
    region.ReferencePixelPhysicalValueX = region.ReferencePixelPhysicalValueY = 0.0
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = PIXEL / 10
    region.TransducerFrequency = 2500
    return region
