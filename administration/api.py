"""What the JSON resources of the administration share: who may ask, the event of each answer, and plain refusals."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, MethodNotAllowed
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import SAFE_METHODS
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access import policy
from access.acting import Acting
from access.authentication import principal_of
from access.refused_change import RefusedChange
from access.roles import Permission
from access.trail import event
from administration.door import RULE, may_look
from audit.kinds import REFUSED, SEARCH, Outcome
from audit.record import record

TAG: Final = "Administration"
NO_STORE: Final = {"Cache-Control": "no-store"}
UUID_PATTERN: Final = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def refusals(**more: str) -> dict[int, OpenApiResponse]:
    """What every resource may answer besides, and ``more`` as ``s404="..."``."""
    named = {400: "The request can't be understood", 403: "The caller may not do this, or has to confirm first"}
    named |= {int(name[1:]): words for name, words in more.items()}
    return {number: OpenApiResponse(description=words) for number, words in sorted(named.items())}


def in_path(name: str, pattern: str = UUID_PATTERN, kind: str = "string") -> OpenApiParameter:
    """A variable of the path."""
    return OpenApiParameter(name, {"type": kind, "pattern": pattern}, OpenApiParameter.PATH)


class Forbidden(APIException):
    """403."""

    status_code = status.HTTP_403_FORBIDDEN
    default_code = "forbidden"
    default_detail = "your roles don't include this"


class Conflict(APIException):
    """409: the rules of the house don't allow it; the text says which."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class BadInput(APIException):
    """400; the text names what is wrong, and no value."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "invalid"


class AlwaysJson(DefaultContentNegotiation):
    """There is one representation; it is given whatever is accepted (RFC 9110 12.5.1)."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """JSON."""
        return JSONRenderer(), "application/json"


class Managed(APIView):
    """A resource that those who manage read and change, and that those who read the trail read."""

    content_negotiation_class = AlwaysJson
    # What changes need; it opens what is read here as well.
    right: ClassVar[Permission] = Permission.MANAGE

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Before every method. Raises MethodNotAllowed, and Forbidden with its event."""
        super().initial(request, *args, **kwargs)
        if request.method not in self.allowed_methods:
            raise MethodNotAllowed(request.method or "")
        principal = principal_of(request)
        reads = request.method in SAFE_METHODS
        if not (policy.may(principal, self.right) or (reads and may_look(principal))):
            denied = {"decision": "deny", "rule": RULE, "outcome": Outcome.MINOR_FAILURE}
            record([event(request._request, REFUSED, principal, **denied)])
            raise Forbidden

    def handle_exception(self, exc: Exception) -> Response:
        """A refused change is a conflict."""
        refused = isinstance(exc, RefusedChange)
        return super().handle_exception(Conflict(str(exc)) if refused else exc)

    def acting(self, request: Request) -> Acting:
        """Whoever asks, as the services want to know."""
        return Acting(request._request, principal_of(request))

    def read(self, request: Request, what: str, body: Any, *, study_uids: Iterable[str] = ()) -> Response:
        """The answer, after the event that it was looked at."""
        record(
            [event(request._request, SEARCH, principal_of(request), rule=RULE, query=what, study_uids=list(study_uids))]
        )
        return Response(body, headers=NO_STORE)


def given(form: serializers.Serializer[Any]) -> dict[str, Any]:
    """What was sent, checked. Raises BadInput."""
    if not form.is_valid():
        raise BadInput("; ".join(_told(form.errors)))
    checked: dict[str, Any] = form.validated_data
    return checked


def _told(errors: Mapping[str, Any] | Iterable[Any], name: str = "") -> Iterable[str]:
    """Each error with the way to its field; a choice that there is none of isn't repeated."""
    if isinstance(errors, Mapping):
        for field, inner in errors.items():
            yield from _told(inner, f"{name}.{field}" if name else str(field))
        return
    for error in errors:
        if isinstance(error, Mapping):
            yield from _told(error, name)
        else:
            words = "is none of those there are" if getattr(error, "code", "") == "invalid_choice" else str(error)
            yield f"{name}: {words}"
