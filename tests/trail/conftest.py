"""An auditor at the trail, and events to read."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from django.test import Client as Browser

from access.models import Client, User
from audit.kinds import RETRIEVE, EventKind
from audit.models import AccessEvent
from audit.record import NewAccessEvent, record
from tests.access.conftest import (
    MakeClient,
    MakePerson,
    MakeToken,
    browser,
    make_client,
    make_person,
    make_study,
    make_token,
)

__all__ = ["browser", "make_client", "make_person", "make_study", "make_token"]
NOON = datetime(2030, 1, 31, 12, 0, tzinfo=UTC)
Happen = Callable[..., AccessEvent]


def identity(who: str) -> str:
    """The identity of somebody who has no account."""
    return str(uuid5(NAMESPACE_URL, who))


@pytest.fixture
def auditor(make_person: MakePerson) -> User:
    return make_person("auditor", username="ada")


@pytest.fixture
def reading(auditor: User) -> Browser:
    """The auditor's browser."""
    made = Browser(HTTP_ACCEPT="text/html,*/*;q=0.8", HTTP_HOST="127.0.0.1")
    made.force_login(auditor)
    return made


@pytest.fixture
def machine(make_client: MakeClient, make_token: MakeToken) -> Browser:
    """A program with the role of an auditor, by bearer token."""
    client: Client = make_client("auditor", name="siem")
    return Browser(HTTP_HOST="127.0.0.1", headers={"Authorization": f"Bearer {make_token(client)}"})


@pytest.fixture
def happen(db: None) -> Happen:
    """``happen(kind, who="rita", at=..., study_uids=[...])``: one event of a person, at a time of its own."""

    def make(
        kind: EventKind = RETRIEVE, *, who: str = "rita", at: datetime | None = None, **fields: Any
    ) -> AccessEvent:
        given: dict[str, Any] = {
            "principal_kind": "person", "principal_id": identity(who), "principal_name": who,
            "auth_method": "session", "source_ip": "192.0.2.9",
        }  # fmt: skip
        if at is None:
            record([NewAccessEvent(kind=kind, **(given | fields))])
            return AccessEvent.objects.order_by("-sequence")[0]
        columns = {"action": kind.action} | given | fields
        return AccessEvent.objects.create(kind=kind.name, recorded_at=at, **columns)

    return make


def body_of(answer: Any) -> str:
    """The body of an answer, streamed or not."""
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return str(body.decode())
