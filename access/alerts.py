"""Those who should know at once are told when an emergency access begins."""

from datetime import timedelta
from functools import partial
from typing import Final

from django.conf import settings
from django.utils import timezone

from access.emergency_models import EmergencyAccess
from access.telling import Message, channels, tell
from audit.models import Notice

# What began longer ago is no news; the review queue has it.
NEWS: Final = timedelta(days=7)


def tell_of_emergencies() -> int:
    """Tell of each emergency access that nobody was told of; how many. What fails is tried again. DatabaseError.

    Without ``PACS.alert_email`` and ``PACS.alert_webhook`` there is nobody to tell, and the review queue alone does.
    """
    if not channels():
        return 0
    recent = EmergencyAccess.objects.filter(started_at__gt=timezone.now() - NEWS).select_related("user")
    messages = {access: message(access) for access in recent.order_by("started_at")}
    noted = set(
        Notice.objects.filter(subject__in=[each.subject for each in messages.values()]).values_list(
            "subject", flat=True
        )
    )
    # Without a note, but told: that was before there were notes.
    return tell([each for access, each in messages.items() if access.alerted_at is None or each.subject in noted])


def message(access: EmergencyAccess) -> Message:
    """About one emergency access: who, when, until when, and where to look at it. The reason may name the patient, and
    stays on the page.
    """
    page = f"{settings.PACS.public_root}/administration/emergencies/"
    return Message(
        subject=f"emergency-{access.external_id}",
        title="Emergency access to a patient",
        text=(
            f"{access.user.username} opened a patient in an emergency.\n\n"
            f"Began  {access.started_at:%Y-%m-%d %H:%M %Z}\n"
            f"Ends   {access.expires_at:%Y-%m-%d %H:%M %Z}\n\n"
            f"Why, and who the patient is: {page}\n"
        ),
        facts={
            "type": "emergency_access.started",
            "timestamp": access.started_at.isoformat(),
            "data": {
                "emergency": str(access.external_id),
                "principal": {"kind": "person", "id": str(access.user.external_id), "name": access.user.username},
                "ends": access.expires_at.isoformat(),
                "page": page,
            },
        },
        noted=partial(_alerted, access),
    )


def _alerted(access: EmergencyAccess) -> None:
    EmergencyAccess.objects.filter(pk=access.pk, alerted_at__isnull=True).update(alerted_at=timezone.now())
