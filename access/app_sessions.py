"""An app acts for a person: from the consent, by way of a code used once, through refresh tokens used once each.

Whatever is used a second time was stolen from somebody: the session ends with all its tokens (RFC 6749 4.1.2,
RFC 9700 4.14.2), and the trail has an alert.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from access.acting import Acting
from access.models import AppSession, Client, User
from access.smart import is_of_one_patient
from access.trail import event
from archive.models import Patient
from audit.kinds import REFUSED, USER_CHANGED, Outcome
from audit.record import record

CODE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person allows an app. ``challenge`` is the app's S256 code challenge (RFC 7636 4.2)."""

    client: Client
    scopes: tuple[str, ...]
    redirect_uri: str
    challenge: str
    patient: Patient | None = None


def begin(consent: Consent, user: User, by: Acting) -> str:
    """A code for the app, good for a minute and one exchange; it is kept nowhere else.

    Raises ValueError if the scopes are of one patient and none was chosen.
    """
    if is_of_one_patient(consent.scopes) and consent.patient is None:
        raise ValueError("these scopes need a patient")
    code = secrets.token_urlsafe(32)
    now = timezone.now()
    with transaction.atomic():
        session = AppSession.objects.create(
            user=user,
            client=consent.client,
            scope=" ".join(consent.scopes),
            patient=consent.patient,
            redirect_uri=consent.redirect_uri,
            code_digest=digest(code),
            code_challenge=consent.challenge,
            code_expires_at=now + timedelta(seconds=CODE_SECONDS),
            expires_at=now + timedelta(hours=settings.PACS.app_session_hours),
        )
        text = f"{described(session)} may act for person {user.external_id}: {session.scope}"
        record([by.event(USER_CHANGED, text, patient_ids=patient_ids(session))])
    return code


def of_code(code: str, client: Client) -> AppSession | None:
    """The session of a code that may be exchanged now, locked so that it is exchanged once; None for any other."""
    found = (
        AppSession.objects.select_for_update(of=("self",))
        .select_related("user")
        .filter(code_digest=digest(code), client=client, started_at=None, ended_at=None, code_expires_at__gt=Now())
    )
    return found.filter(user__is_active=True).first()


def of_refresh_token(token: str) -> AppSession | None:
    """The session of a refresh token, whatever has become of either."""
    family = get_refresh_token_model().objects.filter(token_checksum=digest(token)).values("token_family")
    return AppSession.objects.select_related("client", "user").filter(external_id__in=family).first()


def of_access_token(token: str) -> AppSession | None:
    """The session of an access token that is not gone yet."""
    family = get_refresh_token_model().objects.filter(access_token__token_checksum=digest(token))
    return (
        AppSession.objects.select_related("client", "user", "patient")
        .filter(external_id__in=family.values("token_family"))
        .first()
    )


def used_again(grant_type: str, secret: str) -> AppSession | None:
    """The open session of a code or a refresh token that was used before; None if there is none."""
    found: AppSession | None
    if grant_type == "authorization_code":
        found = AppSession.objects.select_related("client", "user").filter(code_digest=digest(secret)).first()
    else:
        used = get_refresh_token_model().objects.filter(token_checksum=digest(secret), revoked__isnull=False)
        found = of_refresh_token(secret) if used.exists() else None
    return found if found is not None and found.started_at and not found.ended_at else None


def end_stolen(session: AppSession, grant_type: str, request: HttpRequest) -> None:
    """End the session whose code or refresh token came a second time, with an alert on the trail."""
    what = "authorization code" if grant_type == "authorization_code" else "refresh token"
    text = (
        f"ALERT: a used {what} of {described(session)} was used again, so it may have been stolen; "
        f"all tokens that the app has for person {session.user.external_id} were revoked"
    )
    with transaction.atomic():
        end([session])
        record(
            [
                event(
                    request,
                    REFUSED,
                    None,
                    principal_kind="person",
                    principal_id=str(session.user.external_id),
                    principal_name=session.user.username,
                    auth_method="oauth2",
                    decision="deny",
                    rule=f"app:{session.client.external_id}",
                    outcome=Outcome.SERIOUS_FAILURE,
                    outcome_description=text,
                )
            ]
        )


def end_one(session: AppSession, by: Acting) -> bool:
    """End a session because its person says so; False if it had ended."""
    with transaction.atomic():
        if not end([session]):
            return False
        text = f"{described(session)} may not act for person {session.user.external_id} any longer"
        record([by.event(USER_CHANGED, text)])
    return True


def end(sessions: list[AppSession]) -> int:
    """End sessions with all their tokens, from the next request on; how many had not ended. Records nothing."""
    families = [session.external_id for session in sessions]
    with transaction.atomic():
        ended = AppSession.objects.filter(external_id__in=families, ended_at=None).update(ended_at=Now())
        refresh_tokens = get_refresh_token_model().objects.filter(token_family__in=families)
        get_access_token_model().objects.filter(refresh_token__in=refresh_tokens).delete()
        refresh_tokens.filter(revoked=None).update(revoked=Now())
    return ended


def end_of(user: User) -> int:
    """End all sessions that apps have of a person, and the codes on their way; how many. Records nothing."""
    return end(list(AppSession.objects.filter(user=user, ended_at=None)))


def open_sessions(user: User) -> QuerySet[AppSession]:
    """The apps that act for the person now, the newest first."""
    return AppSession.objects.open().filter(user=user).select_related("client", "patient").order_by("-started_at")


def forget_old(now: datetime) -> None:
    """Remove sessions that ended more than a day ago: until then a stolen token is told from an unknown one."""
    AppSession.objects.filter(expires_at__lt=now - timedelta(days=1)).delete()


def described(session: AppSession) -> str:
    """What an event calls an app and its session."""
    return f"app {session.client.external_id} (session {session.external_id})"


def patient_ids(session: AppSession) -> list[str]:
    """The patient that a session is limited to, as an event names them."""
    return [session.patient.patient_id] if session.patient and session.patient.patient_id else []


def digest(secret: str) -> str:
    """What is kept of a code or token: 256 random bits need no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()
