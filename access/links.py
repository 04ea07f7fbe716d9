"""Share links: made for one recipient, exchanged for a cookie or a token, ended. Each step with its event.

The secret has 256 bits and stands in the fragment of the address, which browsers send to nobody; only its hash is kept.
Each request looks up the link again, so that what ended opens nothing from the next request on.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest

from access.link_principals import principal_of
from access.models import Grant, ShareLink, User
from access.principal import Principal
from access.rights import Right
from access.trail import event, system_event
from archive.models import Patient, Series, Study
from audit.kinds import SHARE, SHARE_ENDED
from audit.record import NewAccessEvent, record

PAGE: Final = "/s/"
PIN_DIGITS: Final = 6
MOST_WRONG_PINS: Final = 20
MOST_DAYS: Final = 90
# Tokens of links begin so, and those of machines don't.
MARK: Final = "lnk_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A link to be made: of one study, of one of its series, or of one patient's studies if ``whole_patient``; ``pin``
    for one with a PIN."""

    study: Study
    recipient: str
    purpose: str
    until: datetime
    rights: Sequence[Right]
    pin: bool = False
    most_uses: int | None = None
    whole_patient: bool = False
    series: Series | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A new link. Its address and its PIN ("" without one) are kept nowhere else."""

    link: ShareLink
    address: str
    pin: str


def make_link(wish: Wish, by: User | None, request: HttpRequest | None, principal: Principal | None) -> Made:
    """Make the link and write it down; ``request`` and ``principal`` None on the command line."""
    secret = secrets.token_urlsafe(32)
    pin = f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}}" if wish.pin else ""
    rights = sorted({Right.VIEW.value, *(right.value for right in wish.rights)})
    scope, what = _scope(wish)
    with transaction.atomic():
        link = ShareLink.objects.create(
            secret_digest=digest(secret),
            pin_hash=make_password(pin) if pin else "",
            recipient=wish.recipient,
            purpose=wish.purpose,
            most_uses=wish.most_uses,
            created_by=by,
        )
        Grant.objects.create(link=link, rights=rights, valid_until=wish.until, granted_by=by, **scope)
        described = (
            f"share link {link.external_id} for {wish.recipient} until {wish.until.isoformat(timespec='minutes')}: "
            f"{', '.join(rights)}{what}"
        )
        record([_of_link(link, described, request, principal)])
    return Made(link, f"{settings.PACS.public_root}{PAGE}#{secret}", pin)


def _scope(wish: Wish) -> tuple[dict[str, Study | Series | Patient], str]:
    """The field of the grant that names what is opened, and how the event says so."""
    if wish.whole_patient:
        return {"patient": wish.study.patient}, " on all studies of the patient"
    if wish.series is not None:
        return {"series": wish.series}, " on one series"
    return {"study": wish.study}, ""


def revoke(link: ShareLink, request: HttpRequest | None, principal: Principal | None) -> bool:
    """End the link, from the next request on; False if it was revoked already."""
    with transaction.atomic():
        if not ShareLink.objects.filter(pk=link.pk, revoked_at__isnull=True).update(revoked_at=Now()):
            return False
        text = f"share link {link.external_id} revoked"
        record([_of_link(link, text, request, principal, ended=True)])
    return True


def _of_link(
    link: ShareLink, text: str, request: HttpRequest | None, principal: Principal | None, *, ended: bool = False
) -> NewAccessEvent:
    kind = SHARE_ENDED if ended else SHARE
    fields = about(link)
    if request is None:
        return system_event(kind, text, **fields)
    return event(request, kind, principal, outcome_description=text, **fields)


def about(link: ShareLink) -> dict[str, object]:
    """What an event says of a link besides who did what: purpose, and what it opens as of now."""
    named = studies_of(link).select_related("patient")[:100]
    return {
        "purpose": link.purpose,
        "study_uids": [study.study_instance_uid for study in named],
        "patient_ids": sorted({study.patient.patient_id for study in named if study.patient.patient_id}),
    }


def studies_of(link: ShareLink) -> QuerySet[Study]:
    """The studies that the link names, whether or not it is open, newest first."""
    by_study = Study.objects.filter(grants__link=link)
    of_person = Q(patient__grants__link=link) | Q(patient__further_identifiers__grants__link=link)
    by_patient = Study.objects.filter(of_person)
    by_series = Study.objects.filter(series__grants__link=link)
    named = by_study.values("pk").union(by_patient.values("pk"), by_series.values("pk"))
    return Study.objects.filter(pk__in=named).order_by("-study_date", "-study_time", "-id")


def state(link: ShareLink, now: datetime, *, has_lapsed: bool = False) -> str:
    """What has become of a link, in a word or two for people; its grants are asked for. ``has_lapsed`` where whoever
    made it may not share it any more (``access.link_principals``)."""
    ends = max((grant.valid_until for grant in link.grants.all() if grant.valid_until), default=None)
    if link.revoked_at is not None:
        return "revoked"
    if link.created_by is not None and not link.created_by.is_active:
        return "switched off"
    if ends is None or ends <= now:
        return "ended"
    if has_lapsed:
        return "no longer allowed"
    if link.wrong_pins >= MOST_WRONG_PINS:
        return "locked"
    if link.most_uses is not None and link.uses >= link.most_uses:
        return "used up"
    return "open"


def token_principal(token: str) -> Principal | None:
    """The principal of a cookie or bearer token of a link; None if it is unknown, or its link has ended. One query."""
    found = digest(token)
    grants = Grant.objects.active().of_open_links()
    return principal_of(grants.filter(link__tokens__digest=found, link__tokens__expires_at__gt=Now()), found[:32])


def link_of_token(token: str) -> ShareLink | None:
    """The link that a token was given for, whatever has become of it; None if the token is unknown."""
    return ShareLink.objects.filter(tokens__digest=digest(token)).first()


def digest(secret: str) -> str:
    """What is kept of a secret: 256 random bits need no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()
