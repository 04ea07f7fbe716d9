"""People who look at the pages of administration: who manages, who audits, who does neither."""

from collections.abc import Callable

import pytest
from django.test import Client as Browser

from access.models import Client, User
from audit.models import AccessEvent
from tests.access.conftest import (
    browser,
    make_client,
    make_person,
    make_study,
    make_token,
)

__all__ = ["browser", "make_client", "make_person", "make_study", "make_token"]
PASSWORD = "correct horse battery staple"
SignedIn = Callable[..., Browser]


@pytest.fixture
def as_role(make_person: Callable[..., User]) -> SignedIn:
    """``as_role("administrator")``: the browser of somebody new who signed in; without roles a stranger's."""

    def signed_in(*roles: str, username: str = "", checks: bool = False) -> Browser:
        window = Browser(HTTP_ACCEPT="text/html,*/*;q=0.8", HTTP_HOST="127.0.0.1", enforce_csrf_checks=checks)
        if roles:
            person = make_person(*roles, username=username or f"{roles[0]}-{User.objects.count()}")
            window.force_login(person)
        return window

    return signed_in


@pytest.fixture
def manager(as_role: SignedIn) -> Browser:
    return as_role("administrator", username="mara")


@pytest.fixture
def newest() -> Callable[[str], AccessEvent]:
    """The last event of a kind."""

    def find(kind: str) -> AccessEvent:
        found: AccessEvent = AccessEvent.objects.filter(kind=kind).latest("sequence")
        return found

    return find


@pytest.fixture
def machine(make_client: Callable[..., Client], make_token: Callable[..., str]) -> Callable[[str], Browser]:
    """``machine("administrator")``: a program with a token."""

    def signed_in(role: str) -> Browser:
        return Browser(HTTP_HOST="127.0.0.1", HTTP_AUTHORIZATION=f"Bearer {make_token(make_client(role))}")

    return signed_in
