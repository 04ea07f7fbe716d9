"""A trail that could not be written says so itself when it can be again."""

import pytest
from django.db import connection, transaction

from audit.models import AccessEvent
from audit.record import AuditUnavailable, record
from tests.audit.logs import an_event

pytestmark = pytest.mark.django_db(transaction=True)


def rename(name: str, other: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {name} RENAME TO {other}")


def kinds() -> list[str]:
    return list(AccessEvent.objects.order_by("sequence").values_list("kind", flat=True))


def break_it(times: int) -> None:
    rename("audit_accessevent", "elsewhere")
    try:
        for _ in range(times):
            with pytest.raises(AuditUnavailable):
                record([an_event(), an_event()])
    finally:
        rename("elsewhere", "audit_accessevent")


def test_stopped_and_started_are_said_once() -> None:
    break_it(3)
    record([an_event()])
    record([an_event()])
    assert kinds() == ["retrieve", "recording_stopped", "recording_started", "retrieve"]
    stopped = AccessEvent.objects.get(kind="recording_stopped")
    assert stopped.outcome == 12
    assert stopped.outcome_description.startswith("6 events could not be written by process ")


def test_inside_a_transaction_they_are_said_after_it() -> None:
    break_it(1)
    with transaction.atomic():
        record([an_event()])
        transaction.set_rollback(True)
    assert kinds() == []
    with transaction.atomic():
        record([an_event()])
    assert kinds() == ["retrieve", "recording_stopped", "recording_started"]


def test_without_an_outage_nothing_is_said() -> None:
    record([an_event()])
    assert kinds() == ["retrieve"]
