"""Claims that lapse, and their release."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from archive.errors import Conflict, NotFound
from audit.models import AccessEvent
from tests.workitems.watchers import claimed, heard, made, principal
from workitems.changing import change_state, update
from workitems.errors import WorkItemRefused
from workitems.leases import lapsed, release, tell_of_lapsed
from workitems.models import State, WorkItem
from workitems.subscription_models import EventReport
from workitems.subscriptions import Entity, subscribe

pytestmark = pytest.mark.django_db
PROGRESS = {
    "00741002": {"vr": "SQ", "Value": [{"00741004": {"vr": "DS", "Value": [50]}}]},
}


def let_lapse(item: WorkItem) -> None:
    WorkItem.objects.filter(pk=item.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_a_claim_that_lapses_is_told_once_and_stands() -> None:
    item, other = made(), made()
    watcher = Entity("WATCH", "w")
    subscribe(watcher, WorkItem.objects.all(), item.uid, deletion_lock=False)
    uid = claimed(item)
    claimed(other)
    assert tell_of_lapsed() == 0
    let_lapse(item)
    assert tell_of_lapsed() == 1
    assert tell_of_lapsed() == 0
    told = EventReport.objects.order_by("number").last()
    assert told is not None
    assert told.data_set["00741000"]["Value"] == ["IN PROGRESS"]
    assert "240 minutes" in told.data_set["00741238"]["Value"][0]
    assert list(lapsed()) == [item]
    # Whoever comes back in time goes on, and the claim is good again.
    update(WorkItem.objects.all(), item.uid, PROGRESS, uid, principal("performer", "technologist"))
    assert not lapsed().exists()
    assert len(heard(watcher)) == 4


def test_a_release_makes_it_free() -> None:
    item = made()
    old = claimed(item)
    with pytest.raises(Conflict):
        release(WorkItem.objects.all(), item.uid, "manager")
    let_lapse(item)
    release(WorkItem.objects.all(), item.uid, "manager")
    with pytest.raises(WorkItemRefused):
        update(WorkItem.objects.all(), item.uid, PROGRESS, old, principal("performer", "technologist"))
    claimed(item)
    with pytest.raises(WorkItemRefused):
        change_state(WorkItem.objects.all(), item.uid, "CANCELED", old, "performer")
    with pytest.raises(NotFound):
        release(WorkItem.objects.none(), item.uid, "manager")


def test_what_nobody_claimed_is_not_released() -> None:
    with pytest.raises(WorkItemRefused):
        release(WorkItem.objects.all(), made().uid, "manager")


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    item = made()
    claimed(item)
    let_lapse(item)
    call_command("release_workitem")
    assert item.uid in capsys.readouterr().out
    call_command("release_workitem", item.uid)
    item.refresh_from_db()
    assert (item.state, item.lease_until, item.claimed_by) == (State.SCHEDULED, None, "")
    assert AccessEvent.objects.filter(kind="procedure_record", query=f"workitem {item.uid}").exists()
