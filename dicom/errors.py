"""Why an object or a value was refused (PS3.18 Annex I.2.2, PS3.7 Annex C).

The text of every error may be shown to whoever sent the object: it names tags, keywords and places, never what a
patient is called or how they are identified.
"""

from __future__ import annotations

CANNOT_UNDERSTAND = 0xC000
NOT_MATCHING_SOP_CLASS = 0xA900
TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122
SOP_CLASS_NOT_SUPPORTED = 0x0122
PROCESSING_FAILURE = 0x0110

# PS3.18 Table I.2-1: stored, but the data set is not quite what its SOP Class says
DATA_SET_DOES_NOT_MATCH = 0xB007


class DicomError(Exception):
    """An object that cannot be kept, or a value that cannot be used; the message is safe to show."""

    failure_reason: int = PROCESSING_FAILURE


class NotDicom(DicomError):
    """The bytes are no DICOM Part 10 object (PS3.10 7.1), or one that pretends to be something else."""

    failure_reason = CANNOT_UNDERSTAND


class Malformed(DicomError):
    """The data set breaks the encoding rules of PS3.5 7, so nothing after that place can be trusted."""

    failure_reason = CANNOT_UNDERSTAND


class Truncated(DicomError):
    """A length reaches beyond the last byte."""

    failure_reason = CANNOT_UNDERSTAND


class TooComplex(DicomError):
    """Deeper, longer or larger than this archive reads."""

    failure_reason = CANNOT_UNDERSTAND


class InvalidIdentifier(DicomError):
    """A UID that names the instance is missing, illegal or contradicts another."""

    failure_reason = NOT_MATCHING_SOP_CLASS


class UnsupportedTransferSyntax(DicomError):
    """The transfer syntax is not one of `transfer_syntaxes.BY_UID`."""

    failure_reason = TRANSFER_SYNTAX_NOT_SUPPORTED


class UnsupportedSOPClass(DicomError):
    """The object is not a composite instance (a DICOMDIR)."""

    failure_reason = SOP_CLASS_NOT_SUPPORTED


class CannotDecode(DicomError):
    """A frame that no codec of ours turns into pixels."""

    failure_reason = PROCESSING_FAILURE
