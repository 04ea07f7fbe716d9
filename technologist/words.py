"""A patient in one line, and what may be decided about a study, in words for people."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from archive.models import Patient
from dicom.readable import date
from worklist.queue_view import Decision

# Decision -> what the button says, and what it means.
DECISIONS: Final[Mapping[Decision, tuple[str, str]]] = MappingProxyType(
    {
        Decision.LINK: ("Link to the orders ticked", "The study answers these orders, and no others."),
        Decision.ACCEPT: ("Accept as it is", "What is linked now is right. It leaves the queue."),
        Decision.UNSCHEDULED: ("Keep without an order", "It answers no order that is known. It leaves the queue."),
        Decision.RELEASE: ("Release from quarantine", "It is shown to everybody again, without an order."),
        Decision.UNLINK: ("Unlink", "It does not answer the order that it is linked to."),
        Decision.REOPEN: ("Look again", "Take the decision back, and let the orders be looked for anew."),
    }
)


def patient_line(patient: Patient) -> str:
    """Identifier, birth date and sex, as far as known."""
    told = (patient.patient_id, date(patient.patient_birth_date), patient.patient_sex)
    return " · ".join(each for each in told if each)
