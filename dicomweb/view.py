"""What every DICOMweb resource shares: who asks, may they, within which scope, the record of it, errors as answers."""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, ClassVar
from urllib.parse import urlsplit

import orjson
from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.http.request import split_domain_port
from django.views import View
from drf_spectacular.openapi import AutoSchema
from rest_framework.exceptions import AuthenticationFailed, MethodNotAllowed, NotAuthenticated, PermissionDenied
from rest_framework.views import get_view_description, get_view_name

from access.answer_fields import add_missing, pairs, replace, vary
from access.authentication import challenge, principal_of, refuse_forged
from access.link_door import mounted_at
from access.policy import is_closed, may, scope, visible_studies, withheld
from access.refusals import SILENT, Allowance, refusals
from access.roles import Permission, Scope
from access.trail import event
from archive.errors import Held, NotFound
from archive.locate import Address, Located, LocatedSeries, is_unlimited, patient_ids
from archive.models import Study
from audit import kinds
from audit.frame_reads import record_frames
from audit.kinds import EventKind, Outcome
from audit.record import record
from dicom.uids import is_uid
from dicomweb.content_coding import coded
from dicomweb.errors import BadRequest, NotAcceptable, error_response
from dicomweb.media_types import Representation, choose

Found = Sequence[Located | LocatedSeries]
# The answer to whoever may know of a study that a mark closes.
CLOSED = "this study is restricted; whoever may open patients in an emergency can do so in the portal"
# What UTF-8, which all text is answered in, is called in a `charset` parameter (PS3.18 8.8, Annex D).
_UTF_8 = frozenset({"utf-8", "utf8", "iso_ir 192"})
# Media types that a browser may show when an answer is opened by itself; everything else is saved.
_SHOWN = (
    *("application/dicom+json", "application/problem+json", "text/html", "text/plain"),
    *("image/jpeg", "image/png", "image/gif", "image/webp", "image/avif"),
)


_ROOT = "_dicomweb_root"
_NOTHING = QueryDict()
_PRIVATE = pairs({"Cache-Control": "private, no-cache"})
_SAVED = pairs({"Content-Disposition": "attachment"})
# What somebody stored is never a page of ours: opened by itself it may neither run nor load anything.
_INERT = pairs({"Content-Security-Policy": "sandbox; default-src 'none'"})


class DicomwebView(View):
    """A resource of PS3.18. A subclass declares the right it asks for and the event it leaves in the trail.

    Views are called by ``dicomweb.door`` alone, which has seen to it that somebody asks.
    """

    permission: ClassVar[Permission]
    # Rights that open a part of what ``permission`` does; which part, the transaction sees to.
    partly: ClassVar[tuple[Permission, ...]] = ()
    event: ClassVar[EventKind]
    # What GET looks up at its address first: "instances" or "series" (``dicomweb.look_ahead``).
    looks_up: ClassVar[str] = ""
    # What ``extend_schema`` of a class adds to; ``dicomweb.openapi`` reads it.
    schema: Any = AutoSchema()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The answer of the method, or to what went wrong with it, with what all answers bear."""
        try:
            self.initial(request)
            # By its whole name: "get" is no method, and no other attribute is one.
            name = (request.method or "").lower()
            answer = getattr(self, name, None) if name in self.http_method_names else None
            if answer is None:
                raise MethodNotAllowed(request.method or "")
            response = answer(request, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - what is not in the table is raised again
            response = self._refusal(error)
        return self._completed(request, response)

    def initial(self, request: HttpRequest) -> None:
        """Refuse, and record the refusal of, whoever lacks the right altogether."""
        self.check_origin(request)
        self.check_right(request)

    def check_origin(self, request: HttpRequest) -> None:
        """Raises NotAuthenticated, and PermissionDenied for a form of another site."""
        principal_of(request)
        if "HTTP_AUTHORIZATION" not in request.META:
            refuse_forged(request)

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The resource in words; its methods are in ``Allow``."""
        told = {
            "name": get_view_name(self),  # type: ignore[arg-type]
            "description": get_view_description(self),  # type: ignore[arg-type]
            "renders": ["application/json"],
            "parses": [],
        }
        return HttpResponse(orjson.dumps(told), content_type="application/json")

    def check_right(self, request: HttpRequest) -> None:
        """Raises PermissionDenied for whoever lacks the right that ``permission`` names, and every part of it."""
        principal = principal_of(request)
        if not (may(principal, self.permission) or any(may(principal, right) for right in self.partly)):
            raise PermissionDenied(f"your role does not include the right to {self.permission.value}")

    def scope(self, request: HttpRequest) -> QuerySet[Study]:
        """The studies on which the principal may use this resource's right."""
        return visible_studies(principal_of(request), self.permission)

    def sees_all(self, request: HttpRequest) -> bool:
        """Whether the principal's right reaches every study, so that counts of the whole archive tell nothing new."""
        principal = principal_of(request)
        return principal.patient is None and scope(principal, self.permission) is Scope.ALL

    def withheld(self, request: HttpRequest) -> frozenset[str]:
        """The tags of attributes that the principal is not shown (``dicomweb.attribute_filter``)."""
        return withheld(principal_of(request), self.permission)

    def record(self, request: HttpRequest, **fields: Any) -> None:
        """Leave this resource's event in the trail; it is durable when this returns, or inside the open transaction."""
        record([event(request, self.event, principal_of(request), **fields)])

    def record_read(self, request: HttpRequest, address: Address, of: Found = (), **fields: Any) -> None:
        """The event of reading what is at ``address``, ``of`` which this was found: before the first byte leaves."""
        self.record(request, **_at(address, of), **fields)

    def record_frames(self, request: HttpRequest, address: Address, frames: int, of: Found = (), **fields: Any) -> None:
        """As ``record_read``, for one of many answers with frames: they are counted together."""
        described = event(request, self.event, principal_of(request), **_at(address, of), **fields)
        record_frames(described, frames)

    def negotiate(self, request: HttpRequest, offers: Sequence[Representation]) -> Representation:
        """The offer that the client prefers (PS3.18 8.7). Raises ``NotAcceptable``, ``BadRequest``."""
        queried = request.GET if request.META.get("QUERY_STRING") else _NOTHING
        charsets = ",".join(queried.getlist("charset"))
        if charsets and _UTF_8.isdisjoint(name.partition(";")[0].strip(' "').lower() for name in charsets.split(",")):
            raise BadRequest("charset: answers are in UTF-8 only")
        asked = ",".join(queried.getlist("accept")) or None
        chosen = choose(request.META.get("HTTP_ACCEPT"), asked, offers)
        if chosen is None:
            listed = "; ".join(sorted({offer.content_type for offer in offers}))
            raise NotAcceptable(f"available: {listed}")
        return chosen

    def _refusal(self, error: Exception) -> HttpResponseBase:
        """Errors by the one table; a refusal leaves its own event. What is not in the table is raised again."""
        if isinstance(error, NotFound) and self._is_closed():
            error = PermissionDenied(CLOSED)
        response = error_response(error)
        if response is None:
            raise error
        if isinstance(error, NotAuthenticated | AuthenticationFailed):
            response["WWW-Authenticate"] = challenge(self.request)
        if isinstance(error, PermissionDenied):
            text = str(error.detail)
            rule = "restriction" if text == CLOSED else f"right:{getattr(self, 'permission', 'none')}"
            self._record_refusal(text, rule)
        if isinstance(error, Held):
            self._record_refusal(str(error), "legal hold")
        if isinstance(error, NotFound):
            self._record_out_of_reach()
        return response

    def _completed(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """With the fields that all answers bear; DICOM data is never cached by others."""
        response = coded(request.META.get("HTTP_ACCEPT_ENCODING", ""), response)
        fields = response.headers
        content_type = fields.get("Content-Type", "")
        vary(response, "Accept")
        if response.status_code == 204:
            del fields["Content-Type"]  # there is a type only where there is a payload (PS3.18 8.7.9)
            content_type = ""
        add_missing(response, _PRIVATE)
        if request.method in ("GET", "HEAD") and response.status_code in (200, 206) and self._is_representation():
            fields.setdefault("Content-Location", _own_url(request))
        replace(response, _INERT)
        if not content_type.startswith(_SHOWN):
            add_missing(response, _SAVED)
        response["Allow"] = _allowed(self.__class__)  # type: ignore[arg-type]
        return response

    def _is_representation(self) -> bool:
        """Whether the answer stands for what is stored, so that its payload has a URL (PS3.18 8.4.2)."""
        return getattr(self, "permission", None) in (Permission.RETRIEVE, Permission.OBJECTS)

    def _is_closed(self) -> bool:
        """Whether the study is there for the principal but for a mark, which it is told of."""
        uid = self._study()
        return bool(uid) and is_closed(principal_of(self.request), self.permission, uid)

    def _study(self) -> str:
        """The study that is asked for, "" for none. A parameter may be anything, and is looked up only as a UID."""
        named = str(self.kwargs.get("study") or self.request.GET.get("studyUID", ""))
        return named if is_uid(named) else ""

    def _record_refusal(self, text: str, rule: str) -> None:
        record(
            [
                event(
                    self.request,
                    kinds.REFUSED,
                    principal_of(self.request),
                    decision="deny",
                    rule=rule,
                    outcome=Outcome.SERIOUS_FAILURE,
                    outcome_description=text,
                    study_uids=[uid] if (uid := self._study()) else [],
                )
            ]
        )

    def _record_out_of_reach(self) -> None:
        """Write down who asks for studies that are out of reach, whether or not they exist.

        The same look-up and the same event in both cases: neither the answer nor its time tells them apart. To whoever
        may see all studies nothing is out of reach but what a mark closes.
        """
        principal = principal_of(self.request)
        uid = self._study()
        reached = self.scope(self.request)
        if not uid or is_unlimited(reached) or reached.filter(study_instance_uid=uid).exists():
            return
        if self.sees_all(self.request) and not Study.objects.filter(study_instance_uid=uid).exists():
            return
        allowed = refusals.allows(principal.id)
        if allowed is Allowance.NO:
            return
        exists = Study.objects.filter(study_instance_uid=uid).exists()
        text = "not granted" if exists else "no such study"
        record(
            [
                event(
                    self.request,
                    kinds.REFUSED,
                    principal,
                    decision="deny",
                    rule=f"scope:{self.permission.value}",
                    outcome=Outcome.MINOR_FAILURE,
                    outcome_description=text if allowed is Allowance.YES else f"{text}; {SILENT}",
                    study_uids=[uid],
                )
            ]
        )


def _at(address: Address, of: Found) -> dict[str, Any]:
    """Where an event happened, and whose images it was about (PS3.15 A.5.3.6, A.5.3.7)."""
    return {
        "patient_ids": patient_ids(of),
        "study_uids": [address.study_instance_uid],
        "series_uid": address.series_instance_uid or "",
        "instance_uid": address.sop_instance_uid or "",
    }


@cache
def _allowed(view: type[DicomwebView]) -> str:
    """The methods of a resource; HEAD wherever there is GET."""
    has = {name for name in view.http_method_names if hasattr(view, name)}
    return ", ".join(
        name.upper() for name in view.http_method_names if name in has or (name == "head" and "get" in has)
    )


def dicomweb_root(request: HttpRequest) -> str:
    """The DICOMweb root as the client reaches it, for URLs in answers.

    The configured public root; under another allowed host name (``localhost`` instead of ``127.0.0.1``) that name, so
    that a browser stays on its own origin. Some clients send Host without the port, and nobody allowed any other port
    than the public root's: with one that is neither, the public root it is. Below a share link's addresses its prefix
    stays, because the link's cookie goes nowhere else.
    """
    root: str | None = getattr(request, _ROOT, None)
    if root is None:
        root = _root(settings.PACS.public_root, request.scheme or "", request.get_host(), mounted_at(request))
        setattr(request, _ROOT, root)
    return root


@lru_cache(maxsize=256)
def _root(public_root: str, scheme: str, host: str, prefix: str) -> str:
    """Of the same words always the same; hosts are those allowed, with any port."""
    configured = urlsplit(public_root)
    name, port = split_domain_port(host)
    if name.strip("[]") == configured.hostname or port not in ("", str(configured.port or "")):
        return f"{public_root}{prefix}/dicom-web"
    return f"{scheme}://{name}{port and f':{port}'}{prefix}/dicom-web"


def _own_url(request: HttpRequest) -> str:
    """The URL of this very answer as the client reaches it."""
    return dicomweb_root(request) + request.get_full_path().partition("/dicom-web")[2]


def json_response(body: bytes | str, status: int = 200) -> HttpResponse:
    """DICOM JSON (PS3.18 F.2)."""
    return HttpResponse(body, status=status, content_type="application/dicom+json")
