"""How the installation runs, for everybody: a colour for each part and since when, and nothing of patients or people.

Whoever manages the installation and is signed in is told more: what waits, how much room there is, what was found. The
page needs no database to say that there is none.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe
from rest_framework.exceptions import AuthenticationFailed

from access.authentication import authenticate
from access.middleware import open_to_all
from access.policy import may
from access.principal import Principal
from access.roles import Permission
from access.trail import event
from audit.kinds import SEARCH
from audit.record import AuditUnavailable, record
from custody.facts.due import Due, believed
from custody.modes.read_only import ReadOnly, read_only
from portal.health import NEEDED, State, states_now
from portal.status_details import Detail, details

GREEN, AMBER, RED = "green", "amber", "red"
# What each check is about, in words, and what is so while it fails.
PARTS: Final = (
    ("database", "Database", "Nothing can be searched, read or stored."),
    ("object_store", "Images", "Searches work. Images can't be opened."),
    ("trail", "Access trail", "Nothing is shown that can't be recorded."),
    ("broker", "Background tasks", "Everything works; new thumbnails come later."),
    ("sealing", "Sealing of the trail", "Everything works; the trail is sealed later."),
)
_STORED_LATER: Final = "Searches work. Images can't be opened; what is stored is kept here until they can."
_WORDS: Final = {GREEN: "All is well", AMBER: "Some things wait", RED: "Something is away"}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the installation: its colour, since when it has had it, and what that means."""

    name: str
    title: str
    colour: str
    since: datetime
    text: str


@open_to_all
@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """A page, or JSON for whoever prefers it; 200 in either case, since it is the page that works."""
    mode = read_only()
    parts = _parts(states_now(), mode, believed())
    worst = max((part.colour for part in parts), key=(GREEN, AMBER, RED).index)
    told = _told(request)
    if not request.accepts("text/html") or request.get_preferred_type(["text/html", "application/json"]) != "text/html":
        return JsonResponse(_json(worst, parts, told), headers={"Cache-Control": "no-store"})
    page: dict[str, Any] = {
        "worst": worst,
        "word": _WORDS[worst],
        "parts": parts,
        "details": told,
        "now": datetime.now(UTC),
    }
    return HttpResponse(render_to_string("portal/status.html", page))


def _parts(states: dict[str, State], mode: ReadOnly | None, due: Due | None) -> list[Part]:
    spools = settings.PACS.store_when_down == "spool" and settings.PACS.object_store == "s3"
    found = []
    for name, title, text in PARTS:
        state = states[name]
        colour = GREEN if state.word == "ok" else RED if name in NEEDED else AMBER
        meant = _STORED_LATER if spools and name == "object_store" else text
        found.append(Part(name, title, colour, state.since, "Works." if colour == GREEN else meant))
    if mode is not None:
        found.append(Part("mode", "Changes", AMBER, mode.since, f"{mode.text[0].upper()}{mode.text[1:]}."))
    if due is not None:
        text = f"{due.why[0].upper()}{due.why[1:]}. Whoever runs this installation types: {due.command}."
        found.append(Part("index", "Index", AMBER, due.since, text))
    return found


def _told(request: HttpRequest) -> list[Detail]:
    """What whoever manages is told, after the event that it was looked at; nothing without one."""
    principal = _manager(request)
    if principal is None:
        return []
    try:
        record([event(request, SEARCH, principal, rule=Permission.MANAGE, query="status")])
    except AuditUnavailable:
        return []
    return details()


def _manager(request: HttpRequest) -> Principal | None:
    """Whoever may be told more; None for everybody else, and while nobody can be asked who that is."""
    try:
        principal = authenticate(request)
    except (AuthenticationFailed, DatabaseError, InterfaceError):
        return None
    return principal if principal is not None and may(principal, Permission.MANAGE) else None


def _json(worst: str, parts: list[Part], told: list[Detail]) -> dict[str, Any]:
    listed = {
        part.name: {"colour": part.colour, "since": part.since.isoformat(timespec="seconds"), "text": part.text}
        for part in parts
    }
    answer: dict[str, Any] = {"status": worst, "parts": listed}
    return answer | ({"details": {each.name: each.value for each in told}} if told else {})
