"""What can go wrong in the archive; doors translate these by one table each."""


class ArchiveError(Exception):
    """Base of the archive's errors. The message is safe to show to a client."""


class NotFound(ArchiveError):
    """No such study, series, instance, frame or bulk value within the caller's scope."""


class NotRenderable(ArchiveError):
    """The instance exists but has no picture that can be drawn."""


class ArchiveUnavailable(ArchiveError):
    """The index or the object store can't be reached now; the same request may succeed later."""


class ArchiveDamaged(ArchiveUnavailable):
    """What is stored is no longer what was received, and nobody has a sound copy; it is never given out."""


class Recalling(ArchiveUnavailable):
    """What is asked for lies in a tier that has to bring it back; in some ``seconds`` it may be there."""

    def __init__(self, text: str, *, seconds: int) -> None:
        super().__init__(text)
        self.seconds = seconds


class ArchiveFull(ArchiveError):
    """There is no room for another object (PS3.18 failure reason A700)."""


class InvalidQuery(ArchiveError):
    """A search key or its value is malformed."""


class UnreadableObject(ArchiveError):
    """Raised by the pieces of one object on their way in: that object is refused, the others go on.

    ``failure_reason`` is of PS3.18 table I.2-2; the UIDs are those that the sender gave the object, as far as known.
    """

    def __init__(
        self, text: str, *, failure_reason: int = 0x0110, sop_class_uid: str = "", sop_instance_uid: str = ""
    ) -> None:
        super().__init__(text)
        self.failure_reason = failure_reason
        self.sop_class_uid = sop_class_uid
        self.sop_instance_uid = sop_instance_uid


class Conflict(ArchiveError):
    """What was asked for contradicts what is kept already."""


class FeedPruned(ArchiveError):
    """What came after the position that a reader of the change feed gives is no longer all kept."""


class Held(Conflict):
    """What was to be removed is under a legal hold. The message names neither the reason nor who placed it."""
