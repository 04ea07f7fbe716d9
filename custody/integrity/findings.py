"""Findings are kept, told and settled: rows, an alert, and an event on the trail."""

from datetime import UTC, datetime
from typing import Final

from django.db import transaction
from django.db.models.functions import Now

from access.acting import Acting
from audit import kinds
from audit.kinds import Outcome
from audit.raising import Cause, raise_alert
from audit.record import NewAccessEvent, record
from custody.integrity.examining import Row
from custody.integrity.models import Finding, Kind, State

_SYSTEM = "scrub"
MOST_REASON: Final = 500


def file(kind: str, key: str, row: Row | None, detail: str) -> Finding:
    """Keep what was found, and tell of it if it is news. What was accepted stays so."""
    with transaction.atomic():
        found, new = Finding.objects.select_for_update().get_or_create(
            kind=kind,
            object_key=key,
            defaults={
                "instance": row.pk if row else None,
                "study_instance_uid": row.study_instance_uid if row else "",
                "sop_instance_uid": row.sop_instance_uid if row else "",
                "detail": detail,
            },
        )
        news = new or found.state == State.REPAIRED
        if not new:
            found.last_seen = datetime.now(UTC)
            found.detail = detail
            if found.state == State.REPAIRED:
                found.state = State.OPEN
            found.save()
        if news:
            _record(found, Outcome.SERIOUS_FAILURE, f"{found.get_kind_display()}: {key}")
    return found


def repaired(found: Finding, how: str) -> None:
    """It is as it was received again."""
    with transaction.atomic():
        Finding.objects.filter(pk=found.pk).update(
            state=State.REPAIRED, settled_at=Now(), settled_by=_SYSTEM, reason=how
        )
        _record(found, Outcome.SUCCESS, f"{how}: {found.object_key}")


def settle_gone(row: Row, kinds_open: tuple[str, ...]) -> None:
    """What was found of this object once, and is not so any more, was repaired by somebody."""
    rows = Finding.objects.filter(object_key=row.key, kind__in=kinds_open, state=State.OPEN)
    rows.update(state=State.REPAIRED, settled_at=Now(), settled_by=_SYSTEM, reason="found sound again")


def accept(found: Finding, reason: str, *, by: Acting) -> bool:
    """Somebody has seen it, and it stays as it is; False if it was settled before."""
    with transaction.atomic():
        rows = Finding.objects.filter(pk=found.pk, state=State.OPEN)
        if not rows.update(state=State.ACCEPTED, settled_at=Now(), settled_by=by.name, reason=reason):
            return False
        studies = [found.study_instance_uid] if found.study_instance_uid else []
        text = f"finding {found.pk} accepted: {found.get_kind_display()}"
        record([by.event(kinds.INTEGRITY, text, study_uids=studies, purpose=reason)])
    return True


def alert() -> None:
    """Tell people of what is open, once for what came together."""
    rows = Finding.objects.filter(state=State.OPEN)
    count = rows.count()
    newest = rows.order_by("-first_seen").first()
    if newest is None:
        return
    oldest = rows.order_by("first_seen").first()
    now = datetime.now(UTC)
    raise_alert(
        Cause(
            rule="integrity",
            subject="scrub",
            name=_SYSTEM,
            text=f"{count} findings about stored objects are open; the newest: {Kind(newest.kind).label}",
            count=count,
            since=(oldest or newest).first_seen,
            newest=newest.first_seen,
            until=now,
        ),
        now,
    )


def _record(found: Finding, outcome: Outcome, text: str) -> None:
    record(
        [
            NewAccessEvent(
                kind=kinds.INTEGRITY,
                principal_kind="system",
                principal_name=_SYSTEM,
                study_uids=[found.study_instance_uid] if found.study_instance_uid else [],
                outcome=outcome,
                outcome_description=text,
            )
        ]
    )
