"""The MR study of the head: one Enhanced MR Image, T1 weighted, a frame for each axial section."""

from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian

from .fields import gaussian, smooth_plane
from .head import Head, Palette
from .objects import Visit, codes, encode

T1 = Palette(
    air=0,
    skin=420,
    fat=820,
    muscle=340,
    bone=45,
    marrow=450,
    fluid=150,
    grey=470,
    white=690,
    nuclei=545,
    eye=150,
    lens=330,
    blood=260,
    dura=250,
    mucosa=430,
)
SIZE, SPACING = 256, 0.9375
BOTTOM, HEIGHT = -62.0, 150.0
FULL, SMALL = 120, 8
# The macros of PS3.3 C.8.13.5 that an ORIGINAL image must have, made up for a usual T1 sequence.
ACQUISITION: dict[str, dict[str, object]] = {
    "MRTimingAndRelatedParametersSequence": {
        "RepetitionTime": "1900",
        "FlipAngle": "9",
        "EchoTrainLength": "1",
        "RFEchoTrainLength": 0,
        "GradientEchoTrainLength": 1,
        "GradientOutputType": "DB_DT",
        "GradientOutput": 40.0,
    },
    "MRFOVGeometrySequence": {
        "InPlanePhaseEncodingDirection": "ROW",
        "MRAcquisitionFrequencyEncodingSteps": 256,
        "MRAcquisitionPhaseEncodingStepsInPlane": 256,
        "MRAcquisitionPhaseEncodingStepsOutOfPlane": 120,
        "PercentSampling": "100",
        "PercentPhaseFieldOfView": "100",
    },
    "MREchoSequence": {"EffectiveEchoTime": 2.5},
    "MRModifierSequence": {
        "InversionRecovery": "YES",
        "InversionTimes": 900.0,
        "FlowCompensation": "NONE",
        "Spoiling": "RF",
        "T2Preparation": "NO",
        "SpectrallySelectedExcitation": "NONE",
        "SpatialPresaturation": "NONE",
        "PartialFourier": "NO",
        "ParallelAcquisition": "NO",
    },
    "MRImagingModifierSequence": {
        "MagnetizationTransfer": "NONE",
        "BloodSignalNulling": "NO",
        "Tagging": "NONE",
        "TransmitterFrequency": 123.25,
        "PixelBandwidth": "200",
    },
    "MRReceiveCoilSequence": {
        "ReceiveCoilName": "Head",
        "ReceiveCoilManufacturerName": "Lightbox",
        "ReceiveCoilType": "MULTICOIL",
        "QuadratureReceiveCoil": "NO",
        "MultiCoilConfiguration": "H1",
    },
    "MRTransmitCoilSequence": {
        "TransmitCoilName": "Body",
        "TransmitCoilManufacturerName": "Lightbox",
        "TransmitCoilType": "BODY",
    },
    "MRAveragesSequence": {"NumberOfAverages": "1"},
}


def generate(visit: Visit, frames: int) -> Iterator[bytes]:
    """One object of `frames` frames, from the feet upwards."""
    step = HEIGHT / frames
    data_set = visit.data_set(EnhancedMRImageStorage, "t1", "1")
    _describe(data_set, visit)
    data_set.NumberOfFrames = frames
    data_set.SharedFunctionalGroupsSequence = Sequence([_shared(step)])
    data_set.PerFrameFunctionalGroupsSequence = Sequence(
        [_frame(visit, number, BOTTOM + number * step) for number in range(frames)]
    )
    data_set.DimensionOrganizationType = "3D"
    organization = Dataset()
    organization.DimensionOrganizationUID = visit.uid("dimensions")
    data_set.DimensionOrganizationSequence = Sequence([organization])
    data_set.DimensionIndexSequence = Sequence(
        [
            _dimension(visit, 0x00209056, 0x00209111, "Stack ID"),
            _dimension(visit, 0x00209057, 0x00209111, "In-Stack Position Number"),
        ]
    )
    data_set.PixelData = _pixels(frames, step)
    yield encode(data_set, ExplicitVRLittleEndian)


def _pixels(frames: int, step: float) -> bytes:
    head = Head(SIZE, SPACING)
    # Coil sensitivity: brighter near the surface of one side. Noise is Rician, as of a magnitude image.
    coil = smooth_plane("mr/coil", SIZE, SIZE, 130) * np.float32(0.09) + np.float32(1)
    noise = gaussian("mr/noise", 2, SIZE + 97, SIZE + 97) * np.float32(15)
    out = bytearray()
    for number in range(frames):
        signal = head.section(BOTTOM + number * step, T1) * coil
        oy, ox = number * 31 % 97, number * 57 % 97
        real, other = (plane[oy : oy + SIZE, ox : ox + SIZE] for plane in noise)
        signal = signal + real
        magnitude = np.sqrt(signal * signal + other * other)
        out += np.clip(np.rint(magnitude), 0, 4095).astype("<u2").tobytes()
    return bytes(out)


def _describe(data_set: Dataset, visit: Visit) -> None:
    """Image level attributes (PS3.3 A.36.2)."""
    data_set.Modality = "MR"
    data_set.SeriesNumber, data_set.InstanceNumber = 1, 1
    data_set.SeriesDescription, data_set.ProtocolName = "T1 MPRAGE axial", "Brain T1 3D"
    data_set.SeriesDate, data_set.SeriesTime = visit.date, visit.time
    data_set.ContentDate, data_set.ContentTime = visit.date, visit.time
    data_set.AcquisitionDateTime = visit.date + visit.time
    data_set.AcquisitionDuration = 284.0
    data_set.AcquisitionNumber = 1
    data_set.PerformedProcedureStepStartDate, data_set.PerformedProcedureStepStartTime = visit.date, visit.time
    data_set.StationName, data_set.BodyPartExamined = "LBXMR1", "HEAD"
    data_set.PatientPosition = "HFS"
    data_set.FrameOfReferenceUID = visit.uid("frame-of-reference")
    data_set.PositionReferenceIndicator = ""
    data_set.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    data_set.PixelPresentation, data_set.VolumetricProperties = "MONOCHROME", "VOLUME"
    data_set.VolumeBasedCalculationTechnique = "NONE"
    data_set.ComplexImageComponent, data_set.AcquisitionContrast = "MAGNITUDE", "T1"
    data_set.ContentQualification = "PRODUCT"
    data_set.BurnedInAnnotation, data_set.LossyImageCompression = "NO", "00"
    data_set.PresentationLUTShape = "IDENTITY"
    data_set.MagneticFieldStrength, data_set.ResonantNucleus = 3.0, "1H"
    data_set.KSpaceFiltering, data_set.ApplicableSafetyStandardAgency = "NONE", "IEC"
    data_set.PulseSequenceName, data_set.MRAcquisitionType = "tfl3d", "3D"
    data_set.EchoPulseSequence = "GRADIENT"
    data_set.MultiPlanarExcitation, data_set.PhaseContrast = "NO", "NO"
    data_set.TimeOfFlightContrast = "NO"
    data_set.SteadyStatePulseSequence = "NONE"
    data_set.EchoPlanarPulseSequence = "NO"
    data_set.SaturationRecovery = "NO"
    data_set.SpectrallySelectedSuppression = "NONE"
    data_set.OversamplingPhase = "NONE"
    data_set.GeometryOfKSpaceTraversal, data_set.RectilinearPhaseEncodeReordering = "RECTILINEAR", "LINEAR"
    data_set.SegmentedKSpaceTraversal = "PARTIAL"
    data_set.CoverageOfKSpace = "FULL"
    data_set.NumberOfKSpaceTrajectories = 1
    data_set.SamplesPerPixel, data_set.PhotometricInterpretation = 1, "MONOCHROME2"
    data_set.Rows, data_set.Columns = SIZE, SIZE
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit, data_set.PixelRepresentation = 16, 12, 11, 0
    data_set.AcquisitionContextSequence = Sequence()


def _shared(step: float) -> Dataset:
    """What all frames share (PS3.3 C.7.6.16.1.1)."""
    groups = Dataset()
    measures = Dataset()
    measures.PixelSpacing = [f"{SPACING:g}"] * 2
    measures.SliceThickness = measures.SpacingBetweenSlices = f"{step:g}"
    groups.PixelMeasuresSequence = Sequence([measures])
    orientation = Dataset()
    orientation.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    groups.PlaneOrientationSequence = Sequence([orientation])
    kind = Dataset()
    kind.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    kind.PixelPresentation, kind.VolumetricProperties = "MONOCHROME", "VOLUME"
    kind.VolumeBasedCalculationTechnique = "NONE"
    kind.ComplexImageComponent, kind.AcquisitionContrast = "MAGNITUDE", "T1"
    groups.MRImageFrameTypeSequence = Sequence([kind])
    transformation = Dataset()
    transformation.RescaleIntercept, transformation.RescaleSlope, transformation.RescaleType = "0", "1", "US"
    groups.PixelValueTransformationSequence = Sequence([transformation])
    window = Dataset()
    window.WindowCenter, window.WindowWidth = "440", "880"
    window.WindowCenterWidthExplanation = "BRAIN"
    groups.FrameVOILUTSequence = Sequence([window])
    anatomy = Dataset()
    anatomy.AnatomicRegionSequence = codes(("69536005", "SCT", "Head"))
    anatomy.FrameLaterality = "U"
    groups.FrameAnatomySequence = Sequence([anatomy])
    for keyword, values in ACQUISITION.items():
        item = Dataset()
        for name, value in values.items():
            setattr(item, name, value)
        setattr(groups, keyword, Sequence([item]))
    timing = groups.MRTimingAndRelatedParametersSequence[0]
    rate = Dataset()
    rate.SpecificAbsorptionRateDefinition, rate.SpecificAbsorptionRateValue = "IEC_HEAD", 0.4
    timing.SpecificAbsorptionRateSequence = Sequence([rate])
    timing.OperatingModeSequence = Sequence([_mode(kind) for kind in ("STATIC FIELD", "RF", "GRADIENT")])
    receiver = groups.MRReceiveCoilSequence[0]
    element = Dataset()
    element.MultiCoilElementName, element.MultiCoilElementUsed = "H1", "YES"
    receiver.MultiCoilDefinitionSequence = Sequence([element])
    return groups


def _mode(kind: str) -> Dataset:
    mode = Dataset()
    mode.OperatingModeType, mode.OperatingMode = kind, "IEC_NORMAL"
    return mode


def _frame(visit: Visit, number: int, z: float) -> Dataset:
    groups = Dataset()
    content = Dataset()
    content.FrameAcquisitionNumber = 1
    content.FrameReferenceDateTime = content.FrameAcquisitionDateTime = visit.date + visit.time
    content.FrameAcquisitionDuration = 284.0
    content.StackID, content.InStackPositionNumber = "1", number + 1
    content.DimensionIndexValues = [1, number + 1]
    groups.FrameContentSequence = Sequence([content])
    position = Dataset()
    corner = -(SIZE - 1) / 2 * SPACING
    position.ImagePositionPatient = [f"{corner:g}", f"{corner - 6:g}", f"{z:g}"]
    groups.PlanePositionSequence = Sequence([position])
    return groups


def _dimension(visit: Visit, pointer: int, group: int, label: str) -> Dataset:
    item = Dataset()
    item.DimensionOrganizationUID = visit.uid("dimensions")
    item.DimensionIndexPointer, item.FunctionalGroupPointer = pointer, group
    item.DimensionDescriptionLabel = label
    return item
