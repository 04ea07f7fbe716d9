"""The transfer syntaxes that objects are kept in (PS3.5 Annex A, PS3.6 Table A-1), as named constants.

`media_type` is the media type of one frame as PS3.18 8.7.3.3 pairs it with the transfer syntax.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

OCTET_STREAM = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """How a data set and its pixel data are encoded."""

    uid: str
    name: str
    keyword: str
    implicit_vr: bool
    little_endian: bool
    deflated: bool
    encapsulated: bool
    lossless: bool  # True where the encoding itself loses nothing
    media_type: str


def _native(
    uid: str,
    name: str,
    keyword: str,
    *,
    implicit: bool = False,
    little: bool = True,
    deflated: bool = False,
) -> TransferSyntax:
    return TransferSyntax(uid, name, keyword, implicit, little, deflated, False, True, OCTET_STREAM)


def _encapsulated(suffix: str, name: str, keyword: str, media_type: str, *, lossless: bool = False) -> TransferSyntax:
    return TransferSyntax(
        "1.2.840.10008.1.2." + suffix,
        name,
        keyword,
        False,
        True,
        False,
        True,
        lossless,
        media_type,
    )


IMPLICIT_VR_LITTLE_ENDIAN = _native(
    "1.2.840.10008.1.2",
    "Implicit VR Little Endian",
    "ImplicitVRLittleEndian",
    implicit=True,
)
EXPLICIT_VR_LITTLE_ENDIAN = _native("1.2.840.10008.1.2.1", "Explicit VR Little Endian", "ExplicitVRLittleEndian")
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = _native(
    "1.2.840.10008.1.2.1.99",
    "Deflated Explicit VR Little Endian",
    "DeflatedExplicitVRLittleEndian",
    deflated=True,
)
EXPLICIT_VR_BIG_ENDIAN = _native("1.2.840.10008.1.2.2", "Explicit VR Big Endian", "ExplicitVRBigEndian", little=False)
ENCAPSULATED_UNCOMPRESSED = _encapsulated(
    "1.98",
    "Encapsulated Uncompressed Explicit VR Little Endian",
    "EncapsulatedUncompressedExplicitVRLittleEndian",
    OCTET_STREAM,
    lossless=True,
)
DEFLATED_IMAGE_FRAME = _encapsulated(
    "8.1",
    "Deflated Image Frame Compression",
    "DeflatedImageFrameCompression",
    "application/x-deflate",
    lossless=True,
)
RLE_LOSSLESS = _encapsulated("5", "RLE Lossless", "RLELossless", "image/dicom-rle", lossless=True)

JPEG_BASELINE = _encapsulated("4.50", "JPEG Baseline (Process 1)", "JPEGBaseline8Bit", "image/jpeg")
JPEG_EXTENDED = _encapsulated("4.51", "JPEG Extended (Process 2 and 4)", "JPEGExtended12Bit", "image/jpeg")
JPEG_EXTENDED_35 = _encapsulated("4.52", "JPEG Extended (Process 3 and 5)", "JPEGExtended35", "image/jpeg")
JPEG_SPECTRAL_SELECTION = _encapsulated(
    "4.53",
    "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)",
    "JPEGSpectralSelectionNonHierarchical68",
    "image/jpeg",
)
JPEG_FULL_PROGRESSION = _encapsulated(
    "4.55",
    "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)",
    "JPEGFullProgressionNonHierarchical1012",
    "image/jpeg",
)
JPEG_LOSSLESS = _encapsulated(
    "4.57",
    "JPEG Lossless, Non-Hierarchical (Process 14)",
    "JPEGLossless",
    "image/jpeg",
    lossless=True,
)
JPEG_LOSSLESS_SV1 = _encapsulated(
    "4.70",
    "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])",
    "JPEGLosslessSV1",
    "image/jpeg",
    lossless=True,
)
JPEG_LS_LOSSLESS = _encapsulated(
    "4.80",
    "JPEG-LS Lossless Image Compression",
    "JPEGLSLossless",
    "image/jls",
    lossless=True,
)
JPEG_LS_NEAR_LOSSLESS = _encapsulated(
    "4.81",
    "JPEG-LS Lossy (Near-Lossless) Image Compression",
    "JPEGLSNearLossless",
    "image/jls",
)
JPEG_2000_LOSSLESS = _encapsulated(
    "4.90",
    "JPEG 2000 Image Compression (Lossless Only)",
    "JPEG2000Lossless",
    "image/jp2",
    lossless=True,
)
JPEG_2000 = _encapsulated("4.91", "JPEG 2000 Image Compression", "JPEG2000", "image/jp2")
JPEG_2000_MULTI_COMPONENT_LOSSLESS = _encapsulated(
    "4.92",
    "JPEG 2000 Part 2 Multi-component Image Compression (Lossless Only)",
    "JPEG2000MCLossless",
    "image/jpx",
    lossless=True,
)
JPEG_2000_MULTI_COMPONENT = _encapsulated(
    "4.93",
    "JPEG 2000 Part 2 Multi-component Image Compression",
    "JPEG2000MC",
    "image/jpx",
)
JPEG_XL_LOSSLESS = _encapsulated("4.110", "JPEG XL Lossless", "JPEGXLLossless", "image/jxl", lossless=True)
JPEG_XL_JPEG_RECOMPRESSION = _encapsulated(
    "4.111", "JPEG XL JPEG Recompression", "JPEGXLJPEGRecompression", "image/jxl"
)
JPEG_XL = _encapsulated("4.112", "JPEG XL", "JPEGXL", "image/jxl")
HTJ2K_LOSSLESS = _encapsulated(
    "4.201",
    "High-Throughput JPEG 2000 Image Compression (Lossless Only)",
    "HTJ2KLossless",
    "image/jphc",
    lossless=True,
)
HTJ2K_LOSSLESS_RPCL = _encapsulated(
    "4.202",
    "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)",
    "HTJ2KLosslessRPCL",
    "image/jphc",
    lossless=True,
)
HTJ2K = _encapsulated("4.203", "High-Throughput JPEG 2000 Image Compression", "HTJ2K", "image/jphc")

MPEG2_MAIN_LEVEL = _encapsulated("4.100", "MPEG2 Main Profile / Main Level", "MPEG2MPML", "video/mpeg")
MPEG2_MAIN_LEVEL_FRAGMENTABLE = _encapsulated(
    "4.100.1",
    "Fragmentable MPEG2 Main Profile / Main Level",
    "MPEG2MPMLF",
    "video/mpeg",
)
MPEG2_HIGH_LEVEL = _encapsulated("4.101", "MPEG2 Main Profile / High Level", "MPEG2MPHL", "video/mpeg")
MPEG2_HIGH_LEVEL_FRAGMENTABLE = _encapsulated(
    "4.101.1",
    "Fragmentable MPEG2 Main Profile / High Level",
    "MPEG2MPHLF",
    "video/mpeg",
)
MPEG4_HIGH_41 = _encapsulated("4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1", "MPEG4HP41", "video/mp4")
MPEG4_HIGH_41_FRAGMENTABLE = _encapsulated(
    "4.102.1",
    "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1",
    "MPEG4HP41F",
    "video/mp4",
)
MPEG4_BD_41 = _encapsulated(
    "4.103",
    "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1",
    "MPEG4HP41BD",
    "video/mp4",
)
MPEG4_BD_41_FRAGMENTABLE = _encapsulated(
    "4.103.1",
    "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1",
    "MPEG4HP41BDF",
    "video/mp4",
)
MPEG4_HIGH_42_2D = _encapsulated(
    "4.104",
    "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video",
    "MPEG4HP422D",
    "video/mp4",
)
MPEG4_HIGH_42_2D_FRAGMENTABLE = _encapsulated(
    "4.104.1",
    "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video",
    "MPEG4HP422DF",
    "video/mp4",
)
MPEG4_HIGH_42_3D = _encapsulated(
    "4.105",
    "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video",
    "MPEG4HP423D",
    "video/mp4",
)
MPEG4_HIGH_42_3D_FRAGMENTABLE = _encapsulated(
    "4.105.1",
    "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video",
    "MPEG4HP423DF",
    "video/mp4",
)
MPEG4_STEREO_42 = _encapsulated(
    "4.106",
    "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2",
    "MPEG4HP42STEREO",
    "video/mp4",
)
MPEG4_STEREO_42_FRAGMENTABLE = _encapsulated(
    "4.106.1",
    "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2",
    "MPEG4HP42STEREOF",
    "video/mp4",
)
HEVC_MAIN_51 = _encapsulated("4.107", "HEVC/H.265 Main Profile / Level 5.1", "HEVCMP51", "video/mp4")
HEVC_MAIN_10_51 = _encapsulated("4.108", "HEVC/H.265 Main 10 Profile / Level 5.1", "HEVCM10P51", "video/mp4")

BY_UID: Mapping[str, TransferSyntax] = MappingProxyType(
    {value.uid: value for value in tuple(globals().values()) if isinstance(value, TransferSyntax)}
)
