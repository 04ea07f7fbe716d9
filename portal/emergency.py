"""Emergency access: the page on which a patient is opened, what is open now, and its end."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from access import policy
from access.acting import Acting
from access.authentication import principal_of
from access.emergency import (
    DEFAULT_MINUTES,
    LEAST_REASON,
    MOST_REASON,
    BadReason,
    begin,
    checked_reason,
    end,
    most_minutes,
    running_of,
)
from access.emergency_lookup import NoSuchPatient, SeveralPatients, TooManyWrong, patient_of
from access.emergency_models import EmergencyAccess
from access.principal import Principal
from access.roles import Permission
from access.trail import event
from audit.kinds import REFUSED, SEARCH, Outcome
from audit.record import record
from portal.rows import StudyRow, study_row

STUDIES_SHOWN: Final = 20
NO_PATIENT: Final = "No patient here has this identifier. It has to be complete, to the letter."
SEVERAL: Final = "Several patients have this identifier. Give an accession number, or the issuer of the patient ID."
TOO_MANY: Final = "Too many identifiers that are not here. Try again in {minutes} min."
ONE_IDENTIFIER: Final = "Give a patient ID or an accession number."


class EmergencyForm(forms.Form):
    """What the page asks for. Field names are those of the page and of the API."""

    patient_id = forms.CharField(max_length=64, required=False)
    issuer = forms.CharField(max_length=64, required=False)
    accession = forms.CharField(max_length=16, required=False)
    reason = forms.CharField(max_length=MOST_REASON)
    minutes = forms.IntegerField(min_value=1)

    def clean_reason(self) -> str:
        """A reason that says something."""
        try:
            return checked_reason(self.cleaned_data["reason"])
        except BadReason as error:
            raise forms.ValidationError(f"{str(error)[0].upper()}{str(error)[1:]}.") from error

    def clean_minutes(self) -> int:
        """No longer than the house allows."""
        minutes: int = self.cleaned_data["minutes"]
        if minutes > most_minutes():
            raise forms.ValidationError(f"An emergency access lasts at most {most_minutes()} minutes.")
        return minutes

    def clean(self) -> dict[str, Any]:
        """One identifier at least."""
        given: dict[str, Any] = super().clean() or {}
        if not given.get("patient_id") and not given.get("accession"):
            raise forms.ValidationError(ONE_IDENTIFIER)
        return given


@dataclass(frozen=True, slots=True)
class OpenNow:
    """An emergency access that is running, as pages show it."""

    id: UUID
    patient: str
    patient_id: str
    reason: str
    until: datetime
    minutes_left: int
    studies: list[StudyRow]


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """What is open now and the form; a POST opens a patient and comes back."""
    principal = _allowed(request)
    initial = {"minutes": min(DEFAULT_MINUTES, most_minutes())}
    form = EmergencyForm(request.POST if request.method == "POST" else None, initial=initial)
    status = 200
    if form.is_bound:
        status = _open(request, principal, form) if form.is_valid() else 400
        if status == 303:
            return HttpResponseRedirect(reverse("emergency"))
    running = open_now(principal)
    shown = sorted({row.uid for each in running for row in each.studies})
    record([event(request, SEARCH, principal, rule="emergency", study_uids=shown, query="the emergency page")])
    context = {
        "form": form,
        "running": running,
        "most_minutes": most_minutes(),
        "choices": [minutes for minutes in (15, 30, 60, 120, 240) if minutes <= most_minutes()] or [most_minutes()],
        "least_reason": LEAST_REASON,
        "most_reason": MOST_REASON,
        "principal": principal,
    }
    response = render(request, "portal/emergency.html", context, status=status)
    if status == 429:
        response["Retry-After"] = "900"
    return response


@require_POST
def end_now(request: HttpRequest, access: UUID) -> HttpResponse:
    """End one's own; back to the list of studies. 404 for one of somebody else."""
    principal = _allowed(request)
    found = EmergencyAccess.objects.filter(external_id=access, user__external_id=principal.id).first()
    if found is None:
        raise Http404
    if end(found, Acting(request, principal)):
        messages.success(request, "The emergency access has ended.")
    return HttpResponseRedirect(reverse("emergency"))


def open_now(principal: Principal) -> list[OpenNow]:
    """What the person has open, each with its newest studies; nothing is asked where the request brought none."""
    if not principal.emergencies:
        return []
    now = timezone.now()
    visible = policy.visible_studies(principal, Permission.SEARCH)
    withheld = policy.withheld(principal, Permission.SEARCH)
    found = []
    for access in running_of(principal).select_related("patient"):
        studies = visible.filter(patient=access.patient.person).select_related("patient").order_by("-study_date", "-id")
        rows = [study_row(study, withheld) for study in studies[:STUDIES_SHOWN]]
        found.append(
            OpenNow(
                id=access.external_id,
                patient=rows[0].patient if rows else "",
                patient_id=access.patient.patient_id,
                reason=access.reason,
                until=access.expires_at,
                minutes_left=max(1, round((access.expires_at - now).total_seconds() / 60)),
                studies=rows,
            )
        )
    return found


def _open(request: HttpRequest, principal: Principal, form: EmergencyForm) -> int:
    """Open the patient that a valid form asks for: 303, or another status with the error on the form."""
    given, by = form.cleaned_data, Acting(request, principal)
    try:
        patient = patient_of(
            by,
            principal,
            patient_id=given["patient_id"],
            issuer=given["issuer"],
            accession=given["accession"],
        )
    except NoSuchPatient:
        form.add_error(None, NO_PATIENT)
        return 404
    except SeveralPatients:
        form.add_error(None, SEVERAL)
        return 409
    except TooManyWrong as error:
        form.add_error(None, TOO_MANY.format(minutes=-(-error.retry_after // 60)))
        return 429
    begin(patient, given["reason"], given["minutes"], by)
    return 303


def _allowed(request: HttpRequest) -> Principal:
    """The person who may open patients in an emergency. Raises PermissionDenied, with its event."""
    principal = principal_of(request)
    if not policy.may_break_glass(principal):
        record([event(request, REFUSED, principal, decision="deny", rule="emergency", outcome=Outcome.MINOR_FAILURE)])
        raise PermissionDenied
    return principal
