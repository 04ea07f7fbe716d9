"""How long a person may do nothing before their session ends: 45 CFR 164.312(a)(2)(iii), by role."""

from django.conf import settings
from django.http import HttpRequest


def idle_seconds(request: HttpRequest) -> float:
    """For the person of the request's session: the shortest time of a role of theirs that has one of its own
    (``PACS.idle_minutes_by_role``), else that of everybody.
    """
    everybody, by_role = settings.PACS.idle_minutes, settings.PACS.idle_minutes_by_role
    if not by_role:
        return float(everybody * 60)
    names = {row["name"] for row in getattr(request.user, "held_rows", ())}
    return float(min((minutes for role, minutes in by_role.items() if role in names), default=everybody) * 60)
