"""The first page: what waits for somebody, how things run, and how many of everything there are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db.models import Count, F, Max, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from access.managers import managers
from access.models import Client, Grant, ShareLink, User
from access.sessions_of import open_sessions
from access.throttle import locked_names
from administration import emergencies, reviews
from administration.door import looking, show
from administration.people import people
from archive.models import OutboxEntry, Study
from archive.object_store import object_store
from archive.object_store.errors import ObjectStoreUnavailable
from archive.outbox import AT_REST, RECONCILE, STUDY_COMPLETE
from audit.models import UnsealedEvent

ENDING_DAYS: Final = 3
UNSEALED: Final = 1_000
WAITING_MINUTES: Final = 10


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something for somebody to look at: how often, what in words, and where."""

    count: int
    what: str
    address: str
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """Whether a part of the house works, and a word on it."""

    title: str
    works: bool
    word: str


@dataclass(frozen=True, slots=True)
class Number:
    """A count with what is counted, and where it is listed ("" for nowhere)."""

    value: int
    of: str
    address: str = ""


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The overview."""
    looking(request)
    context = {"waiting": waiting(), "states": states(), "numbers": list(_numbers())}
    return show(request, "overview.html", "overview", context)


def waiting() -> list[Waiting]:
    """What waits, the urgent first; nothing that there is none of."""
    found = (look() for look in LOOKS)
    return sorted((each for each in found if each.count), key=lambda each: not each.urgent)


def states() -> list[State]:
    """Whether objects can be reached, tasks are done and the trail is sealed."""
    return [_store(), _tasks(), _trail()]


def _emergencies() -> Waiting:
    found = emergencies.waiting()
    words = "emergency access nobody has looked at" if found == 1 else "emergency accesses nobody has looked at"
    return Waiting(found, words, reverse("administration-emergencies"), urgent=True)


def _overdue_reviews() -> Waiting:
    found = reviews.overdue()
    words = "access review is overdue" if found == 1 else "access reviews are overdue"
    return Waiting(found, words, reverse("administration-reviews"), urgent=True)


def _dormant() -> Waiting:
    found = people("dormant").count()
    words = f"{'person' if found == 1 else 'people'} not seen for {settings.PACS.dormant_days} days, still switched on"
    return Waiting(found, words, f"{reverse('administration-people')}?show=dormant")


def _without_second_factor() -> Waiting:
    found = people("unproved").count()
    words = "person signs in with a password alone" if found == 1 else "people sign in with a password alone"
    return Waiting(found, words, f"{reverse('administration-people')}?show=unproved")


def _one_manager() -> Waiting:
    alone = len(managers()) < 2
    words = "person only may manage: nobody could help them, or check what they do"
    return Waiting(int(alone), words, f"{reverse('administration-people')}?show=managers")


def _ending_links() -> Waiting:
    now = timezone.now()
    links = ShareLink.objects.filter(revoked_at__isnull=True).annotate(ends=Max("grants__valid_until"))
    ending = links.filter(ends__gt=now, ends__lt=now + timedelta(days=ENDING_DAYS)).count()
    words = "share link ends" if ending == 1 else "share links end"
    return Waiting(ending, f"{words} within {ENDING_DAYS} days", reverse("shared"))


def _locked() -> Waiting:
    found = locked_names()
    words = "name is" if found == 1 else "names are"
    return Waiting(found, f"{words} locked out for some minutes, after too many wrong passwords", "", urgent=True)


LOOKS: Final[tuple[Callable[[], Waiting], ...]] = (
    _emergencies,
    _locked,
    _overdue_reviews,
    _one_manager,
    _without_second_factor,
    _dormant,
    _ending_links,
)


def _store() -> State:
    try:
        object_store().check()
    except ObjectStoreUnavailable as error:
        return State("Object store", False, f"can't be reached: images can neither be stored nor shown ({error})")
    return State("Object store", True, "images can be stored and shown")


def _tasks() -> State:
    late = timezone.now() - timedelta(minutes=WAITING_MINUTES)
    # These wait by intention: for originals that may be dropped in days, for orders, for the last image of a study.
    waiting = Q(dead=False, created_at__lt=late) & ~Q(kind__in=(AT_REST, RECONCILE, STUDY_COMPLETE))
    found = OutboxEntry.objects.aggregate(failed=Count("pk", filter=Q(dead=True)), late=Count("pk", filter=waiting))
    if found["failed"]:
        return State("Background work", False, f"{found['failed']} tasks failed for good")
    if found["late"]:
        return State("Background work", False, f"{found['late']} tasks wait for more than {WAITING_MINUTES} minutes")
    return State("Background work", True, "nothing waits for long")


def _trail() -> State:
    waits = UnsealedEvent.objects.count()
    if waits > UNSEALED:
        return State("Trail", False, f"{waits} events wait to be sealed: does the relay run?")
    return State("Trail", True, "written and sealed")


def _numbers() -> Iterator[Number]:
    listed = {name: reverse(f"administration-{name}") for name in ("people", "clients", "grants", "sessions")}
    yield Number(User.objects.filter(is_active=True).count(), "people", listed["people"])
    yield Number(Client.objects.filter(is_active=True).count(), "clients", listed["clients"])
    yield Number(open_sessions().count(), "sessions open", listed["sessions"])
    yield Number(Grant.objects.active().filter(link__isnull=True).count(), "grants open", listed["grants"])
    open_links = Grant.objects.active().of_open_links().filter(_not_used_up())
    yield Number(open_links.values("link").distinct().count(), "share links open", reverse("shared"))
    stored = Study.objects.aggregate(studies=Count("pk"), instances=Sum("number_of_study_related_instances", default=0))
    yield Number(stored["studies"], "studies")
    yield Number(stored["instances"], "images")


def _not_used_up() -> Q:
    return Q(link__most_uses__isnull=True) | Q(link__uses__lt=F("link__most_uses"))
