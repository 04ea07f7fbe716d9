"""One frame of any transfer syntax to samples, and samples to a frame of those that are written."""

from dicom.codecs.decoded import DecodedFrame, native_bytes
from dicom.codecs.table import CODECS, Codec, cannot_encode, decode_frame, encode_frame, is_coded_safely

__all__ = [
    "CODECS",
    "Codec",
    "DecodedFrame",
    "cannot_encode",
    "decode_frame",
    "encode_frame",
    "is_coded_safely",
    "native_bytes",
]
