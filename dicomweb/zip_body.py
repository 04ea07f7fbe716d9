"""A body of files in one zip archive, written while it is sent (PS3.18 8.7.3, media type application/zip)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from zipfile import ZIP64_LIMIT, ZIP_STORED, ZipFile, ZipInfo

ZIP = "application/zip"


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the archive: its name, when it was made, its bytes and how many."""

    name: str
    made: datetime
    length: int
    pieces: Iterable[bytes]


class _Sink:
    """What ``zipfile`` writes to: takes bytes, gives them away, can't go back."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keep ``data`` until it is taken."""
        self._written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> Iterator[bytes]:
        """What was written since the last time."""
        written, self._written = self._written, []
        return iter(written)


def write_zip(members: Iterable[Member]) -> Iterator[bytes]:
    """The archive piece by piece, members stored as they are: pixel data that compress have been compressed already.

    Raises ``ValueError`` if a member's pieces do not add up to its length.
    """
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_STORED) as archive:  # type: ignore[call-overload]  # needs no more than `write`
        for member in members:
            info = ZipInfo(member.name, date_time=member.made.timetuple()[:6])
            info.file_size = member.length
            written = 0
            with archive.open(info, "w", force_zip64=member.length > ZIP64_LIMIT - 1) as file:
                for piece in member.pieces:
                    written += file.write(piece)
                    yield from sink.take()
            if written != member.length:
                raise ValueError(f"a file of the archive: expected {member.length} bytes, found {written}")
    yield from sink.take()
