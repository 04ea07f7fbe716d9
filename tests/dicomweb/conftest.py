"""The DICOMweb doors as a client sees them, with somebody of each role to knock."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from django.test import Client as HttpClient

from access.models import Client, CustomRole, User, UserRole
from tests.dicomweb.objects import make_object

PASSWORD = "correct horse battery staple"
BOUNDARY = "lightbox-test-boundary"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Door:
    """A signed-in HTTP client with the verbs of DICOMweb."""

    http: HttpClient

    def get(self, path: str, accept: str | None = None, **headers: str) -> Any:
        if accept is not None:
            headers["accept"] = accept
        return self.http.get(f"/dicom-web/{path}", headers=headers)

    def store(self, objects: Iterable[bytes], study: str | None = None) -> Any:
        return self.http.post(
            f"/dicom-web/studies{f'/{study}' if study else ''}",
            data=multipart_body(objects),
            content_type=f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
            headers={"accept": "application/dicom+json", "origin": "http://testserver"},
        )

    def search(self, path: str, **query: str) -> list[dict[str, Any]]:
        response = self.http.get(f"/dicom-web/{path}", query)
        assert response.status_code == 200, response.content
        answers: list[dict[str, Any]] = orjson.loads(response.content)
        return answers


def multipart_body(objects: Iterable[bytes]) -> bytes:
    parts = [b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (BOUNDARY.encode(), o) for o in objects]
    return b"".join(parts) + b"--%s--\r\n" % BOUNDARY.encode()


def body_of(response: Any) -> bytes:
    """The whole body, streamed or not."""
    if response.streaming:
        return b"".join(response.streaming_content)
    return bytes(response.content)


@pytest.fixture
def door_for(db: None) -> Callable[..., Door]:
    """Makes a signed-in person with the given roles."""

    def make(*roles: str) -> Door:
        user = User.objects.create_user(f"person{next(_numbers)}", password=None)
        for role in roles:
            UserRole.objects.create(user=user, role=role)
        http = HttpClient()
        http.force_login(user)
        return Door(http)

    return make


@pytest.fixture
def technologist(door_for: Callable[..., Door]) -> Door:
    """May search, retrieve and store everything."""
    return door_for("technologist")


@pytest.fixture
def machine(db: None) -> Callable[[str], Client]:
    """Makes an OAuth2 client of a role."""

    def make(role: str) -> Client:
        client: Client = Client.objects.create(name=f"machine{next(_numbers)}", role=role)
        return client

    return make


@pytest.fixture
def ct() -> bytes:
    """One small CT slice."""
    return make_object()


@pytest.fixture
def limited(db: None) -> Callable[..., Door]:
    """Somebody with a role that reads the worklist, within a limit."""

    def make(kind: str, *values: str) -> Door:
        CustomRole.objects.create(name="performer", title="Performer", rights={"worklist": "ALL"})
        user = User.objects.create_user("performer", password=None)
        UserRole.objects.create(user=user, role="performer", limit_kind=kind, limit_values=list(values))
        http = HttpClient()
        http.force_login(user)
        return Door(http)

    return make
