"""Alerts that no rule of the trail finds: something of the product stands still, and somebody has to look.

They stand with the others (``trail``), and are told as they are, by mail and webhook.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from django.db import connection, transaction

from audit.kinds import ALERT
from audit.models import Alert
from audit.record import NewAccessEvent, record

# What each is called for people.
TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "hl7_parked": "HL7 messages wait for somebody",
        "hl7_dead": "HL7 messages were not delivered",
        "hl7_blocked": "HL7 messages can't be sent",
        "hl7_silent": "An HL7 feed has fallen silent",
        "backup_late": "There is no new backup",
        "integrity": "Stored objects are damaged",
    }
)
QUIET: Final = timedelta(hours=1)
_LOCK: Final = 0x4C69_6768_7452_6169  # "LightRai" in ASCII: several processes never raise the same


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an alert is raised: of ``name``, known as ``subject`` for good. ``text`` names no patient.

    ``newest`` is when the newest of it happened: what happened before the last alert of a cause is known. ``until`` is
    up to when the alert speaks.
    """

    rule: str
    subject: str
    name: str
    text: str
    count: int
    since: datetime
    newest: datetime
    until: datetime


def raise_alert(cause: Cause, now: datetime) -> Alert | None:
    """The alert with its event; None where one of the same cause has said it, or was raised within the last hour."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        earlier = Alert.objects.filter(rule=cause.rule, principal_id=cause.subject).order_by("-until").first()
        if earlier and (cause.newest <= earlier.until or now - earlier.found_at < QUIET):
            return None
        alert = Alert.objects.create(
            rule=cause.rule,
            principal_kind="system",
            principal_id=cause.subject,
            principal_name=cause.name,
            since=cause.since,
            until=cause.until,
            count=cause.count,
            description=cause.text,
        )
        record(
            [
                NewAccessEvent(
                    kind=ALERT,
                    principal_kind="system",
                    principal_id=cause.subject,
                    principal_name=cause.name,
                    rule=cause.rule,
                    outcome_description=f"alert {alert.pk}: {cause.text}",
                )
            ]
        )
    return alert
