"""Why patients and orders refuse a message -> table 0357 and the place in the message: one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hl7.errors import Condition, Place, Refused
from worklist.order_messages import OrderRefusal, OrderRefused, PatientRefusal, PatientRefused, VisitRefused

PATIENT: Final[Mapping[PatientRefusal, Condition]] = {
    PatientRefusal.NO_IDENTIFIER: Condition.REQUIRED_FIELD_MISSING,
    PatientRefusal.TOO_LONG: Condition.DATA_TYPE,
    PatientRefusal.SAME_IDENTIFIER: Condition.DUPLICATE_KEY,
    PatientRefusal.NAMES_TWO_PATIENTS: Condition.DUPLICATE_KEY,
    PatientRefusal.MERGED_AWAY: Condition.UNKNOWN_KEY,
    PatientRefusal.TARGET_EXISTS: Condition.DUPLICATE_KEY,
    PatientRefusal.UNKNOWN_PATIENT: Condition.UNKNOWN_KEY,
    PatientRefusal.NOT_THIS_PATIENTS: Condition.UNKNOWN_KEY,
    PatientRefusal.NOT_LINKED: Condition.UNKNOWN_KEY,
    PatientRefusal.BUSY: Condition.RECORD_LOCKED,
}
ORDER: Final[Mapping[OrderRefusal, tuple[Condition, str, int]]] = {
    OrderRefusal.UNMAPPED_CONTROL: (Condition.VALUE_NOT_FOUND, "ORC", 1),
    OrderRefusal.UNMAPPED_STATUS: (Condition.VALUE_NOT_FOUND, "ORC", 5),
    OrderRefusal.NO_ORDER_NUMBER: (Condition.REQUIRED_FIELD_MISSING, "ORC", 2),
    OrderRefusal.NO_PROCEDURE_IDENTIFIER: (Condition.REQUIRED_FIELD_MISSING, "OBR", 18),
    OrderRefusal.NO_STUDY_UID: (Condition.REQUIRED_FIELD_MISSING, "ZDS", 1),
    OrderRefusal.ACCESSION_TOO_LONG: (Condition.DATA_TYPE, "OBR", 18),
    OrderRefusal.TOO_LONG: (Condition.DATA_TYPE, "ORC", 2),
    OrderRefusal.INVALID_UID: (Condition.DATA_TYPE, "ZDS", 1),
    OrderRefusal.STUDY_UIDS_DIFFER: (Condition.DATA_TYPE, "IPC", 3),
    OrderRefusal.UNKNOWN_ORDER: (Condition.UNKNOWN_KEY, "ORC", 2),
    OrderRefusal.ANOTHER_PATIENTS: (Condition.DUPLICATE_KEY, "ORC", 2),
    OrderRefusal.AMBIGUOUS_ORDER: (Condition.DUPLICATE_KEY, "ORC", 2),
    # Not 207: the sender would repeat for ever what does not heal.
    OrderRefusal.ILLEGAL_MOVE: (Condition.VALUE_NOT_FOUND, "ORC", 1),
}


def of_patient(error: PatientRefused, number: int = 1) -> Refused:
    """At PID-3, or at MRG-1 where it is about the identifier that retires."""
    place = Place("MRG", 1, number) if error.prior else Place("PID", 3, number)
    return Refused(PATIENT[error.reason], place, str(error))


def of_visit(error: VisitRefused) -> Refused:
    """At PV1-19."""
    return Refused(Condition.DUPLICATE_KEY, Place("PV1", 19), str(error))


def of_order(error: OrderRefused, number: int = 1) -> Refused:
    """At the field that the table names, of the ORC with this number."""
    condition, segment, field = ORDER[error.reason]
    return Refused(condition, Place(segment, field, number if segment == "ORC" else 1), str(error))
