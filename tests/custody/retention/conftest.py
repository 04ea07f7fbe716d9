"""Objects that are stored for a test, and the steps that a deletion goes through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F

from access.acting import Acting
from access.authentication import person
from access.models import User, UserRole
from archive.delete import Deleted, delete
from archive.intake import Stored
from archive.locate import Address
from archive.models import DeletedObject, Study
from archive.store import Batching, store
from audit import kinds
from audit.record import NewAccessEvent, record
from tests.dicomweb.objects import make_object

BATCHING = Batching(instances=64, total_bytes=1 << 28, object_bytes=1 << 28)


@pytest.fixture(autouse=True)
def _empty_object_store(settings: Any, tmp_path: Path) -> None:
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})


def put(*objects: bytes) -> list[Stored]:
    """Store objects."""

    def write_down(batch: Sequence[Stored]) -> None:
        record([NewAccessEvent(kind=kinds.STORE, principal_kind="system", instance_count=len(batch))])

    return list(store([iter([data]) for data in objects], batching=BATCHING, record=write_down))


def study(uid: str, *, instances: int = 1, **values: Any) -> Study:
    """A stored study of this UID."""
    put(*(make_object(StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.1", **values) for _ in range(instances)))
    return Study.objects.get(study_instance_uid=uid)


def delete_at(*uids: str, by: str = "somebody") -> Deleted:
    """Delete what is there, for somebody who reaches everything."""

    def write_down(deleted: Deleted) -> None:
        record([NewAccessEvent(kind=kinds.DELETE, principal_kind="system", instance_count=deleted.instances)])

    return delete(Study.objects.all(), Address(*uids), deleted_by=by, record=write_down)


def days_pass(days: float) -> None:
    """What was deleted was deleted earlier."""
    shift = timedelta(days=days)
    DeletedObject.objects.update(deleted_at=F("deleted_at") - shift, sweep_after=F("sweep_after") - shift)


@pytest.fixture
def manager(transactional_db: None) -> Acting:
    """A person who manages."""
    user = User.objects.create_user("mona", password="a long enough password")
    UserRole.objects.create(user=user, role="administrator")
    return Acting(None, person(user, ""))


Make = Callable[..., Any]
