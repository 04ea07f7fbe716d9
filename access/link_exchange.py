"""A share link is used: its secret, and PIN, become a token for some hours. A use is an exchange, and is counted."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.hashers import check_password
from django.db import transaction
from django.db.models import F, Max, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from access.link_principals import principal_of
from access.links import MARK, MOST_WRONG_PINS, about, digest, studies_of
from access.models import Grant, LinkToken, ShareLink, SignInAttempt
from access.policy import visible_studies
from access.principal import Principal
from access.throttle import attempt, forgive
from access.trail import event
from archive.models import Study
from audit.kinds import REFUSED, SHARE_USED, Outcome
from audit.record import record

# One text for all reasons: whoever holds half of a secret learns nothing.
DOES_NOT_WORK = "This link does not work. It may have ended, or the PIN is wrong."


class LinkRefused(Exception):
    """Unknown, revoked, ended, used up, locked, or with another PIN."""


class PinNeeded(Exception):
    """The secret is right, and a PIN belongs to it. Nothing was counted."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What an exchange gave; ``study_uids`` are those that the link opens now, newest first, 100 at the most."""

    principal: Principal
    token: str
    expires_at: datetime
    study_uids: tuple[str, ...]


def exchange(request: HttpRequest, secret: str, pin: str, lifetime: timedelta) -> Opened:
    """A token for ``secret``, good for ``lifetime`` and no longer than the link.

    Raises LinkRefused, PinNeeded, TooManyAttempts, AuditUnavailable (then there is no token and no use is counted).
    """
    link = ShareLink.objects.filter(secret_digest=digest(secret)).first()
    reason = _ended(link)
    if link is not None and not reason and link.pin_hash and not pin:
        raise PinNeeded
    tried = attempt(f"share link {digest(secret)}", getattr(request, "client_address", ""))
    if link is None or reason:
        _record_refusal(request, link, reason)
        raise LinkRefused
    if link.pin_hash and not _pin_is_right(link, pin):
        _record_refusal(request, link, "wrong PIN")
        raise LinkRefused
    opened = _use(request, link, lifetime)
    if opened is None:
        _record_refusal(request, link, "used up")
        raise LinkRefused
    if link.pin_hash:
        forgive(tried)
    else:
        SignInAttempt.objects.filter(pk__in=tried.rows).delete()
    return opened


def _ended(link: ShareLink | None) -> str:
    """Why the link opens nothing; "" if it does."""
    if link is None:
        return "unknown link"
    grants = Grant.objects.active().of_open_links().filter(link=link)
    if not grants.exists():
        return "revoked" if link.revoked_at else "ended"
    holder = principal_of(grants, "")
    if holder is None or (holder.maker is not None and not _opened(link, holder).exists()):
        return "whoever made it may not share it any more"
    if link.wrong_pins >= MOST_WRONG_PINS:
        return "locked after too many wrong PINs"
    return "used up" if link.most_uses is not None and link.uses >= link.most_uses else ""


def _pin_is_right(link: ShareLink, pin: str) -> bool:
    """Counted as wrong before it is looked at, so that many at once don't get more tries."""
    counted = ShareLink.objects.filter(pk=link.pk, wrong_pins__lt=MOST_WRONG_PINS)
    if not counted.update(wrong_pins=F("wrong_pins") + 1) or not check_password(pin, link.pin_hash):
        return False
    ShareLink.objects.filter(pk=link.pk).update(wrong_pins=F("wrong_pins") - 1)
    return True


def _use(request: HttpRequest, link: ShareLink, lifetime: timedelta) -> Opened | None:
    """Count the use, make the token and write both down together; None if somebody else took the last use."""
    token = MARK + secrets.token_urlsafe(32)
    with transaction.atomic():
        left = ShareLink.objects.filter(Q(most_uses__isnull=True) | Q(uses__lt=F("most_uses")), pk=link.pk)
        if not left.filter(revoked_at__isnull=True).update(uses=F("uses") + 1):
            return None
        grants = Grant.objects.active().of_open_links().filter(link=link)
        ends = grants.aggregate(ends=Max("valid_until"))["ends"]
        principal = principal_of(grants, digest(token)[:32])
        if ends is None or principal is None:
            return None
        expires_at = min(ends, timezone.now() + lifetime)
        LinkToken.objects.create(link=link, digest=digest(token), expires_at=expires_at)
        text = f"share link opened, use {link.uses + 1}"
        record([event(request, SHARE_USED, principal, outcome_description=text, **about(link))])
    uids = _opened(link, principal).values_list("study_instance_uid", flat=True)[:100]
    return Opened(principal, token, expires_at, tuple(uids))


def _opened(link: ShareLink, holder: Principal) -> QuerySet[Study]:
    """Of the studies that the link names those that it opens now."""
    return studies_of(link).filter(pk__in=visible_studies(holder))


def _record_refusal(request: HttpRequest, link: ShareLink | None, reason: str) -> None:
    known: dict[str, object] = {}
    if link is not None:
        known = {"principal_id": str(link.external_id), "principal_name": link.recipient, **about(link)}
    record(
        [
            event(
                request,
                REFUSED,
                None,
                principal_kind="link" if link else "anonymous",
                auth_method="link",
                decision="deny",
                rule=f"link:{link.external_id}" if link else "link",
                outcome=Outcome.MINOR_FAILURE,
                outcome_description=f"share link refused: {reason}",
                **known,
            )
        ]
    )
