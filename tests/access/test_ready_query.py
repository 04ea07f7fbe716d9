"""A query that is written once finds what Django's own finds, each time anew."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from oauth2_provider.models import get_access_token_model

from access.access_tokens import _of_token
from access.models import User
from archive.ready_query import ReadyQuery
from tests.access.conftest import MakeClient, MakePerson, MakeToken


def test_it_finds_what_django_finds(make_client: MakeClient, make_token: MakeToken) -> None:
    for role in ("ai_vendor", "device"):
        make_token(make_client(role))
    ready = ReadyQuery(_of_token)
    tokens = list(get_access_token_model().objects.values_list("token_checksum", flat=True))
    assert len(tokens) == 2
    for checksum in tokens:
        expected = _of_token(checksum).first()
        assert expected is not None
        assert ready.first(checksum) == expected
    assert ready.first("0" * 64) is None


def test_it_is_built_once_and_asked_each_time(make_person: MakePerson) -> None:
    built = []

    def build(name: str) -> QuerySet[Any, Any]:
        built.append(name)
        return User.objects.filter(username=name).values("username", "is_active")

    ready = ReadyQuery(build)
    person = make_person("radiologist", username="rita")
    with CaptureQueriesContext(connection) as sent:
        assert ready.first("rita") == {"username": "rita", "is_active": True}
        User.objects.filter(pk=person.pk).update(is_active=False)
        assert ready.first("rita") == {"username": "rita", "is_active": False}
        assert ready.first("nobody") is None
    assert len(built) == 1
    assert len(sent) == 4


@pytest.mark.parametrize("name", ["", "%s", "'; --", "\ue000"])
def test_the_value_is_a_parameter(db: None, name: str) -> None:
    assert ReadyQuery(lambda value: User.objects.filter(username=value).values("pk")).first(name) is None
