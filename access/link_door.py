"""Where a share link's holder comes in: addresses below ``/share/<link>/``, with a cookie for these alone, or a token.

``/share/<link>/dicom-web/...`` and ``/share/<link>/viewer/...`` are the same resources as without the prefix, asked by
the link. The cookie's path keeps two links, and a link and a session, apart within one browser.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from rest_framework.exceptions import AuthenticationFailed

from access.links import link_of_token, token_principal
from access.principal import Principal
from access.refusals import SILENT, Allowance, refusals
from access.trail import event
from audit.kinds import REFUSED, Outcome
from audit.record import record
from dicom.uids import is_uid

COOKIE: Final = "lightbox_link"
# The viewer's own files have one address for everybody; no data of patients is there.
FILES_COOKIE: Final = "lightbox_link_files"
VIEWER_FILES: Final = "/viewer/build/"
ENDED: Final = "the link has ended, or its address has to be opened again"
_MOUNTED: Final = re.compile(
    r"/share/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(/(?:dicom-web|viewer)/.*)", re.DOTALL
)
_LINK: Final = "_share_link"
_FOR_LINKS: Final = "open_to_links"
View = TypeVar("View", bound=Callable[..., Any])


class ShareMount:
    """Takes ``/share/<link>`` off the path that is routed, and remembers the link; search engines are sent away."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Route as without the prefix; ``request.path`` keeps it, for addresses in answers."""
        found = _MOUNTED.fullmatch(request.path_info)
        if found is None:
            return self.get_response(request)
        setattr(request, _LINK, found[1])
        request.path_info = found[2]
        response = self.get_response(request)
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
        return response


def mounted_link(request: HttpRequest) -> str | None:
    """The link below whose addresses the request came; None for any other address."""
    return getattr(request, _LINK, None)


def mount_of(link_id: str) -> str:
    """The prefix of a link's addresses."""
    return f"/share/{link_id}"


def mounted_at(request: HttpRequest) -> str:
    """The prefix under which the request came; "" for any other address."""
    link = mounted_link(request)
    return mount_of(link) if link else ""


def open_to_links(view: View) -> View:
    """Mark a view that the holder of a share link may ask; all others refuse them, whatever they show."""
    setattr(view, _FOR_LINKS, True)
    return view


def is_open_to_links(view: object) -> bool:
    """Whether ``view`` is so marked."""
    return getattr(view, _FOR_LINKS, False)


def set_cookie(response: HttpResponseBase, link_id: str, token: str, expires_at: datetime) -> None:
    """Give the browser the token for the link's addresses and for the viewer's files, and for nothing else."""
    for name, path in ((COOKIE, f"{mount_of(link_id)}/"), (FILES_COOKIE, VIEWER_FILES)):
        response.set_cookie(
            name,
            token,
            expires=expires_at,
            path=path,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Strict",
        )


def by_cookie(request: HttpRequest, link_id: str | None = None) -> Principal | None:
    """The holder of the link whose token the cookie is; None without a cookie. Raises AuthenticationFailed.

    ``link_id`` is the one that the address names; the address of a file names none.
    """
    token = request.COOKIES.get(FILES_COOKIE if link_id is None else COOKIE)
    if not token:
        return None
    found = by_token(request, token)
    if link_id is not None and found.id != link_id:
        raise AuthenticationFailed(ENDED)
    return found


def by_token(request: HttpRequest, token: str) -> Principal:
    """The holder of a link's token. Raises AuthenticationFailed; if the token is ours, the trail has the refusal."""
    found = token_principal(token)
    if found is None:
        _record_ended(request, token)
        raise AuthenticationFailed(ENDED)
    return found


def record_out_of_place(request: HttpRequest, principal: Principal) -> None:
    """A link's holder asked for something that is not for links."""
    _record_refusal(request, "not open to share links", str(principal.id), principal.name, principal.token_id)


def _record_ended(request: HttpRequest, token: str) -> None:
    link = link_of_token(token)
    if link is not None:
        _record_refusal(request, "the share link has ended", str(link.external_id), link.recipient)


def _record_refusal(request: HttpRequest, text: str, link_id: str, recipient: str, token_id: str = "") -> None:
    allowed = refusals.allows(link_id)
    if allowed is Allowance.NO:
        return
    record(
        [
            event(
                request,
                REFUSED,
                None,
                principal_kind="link",
                principal_id=link_id,
                principal_name=recipient,
                auth_method="link",
                token_id=token_id,
                decision="deny",
                rule=f"link:{link_id}",
                outcome=Outcome.MINOR_FAILURE,
                outcome_description=text if allowed is Allowance.YES else f"{text}; {SILENT}",
                study_uids=[uid] if (uid := _asked_study(request)) else [],
            )
        ]
    )


def _asked_study(request: HttpRequest) -> str:
    named = str(request.resolver_match.kwargs.get("study", "")) if request.resolver_match else ""
    return named if is_uid(named) else ""
