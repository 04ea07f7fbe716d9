"""The watch: asks every rule twice a minute, and writes an alert and its event for what is new."""

import logging
import threading
from datetime import datetime
from typing import Any, Final

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from audit.kinds import ALERT
from audit.models import Alert
from audit.record import AuditUnavailable, NewAccessEvent, record
from trail.rules import RULES, Finding, Rule

log = logging.getLogger(__name__)

PAUSE: Final = 30.0
_LOCK: Final = 0x4C69_6768_7457_6174  # "LightWat" in ASCII: relays look one after the other


class Watch:
    """A thread with a database connection of its own."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.wait(PAUSE):
            self.turn()
        connection.close()

    def turn(self) -> None:
        """Ask every rule; one that fails is logged and asked again, and keeps no other from being asked."""
        for rule in RULES:
            try:
                ask(rule, timezone.now())
            except (DatabaseError, InterfaceError, AuditUnavailable) as error:
                log.warning("the rule %s can't be asked now (%s); trying again", rule.name, type(error).__name__)
                connection.close()
            except Exception:  # a defect in one rule must not end the watch
                log.exception("the rule %s failed", rule.name)


def look(now: datetime) -> list[Alert]:
    """Ask every rule about the time before ``now``; the alerts made. Raises DatabaseError, AuditUnavailable."""
    return [alert for rule in RULES for alert in ask(rule, now)]


def ask(rule: Rule, now: datetime) -> list[Alert]:
    """Ask one rule."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        return [_alert(rule, finding) for finding in rule.find(rule, now) if not _is_known(rule, finding, now)]


def _is_known(rule: Rule, finding: Finding, now: datetime) -> bool:
    """Whether an alert of this rule and principal stands already, with the same studies where they count."""
    earlier = Alert.objects.filter(
        rule=rule.name, principal_id=finding.principal_id, until__gte=now - rule.window - rule.quiet
    )
    if not finding.principal_id:
        earlier = earlier.filter(source_ip=finding.source_ip)
    match rule.again:
        case "event":
            return earlier.filter(until__gte=finding.until).exists()
        case "study":
            named = {uid for uids in earlier.values_list("study_uids", flat=True) for uid in uids}
            return named.issuperset(finding.study_uids)
        case _:
            return earlier.exists()


def _alert(rule: Rule, finding: Finding) -> Alert:
    """The alert with its event (PS3.15 A.5.3.11): they stand or fall together."""
    text = rule.describe(finding)
    alert = Alert.objects.create(
        rule=rule.name,
        principal_kind=finding.principal_kind,
        principal_id=finding.principal_id,
        principal_name=finding.principal_name,
        source_ip=finding.source_ip,
        since=finding.since,
        until=finding.until,
        count=finding.count,
        description=text,
        study_uids=list(finding.study_uids),
    )
    by = f"{finding.principal_kind} {finding.principal_id}" if finding.principal_id else "somebody unknown"
    record(
        [
            NewAccessEvent(
                kind=ALERT,
                principal_kind="system",
                principal_name="watch",
                rule=rule.name,
                outcome_description=f"alert {alert.pk}: {text}, by {by}",
                source_ip=finding.source_ip or "",
                study_uids=finding.study_uids,
            )
        ]
    )
    return alert
