"""What every DICOMweb resource shares: who asks, may they, within which scope, the record of it, errors as answers."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBase
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, PermissionDenied
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from access.authentication import challenge, principal_of
from access.policy import may, scope, visible_studies
from access.refusals import SILENT, Allowance, refusals
from access.roles import Permission, Scope
from access.trail import event
from archive.errors import NotFound
from archive.locate import Address
from archive.models import Study
from audit import kinds
from audit.kinds import EventKind, Outcome
from audit.record import record
from dicomweb.errors import NotAcceptable, error_response
from dicomweb.media_types import Representation, choose

# Media types that a browser may show when an answer is opened by itself; everything else is saved.
_SHOWN = ("application/dicom+json", "application/problem+json", "image/jpeg", "image/png", "image/gif")


class _OwnNegotiation(BaseContentNegotiation):
    """Content negotiation is ``dicomweb.media_types``; DRF's is told to keep out of it."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> None:
        return None

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return JSONRenderer(), "application/json"


class DicomwebView(APIView):
    """A resource of PS3.18. A subclass declares the right it asks for and the event it leaves in the trail."""

    permission: ClassVar[Permission]
    event: ClassVar[EventKind]
    content_negotiation_class = _OwnNegotiation
    parser_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse, and record the refusal of, whoever lacks the right altogether."""
        super().initial(request, *args, **kwargs)
        if not may(principal_of(request), self.permission):
            raise PermissionDenied(f"your role does not include the right to {self.permission.value}")

    def scope(self, request: Request) -> QuerySet[Study]:
        """The studies on which the principal may use this resource's right."""
        return visible_studies(principal_of(request), self.permission)

    def record(self, request: Request, **fields: Any) -> None:
        """Leave this resource's event in the trail; it is durable when this returns, or inside the open transaction."""
        record([event(request._request, self.event, principal_of(request), **fields)])

    def record_read(self, request: Request, address: Address, **fields: Any) -> None:
        """The event of reading what is at ``address``: called before the first byte leaves."""
        self.record(
            request,
            study_uids=[address.study_instance_uid],
            series_uid=address.series_instance_uid or "",
            instance_uid=address.sop_instance_uid or "",
            **fields,
        )

    def negotiate(self, request: Request, offers: Sequence[Representation]) -> Representation:
        """The offer that the client prefers (PS3.18 8.7). Raises ``NotAcceptable``."""
        asked = ",".join(request._request.GET.getlist("accept")) or None
        chosen = choose(request.headers.get("Accept"), asked, offers)
        if chosen is None:
            listed = "; ".join(sorted({offer.content_type for offer in offers}))
            raise NotAcceptable(f"available: {listed}")
        return chosen

    def handle_exception(self, exc: Exception) -> Any:
        """Errors by the one table; a refusal leaves its own event."""
        response = error_response(exc)
        if response is None:
            return super().handle_exception(exc)
        if isinstance(exc, NotAuthenticated | AuthenticationFailed):
            response["WWW-Authenticate"] = challenge(self.request._request)
        if isinstance(exc, PermissionDenied):
            self._record_refusal(exc)
        if isinstance(exc, NotFound):
            self._record_out_of_reach()
        return response

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Plain Django responses go out as they are; DICOM data is never cached by others; HEAD has no body."""
        if request.method == "HEAD" and getattr(response, "streaming", False):
            response.close()
            response = HttpResponse(status=response.status_code, headers=dict(response.items()))
        if isinstance(response, HttpResponseBase):
            response.headers.setdefault("Cache-Control", "private, no-cache")
            # What somebody stored is never a page of ours: opened by itself it may neither run nor load anything.
            response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
            if not response.headers.get("Content-Type", "").startswith(_SHOWN):
                response.headers.setdefault("Content-Disposition", "attachment")
        return super().finalize_response(request, response, *args, **kwargs)

    def _record_refusal(self, exc: PermissionDenied) -> None:
        record(
            [
                event(
                    self.request._request,
                    kinds.REFUSED,
                    principal_of(self.request),
                    decision="deny",
                    rule=f"right:{self.permission.value}",
                    outcome=Outcome.SERIOUS_FAILURE,
                    outcome_description=str(exc.detail),
                    study_uids=[uid] if (uid := self.kwargs.get("study")) else [],
                )
            ]
        )

    def _record_out_of_reach(self) -> None:
        """Write down who asks for studies that were not granted, whether or not they exist.

        The same look-up and the same event in both cases: neither the answer nor its time tells them apart.
        """
        principal = principal_of(self.request)
        uid = str(self.kwargs.get("study") or self.request._request.GET.get("studyUID", ""))
        if not uid or scope(principal, self.permission) is not Scope.GRANTED:
            return
        if self.scope(self.request).filter(study_instance_uid=uid).exists():
            return
        allowed = refusals.allows(principal.id)
        if allowed is Allowance.NO:
            return
        exists = Study.objects.filter(study_instance_uid=uid).exists()
        text = "not granted" if exists else "no such study"
        record(
            [
                event(
                    self.request._request,
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


def dicomweb_root(request: Request) -> str:
    """The DICOMweb root as the client reaches it, for URLs in answers.

    The configured public root; under another allowed host name (``localhost`` instead of ``127.0.0.1``) that name, so
    that a browser stays on its own origin. Some clients send Host without the port: the name decides.
    """
    configured = urlsplit(settings.PACS.public_root)
    host = request.get_host()
    if host.rsplit(":", 1)[0] == configured.hostname or host == configured.netloc:
        return f"{settings.PACS.public_root}/dicom-web"
    return f"{request.scheme}://{host}/dicom-web"


def json_response(body: bytes | str, status: int = 200) -> HttpResponse:
    """DICOM JSON (PS3.18 F.2)."""
    return HttpResponse(body, status=status, content_type="application/dicom+json")
