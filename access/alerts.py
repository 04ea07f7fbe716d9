"""Those who should know at once are written to when an emergency access begins. No mail says who the patient is."""

import logging
import smtplib
import ssl
from email.message import EmailMessage
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from access.emergency_models import EmergencyAccess

SECONDS: Final = 10.0
MOST_AT_ONCE: Final = 20
_log = logging.getLogger(__name__)


def tell_of_emergencies() -> int:
    """Write about each emergency access that nobody was written to about; how many. What fails is tried again.

    Without ``PACS.alert_email`` there is nobody to write to, and the review queue alone tells.
    """
    if not settings.PACS.alert_email or not settings.PACS.email_url.get_secret_value():
        return 0
    told = 0
    while told < MOST_AT_ONCE and _tell_of_one():
        told += 1
    return told


def _tell_of_one() -> bool:
    """Of the oldest; several processes never write twice about the same."""
    with transaction.atomic():
        waiting = EmergencyAccess.objects.select_for_update(of=("self",), skip_locked=True).select_related("user")
        access = waiting.filter(alerted_at__isnull=True).order_by("started_at").first()
        if access is None:
            return False
        try:
            send(message(access, settings.PACS.alert_email))
        except (OSError, smtplib.SMTPException) as error:
            _log.error("an emergency access could not be told by mail (%s); trying again", type(error).__name__)
            return False
        access.alerted_at = timezone.now()
        access.save(update_fields=["alerted_at"])
    return True


def message(access: EmergencyAccess, to: list[str]) -> EmailMessage:
    """The mail about one emergency access: who, when, until when, and where to look at it. The reason may name the
    patient, and stays on the page.
    """
    mail = EmailMessage()
    mail["Subject"] = "Emergency access to a patient"
    mail["From"], mail["To"] = settings.PACS.email_from, ", ".join(to)
    mail["Message-ID"] = f"<{access.external_id}@lightbox>"
    mail.set_content(
        f"{access.user.username} opened a patient in an emergency.\n\n"
        f"Began  {access.started_at:%Y-%m-%d %H:%M %Z}\n"
        f"Ends   {access.expires_at:%Y-%m-%d %H:%M %Z}\n\n"
        f"Why, and who the patient is: {settings.PACS.public_root}/administration/emergencies/\n"
    )
    return mail


def send(mail: EmailMessage) -> None:
    """Hand the mail to the server of ``PACS.email_url``. Raises OSError, smtplib.SMTPException."""
    at = urlsplit(settings.PACS.email_url.get_secret_value())
    host, context = at.hostname or "localhost", ssl.create_default_context()
    server = (
        smtplib.SMTP_SSL(host, at.port or 465, timeout=SECONDS, context=context)
        if at.scheme == "smtps"
        else smtplib.SMTP(host, at.port or 25, timeout=SECONDS)
    )
    with server:
        if at.scheme == "smtp" and parse_qs(at.query).get("tls") == ["yes"]:
            server.starttls(context=context)
        if at.username:
            server.login(unquote(at.username), unquote(at.password or ""))
        server.send_message(mail)
