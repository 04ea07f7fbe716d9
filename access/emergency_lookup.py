"""Which patient is meant: exactly one, by an exact identifier; whoever tries out identifiers is soon stopped."""

from datetime import timedelta
from typing import Final

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import salted_hmac

from access.acting import Acting
from access.models import SignInAttempt
from access.principal import Principal
from access.throttle import WINDOW
from archive.models import Patient
from audit.kinds import REFUSED, Outcome
from audit.record import record

WRONG_ONES: Final = 10


class NoSuchPatient(Exception):
    """Nothing stored is of a patient of this identifier."""


class SeveralPatients(Exception):
    """More than one patient has this identifier: another one is needed, or its issuer."""


class TooManyWrong(Exception):
    """``WRONG_ONES`` wrong identifiers within 15 minutes; ``retry_after`` seconds to wait."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many wrong identifiers")
        self.retry_after = retry_after


def patient_of(
    by: Acting, principal: Principal, *, study: str = "", accession: str = "", patient_id: str = "", issuer: str = ""
) -> Patient:
    """The patient of a Study Instance UID, an accession number or a Patient ID, whichever is given first.

    An ``issuer`` narrows a Patient ID. Raises NoSuchPatient and SeveralPatients, each with its event, and TooManyWrong.
    """
    key = salted_hmac("access.emergency", principal.id, algorithm="sha256").hexdigest()
    _not_too_often(key)
    found = list(_asked(study, accession, patient_id, issuer).order_by("pk").distinct()[:2])
    if len(found) == 1:
        return found[0]
    SignInAttempt.objects.create(key=key)
    text = "several patients have the identifier given" if found else "no patient has the identifier given"
    fields = {"decision": "deny", "rule": "emergency", "outcome": Outcome.MINOR_FAILURE}
    record([by.event(REFUSED, text, **fields)])
    raise SeveralPatients if found else NoSuchPatient


def _asked(study: str, accession: str, patient_id: str, issuer: str) -> QuerySet[Patient]:
    if study:
        return Patient.objects.filter(studies__study_instance_uid=study)
    if accession:
        return Patient.objects.filter(studies__accession_number=accession)
    if not patient_id:
        return Patient.objects.none()
    known = Patient.objects.filter(patient_id=patient_id, studies__isnull=False)
    return known.filter(issuer_of_patient_id=issuer) if issuer else known


def _not_too_often(key: str) -> None:
    now = timezone.now()
    wrong = list(SignInAttempt.objects.filter(key=key, at__gt=now - WINDOW).order_by("at").values_list("at", flat=True))
    if len(wrong) >= WRONG_ONES:
        wait: timedelta = wrong[-WRONG_ONES] + WINDOW - now
        raise TooManyWrong(max(1, int(wait.total_seconds()) + 1))
