"""What a message says of a patient, in the archive's words, and why it may be refused.

A value that a message may leave out is ``None`` where it did (what is known stays), "" where the sender clears it (the
HL7 null ``""``), else the new value.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from archive.errors import ArchiveError

# None: left as it is; "": cleared; else the new value.
Told = str | None


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """A patient identifier and who issued it (HL7 CX): (0010,0020), (0010,0021), (0010,0024), (0010,0022).

    ``value`` and ``issuer`` (the namespace, else the universal id) identify; the rest describes. An identifier without
    an issuer is one of its own: it is never taken for that of an issuer.
    """

    value: str
    issuer: str = ""
    universal_id: str = ""
    universal_id_type: str = ""
    type: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What makes two identifiers the same."""
        return self.value.strip(), self.issuer.strip()


@dataclass(frozen=True, slots=True)
class PatientFacts:
    """A patient as a message describes it.

    ``identifiers``: the first is the one that the archive leads the patient by, the others are further ones of the same
    person (PID-3 repetitions of trusted authorities). ``name`` is a PN value, groups between ``=`` and components in
    DICOM's order; ``birth_date`` a DA value; ``sex`` M, F, O. ``unqualified``: objects that carry the first value
    without any issuer are this patient's, too. ``creates``: an unknown patient is taken up, else refused.
    """

    identifiers: tuple[Identifier, ...]
    name: Told = None
    birth_date: Told = None
    sex: Told = None
    unqualified: bool = False
    creates: bool = True


@dataclass(frozen=True, slots=True)
class PatientApplied:
    """What became of a patient: its primary key, what changed (DICOM keywords), how many studies were touched.

    ``stale``: the event was older than the newest one applied, so that only empty values were filled.
    ``repeated``: nothing was left to do.
    """

    patient: int
    created: bool = False
    changed: frozenset[str] = frozenset()
    studies: int = 0
    stale: bool = False
    repeated: bool = False


class PatientRefusal(StrEnum):
    """Why nothing was done. HL7 answers these by its table; ``hl7`` maps each once."""

    NO_IDENTIFIER = "no_identifier"  # PID-3 or MRG-1 is empty
    TOO_LONG = "too_long"  # an identifier or its issuer has more than 64 characters
    SAME_IDENTIFIER = "same_identifier"  # PID-3 = MRG-1
    NAMES_TWO_PATIENTS = "names_two_patients"  # identifiers of one list belong to different patients
    MERGED_AWAY = "merged_away"  # the identifier was retired by a merge
    TARGET_EXISTS = "target_exists"  # an identifier shall change into one that somebody has
    UNKNOWN_PATIENT = "unknown_patient"
    NOT_THIS_PATIENTS = "not_this_patients"  # the identifier to be moved is not one of the patient named
    NOT_LINKED = "not_linked"
    BUSY = "busy"  # another message about the patient took too long; the same may be sent again


class PatientRefused(ArchiveError):
    """A message about a patient has no effect, for ``reason``; ``prior`` says that it is about MRG-1, not PID-3.

    The text names no patient.
    """

    def __init__(self, reason: PatientRefusal, text: str, *, prior: bool = False) -> None:
        super().__init__(text)
        self.reason = reason
        self.prior = prior


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was so by the sender's clock (EVN-2, else MSH-7), and what told it (actor, message)."""

    at: datetime
    actor: str = ""
    message: str = ""
