"""Two at once about the same workitem, each over HTTP with a connection of its own: PostgreSQL lets one be first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import orjson
import pytest
from django.db import connections

from tests.dicomweb.conftest import Door, door_for
from tests.workitems.making import data_set, performed, state, uid
from workitems.models import State, WorkItem
from workitems.transaction_uid import digest
from worklist.models import StateEvent

__all__ = ["door_for"]
pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 4


def send(door: Door, method: str, path: str, body: Any) -> Any:
    return door.http.generic(
        method,
        f"/dicom-web/{path}",
        orjson.dumps(body),
        content_type="application/dicom+json",
        headers={"origin": "http://testserver"},
    )


def together(*requests: Callable[[], Any]) -> list[Any]:
    """The answers of requests that begin at the same moment."""
    barrier = Barrier(len(requests))

    def run(request: Callable[[], Any]) -> Any:
        try:
            barrier.wait()
            return request()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(run, requests))


def test_of_several_who_claim_a_workitem_one_wins(door_for: Callable[..., Door]) -> None:
    manager, performers = door_for("technologist"), [door_for("radiologist") for _ in range(4)]
    for _ in range(ROUNDS):
        named, keys = uid(), [uid() for _ in performers]
        assert send(manager, "POST", f"workitems?{named}", data_set()).status_code == 201
        answers = together(
            *(
                partial(send, door, "PUT", f"workitems/{named}/state", state("IN PROGRESS", key))
                for door, key in zip(performers, keys, strict=True)
            )
        )
        assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 3}
        item = WorkItem.objects.get(uid=named)
        winner = next(at for at, answer in enumerate(answers) if answer.status_code == 200)
        assert (item.state, item.transaction_hash) == (State.IN_PROGRESS, digest(named, keys[winner]))
        assert StateEvent.objects.filter(machine="workitem", subject=item.pk, after=State.IN_PROGRESS).count() == 1
        # Only who won can finish it.
        for at, door in enumerate(performers):
            update = send(door, "POST", f"workitems/{named}?transaction-uid={keys[at]}", performed())
            assert update.status_code == (200 if at == winner else 400)
        assert (
            send(performers[winner], "PUT", f"workitems/{named}/state", state("COMPLETED", keys[winner])).status_code
            == 200
        )


def test_a_claim_and_a_cancellation_at_once(door_for: Callable[..., Door]) -> None:
    manager, performer = door_for("technologist"), door_for("radiologist")
    for _ in range(ROUNDS):
        named = uid()
        assert send(manager, "POST", f"workitems?{named}", data_set()).status_code == 201
        claim, cancel = together(
            partial(send, performer, "PUT", f"workitems/{named}/state", state("IN PROGRESS", uid())),
            partial(send, manager, "POST", f"workitems/{named}/cancelrequest", {}),
        )
        after = WorkItem.objects.get(uid=named).state
        # Nobody is subscribed, so that a cancel request that comes second reaches no performer.
        assert (claim.status_code, cancel.status_code, after) in {
            (200, 409, State.IN_PROGRESS),
            (409, 202, State.CANCELED),
        }


def test_the_same_workitem_made_twice_at_once(door_for: Callable[..., Door]) -> None:
    manager = [door_for("technologist") for _ in range(2)]
    named = uid()
    answers = together(*(partial(send, door, "POST", f"workitems?{named}", data_set()) for door in manager))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert WorkItem.objects.get().uid == named
