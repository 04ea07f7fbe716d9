"""HL7 over HTTP: for whoever has the right, with the same effect and the same answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as HttpClient

from access.models import Client, CustomRole
from archive.models import Patient
from audit.models import AccessEvent
from hl7.models import Hl7Interface, Hl7Message
from tests.access.conftest import make_client, make_person, make_token
from tests.hl7.messages import ORDER, REGISTER, code, error, wire

__all__ = ["make_client", "make_person", "make_token"]

pytestmark = pytest.mark.django_db
Post = Callable[..., Any]


@pytest.fixture
def post(make_client: Callable[..., Client], make_token: Callable[..., str]) -> Post:
    """Posts as a machine with a role of the house's own, or with another one."""
    Hl7Interface.objects.create(name="any")
    CustomRole.objects.create(name="engine", title="Interface engine", rights={"messages": "ALL"})

    def sending(raw: bytes, role: str = "engine", content_type: str = "application/hl7-v2") -> Any:
        token = make_token(make_client(role, name=role))
        headers = {"Authorization": f"Bearer {token}"}
        return HttpClient().post("/hl7/v2", raw, content_type=content_type, headers=headers)

    return sending


def test_a_message(post: Post) -> None:
    answer = post(wire(REGISTER))
    assert (answer.status_code, answer["Content-Type"], code(answer.content)) == (200, "application/hl7-v2", "AA")
    assert Patient.objects.filter(patient_id="123").exists()
    event = AccessEvent.objects.get(kind="patient_record")
    assert (event.principal_kind, event.principal_name, event.rule) == ("client", "engine", "interface:any")
    assert Hl7Message.objects.get().transport == "http"


def test_a_refused_message_is_answered_all_the_same(post: Post) -> None:
    answer = post(wire(ORDER.replace("ORC|NW", "ORC|ZZ")), content_type="application/hl7-v2; charset=utf-8")
    assert answer.status_code == 200
    assert error(answer.content) == ("AE", "103", "ORC^1^1")


@pytest.mark.parametrize(
    ("raw", "content_type", "status"),
    [(b"hello", "application/hl7-v2", 400), (b"\r\n", "application/hl7-v2", 400), (wire(ORDER), "text/plain", 415)],
)
def test_what_is_no_message(post: Post, raw: bytes, content_type: str, status: int) -> None:
    answer = post(raw, content_type=content_type)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")


def test_too_large(post: Post, settings: Any) -> None:
    hl7 = settings.PACS.hl7.model_copy(update={"frame_bytes": 500})
    settings.PACS = settings.PACS.model_copy(update={"hl7": hl7})
    assert post(wire(ORDER)).status_code == 413


def test_who_lacks_the_right(post: Post) -> None:
    assert post(wire(REGISTER), role="device").status_code == 403
    refused = AccessEvent.objects.get(kind="refused")
    assert (refused.decision, refused.rule) == ("deny", "right:messages")
    assert HttpClient().post("/hl7/v2", wire(REGISTER), content_type="application/hl7-v2").status_code == 401
    assert Hl7Message.objects.count() == 0
