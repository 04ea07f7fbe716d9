"""The seam to HL7: what messages say, as frozen values; and where each is applied.

| what | function | raises |
|---|---|---|
| PID | ``archive.patients.apply(facts, moment) -> PatientApplied`` | ``PatientRefused`` |
| A40 and its like | ``archive.patients.merge(prior, surviving_facts, moment) -> PatientApplied`` | ``PatientRefused`` |
| A24, A37 | ``archive.patients.link(one, other, moment)``, ``unlink(...)`` | ``PatientRefused`` |
| A43 | ``archive.patients.move_identifier(identifier, to, moment) -> PatientApplied`` | ``PatientRefused`` |
| A47 | ``archive.patients.change_identifier(old, new, moment) -> PatientApplied`` | ``PatientRefused`` |
| PV1 | ``worklist.visits.apply(patient, facts, effect, moment) -> int`` (the visit) | ``VisitRefused`` |
| MRG-3 | ``worklist.visits.renumber(patient, old, new, moment) -> bool`` | ``VisitRefused`` |
| ORC, OBR | ``worklist.orders.apply(patient, facts, control, status, moment) -> OrderApplied`` | ``OrderRefused`` |

Each runs in the caller's transaction. ``archive.patients.lock(identifiers)`` comes first, with all identifiers of the
message, so that two messages about one patient come one after the other and none waits for another in a circle.
Where a message may leave a value out, ``None`` leaves what is known, "" clears it (``archive.patient_facts``).
"""

from dataclasses import dataclass
from enum import StrEnum

from archive.patient_facts import (
    Identifier,
    Moment,
    PatientApplied,
    PatientFacts,
    PatientRefusal,
    PatientRefused,
    Told,
)

__all__ = [
    "Code",
    "EntityIdentifier",
    "Identifier",
    "Moment",
    "OrderApplied",
    "OrderFacts",
    "OrderRefusal",
    "OrderRefused",
    "PatientApplied",
    "PatientFacts",
    "PatientRefusal",
    "PatientRefused",
    "ProcedureFacts",
    "StepFacts",
    "Told",
    "VisitEffect",
    "VisitFacts",
    "VisitRefused",
]


@dataclass(frozen=True, slots=True)
class EntityIdentifier:
    """A number and who gave it (HL7 EI): of a placer's or filler's order, an accession number, a visit."""

    value: str
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """A code (HL7 CE, CWE), as an item of a code sequence has it (PS3.3 8.8)."""

    value: str
    scheme: str = ""
    meaning: str = ""


class VisitEffect(StrEnum):
    """What an event does to a visit."""

    OPEN = "open"  # A01
    REGISTER = "register"  # A04
    PRE_ADMIT = "pre_admit"  # A05
    MOVE = "move"  # A02, A12
    DISCHARGE = "discharge"  # A03
    UNDISCHARGE = "undischarge"  # A13
    UPDATE = "update"  # A06, A07, A08, A31, orders
    ARRIVE = "arrive"  # A10: also SCHEDULED -> ARRIVED of its steps
    CANCEL = "cancel"  # A11, A38


@dataclass(frozen=True, slots=True)
class VisitFacts:
    """A visit (PV1): ``number`` is PV1-19, else PID-18; ``location`` PV1-3 as ``ward^room^bed^facility``.

    Names are PN values. ``pregnant``: PV1-15 has B6.
    """

    number: EntityIdentifier | None
    patient_class: Told = None
    location: Told = None
    attending: Told = None
    referring: Told = None
    ambulatory: Told = None
    admitted: Told = None  # DT
    pregnant: bool = False


class VisitRefused(Exception):
    """A visit is not changed: its number is known as that of another patient's. The text names no patient."""


@dataclass(frozen=True, slots=True)
class StepFacts:
    """One scheduled procedure step: an IPC, or what OBR and TQ1 say where there is none.

    ``start_date`` and ``start_time`` are DA and TM values by the site's clock.
    """

    step_id: Told = None  # (0040,0009)
    modality: Told = None
    station_ae_titles: tuple[str, ...] = ()
    station_name: Told = None
    location: Told = None
    start_date: Told = None
    start_time: Told = None
    description: Told = None
    protocol_codes: tuple[Code, ...] = ()
    performing_physician: Told = None


@dataclass(frozen=True, slots=True)
class ProcedureFacts:
    """One requested procedure: an OBR with its steps; none of them makes one step of what is known.

    ``study_instance_uid``: IPC-3, ZDS-1; None where the message has none.
    """

    procedure_id: Told = None  # (0040,1001)
    study_instance_uid: str | None = None
    code: Code | None = None
    description: Told = None
    steps: tuple[StepFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """One ORC with its OBRs. An accession number of more than 16 characters is refused, never cut.

    ``replaces`` and ``parent`` name other orders by placer or filler number (RO after RP; CH after PA). ``attributes``
    are further worklist attributes by DICOM keyword (``PatientWeight``, ``Allergies``, ``MedicalAlerts``,
    ``RequestingPhysician``, ``PatientTransportArrangements`` ...), "" clearing one.
    """

    placer: EntityIdentifier | None = None
    filler: EntityIdentifier | None = None
    accession: EntityIdentifier | None = None
    visit: EntityIdentifier | None = None
    priority: Told = None  # STAT, HIGH, MEDIUM, ROUTINE
    reason: Told = None  # (0040,1002)
    clinical_info: Told = None
    referring: Told = None  # PN
    attributes: tuple[tuple[str, str], ...] = ()
    procedures: tuple[ProcedureFacts, ...] = ()
    replaces: tuple[EntityIdentifier, ...] = ()
    parent: EntityIdentifier | None = None
    missing_study_uid: str = "accession_based"  # or "generate", "reject"


@dataclass(frozen=True, slots=True)
class OrderApplied:
    """What became of an order: its primary key and status, and whether it is new.

    ``cancelled_with_images``: it was to be cancelled, but has images; these stay, and so does the order.
    """

    order: int
    status: str
    created: bool = False
    cancelled_with_images: bool = False


class OrderRefusal(StrEnum):
    """Why an order message has no effect. HL7 answers these by its table; ``hl7`` maps each once."""

    UNMAPPED_CONTROL = "unmapped_control"  # ORC-1: 103
    UNMAPPED_STATUS = "unmapped_status"  # ORC-5: 103
    NO_ORDER_NUMBER = "no_order_number"  # neither ORC-2 nor ORC-3: 101
    NO_PROCEDURE_IDENTIFIER = "no_procedure_identifier"  # accession, procedure id and StudyUID all absent: 101
    NO_STUDY_UID = "no_study_uid"  # and the profile does not derive one: 101
    ACCESSION_TOO_LONG = "accession_too_long"  # 102
    TOO_LONG = "too_long"  # another number, or who gave it, has more than 64 characters: 102
    INVALID_UID = "invalid_uid"  # 102
    STUDY_UIDS_DIFFER = "study_uids_differ"  # the IPCs of one OBR: 102
    UNKNOWN_ORDER = "unknown_order"  # 204
    ANOTHER_PATIENTS = "another_patients"  # the order is that of another patient: 205
    AMBIGUOUS_ORDER = "ambiguous_order"  # placer and filler numbers name different orders: 205
    ILLEGAL_MOVE = "illegal_move"  # the order's state does not allow it: 207


class OrderRefused(Exception):
    """An order message has no effect, for ``reason``. The text names no patient."""

    def __init__(self, reason: OrderRefusal, text: str) -> None:
        super().__init__(text)
        self.reason = reason
