"""THE table of codecs: what is done with the frames of each transfer syntax, and by which library.

Code, the table in docs/conformance.md and the tests read it. Where samples use more than Bits Stored (overlays in
unused bits) the whole cell is coded, so that nothing is lost there either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy

from dicom import transfer_syntaxes as ts
from dicom.codecs import decoders, encoders
from dicom.codecs.decoded import DecodedFrame
from dicom.codecs.decoders import Decoder
from dicom.codecs.encoders import Encoder
from dicom.errors import CannotDecode
from dicom.limits import in_force
from dicom.native import Samples
from dicom.pixels import PixelDescription
from dicom.transfer_syntaxes import TransferSyntax

_CELLS, _RLE_CELLS = (8, 16), (8, 16, 32, 64)
_RLE_SEGMENTS = 15
# Native frames that encoders are trusted with: what is stranger than these they have hardly ever been given.
_ORDINARY_EDGES, _ORDINARY_SAMPLES = range(32, 8193), 1 << 24


@dataclass(frozen=True, slots=True)
class Codec:
    """One transfer syntax. `decode` and `encode` are `None` where nothing does it.

    `decode_ybr` leaves JPEG's YBR as it is coded. `cells` are the Bits Allocated that `encode` takes; it is
    `trusted` if other threads run while it works, and it was never seen to write where it may not, and codes the
    `whole_cell` if it asks for no smaller precision. `reader` and `writer` name the library, `note` what else there is
    to know.
    """

    transfer_syntax: TransferSyntax
    decode: Decoder | None = None
    encode: Encoder | None = None
    reader: str = ""
    writer: str = ""
    decode_ybr: Decoder | None = None
    cells: tuple[int, ...] = _CELLS
    trusted: bool = True
    whole_cell: bool = False
    note: str = ""

    @property
    def support(self) -> str:
        """What is done with it, in words."""
        if self.decode is None:
            return "as stored"
        return "decoded, written" if self.encode or self.transfer_syntax == ts.EXPLICIT_VR_LITTLE_ENDIAN else "decoded"


_VIDEO = "video: all frames leave together, as they are, rendered too; no pictures of them, and none is made anew"
_PART_2 = "Part 2: nothing that may be shipped here decodes it"
_LIBJPEG, _OPENJPEG, _OPENJPH, _LIBJXL = "libjpeg-turbo", "OpenJPEG", "OpenJPH", "libjxl"


def _jpeg(transfer_syntax: TransferSyntax, encode: Encoder | None = None, note: str = "") -> Codec:
    writer = _LIBJPEG if encode else ""
    return Codec(transfer_syntax, decoders.jpeg, encode, _LIBJPEG, writer, decoders.jpeg_ybr, note=note)


CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        codec.transfer_syntax.uid: codec
        for codec in (
            Codec(ts.IMPLICIT_VR_LITTLE_ENDIAN, decoders.native, note="frames leave in Explicit VR Little Endian"),
            Codec(ts.EXPLICIT_VR_LITTLE_ENDIAN, decoders.native),
            Codec(ts.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, decoders.native, reader="zlib"),
            Codec(ts.EXPLICIT_VR_BIG_ENDIAN, decoders.native_big_endian, note="retired"),
            Codec(ts.ENCAPSULATED_UNCOMPRESSED, decoders.native),
            Codec(ts.DEFLATED_IMAGE_FRAME, decoders.deflated, reader="zlib"),
            Codec(
                ts.RLE_LOSSLESS,
                decoders.rle,
                encoders.rle,
                "imagecodecs",
                "imagecodecs",
                cells=_RLE_CELLS,
                whole_cell=True,
            ),
            _jpeg(ts.JPEG_BASELINE, note="written only as a rendered picture"),
            _jpeg(ts.JPEG_EXTENDED, note="8 and 12 bits"),
            _jpeg(ts.JPEG_EXTENDED_35, note="retired"),
            _jpeg(ts.JPEG_SPECTRAL_SELECTION, note="retired"),
            _jpeg(ts.JPEG_FULL_PROGRESSION, note="retired"),
            _jpeg(ts.JPEG_LOSSLESS),
            _jpeg(ts.JPEG_LOSSLESS_SV1, encoders.jpeg_lossless),
            Codec(ts.JPEG_LS_LOSSLESS, decoders.jpeg_ls, encoders.jpeg_ls, "CharLS", "CharLS", whole_cell=True),
            Codec(ts.JPEG_LS_NEAR_LOSSLESS, decoders.jpeg_ls, reader="CharLS", note="never written: it loses"),
            Codec(
                ts.JPEG_2000_LOSSLESS,
                decoders.jpeg_2000,
                encoders.jpeg_2000,
                _OPENJPEG,
                f"{_OPENJPEG} (pylibjpeg-openjpeg)",
                trusted=False,
            ),
            Codec(ts.JPEG_2000, decoders.jpeg_2000, reader=_OPENJPEG),
            Codec(ts.JPEG_2000_MULTI_COMPONENT_LOSSLESS, note=_PART_2),
            Codec(ts.JPEG_2000_MULTI_COMPONENT, note=_PART_2),
            Codec(
                ts.JPEG_XL_LOSSLESS,
                decoders.jpeg_xl_lossless,
                encoders.jpeg_xl,
                _LIBJXL,
                _LIBJXL,
                trusted=False,
                note="no second library was found to check it against",
            ),
            Codec(ts.JPEG_XL_JPEG_RECOMPRESSION, decoders.jpeg_xl, reader=_LIBJXL),
            Codec(ts.JPEG_XL, decoders.jpeg_xl, reader=_LIBJXL),
            Codec(
                ts.HTJ2K_LOSSLESS,
                decoders.jpeg_2000,
                encoders.high_throughput,
                _OPENJPEG,
                _OPENJPH,
                whole_cell=True,
            ),
            Codec(
                ts.HTJ2K_LOSSLESS_RPCL,
                decoders.jpeg_2000,
                encoders.high_throughput_rpcl,
                _OPENJPEG,
                _OPENJPH,
                whole_cell=True,
                note="TLM, a tile-part for each resolution, down to 64 samples (PS3.5 10.18)",
            ),
            Codec(ts.HTJ2K, decoders.jpeg_2000, reader=_OPENJPEG),
            *(Codec(syntax, note=_VIDEO) for syntax in ts.BY_UID.values() if syntax.media_type.startswith("video/")),
        )
    }
)


def decode_frame(
    codestream: bytes, transfer_syntax_uid: str, pixels: PixelDescription, *, keep_ybr: bool = False
) -> DecodedFrame:
    """Samples of one frame of pixel data.

    `codestream` is the frame as it lies in the object, its fragments joined, beginning on a byte (1-bit frames
    shifted); of a deflated data set, after inflating it. `keep_ybr` leaves JPEG's YBR as it is coded, as YBR_FULL.
    Raises CannotDecode, whatever is wrong with the frame; the message is safe to show.
    """
    transfer_syntax = ts.BY_UID.get(transfer_syntax_uid)
    if transfer_syntax is None:
        raise CannotDecode(f"(0002,0010) TransferSyntaxUID: {transfer_syntax_uid[:64]!r} is not known")
    codec = CODECS[transfer_syntax_uid]
    decoder = codec.decode_ybr if keep_ybr and codec.decode_ybr else codec.decode
    if decoder is None:
        raise CannotDecode(f"{transfer_syntax.name}: frames of this transfer syntax are not decoded")
    _check_description(pixels)
    try:
        return decoder(codestream, pixels)
    except CannotDecode as refusal:
        raise CannotDecode(f"{transfer_syntax.name}: {refusal}") from refusal
    except Exception as failure:  # codecs raise their own kinds, MemoryError and ValueError among them
        raise CannotDecode(
            f"{transfer_syntax.name}: {type(failure).__name__} in a frame of {len(codestream)} bytes, "
            f"{pixels.rows} rows, {pixels.columns} columns"
        ) from failure


def cannot_encode(transfer_syntax_uid: str, pixels: PixelDescription) -> str:
    """Why frames of `pixels` can't be given in this transfer syntax; "" where they can."""
    codec = CODECS.get(transfer_syntax_uid)
    if codec is None or codec.encode is None:
        return "there is no encoder for this transfer syntax"
    if pixels.keyword != "PixelData":
        return f"{pixels.keyword} has no compressed form"
    if pixels.bits_allocated not in codec.cells:
        cells = ", ".join(map(str, codec.cells))
        return f"(0028,0100) BitsAllocated is {pixels.bits_allocated}, only {cells} can be coded"
    if pixels.samples_per_pixel not in (1, 3):
        return f"(0028,0002) SamplesPerPixel is {pixels.samples_per_pixel}, only 1 and 3 can be coded"
    if (
        transfer_syntax_uid == ts.RLE_LOSSLESS.uid
        and pixels.samples_per_pixel * pixels.bits_allocated > 8 * _RLE_SEGMENTS
    ):
        return f"more than {_RLE_SEGMENTS} RLE segments"
    return ""


def is_coded_safely(transfer_syntax_uid: str, pixels: PixelDescription) -> bool:
    """Whether native frames of `pixels` may be coded in a process that has other things to do and to lose.

    Of a stranger an encoder sees numbers only, in a shape that is like that of most images.
    """
    ordinary = pixels.rows in _ORDINARY_EDGES and pixels.columns in _ORDINARY_EDGES
    few = pixels.rows * pixels.columns * pixels.samples_per_pixel <= _ORDINARY_SAMPLES
    return ordinary and few and CODECS[transfer_syntax_uid].trusted


def encode_frame(frame: DecodedFrame, transfer_syntax_uid: str, pixels: PixelDescription) -> bytes:
    """One frame as a bare codestream, of even length (PS3.5 A.4). Raises `CannotDecode`."""
    if reason := cannot_encode(transfer_syntax_uid, pixels):
        raise CannotDecode(reason)
    codec, array = CODECS[transfer_syntax_uid], numpy.ascontiguousarray(frame.array)
    try:
        precision = array.dtype.itemsize * 8 if codec.whole_cell else _precision(array, pixels.bits_stored)
        codestream = codec.encode(array, precision) if codec.encode else b""
    except Exception as failure:  # codecs raise their own kinds
        name = ts.BY_UID[transfer_syntax_uid].name
        raise CannotDecode(
            f"{name}: {type(failure).__name__} in coding {pixels.rows} rows, {pixels.columns} columns"
        ) from failure
    return codestream + b"\0" * (len(codestream) % 2)


def _precision(array: Samples, bits_stored: int) -> int:
    """Bits that hold every sample: Bits Stored, or the whole cell where there is more in it."""
    width = array.dtype.itemsize * 8
    if not 2 <= bits_stored < width:
        return width
    if array.dtype.kind == "u":
        return bits_stored if int(array.max()) < 1 << bits_stored else width
    edge = 1 << bits_stored - 1
    return bits_stored if -edge <= int(array.min()) and int(array.max()) < edge else width


def _check_description(pixels: PixelDescription) -> None:
    if pixels.rows < 1 or pixels.columns < 1 or pixels.samples_per_pixel not in (1, 3, 4):
        raise CannotDecode(
            f"(0028,0010) Rows {pixels.rows}, (0028,0011) Columns {pixels.columns}, "
            f"(0028,0002) SamplesPerPixel {pixels.samples_per_pixel} describe no image"
        )
    samples = pixels.rows * pixels.columns * pixels.samples_per_pixel
    limits = in_force()
    if samples > limits.frame_samples:
        raise CannotDecode(f"a frame of {samples} samples is larger than the {limits.frame_samples} that are decoded")
    if samples * pixels.bits_allocated > limits.frame_bytes * 8:
        raise CannotDecode(
            f"a frame of {samples} samples of {pixels.bits_allocated} bits is larger than the {limits.frame_bytes} "
            "bytes that are decoded"
        )
