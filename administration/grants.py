"""Grants: what was opened to whom, one by one; the form for another, and the end of each."""

from typing import Final
from uuid import UUID

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from access.granting import end_grant, of_accounts
from access.models import Client, Grant, User
from access.refused_change import RefusedChange
from access.rights import Right
from access.step_up import require_recent
from administration.door import looking, managing, show
from administration.grant_form import FIELDS, NewGrant, account_called, made
from administration.grant_rows import grant_rows, uids
from administration.sentences import sentence
from administration.words import RIGHT_WORDS

LISTED: Final = 100
STATES: Final = (("open", "Open now"), ("ended", "Ended"), ("", "All"))


@require_http_methods(["GET", "HEAD", "POST"])
def grants_list(request: HttpRequest) -> HttpResponse:
    """The grants of people and clients. A search is posted: no Patient ID stands in an address."""
    looking(request)
    asked = {
        name: request.POST.get(name, "").replace("\0", "").strip()[:255] for name in ("holder", "patient", "study")
    }
    state = request.POST.get("state", "open")
    rows = grant_rows(request, searched(asked, state)[: LISTED + 1])
    context = {
        "rows": rows[:LISTED],
        "more": len(rows) > LISTED,
        "asked": any(asked.values()) or state != "open",
        "state": state,
        "states": STATES,
        **asked,
    }
    what = "&".join(["grants", *(f"{name}={value}" for name, value in {**asked, "state": state}.items() if value)])
    return show(request, "grants.html", what, context, study_uids=uids(rows))


def searched(asked: dict[str, str], state: str) -> QuerySet[Grant]:
    """Grants by the name of who has them, by Patient ID, by study and by whether they are open."""
    found = of_accounts()
    if name := asked.get("holder"):
        found = found.filter(Q(user__username__iexact=name) | Q(client__name__iexact=name))
    if patient := asked.get("patient"):
        found = found.filter(
            Q(patient__patient_id=patient)
            | Q(study__patient__patient_id=patient)
            | Q(series__study__patient__patient_id=patient)
        )
    if study := asked.get("study"):
        found = found.filter(Q(study__study_instance_uid=study) | Q(series__study__study_instance_uid=study))
    is_open = Q(pk__in=Grant.objects.active().values("pk"))
    return found.filter(is_open) if state == "open" else found.exclude(is_open) if state == "ended" else found


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form for a new grant; a POST makes it."""
    by = managing(request)
    require_recent(request)
    form = NewGrant(
        request.POST if request.method == "POST" else None,
        initial={"reach": "study", "rights": [Right.VIEW.value], "holder": _named(request.GET.get("for", ""))},
    )
    if form.is_bound and form.is_valid():
        given = form.cleaned_data
        field = "holder"
        try:
            account = account_called(given["holder"])
            field = FIELDS[given["reach"]]
            made(given, account, by)
        except RefusedChange as error:
            form.add_error(field, sentence(str(error)))
        else:
            messages.success(request, f"Opened to {given['holder']}.")
            return HttpResponseRedirect(reverse("administration-grants"))
    context = {"form": form, "rights": list(RIGHT_WORDS.items()), "chosen": form["rights"].value() or []}
    status = 400 if form.is_bound else 200
    return show(request, "grant_new.html", "the form for a new grant", context, status=status)


@require_POST
def end(request: HttpRequest, grant_id: int) -> HttpResponse:
    """End a grant, from the next request on; back to where the button was."""
    by = managing(request)
    found = of_accounts().filter(pk=grant_id).first()
    if found is None:
        raise Http404
    ended = end_grant(found, by)
    messages.success(request, "The grant has ended." if ended else "This grant had ended before.")
    account = found.user or found.client
    back = request.POST.get("back")
    if account is not None and back in ("person", "client"):
        return HttpResponseRedirect(reverse(f"administration-{back}", args=[account.external_id]))
    return HttpResponseRedirect(reverse("administration-grants"))


def _named(external_id: str) -> str:
    """The name of the account of this id, for a form that is opened from its page."""
    try:
        wanted = UUID(external_id)
    except ValueError:
        return ""
    user = User.objects.filter(external_id=wanted).first()
    if user is not None:
        return user.username
    client = Client.objects.filter(external_id=wanted).first()
    return str(client.name) if client else ""
