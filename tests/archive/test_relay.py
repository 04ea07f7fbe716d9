"""What the relay does beside relaying: clear away what dead processes left half written, and outlive every outage."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from archive.management.commands import relay_outbox
from archive.object_store import object_store


@pytest.fixture
def staging(settings: Any, tmp_path: Path, db: None) -> Path:
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})
    return tmp_path / "store/staging"


def test_only_what_is_old_and_dead_is_cleared_away(staging: Path) -> None:
    with object_store().stage() as living:
        living.write(b"a slow upload")
        old, young = staging / "old", staging / "young"
        for path in (old, young):
            path.write_bytes(b"left behind")
        two_days_ago = time.time() - 2 * 86_400
        for path in (old, living.path):  # type: ignore[attr-defined]
            os.utime(path, (two_days_ago, two_days_ago))
        relay_outbox.clear_abandoned()
        assert sorted(staging.iterdir()) == sorted([young, living.path])  # type: ignore[attr-defined]


def test_clearing_away_never_stops_the_relay(staging: Path) -> None:
    object_store()
    staging.rmdir()
    staging.write_text("where the folder was")
    relay_outbox.clear_abandoned()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [ConnectionError("broker"), OperationalError("database")])
def test_outages_are_waited_out_ever_longer(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def away(send: Any) -> int:
        raise error

    monkeypatch.setattr(relay_outbox, "relay_once", away)
    pauses = [relay_outbox.PAUSE]
    for _ in range(8):
        pauses.append(relay_outbox.relay(pauses[-1]))
    assert pauses == sorted(pauses)
    assert pauses[-1] == relay_outbox.LONGEST_PAUSE
