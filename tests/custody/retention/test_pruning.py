"""What is cleared away by its age, and who is told that it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import F
from django.utils import timezone

from archive import pruning
from archive.change_feed import Window, changes
from archive.errors import FeedPruned
from archive.management.commands import relay_outbox
from archive.models import ChangeFeedEntry, OutboxEntry, Study
from audit.models import AccessEvent
from audit.record import AuditUnavailable
from hl7.models import Hl7Message, MessageState
from pacs_project.config_retention import KeepConfig
from tests.custody.retention.conftest import study

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def keep(settings: Any) -> Any:
    def change(**days: int) -> None:
        settings.PACS = settings.PACS.model_copy(update={"keep": KeepConfig(**days)})

    return change


def read(since: int) -> list[int]:
    return [change.position for change in changes(Study.objects.all(), Window(since=since))]


def test_by_default_everything_stays() -> None:
    study("1.2.1")
    ChangeFeedEntry.objects.update(created_at=timezone.now() - timedelta(days=4000))
    call_command("prune")
    assert read(0) == [1]


def test_a_reader_who_comes_too_late_is_told(keep: Any) -> None:
    study("1.2.1", instances=5)
    assert read(0) == [1, 2, 3, 4, 5]
    ChangeFeedEntry.objects.filter(position__lte=3).update(created_at=F("created_at") - timedelta(days=31))
    keep(change_feed_days=30)
    call_command("prune")
    assert read(0) == [4, 5]
    assert read(3) == [4, 5]
    assert read(5) == []
    with pytest.raises(FeedPruned, match="the oldest is 4"):
        read(2)


def test_positions_go_on_though_all_is_old(keep: Any) -> None:
    study("1.2.1", instances=3)
    read(0)
    ChangeFeedEntry.objects.update(created_at=F("created_at") - timedelta(days=31))
    keep(change_feed_days=30)
    call_command("prune")
    study("1.2.2")
    assert read(0) == [3, 4]


def test_what_nobody_reads_goes_as_well_step_by_step(keep: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "STEP", 2)
    study("1.2.1", instances=5)
    ChangeFeedEntry.objects.update(created_at=F("created_at") - timedelta(days=31))
    study("1.2.2")
    keep(change_feed_days=30)
    call_command("prune")
    assert ChangeFeedEntry.objects.count() == 1
    assert AccessEvent.objects.filter(principal_name="prune", kind="configuration").count() == 1
    assert read(0) == [6]


def test_nothing_goes_that_cannot_be_written_down(keep: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(events: Any) -> None:
        raise AuditUnavailable

    study("1.2.1", instances=3)
    ChangeFeedEntry.objects.update(created_at=F("created_at") - timedelta(days=31))
    keep(change_feed_days=30)
    monkeypatch.setattr(pruning, "record", away)
    relay_outbox.upkeep()
    assert read(0) == [1, 2, 3]


def test_messages_that_wait_for_somebody_stay(keep: Any, capsys: pytest.CaptureFixture[str]) -> None:
    long_ago = timezone.now() - timedelta(days=400)
    for state in MessageState.values:
        given = {"transport": "mllp", "peer": "", "raw": b"MSH", "sha256": b"", "body_sha256": b""}
        Hl7Message.objects.create(**given, state=state, received_at=long_ago)
        Hl7Message.objects.create(**given, state=state)
    OutboxEntry.objects.create(kind="x", subject="dead", dead=True, created_at=long_ago)
    OutboxEntry.objects.create(kind="x", subject="alive", created_at=long_ago)
    keep(hl7_days=365, outbox_dead_days=365)
    call_command("prune")
    left = Hl7Message.objects.filter(received_at=long_ago).values_list("state", flat=True)
    assert set(left) == {"received", "parked", "failed"}
    assert Hl7Message.objects.exclude(received_at=long_ago).count() == len(MessageState.values)
    assert list(OutboxEntry.objects.filter(kind="x").values_list("subject", flat=True)) == ["alive"]
    assert "HL7 messages that came: 6" in capsys.readouterr().out
