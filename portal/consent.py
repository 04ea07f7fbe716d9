"""An app asks to act for whoever is signed in: who asks, what it could do, and yes or no (RFC 6749 4.1.1)."""

from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from access import policy
from access.authentication import principal_of
from access.authorize import (
    MOST_PATIENTS,
    BadQuestion,
    Question,
    Refused,
    able,
    allow,
    deny,
    patient_of,
    patients,
    question,
    record_refused,
)
from access.principal import Principal
from access.redirects import origin
from access.roles import Permission
from access.trail import event
from archive.models import Patient
from audit.kinds import SEARCH
from audit.record import record
from portal.account import own_account
from portal.rows import birth_of, name_of

NO_SUCH_PATIENT = "There is no patient with this ID whose studies you may see."
CHOOSE = "Choose the patient."
LONGEST_ID = 64


class SeeOther(HttpResponseRedirect):
    """Go there with GET, whatever was posted (RFC 9700 4.12)."""

    status_code = 303


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """The question, and the way back to the app with the answer.

    The question stands in the address both times, and is looked at both times. 400 where no answer can be sent.
    """
    own_account(request)
    principal = principal_of(request)
    try:
        asked = question(request.GET)
    except BadQuestion as error:
        record_refused(error, request, principal)
        return render(request, "portal/consent_bad.html", {"reason": str(error)}, status=400)
    except Refused as error:
        record_refused(error, request, principal)
        return SeeOther(error.location)
    if request.method != "POST":
        return _ask(request, principal, asked)
    if request.POST.get("answer") != "allow":
        return SeeOther(deny(asked, request, principal))
    patient = patient_of(principal, request.POST.get("patient", "")) if asked.is_of_one_patient else None
    if asked.is_of_one_patient and patient is None:
        return _look_for_patient(request, principal, asked)
    return SeeOther(allow(asked, patient, request, principal))


def _look_for_patient(request: HttpRequest, principal: Principal, asked: Question) -> HttpResponse:
    """Ask again, with the patients of the ID that was typed."""
    typed = request.POST.get("patient_id", "").strip()[:LONGEST_ID].replace("\0", "")
    found = patients(principal, typed) if typed else []
    if not found:
        return _ask(request, principal, asked, typed, NO_SUCH_PATIENT if typed else CHOOSE)
    return _ask(request, principal, asked, typed, "", found)


def _ask(
    request: HttpRequest,
    principal: Principal,
    asked: Question,
    typed: str = "",
    error: str = "",
    found: list[Patient] | None = None,
) -> HttpResponse:
    offered = patients(principal) if found is None and asked.is_of_one_patient else found or []
    parts = urlsplit(asked.redirect_uri)
    withheld = policy.withheld(principal, Permission.SEARCH)
    context = {
        "asked": asked,
        "able": able(principal, asked.scopes),
        "patients": [
            (patient.pk, name_of(patient, withheld), patient.patient_id, birth_of(patient, withheld))
            for patient in offered
        ],
        "typed": typed,
        "error": error,
        "goes_to": parts.hostname,
        "is_here": parts.scheme == "http",
        "most": MOST_PATIENTS,
    }
    shown = [patient.patient_id for patient in offered if patient.patient_id]
    text = f"app {asked.client.external_id} asks to act for the person"
    record([event(request, SEARCH, principal, rule="authorize", query=text, patient_ids=shown)])
    response = render(request, "portal/consent.html", context, status=400 if error else 200)
    # Browsers hold what follows a form against this: the answer goes to the app.
    response["Content-Security-Policy"] = (
        "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self' {origin(asked.redirect_uri)}"
    )
    return response
