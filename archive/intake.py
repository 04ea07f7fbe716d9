"""One object on its way in: its bytes to a private place, hashed and scanned once, or the reason why it is refused."""

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from archive.block_crcs import BlockCrcs
from archive.errors import ArchiveFull, ArchiveUnavailable, UnreadableObject
from archive.object_store.errors import ObjectStoreError, ObjectStoreFull
from archive.object_store.port import ObjectStore, Staged
from dicom.errors import DicomError
from dicom.part10 import ParsedInstance, parse
from dicom.preamble import FIRST_ELEMENT, check_start

log = logging.getLogger("archive.store")

# PS3.18 table I.2-2 and PS3.7 annex C
PROCESSING_FAILURE = 0x0110
DUPLICATE_SOP_INSTANCE = 0x0111
NOT_AUTHORIZED = 0x0124
OUT_OF_RESOURCES = 0xA700
DATA_SET_MISMATCH = 0xA900
COERCION = 0xB000

# What identifies a patient is never cut, and must fit into an index of PostgreSQL (2,704 bytes for all its columns).
LONGEST_IDENTIFIER = 1024
_IDENTIFIERS = {"PatientID": "(0010,0020)", "IssuerOfPatientID": "(0010,0021)"}


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of one object. UIDs are empty where the object was too broken to have any.

    ``failure_reason`` is ``None`` for an object that is now (or was already) in the archive.
    """

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    failure_reason: int | None = None
    warning_reason: int | None = None
    text: str = ""
    size: int = 0
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """An object that may be stored: staged, not yet durable, and what the scan of it found."""

    staged: Staged
    parsed: ParsedInstance
    block_crcs: bytes

    @property
    def uid(self) -> str:
        return self.parsed.sop_instance_uid

    def discard(self) -> None:
        """Free the staged bytes. What can't be removed now is cleared away later; never an error."""
        _discard(self.staged)

    def kept(self, *, duplicate: bool = False) -> Stored:
        """It is in the archive; with the scanner's first warning, if it had any."""
        warning = self.parsed.warnings[0] if self.parsed.warnings else None
        return self._outcome(
            warning_reason=warning.reason if warning else None,
            text=warning.text if warning else "",
            duplicate=duplicate,
        )

    def warned(self, reason: int, text: str) -> Stored:
        """It is in the archive, but something about it deserves a look."""
        return self._outcome(warning_reason=reason, text=text)

    def refused(self, reason: int, text: str) -> Stored:
        """It is not in the archive."""
        return self._outcome(failure_reason=reason, text=text)

    def _outcome(
        self,
        *,
        failure_reason: int | None = None,
        warning_reason: int | None = None,
        text: str = "",
        duplicate: bool = False,
    ) -> Stored:
        return Stored(
            sop_class_uid=self.parsed.sop_class_uid,
            sop_instance_uid=self.parsed.sop_instance_uid,
            study_instance_uid=self.parsed.study_instance_uid,
            series_instance_uid=self.parsed.series_instance_uid,
            failure_reason=failure_reason,
            warning_reason=warning_reason,
            text=text,
            size=self.staged.size,
            duplicate=duplicate,
        )


@dataclass(frozen=True, slots=True)
class Terms:
    """What an object must be to be taken: at most ``object_bytes`` long, and of a study that the request may add to.

    ``study_instance_uid`` is the one of the request's URL, if it names any; ``archive_bytes`` the quota, 0 for none;
    ``site_bytes`` those of sites.
    """

    object_bytes: int
    study_instance_uid: str | None
    permitted: Callable[[str, str], bool]
    archive_bytes: int = 0
    site_bytes: Mapping[str, int] = field(default_factory=dict)


def receive(keeper: ObjectStore, pieces: Iterable[bytes], terms: Terms) -> Received | Stored:
    """One object staged and scanned, or the reason why it is refused; what ``pieces`` raise goes through.

    Raises ``ArchiveUnavailable``, ``ArchiveFull``. Who gets a ``Received`` discards it.
    """
    remaining = iter(pieces)
    try:
        start = _start(remaining)
        if (refusal := _no_object(start, remaining)) is not None:
            return refusal
    except UnreadableObject as error:
        return _unreadable(error)
    with contextlib.ExitStack() as unless_received:
        try:
            staged = keeper.stage()
            unless_received.callback(_discard, staged)
            crcs = BlockCrcs()
            pieces = chain((start,), remaining)
            found = _fill(staged, pieces, terms.object_bytes, crcs) or _scan(staged, terms, crcs)
        except ObjectStoreError as error:
            raise translated(error) from error
        if isinstance(found, Received):
            unless_received.pop_all()
        return found


def _start(remaining: Iterator[bytes]) -> bytes:
    """The first pieces, enough of them to tell a Part 10 object (PS3.10 7.1)."""
    start = b""
    while len(start) < FIRST_ELEMENT and (piece := next(remaining, None)) is not None:
        start = start + piece if start else piece
    return start


def _no_object(start: bytes, remaining: Iterator[bytes]) -> Stored | None:
    """The refusal of what begins like no object: it is drained, and never costs a file."""
    try:
        check_start(start)
    except DicomError as error:
        size = len(start) + sum(map(len, remaining))
        return Stored(failure_reason=error.failure_reason, text=str(error), size=size)
    return None


def translated(error: ObjectStoreError) -> ArchiveFull | ArchiveUnavailable:
    """The archive's error for one of the object store while storing."""
    if isinstance(error, ObjectStoreFull):
        return ArchiveFull("the object store has no room")
    return ArchiveUnavailable("the object store can't be reached now; nothing of this batch was stored")


def _fill(staged: Staged, pieces: Iterable[bytes], limit: int, crcs: BlockCrcs) -> Stored | None:
    """Write one object to its private place; what is too large is drained and refused."""
    try:
        remaining = iter(pieces)
        for piece in remaining:
            if staged.size + len(piece) > limit:
                for _ in remaining:
                    pass
                return Stored(failure_reason=OUT_OF_RESOURCES, text=f"the object is larger than {limit} bytes")
            staged.write(piece)
            crcs.add(piece)
        staged.seal()
    except UnreadableObject as error:
        return _unreadable(error)
    return None


def _unreadable(error: UnreadableObject) -> Stored:
    return Stored(
        sop_class_uid=error.sop_class_uid,
        sop_instance_uid=error.sop_instance_uid,
        failure_reason=error.failure_reason,
        text=str(error),
    )


def _scan(staged: Staged, terms: Terms, crcs: BlockCrcs) -> Received | Stored:
    try:
        received = Received(staged, parse(staged), crcs.packed())
    except DicomError as error:
        return Stored(failure_reason=error.failure_reason, text=str(error), size=staged.size)
    parsed = received.parsed
    if terms.study_instance_uid is not None and parsed.study_instance_uid != terms.study_instance_uid:
        text = "Study Instance UID (0020,000D) is not that of the request's URL"
        return received.refused(DATA_SET_MISMATCH, text)
    if not terms.permitted(parsed.study_instance_uid, parsed.sop_class_uid):
        return received.refused(NOT_AUTHORIZED, "you may not store into this study")
    for keyword, tag in _IDENTIFIERS.items():
        if len(parsed.values[keyword].encode()) > LONGEST_IDENTIFIER:
            text = f"{keyword} {tag} is longer than {LONGEST_IDENTIFIER} bytes; VR LO has at most 64 characters"
            return received.refused(PROCESSING_FAILURE, text)
    return received


def _discard(staged: Staged) -> None:
    try:
        staged.discard()
    except ObjectStoreError as error:
        log.warning("a staged object could not be removed: %s", error)
