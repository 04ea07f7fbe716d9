"""``GET /metrics``: what Prometheus scrapes, of all processes that share this host's folder of metrics.

Closed unless proved otherwise: figures say how busy a hospital is. A scraper shows the token of
``PACS_METRICS__TOKEN``, or comes from a network of ``PACS_METRICS__ALLOW`` without the mark of a proxy that nobody
named; people who may look at the administration may look at these as well, and that stands in the trail.
"""

import hmac
from ipaddress import ip_address, ip_network
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request

from access.authentication import principal_of
from access.middleware import open_to_all
from access.trail import event
from administration.api import Managed, refusals
from administration.door import RULE
from audit.kinds import SEARCH
from audit.record import record
from pacs_project.gauges import figures
from telemetry.exposition import CONTENT_TYPE, exposition

_PROXIED: Final = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")


class Metrics(Managed):
    """``/metrics`` for whoever may look at the administration."""

    @extend_schema(
        operation_id="metrics",
        summary="Counters, times and gauges for Prometheus",
        tags=["Health"],
        description="A scraper shows the token of PACS_METRICS__TOKEN as its Bearer token instead.",
        responses={(200, "text/plain"): OpenApiResponse(OpenApiTypes.STR, "The text format 0.0.4"), **refusals()},
    )
    def get(self, request: Request) -> HttpResponse:
        """The figures, after the event that they were looked at."""
        record([event(request._request, SEARCH, principal_of(request), rule=RULE, query="metrics")])
        return _scrape()


_for_people: Final = Metrics.as_view()


@open_to_all
def metrics(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
    """To scrapers at once; everybody else has to be somebody who may look."""
    if request.method in ("GET", "HEAD") and (_has_token(request) or _is_near(request)):
        return _scrape()
    answer: HttpResponseBase = _for_people(request, **kwargs)
    return answer


# What the OpenAPI document is made of.
metrics.cls = Metrics  # type: ignore[attr-defined]
metrics.view_class = Metrics  # type: ignore[attr-defined]
metrics.initkwargs = {}  # type: ignore[attr-defined]
metrics.csrf_exempt = True  # type: ignore[attr-defined]


def _scrape() -> HttpResponse:
    return HttpResponse(exposition(figures()), content_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})


def _has_token(request: HttpRequest) -> bool:
    token = settings.PACS.metrics.token.get_secret_value()
    shown = request.META.get("HTTP_AUTHORIZATION", "")
    return bool(token) and hmac.compare_digest(shown.encode(), f"Bearer {token}".encode())


def _is_near(request: HttpRequest) -> bool:
    """Whether it comes from an allowed network. A proxy on such a network that nobody named as ours could stand for
    the whole world: what it passes on isn't near."""
    allowed = settings.PACS.metrics.allow
    address = getattr(request, "client_address", "")
    if not allowed or not address:
        return False
    known = ip_address(address)
    if address == request.META.get("REMOTE_ADDR") and any(name in request.META for name in _PROXIED):
        return False
    return any(known in ip_network(network, strict=False) for network in allowed)
