"""A restore that fails takes away what it brought, but never what a database names that has come, or may have."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError

from archive.object_store.file import FileObjectStore
from custody.backups import checking, restoring, unsettled
from custody.backups.errors import BackupError, Unknown
from custody.backups.restoring import Wanted, restore

KEY = "instances/2026/01/02/03-04/a.dcm"


@pytest.fixture
def brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All but the database is there; where the object lies."""
    store = FileObjectStore(tmp_path / "store")

    def objects(*given: Any) -> None:
        store.put(KEY, b"bytes")
        given[5].write(f"{KEY}\n".encode())

    monkeypatch.setattr(restoring, "_objects", objects)
    monkeypatch.setattr(restoring, "_files", lambda *given, **named: None)
    monkeypatch.setattr(restoring, "_note", lambda *given: None)
    monkeypatch.setattr(checking, "whole_part", lambda *given: ())
    monkeypatch.setattr(unsettled, "begin", lambda note: None)
    monkeypatch.setattr(unsettled, "give_up", lambda: None)
    return tmp_path / "store" / "objects" / KEY


def run(path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, came_back: bool | Exception) -> None:
    def fail(*given: Any) -> None:
        raise error

    def asked() -> bool:
        if isinstance(came_back, Exception):
            raise came_back
        return came_back

    monkeypatch.setattr(restoring, "restore_database", fail)
    monkeypatch.setattr(unsettled, "came_back", asked)
    store = FileObjectStore(path.parents[6])
    config = SimpleNamespace(data=path.parents[7], object_store="file")
    manifest: Any = SimpleNamespace(name="b", objects_here=True)
    target: Any = None
    address: Any = None
    restore(target, manifest, address, config, lambda sealed: store, Wanted(), lambda text: None)


@pytest.mark.parametrize(
    ("error", "came_back", "raised", "stays"),
    [
        (BackupError("pg_restore failed"), False, BackupError, False),
        (BackupError("it lost its connection"), True, None, True),
        (BackupError("the server went down"), OperationalError("starting up"), Unknown, True),
        (KeyboardInterrupt(), True, KeyboardInterrupt, True),
        (KeyboardInterrupt(), OperationalError("starting up"), KeyboardInterrupt, True),
        (KeyboardInterrupt(), False, KeyboardInterrupt, False),
    ],
)
def test_what_the_database_may_name_is_not_taken_away(
    brought: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    came_back: bool | Exception,
    raised: type[BaseException] | None,
    stays: bool,
) -> None:
    if raised is None:
        run(brought, monkeypatch, error, came_back)
    else:
        with pytest.raises(raised):
            run(brought, monkeypatch, error, came_back)
    assert brought.exists() is stays
