"""Why a request about a workitem is refused, by the status of PS3.4 tables CC.2.1-2, CC.2.2-2 and CC.2.5-1."""

from enum import IntEnum

from archive.errors import ArchiveError, NotFound


class Refusal(IntEnum):
    """Status of the UPS service; what it means to a protocol is that door's table."""

    DUPLICATE = 0x0111
    INVALID_DATA_SET = 0x0106
    NO_LONGER_UPDATED = 0xC300
    TRANSACTION_UID = 0xC301
    ALREADY_IN_PROGRESS = 0xC302
    ONLY_BY_CREATE = 0xC303
    FINAL_STATE_NOT_MET = 0xC304
    NOT_SCHEDULED_AT_FIRST = 0xC309
    NOT_IN_PROGRESS = 0xC310
    ALREADY_COMPLETED = 0xC311
    NOT_REACHED = 0xC312


class Already(IntEnum):
    """A warning: the state asked for is the state there is, and nothing was done."""

    CANCELED = 0xB304
    COMPLETED = 0xB306


class WorkItemRefused(ArchiveError):
    """The request was refused and nothing changed. The message names tags and states, never a value."""

    def __init__(self, refusal: Refusal, text: str) -> None:
        super().__init__(text)
        self.refusal = refusal


class TransactionUIDMissing(WorkItemRefused):
    """The workitem is in progress, or is to be, and the request has no Transaction UID."""

    def __init__(self) -> None:
        super().__init__(Refusal.TRANSACTION_UID, "The Transaction UID is missing.")


class TransactionUIDIncorrect(WorkItemRefused):
    """The request has another Transaction UID than that of the claim."""

    def __init__(self) -> None:
        super().__init__(Refusal.TRANSACTION_UID, "The Transaction UID is incorrect.")


class NotPermitted(ArchiveError):
    """Who asks may do something with workitems, but not this with this one."""


class Gone(NotFound):
    """The workitem once existed, but is no longer kept."""
