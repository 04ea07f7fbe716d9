"""Stored video as it is, where its container is one that players take (PS3.5 A.4.5 to A.4.10, PS3.18 8.7.4)."""

from archive.errors import NotFound
from archive.frames import frames_of
from archive.locate import Located
from archive.payload import Payload

_MP4, _MPEG = "video/mp4", "video/mpeg"
# ISO base media: the type of the first box, behind its length. MPEG-2: a pack or sequence header comes first.
_FILE_TYPE = b"ftyp"
_MPEG_STARTS = (b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")
_HEAD = 12


def is_video(instance: Located) -> bool:
    """Whether its frames are one video codestream."""
    return instance.transfer_syntax.media_type.startswith("video/")


def video_of(instance: Located) -> tuple[str, Payload] | None:
    """Media type and bytes of the stored video; ``None`` for a container that no table of PS3.18 names.

    Transport streams and bare H.264 or H.265 can be had as frames. Raises ``ArchiveUnavailable``.
    """
    try:
        frames = frames_of(instance)
    except NotFound:
        return None
    payload = frames.open(1, frames.transfer_syntax)
    head = b"".join(payload.part(0, min(_HEAD, payload.length)))
    if head[4:8] == _FILE_TYPE:
        return _MP4, payload
    if instance.transfer_syntax.media_type == _MPEG and head.startswith(_MPEG_STARTS):
        return _MPEG, payload
    return None
