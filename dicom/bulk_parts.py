"""Bulk data that comes beside metadata, and the transfer syntax its media type stands for (PS3.18 8.6.1.2.2, 8.7.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dicom.errors import NOT_MATCHING_SOP_CLASS, CannotDecode, DicomError, UnsupportedTransferSyntax
from dicom.frame_header import FrameHeader, codestream_of, read_frame_header
from dicom.source import ByteSource
from dicom.transfer_syntaxes import (
    BY_UID,
    DEFLATED_IMAGE_FRAME,
    ENCAPSULATED_UNCOMPRESSED,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    MPEG2_MAIN_LEVEL,
    MPEG4_HIGH_41,
    OCTET_STREAM,
    RLE_LOSSLESS,
    TransferSyntax,
)
from dicom.vrs import describe

# Names of drafts and files for the media types of PS3.18 8.7.3
_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "": OCTET_STREAM,
        "image/jpg": "image/jpeg",
        "image/jph": "image/jphc",
        "image/x-dicom-rle": "image/dicom-rle",
        "image/x-jls": "image/jls",
        "image/jpeg2000": "image/jp2",
        "video/mpeg2": "video/mpeg",
    }
)
_VIDEO: Mapping[str, TransferSyntax] = MappingProxyType({"video/mpeg": MPEG2_MAIN_LEVEL, "video/mp4": MPEG4_HIGH_41})
# Their frames have no header that would tell them from others
_WITHOUT_HEADER = frozenset((RLE_LOSSLESS.uid, DEFLATED_IMAGE_FRAME.uid, ENCAPSULATED_UNCOMPRESSED.uid))


class DoesNotMatch(DicomError):
    """What the metadata says and what the bulk data is contradict each other, or something needed is missing."""

    failure_reason = NOT_MATCHING_SOP_CLASS


@dataclass(frozen=True, slots=True)
class BulkPart:
    """The bulk data that one BulkDataURI refers to.

    `media_type` and `transfer_syntax_uid` are those of the part's Content-Type, the latter None if it has no such
    parameter. `sources` is the payload; several of them are the frames of an image, each compressed, in their order.
    """

    media_type: str
    transfer_syntax_uid: str | None
    sources: tuple[ByteSource, ...]

    @property
    def size(self) -> int:
        """Bytes of the payload."""
        return sum(source.size for source in self.sources)


@dataclass(frozen=True, slots=True)
class PixelPart:
    """Pixel data as it goes into the object: frames in an encapsulated transfer syntax, or native in one piece."""

    syntax: TransferSyntax
    sources: tuple[ByteSource, ...]
    headers: tuple[FrameHeader, ...]  # one a frame; none where frames have no header
    unboxed: bool = False  # JP2 boxes were left behind

    @property
    def is_video(self) -> bool:
        """One codestream for all frames."""
        return self.syntax.media_type.startswith("video/")


def media_type_of(part: BulkPart) -> str:
    """The media type under its standard name."""
    name = part.media_type.strip().lower()
    return _ALIASES.get(name, name)


def pixel_part(tag: int, part: BulkPart, declared: str | None) -> PixelPart:
    """How the pixel data of a part are encoded.

    The part's transfer syntax goes before the one `declared` in the metadata (0002,0010), that before what the frames
    themselves say, and a media type without any header stands for the default of PS3.18 table 8.7.3-4. Raises
    `UnsupportedTransferSyntax`, or `DoesNotMatch` if the frames are something else than they are declared to be.
    """
    media_type = media_type_of(part)
    named = _named(tag, part.transfer_syntax_uid)
    hint = named or BY_UID.get(declared or "")
    if media_type == OCTET_STREAM:
        syntax = hint or EXPLICIT_VR_LITTLE_ENDIAN
        if not syntax.encapsulated:
            return _native(tag, part, syntax)
        if syntax.uid in _WITHOUT_HEADER or syntax.media_type.startswith("video/"):
            return PixelPart(syntax, part.sources, ())
        return _image(tag, part, syntax, syntax)
    if named is not None and named.media_type != media_type:
        raise DoesNotMatch(f"{describe(tag)}: {named.name} is no transfer syntax of the media type of the part")
    if hint is not None and hint.media_type != media_type:
        hint = None
    if media_type in _VIDEO:
        return PixelPart(hint or _VIDEO[media_type], part.sources, ())
    if media_type == RLE_LOSSLESS.media_type:
        return PixelPart(RLE_LOSSLESS, part.sources, ())
    if media_type == DEFLATED_IMAGE_FRAME.media_type:
        return PixelPart(DEFLATED_IMAGE_FRAME, part.sources, ())
    if any(syntax.media_type == media_type for syntax in BY_UID.values()):
        return _image(tag, part, named, hint, media_type)
    raise UnsupportedTransferSyntax(f"{describe(tag)}: the media type of the part is not one for pixel data")


def _named(tag: int, uid: str | None) -> TransferSyntax | None:
    if not uid:
        return None
    syntax = BY_UID.get(uid)
    if syntax is None:
        raise UnsupportedTransferSyntax(f"{describe(tag)}: the transfer syntax of the part is unknown")
    return syntax


def _native(tag: int, part: BulkPart, syntax: TransferSyntax) -> PixelPart:
    # Little Endian pixels are the same bytes whether VRs are written or not
    if syntax not in (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN):
        raise UnsupportedTransferSyntax(f"{describe(tag)}: native bulk data in {syntax.name} is not accepted")
    return PixelPart(EXPLICIT_VR_LITTLE_ENDIAN, part.sources, ())


def _image(
    tag: int,
    part: BulkPart,
    named: TransferSyntax | None,
    hint: TransferSyntax | None,
    media_type: str = "",
) -> PixelPart:
    sources, headers = [], []
    for number, source in enumerate(part.sources, 1):
        try:
            sources.append(codestream_of(source))
            headers.append(read_frame_header(sources[-1]))
        except CannotDecode as error:
            raise DoesNotMatch(f"{describe(tag)}: frame {number}: {error}") from error
    shared = [s for s in headers[0].transfer_syntaxes if all(s in header.transfer_syntaxes for header in headers)]
    possible = [syntax for syntax in shared if media_type in ("", syntax.media_type)]
    if named is not None and named not in possible:
        raise DoesNotMatch(f"{describe(tag)}: the frames are not in {named.name}, as the part says")
    if not possible:
        reason = "are in different transfer syntaxes" if not shared else "are not of the media type of the part"
        raise DoesNotMatch(f"{describe(tag)}: the frames {reason}")
    syntax = hint if hint in possible and hint is not None else possible[0]
    unboxed = any(bare is not source for bare, source in zip(sources, part.sources, strict=True))
    return PixelPart(syntax, tuple(sources), tuple(headers), unboxed)


def is_little_endian(uid: str) -> bool:
    """Whether it is a transfer syntax, and one whose numbers are Little Endian."""
    syntax = BY_UID.get(uid)
    return syntax is not None and syntax.little_endian
