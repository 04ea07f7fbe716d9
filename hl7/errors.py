"""Why a message isn't applied, as HL7 table 0357 says it: one table from conditions to codes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Condition(IntEnum):
    """Table 0357 (message error condition codes)."""

    SEGMENT_SEQUENCE = 100
    REQUIRED_FIELD_MISSING = 101
    DATA_TYPE = 102
    VALUE_NOT_FOUND = 103
    UNSUPPORTED_MESSAGE_TYPE = 200
    UNSUPPORTED_EVENT = 201
    UNSUPPORTED_PROCESSING_ID = 202
    UNSUPPORTED_VERSION = 203
    UNKNOWN_KEY = 204
    DUPLICATE_KEY = 205
    RECORD_LOCKED = 206
    INTERNAL = 207

    @property
    def display(self) -> str:
        """The table's own words."""
        return DISPLAY[self]

    @property
    def rejects(self) -> bool:
        """2xx reject (AR), 1xx are errors (AE)."""
        return self >= Condition.UNSUPPORTED_MESSAGE_TYPE

    @property
    def passing(self) -> bool:
        """Nothing is wrong with the message: the same bytes may be applied when they come again."""
        return self in (Condition.RECORD_LOCKED, Condition.INTERNAL)


DISPLAY: Final = {
    Condition.SEGMENT_SEQUENCE: "Segment sequence error",
    Condition.REQUIRED_FIELD_MISSING: "Required field missing",
    Condition.DATA_TYPE: "Data type error",
    Condition.VALUE_NOT_FOUND: "Table value not found",
    Condition.UNSUPPORTED_MESSAGE_TYPE: "Unsupported message type",
    Condition.UNSUPPORTED_EVENT: "Unsupported event code",
    Condition.UNSUPPORTED_PROCESSING_ID: "Unsupported processing id",
    Condition.UNSUPPORTED_VERSION: "Unsupported version id",
    Condition.UNKNOWN_KEY: "Unknown key identifier",
    Condition.DUPLICATE_KEY: "Duplicate key identifier",
    Condition.RECORD_LOCKED: "Application record locked",
    Condition.INTERNAL: "Application internal error",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the message: ``PID^1^3`` (ERR-2, data type ERL). ``number`` counts segments of one name from 1."""

    segment: str
    field: int = 0
    number: int = 1
    component: int = 0

    def __str__(self) -> str:
        numbers = (self.number, self.field, *((1, self.component) if self.component else ()))
        return "^".join((self.segment, *(str(each) for each in numbers if each)))


class Refused(Exception):
    """The message isn't applied. ``text`` goes to the sender and into logs: it holds no value of the message."""

    def __init__(self, condition: Condition, place: Place | None, text: str) -> None:
        super().__init__(text)
        self.condition = condition
        self.place = place
        self.text = text


class NotAMessage(Exception):
    """These bytes don't begin with a readable header: there is nobody and nothing to answer."""
