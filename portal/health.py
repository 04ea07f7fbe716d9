"""Is the process alive, and can it serve. Neither says more than that to whoever asks.

What each check said last is kept with the time from which it has said so, as this process saw it.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import redis
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from access.middleware import open_to_all
from archive.object_store import object_store
from audit.readiness import check_writable, sealing_lag
from custody.modes.read_only import read_only

FRESH_SECONDS = 2.0
SEALING_LATE = 600.0


@open_to_all
@csrf_exempt
@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """200 while the process answers; asks nothing of anybody."""
    return HttpResponse("ok\n", content_type="text/plain", headers={"Cache-Control": "no-store"})


@open_to_all
@csrf_exempt
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200, or 503 if studies can't be stored and read. Without the broker they can: tasks wait in the outbox.

    ``sealing`` fails when events of the trail, or counts of frames, have waited for more than ten minutes. While the
    archive is read-only it is ready all the same, and ``mode`` says so.
    """
    states = {name: state.word for name, state in states_now().items()}
    ready = all(states[name] == "ok" for name in NEEDED)
    mode = {"mode": "read-only" if read_only() else "normal"}
    return JsonResponse(states | mode, status=200 if ready else 503, headers={"Cache-Control": "no-store"})


def _check_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _check_object_store() -> None:
    object_store().check()


def _check_broker() -> None:
    client = redis.Redis.from_url(settings.PACS.redis_url, socket_timeout=1, socket_connect_timeout=1)
    try:
        client.ping()
    finally:
        client.close()


def _check_trail() -> None:
    check_writable()


def _check_sealing() -> None:
    if sealing_lag() > SEALING_LATE:
        raise TimeoutError("events have waited for too long to be sealed")


CHECKS: Final[Mapping[str, Callable[[], None]]] = {
    "database": _check_database,
    "object_store": _check_object_store,
    "broker": _check_broker,
    "trail": _check_trail,
    "sealing": _check_sealing,
}
# Without a trail that can be written nothing is shown or stored. One that is sealed late is no reason to be away.
NEEDED: Final = ("database", "object_store", "trail")
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class State:
    """What a check says, ``ok`` or ``failing``, and since when it has said so without a break."""

    word: str
    since: datetime


_last: tuple[float, dict[str, State]] | None = None
# Outlives what is forgotten for being old.
_said: dict[str, State] = {}


def states_now() -> dict[str, State]:
    """What each check says, at most ``FRESH_SECONDS`` old: asking often costs the services nothing."""
    global _last
    with _lock:
        if _last is None or time.monotonic() - _last[0] > FRESH_SECONDS:
            found = {name: _state(name, check) for name, check in CHECKS.items()}
            _last = (time.monotonic(), found)
        return dict(_last[1])


def _state(name: str, check: Callable[[], None]) -> State:
    try:
        check()
    except Exception:  # noqa: BLE001 - whatever a dependency raises means the same here
        word = "failing"
    else:
        word = "ok"
    before = _said.get(name)
    if before is None or before.word != word:
        _said[name] = State(word, datetime.now(UTC))
    return _said[name]
