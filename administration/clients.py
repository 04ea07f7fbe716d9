"""Clients: machines, apps and devices; the list, the form for a new one, and the page of each with what can be done."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access.acting import Acting
from access.api_keys import TooManyKeys, Wish, keys_of, make_key, revoke_key
from access.client_activity import with_activity
from access.client_role import set_client_role, told
from access.granting import of_accounts
from access.models import Client
from access.people import rotate_secret
from access.refused_change import RefusedChange
from access.step_up import require_recent
from access.switching import set_active
from access.termination import terminate
from administration.client_forms import KINDS, NewClient, RoleOfClient, scope_lines
from administration.door import looking, managing, show
from administration.grant_rows import grant_rows, uids
from administration.people import PAGE_SIZE, page_number
from administration.person import Reason
from administration.sentences import sentence
from administration.words import role_choices, titles

TOO_MANY = "this client has as many keys as one may have: revoke one first"


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A client as the list shows it."""

    id: UUID
    name: str
    kind: str
    role: str
    ae_title: str
    is_active: bool
    tokens: int
    last_seen: datetime | None


@require_safe
def clients_list(request: HttpRequest) -> HttpResponse:
    """A page of the clients by name."""
    looking(request)
    number = page_number(request.GET.get("page", "1"))
    start = (number - 1) * PAGE_SIZE
    found = list(with_activity(Client.objects.order_by("name"))[start : start + PAGE_SIZE + 1])
    context = {
        "rows": [row(client) for client in found[:PAGE_SIZE]],
        "number": number,
        "more": len(found) > PAGE_SIZE,
    }
    return show(request, "clients.html", "clients", context)


def row(client: Any) -> ClientRow:
    """A client, with what it does, as a line of the list."""
    return ClientRow(
        id=client.external_id,
        name=client.name,
        kind="app" if client.is_app else "device" if client.ae_title else "machine",
        role=titles([told(client)])[0] if client.role else "",
        ae_title=client.ae_title,
        is_active=client.is_active,
        tokens=client.tokens_now,
        last_seen=client.heard_at,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form for a new client; a POST makes it and shows what is secret, this once."""
    by = managing(request)
    require_recent(request)
    form = NewClient(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            client, once = form.make(by)
        except (RefusedChange, ValueError) as error:
            form.add_error(None, sentence(str(error)))
        else:
            return shown_once(request, client, once, title="New client")
    context = {
        "form": form,
        "kinds": KINDS,
        "role_choices": role_choices(),
        "scopes": scope_lines(form["scopes"].value() or []),
    }
    status = 400 if form.is_bound else 200
    return show(request, "client_new.html", "the form for a new client", context, status=status)


@require_safe
def page(request: HttpRequest, client: UUID) -> HttpResponse:
    """Everything about a client."""
    looking(request)
    return shown(request, find(client))


@require_POST
def role(request: HttpRequest, client: UUID) -> HttpResponse:
    """Another role or limit, with the reason why."""
    by = managing(request)
    require_recent(request)
    found, form = find(client), RoleOfClient(request.POST)
    if not form.is_valid():
        return shown(request, found, 400, role_form=form)
    given = form.cleaned_data

    def change() -> str:
        done = set_client_role(found, given["role"], form.limit, reason=given["reason"], by=by)
        return "The new role counts from now on." if done else "Nothing was changed."

    return answered(request, found, change)


@require_POST
def secret(request: HttpRequest, client: UUID) -> HttpResponse:
    """A new secret, shown this once; the old one and its tokens end."""
    by = managing(request)
    require_recent(request)
    found = find(client)
    if not has_secret(found):
        raise Http404
    once = {"Client id": found.client_id, "Secret": rotate_secret(found, by=by)}
    return shown_once(request, found, once, title="New secret")


@require_POST
def new_key(request: HttpRequest, client: UUID) -> HttpResponse:
    """Another key for a device, shown this once; those until now stay until they are revoked."""
    by = managing(request)
    require_recent(request)
    found = find(client)
    if not found.ae_title:
        raise Http404
    try:
        _, key = make_key(found, Wish(name=f"modality {found.ae_title}", days=None), by)
    except TooManyKeys:
        messages.error(request, sentence(TOO_MANY))
        return HttpResponseRedirect(reverse("administration-client", args=[found.external_id]))
    return shown_once(request, found, {"Key": key}, title="New key")


@require_POST
def revoke(request: HttpRequest, client: UUID, key: UUID) -> HttpResponse:
    """Revoke a key of the client."""
    by = managing(request)
    found = find(client)
    open_key = keys_of(found).filter(external_id=key).first()
    if open_key is None:
        raise Http404
    done = revoke_key
    return answered(request, found, lambda: "The key is revoked." if done(open_key, by) else "It was revoked before.")


@require_POST
def switch_off(request: HttpRequest, client: UUID) -> HttpResponse:
    """Switch the client off, from the next request on."""
    by = managing(request)
    return _switched(request, find(client), False, by)


@require_POST
def switch_on(request: HttpRequest, client: UUID) -> HttpResponse:
    """Switch the client on again."""
    by = managing(request)
    return _switched(request, find(client), True, by)


@require_POST
def leave(request: HttpRequest, client: UUID) -> HttpResponse:
    """End everything that the client has."""
    by = managing(request)
    require_recent(request)
    found, form = find(client), Reason(request.POST)
    if not form.is_valid():
        return shown(request, found, 400, leave_form=form)
    return answered(request, found, lambda: f"Ended: {terminate(found, form.cleaned_data['reason'], by=by)}.")


def find(client: UUID) -> Client:
    """The client of this id. Raises Http404."""
    found: Client | None = with_activity(Client.objects.filter(external_id=client)).first()
    if found is None:
        raise Http404
    return found


def has_secret(client: Client) -> bool:
    """False for devices, which have keys, and for public apps, which can keep nothing secret."""
    return not client.ae_title and client.client_type == Client.CLIENT_CONFIDENTIAL


def shown(request: HttpRequest, client: Client, status: int = 200, **forms_with_errors: Any) -> HttpResponse:
    """The page of ``client``; with the forms that were filled in wrongly, as they were."""
    rows = grant_rows(request, of_accounts().filter(client=client))
    initial = {
        "role": client.role,
        "limit_kind": client.limit_kind,
        "limit_values": "\n".join(client.limit_values),
    }
    context: dict[str, Any] = {
        "client": client,
        "row": row(client),
        "has_secret": has_secret(client),
        "role_form": RoleOfClient(initial=initial),
        "role_choices": role_choices(),
        "scopes": scope_lines(client.scopes),
        "keys": keys_of(client).open(),
        "grants": rows,
        **forms_with_errors,
    }
    what = f"the page of client {client.external_id}"
    return show(request, "client.html", what, context, status=status, study_uids=uids(rows))


def shown_once(request: HttpRequest, client: Client, once: dict[str, str], *, title: str) -> HttpResponse:
    """The page with what is kept nowhere else."""
    context = {"title": title, "client": client, "once": list(once.items()), "is_device": bool(client.ae_title)}
    return show(request, "secret_once.html", "a new secret", context, status=201)


def answered(request: HttpRequest, client: Client, change: Callable[[], str]) -> HttpResponse:
    """Make the change and go back to the page, which says what was done or why it was refused."""
    try:
        messages.success(request, change())
    except RefusedChange as error:
        messages.error(request, sentence(str(error)))
    return HttpResponseRedirect(reverse("administration-client", args=[client.external_id]))


def _switched(request: HttpRequest, client: Client, active: bool, by: Acting) -> HttpResponse:
    require_recent(request)

    def change() -> str:
        set_active(client, active=active, by=by)
        return "Switched on." if active else "Switched off, from now on."

    return answered(request, client, change)
