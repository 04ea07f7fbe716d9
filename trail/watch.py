"""The watch: asks every rule twice a minute, and writes an alert and its event for what is new.

Up to when a rule was asked is a row. After a time in which nobody asked, because no relay ran or its rule failed, the
rule is asked about that time as well, in steps that leave out nothing but what spread itself over the edge of one.
"""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from audit.companion import Companion
from audit.kinds import ALERT
from audit.models import AccessEvent, Alert, RuleAsked
from audit.record import AuditUnavailable, NewAccessEvent, record
from trail.rules import RULES, Finding, Rule
from trail.telling import tell_of_alerts

log = logging.getLogger(__name__)

PAUSE: Final = 30.0
# Longer ago than that nobody is told of; the trail itself has it for good.
LONGEST_GAP: Final = timedelta(days=7)
STEPS_IN_A_WINDOW: Final = 4
_LOCK: Final = 0x4C69_6768_7457_6174  # "LightWat" in ASCII: relays look one after the other


class Watch(Companion):
    """Asks every rule, each in a transaction of its own."""

    name = "watch"
    failing = "the rules can't be asked"
    pause = PAUSE

    def work(self) -> None:
        """Ask every rule; one that fails is logged and asked again, and keeps no other from being asked."""
        for rule in RULES:
            try:
                ask(rule, timezone.now())
            except (DatabaseError, InterfaceError, AuditUnavailable) as error:
                log.warning("the rule %s can't be asked now (%s); trying again", rule.name, type(error).__name__)
                connection.close()
            except Exception:  # a defect in one rule must not end the watch
                log.exception("the rule %s failed", rule.name)
        tell_of_alerts()


def look(now: datetime) -> list[Alert]:
    """Ask every rule about the time before ``now``; the alerts made. Raises DatabaseError, AuditUnavailable."""
    return [alert for rule in RULES for alert in ask(rule, now)]


def ask(rule: Rule, now: datetime) -> list[Alert]:
    """Ask one rule about the time since it was asked last, and note that it was."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        asked = RuleAsked.objects.filter(rule=rule.name).values_list("until", flat=True).first()
        made: list[Alert] = []
        for moment in _moments(rule, asked, now):
            made += [_alert(rule, found) for found in rule.find(rule, moment) if not _is_known(rule, found, moment)]
        if asked is None or asked < now:
            RuleAsked.objects.update_or_create(rule=rule.name, defaults={"until": now})
    return made


def _moments(rule: Rule, asked: datetime | None, now: datetime) -> Iterator[datetime]:
    """``now``, and before it the moments at which nobody asked though something had happened."""
    step = rule.window / STEPS_IN_A_WINDOW
    moment = max(asked, now - LONGEST_GAP) if asked is not None else now
    while (moment := moment + step) < now:
        events = AccessEvent.objects.filter(recorded_at__gt=moment - step, recorded_at__lt=now)
        next_at = events.order_by("recorded_at").values_list("recorded_at", flat=True).first()
        if next_at is None:
            break
        # Over what is empty in one step.
        moment = max(moment, next_at)
        yield moment
    yield now


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
