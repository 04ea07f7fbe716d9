"""What is counted, timed and written down of each request, beside what the request is about.

``begin`` and ``described`` belong to the application (``pacs_project.wsgi``); the web worker, which knows when the last
byte has gone and how many there were, calls what ``described`` leaves for it. Together they take some 10 microseconds
of a request; the counters of a kind of answer are looked up once.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from time import perf_counter
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from access.authentication import known_principal
from pacs_project.web_answer import FINISHED
from telemetry import metrics
from telemetry.at_work import request_id
from telemetry.slow import Slow, note
from telemetry.spans import spent

_log = logging.getLogger("pacs_project.requests")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_STORE: Final = frozenset({("POST", "studies"), ("POST", "study")})
_SEARCH: Final = frozenset(
    {
        *("studies", "all-series", "all-instances", "study-series", "study-instances", "series-instances"),
        *("modality-scheduled-procedure-steps", "workitems"),
    }
)
# Name of a route -> the kind of retrieval; the names are those of dicomweb.urls.
_RETRIEVALS: Final[Mapping[str, str]] = {
    "frames": "frames",
    **dict.fromkeys(("study", "series", "instance"), "objects"),
    **dict.fromkeys(("study-metadata", "series-metadata", "instance-metadata"), "metadata"),
    **dict.fromkeys(("study-rendered", "series-rendered", "instance-rendered", "frames-rendered"), "rendered"),
    **dict.fromkeys(("study-thumbnail", "series-thumbnail", "instance-thumbnail", "frames-thumbnail"), "thumbnail"),
    **dict.fromkeys(("study-bulkdata", "series-bulkdata", "instance-bulkdata", "bulkdata"), "bulkdata"),
    **dict.fromkeys(("study-pixeldata", "series-pixeldata", "instance-pixeldata"), "pixeldata"),
    "wado-uri": "uri",
}


@dataclass(frozen=True, slots=True)
class _Asked:
    route: str
    method: str
    principal: str
    request_id: str


@dataclass(frozen=True, slots=True)
class _Counters:
    """Those of one kind of answer."""

    requests: Callable[[], None]
    seconds: Callable[[float], None]
    sent: Callable[[float], None] | None


def begin() -> None:
    """A request comes in, to the thread that answers it."""
    spent.begin()


def described(environ: dict[str, Any], request: HttpRequest, response: HttpResponseBase) -> list[tuple[str, str]]:
    """Note what was asked; header fields to add. The answer's head is about to be sent."""
    found = request.resolver_match
    route = (found.url_name or found.route or "root") if found is not None else "refused"
    method = request.method if request.method in _METHODS else "other"
    principal = known_principal(request)
    named = getattr(request, "request_id", "")
    asked = _Asked(route, str(method), principal.id if principal else "", named)
    environ[FINISHED] = partial(_finished, asked)
    if route == "frames" and response.status_code == 200:
        metrics.FIRST_FRAME_SECONDS.observe(perf_counter() - spent.began)
    # Strangers are told no times: those of a look-up might tell them what is there.
    if principal is not None and settings.PACS.metrics.server_timing:
        return [("Server-Timing", spent.server_timing())]
    return []


def _finished(asked: _Asked, status: str, sent: int) -> None:
    """The last byte has gone, or never will. ``status`` is what was answered, ``sent`` the bytes of the body."""
    seconds = perf_counter() - spent.began
    code = int(status[:3])
    counters = _counters(asked.route, asked.method, code)
    counters.requests()
    counters.seconds(seconds)
    if counters.sent is not None:
        counters.sent(sent)
    if spent.statements:
        metrics.DB_SECONDS.inc(spent.db)
        metrics.DB_QUERIES.inc(spent.statements)
    if spent.store:
        metrics.STORE_SECONDS.inc(spent.store)
    milliseconds = seconds * 1000
    if milliseconds >= settings.PACS.metrics.slow_ms:
        metrics.HTTP_SLOW.inc()
        note(_slow(asked, code, milliseconds, sent))
    if settings.PACS.log_requests:
        told = (asked.method, asked.route, code, milliseconds, sent, asked.principal or "-")
        _log.info("%s %s %s %.1f ms %s bytes by %s", *told, extra={"fields": _fields(told)})
    request_id.set("")


@lru_cache(maxsize=2048)
def _counters(route: str, method: str, code: int) -> _Counters:
    requests = metrics.HTTP_REQUESTS.labels(route, method, str(code)).inc
    if (method, route) in _STORE:
        stores = metrics.STOW_REQUESTS.labels(str(code)).inc

        def both() -> None:
            requests()
            stores()

        return _Counters(both, metrics.STOW_SECONDS.observe, None)
    if method in ("GET", "HEAD") and route in _RETRIEVALS:
        return _Counters(requests, metrics.WADO_SECONDS.labels(_RETRIEVALS[route]).observe, metrics.WADO_BYTES.inc)
    if route in _SEARCH:
        return _Counters(requests, metrics.QIDO_SECONDS.observe, None)
    return _Counters(requests, metrics.HTTP_SECONDS.observe, None)


def _slow(asked: _Asked, code: int, milliseconds: float, sent: int) -> Slow:
    parts = (round(each * 1000, 1) for each in (spent.auth, spent.db, spent.store, spent.codec))
    auth, db, store, codec = parts
    known = (asked.route, asked.method, code, round(milliseconds, 1))
    return Slow(time.time(), *known, auth, db, store, codec, spent.statements, sent, asked.request_id)


def _fields(told: tuple[Any, ...]) -> dict[str, Any]:
    method, route, code, milliseconds, sent, principal = told
    return {
        "method": method,
        "route": route,
        "status": code,
        "ms": round(milliseconds, 1),
        "bytes": sent,
        "principal": principal,
    }
