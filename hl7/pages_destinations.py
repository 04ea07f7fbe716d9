"""Destinations in pages: the list with their queues, the form of one, tried out and switched."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access.acting import Acting
from access.principal import Principal
from access.refused_change import RefusedChange
from access.step_up import require_recent
from hl7.destinations import change, make, switch, try_out
from hl7.outbound_models import Destination
from hl7.outbound_queue import queues
from hl7.pages_delivery_forms import DestinationForm
from hl7.pages_door import for_interfaces, show, write_down


@require_safe
@for_interfaces
def destinations(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Each destination and how its queue is doing."""
    found = queues()
    write_down(request, principal, "hl7 destinations")
    return show(request, "destinations.html", {"queues": found})


@require_http_methods(["GET", "HEAD", "POST"])
@for_interfaces
def new(request: HttpRequest, principal: Principal) -> HttpResponse:
    """The form for a new destination."""
    require_recent(request)
    form = DestinationForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            made = make(form.cleaned_data, Acting(request, principal))
        except RefusedChange as error:
            form.add_error("name", f"{error}.")
        else:
            messages.success(request, "The destination is made. Try whether it can be reached.")
            return HttpResponseRedirect(reverse("hl7-destination", args=[made.pk]))
    return _form(request, principal, form, None)


@require_http_methods(["GET", "HEAD", "POST"])
@for_interfaces
def destination(request: HttpRequest, principal: Principal, number: int) -> HttpResponse:
    """One destination; a POST changes it."""
    found = _found(number)
    if request.method != "POST":
        return _form(request, principal, DestinationForm.of(found), found)
    require_recent(request)
    form = DestinationForm(request.POST)
    if form.is_valid():
        try:
            change(found, form.cleaned_data, Acting(request, principal))
        except RefusedChange as error:
            form.add_error("name", f"{error}.")
        else:
            messages.success(request, "Changed.")
            return HttpResponseRedirect(reverse("hl7-destination", args=[found.pk]))
    return _form(request, principal, form, found)


@require_POST
@for_interfaces
def trial(request: HttpRequest, principal: Principal, number: int) -> HttpResponse:
    """Connect to it, and send nothing."""
    found = _found(number)
    require_recent(request)
    why = try_out(found, Acting(request, principal))
    if why:
        messages.error(request, f"No connection: {why}.")
    else:
        messages.success(request, "It can be connected to. Nothing was sent.")
    return HttpResponseRedirect(reverse("hl7-destination", args=[found.pk]))


@require_POST
@for_interfaces
def switched(request: HttpRequest, principal: Principal, number: int) -> HttpResponse:
    """Switch it on or off."""
    found = _found(number)
    require_recent(request)
    enabled = request.POST.get("to") == "on"
    switch(found, enabled=enabled, by=Acting(request, principal))
    messages.success(request, "Switched on." if enabled else "Switched off: what waits keeps waiting.")
    return HttpResponseRedirect(reverse("hl7-destination", args=[found.pk]))


def _found(number: int) -> Destination:
    found = Destination.objects.filter(pk=number).first() if number < 1 << 63 else None
    if found is None:
        raise Http404
    return found


def _form(request: HttpRequest, principal: Principal, form: DestinationForm, found: Destination | None) -> HttpResponse:
    write_down(request, principal, f"hl7 destination {found.pk}" if found else "the form for a new hl7 destination")
    return show(request, "destination.html", {"form": form, "found": found}, status=400 if form.errors else 200)
