"""What every request and answer carries: an id, the client's address, and the headers that keep browsers strict.

Whether a text is an address is remembered of 256 texts: that never changes.
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.http.request import split_domain_port
from django.middleware.common import CommonMiddleware

from access.answer_fields import add_missing, pairs, replace, vary
from telemetry import at_work

_FROM_ELSEWHERE: Final = re.compile(settings.CORS_URLS_REGEX)
# Orchestrators and scrapers ask each process for these by its own address, which no setting can name.
_OF_A_PROCESS: Final = frozenset({"/livez", "/readyz", "/metrics"})
REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
# Pages that need more (the viewer, the API's documentation) set their own header; these fill what is missing.
DEFAULT_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": settings.X_FRAME_OPTIONS,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": settings.SECURE_REFERRER_POLICY or "",
    "Cross-Origin-Opener-Policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY or "",
}
_DEFAULTS: Final = pairs(DEFAULT_HEADERS)
_HTTPS_ONLY: Final = pairs({"Strict-Transport-Security": f"max-age={settings.SECURE_HSTS_SECONDS}"})


class RequestContext:
    """Sets ``request.request_id`` and ``request.client_address``; answers with ``X-Request-ID`` and the headers above.

    A client may name its request (1 to 64 characters of ``A-Za-z0-9._:-``), so that its log and our trail meet.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Mark the request, pass it on, complete the answer."""
        offered = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = offered if REQUEST_ID.fullmatch(offered) else os.urandom(16).hex()
        request.request_id = request_id  # type: ignore[attr-defined]
        at_work.request_id.set(request_id)
        request.client_address = client_address(  # type: ignore[attr-defined]
            request.META.get("REMOTE_ADDR", ""),
            request.META.get("HTTP_X_FORWARDED_FOR", ""),
            settings.PACS.trusted_proxies,
        )
        # TLS ends at a proxy of ours: what it says about the client's side counts.
        forwarded = request.META.get("HTTP_X_FORWARDED_PROTO") == "https"
        if forwarded and _is_trusted(request.META.get("REMOTE_ADDR", ""), settings.PACS.trusted_proxies):
            request.META["wsgi.url_scheme"] = "https"
        response = self.get_response(request)
        replace(response, pairs({"X-Request-ID": request_id}))
        add_missing(response, _DEFAULTS)
        if settings.SECURE_HSTS_SECONDS and request.is_secure():
            add_missing(response, _HTTPS_ONLY)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Cache-Control", "no-store")
        if request.method == "HEAD":
            _drop_body(response)
        return response


class Cors(CorsMiddleware):
    """As the library's; whoever does not ask from another site is only told that it would have mattered."""

    def __call__(self, request: HttpRequest) -> Any:
        """Pass on what has no origin; answer, or complete the answer to, what has."""
        if "HTTP_ORIGIN" in request.META or request.method == "OPTIONS":
            return super().__call__(request)
        path = request.path_info
        response = self.get_response(request)
        if _FROM_ELSEWHERE.match(path):
            vary(response, "origin")  # type: ignore[arg-type]
        return response


class Common(CommonMiddleware):
    """As Django's; what is of one process is answered by any address of it, and to a token by any name. A browser that
    was led here by another's name (DNS rebinding) has neither."""

    def process_request(self, request: HttpRequest) -> Any:
        """Refuse names that aren't ours."""
        if request.path_info in _OF_A_PROCESS:
            name, _ = split_domain_port(request.META.get("HTTP_HOST", ""))
            if "HTTP_AUTHORIZATION" in request.META or _valid(name.strip("[]")):
                return None
        return super().process_request(request)


def _drop_body(response: HttpResponseBase) -> None:
    """The head alone, Content-Length included (RFC 9110 9.3.2); the server would drop the body with a warning each."""
    if isinstance(response, StreamingHttpResponse):
        response.streaming_content = ()
    elif isinstance(response, HttpResponse):
        response.content = b""


def client_address(peer: str, forwarded: str, trusted: Sequence[str]) -> str:
    """The address of the client: ``peer``, or behind trusted proxies the last one in ``forwarded`` that is none.

    ``trusted`` has addresses, networks, or ``unix`` for a proxy on a unix socket. "" where nothing valid is known.
    """
    address = peer
    for hop in reversed([hop.strip() for hop in forwarded.split(",")] if forwarded else []):
        if not _is_trusted(address, trusted) or not _valid(hop):
            break
        address = hop
    return address if _valid(address) else ""


def _is_trusted(address: str, trusted: Sequence[str]) -> bool:
    if not _valid(address):
        return "unix" in trusted
    known = ipaddress.ip_address(address)
    return any(known in ipaddress.ip_network(network, strict=False) for network in trusted if network != "unix")


@lru_cache(maxsize=256)
def _valid(address: str) -> bool:
    """An address without the zone of an interface, which says nothing elsewhere and which no column holds."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return "%" not in address
