"""Alerts of the watch as they are told to those who should know: without studies, patients and names."""

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from access.telling import Message, channels, tell
from audit.models import Alert
from audit.raising import TITLES
from trail.rules import BY_NAME

# What was found longer ago is no news; the page has it.
NEWS: Final = timedelta(days=1)
# Of an emergency access those who should know are told at once (access.alerts).
_TOLD_ELSEWHERE: Final = ("emergency",)


def tell_of_alerts() -> int:
    """Tell of each alert that nobody was told of; how many. What fails is tried again. Raises DatabaseError."""
    if not channels():
        return 0
    recent = Alert.objects.filter(found_at__gt=timezone.now() - NEWS).exclude(rule__in=_TOLD_ELSEWHERE)
    return tell([message(alert) for alert in recent.order_by("pk")])


def message(alert: Alert) -> Message:
    """About one alert. Who it was is told by identity: the name of a link's recipient may be the patient's."""
    page = f"{settings.PACS.public_root}{reverse('trail-alerts')}"
    rule = BY_NAME.get(alert.rule)
    title = f"Unusual use: {rule.title}" if rule else TITLES.get(alert.rule, alert.rule)
    who = f"{alert.principal_kind} {alert.principal_id}" if alert.principal_id else "somebody unknown"
    what, more = (
        (f"{alert.description}, by {who}", "Which studies, and what came of it")
        if rule
        else (alert.description, "More")
    )
    return Message(
        subject=f"alert-{alert.pk}",
        title=title,
        text=(
            f"{what}.\n\n"
            f"From   {alert.since:%Y-%m-%d %H:%M %Z}\n"
            f"Until  {alert.until:%Y-%m-%d %H:%M %Z}\n\n"
            f"{more}: {page}\n"
        ),
        facts={
            "type": f"alert.{alert.rule}",
            "timestamp": alert.found_at.isoformat(),
            "data": {
                "alert": alert.pk,
                "text": alert.description,
                "count": alert.count,
                "principal": {"kind": alert.principal_kind, "id": alert.principal_id},
                "since": alert.since.isoformat(),
                "until": alert.until.isoformat(),
                "page": page,
            },
        },
    )
