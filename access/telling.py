"""Alerts are told to those who should know: by mail and by webhook, each once, each apart from the others.

No alert says who the patient is, whichever way it goes.
"""

import logging
import smtplib
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from functools import partial
from hashlib import sha256
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings
from django.db import connection, transaction

from access.webhooks import post
from audit.models import Notice

SECONDS: Final = 10.0
MOST_AT_ONCE: Final = 20
_LOCK: Final = 0x4C69_6768_7454_656C  # "LightTel" in ASCII: several processes never tell the same
# A way that failed again and again is left alone for longer and longer, by this process.
LONGEST_PAUSE: Final = 300.0
_log = logging.getLogger(__name__)
_failed: dict[str, tuple[int, float]] = {}


@dataclass(frozen=True, slots=True)
class Message:
    """What is told: ``subject`` names it for good, ``facts`` are JSON, ``title`` and ``text`` are for people.

    ``noted`` is called in the transaction that notes that somebody was told.
    """

    subject: str
    title: str
    text: str
    facts: Mapping[str, Any]
    noted: Callable[[], object] = lambda: None


def channels() -> dict[str, Callable[[Message], None]]:
    """The ways that the settings open, by a name of each that tells no address."""
    pacs = settings.PACS
    found: dict[str, Callable[[Message], None]] = {}
    if pacs.alert_email and pacs.email_url.get_secret_value():
        found["mail"] = lambda message: send(mail(message, pacs.alert_email))
    for url in pacs.alert_webhook.urls:
        found[f"webhook {sha256(url.encode()).hexdigest()[:16]}"] = partial(_post, url)
    return found


def tell(messages: Sequence[Message]) -> int:
    """Tell each of ``messages``, the oldest first, by every way by which it was not told; how many were.

    A way that fails is left alone until a later time, and keeps no other waiting. Raises DatabaseError.
    """
    told: set[str] = set()
    for channel, way in channels().items() if messages else ():
        failures, not_before = _failed.get(channel, (0, 0.0))
        if time.monotonic() < not_before:
            continue
        done = set(_noted(channel, messages))
        for message in [each for each in messages if each.subject not in done][:MOST_AT_ONCE]:
            try:
                if _tell_one(channel, way, message):
                    told.add(message.subject)
                _failed.pop(channel, None)
            except (OSError, ValueError, smtplib.SMTPException) as error:
                _log.error("an alert could not be told by %s (%s); trying again", channel, type(error).__name__)
                pause = min(LONGEST_PAUSE, 2.0**failures) if failures else 0.0
                _failed[channel] = (failures + 1, time.monotonic() + pause)
                break
    return len(told)


def _tell_one(channel: str, way: Callable[[Message], None], message: Message) -> bool:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
            [is_ours] = cursor.fetchone()
        if not is_ours or any(_noted(channel, [message])):
            return False
        way(message)
        Notice.objects.create(subject=message.subject, channel=channel)
        message.noted()
    return True


def _noted(channel: str, messages: Sequence[Message]) -> Iterable[str]:
    subjects = [message.subject for message in messages]
    return Notice.objects.filter(channel=channel, subject__in=subjects).values_list("subject", flat=True)


def mail(message: Message, to: list[str]) -> EmailMessage:
    """``message`` as a mail."""
    made = EmailMessage()
    made["Subject"] = message.title
    made["From"], made["To"] = settings.PACS.email_from, ", ".join(to)
    made["Message-ID"] = f"<{message.subject.replace(' ', '.')}@lightbox>"
    made.set_content(message.text)
    return made


def send(made: EmailMessage) -> None:
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
        server.send_message(made)


def _post(url: str, message: Message) -> None:
    wanted = settings.PACS.alert_webhook
    post(url, message.subject, message.facts, wanted.secret.get_secret_value(), wanted.private_networks, wanted.ca_file)
