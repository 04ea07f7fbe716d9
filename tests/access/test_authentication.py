"""Who gets in, seen from HTTP: sessions, bearer tokens, forged forms, and what a request costs."""

import base64
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import path
from oauth2_provider.models import get_access_token_model
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.authentication import principal_of
from access.models import Client, User
from access.policy import may
from audit.models import AccessEvent
from pacs_project import urls

Make = Callable[..., Any]
pytestmark = pytest.mark.django_db
SITE = "http://127.0.0.1"


class Thing(APIView):
    """A DRF view without a declaration of its own."""

    def get(self, request: Request) -> Response:
        principal = principal_of(request)
        return Response({"id": principal.id, "kind": principal.kind, "roles": principal.roles})

    def post(self, request: Request) -> Response:
        return Response({"may_store": may(principal_of(request), "store")})


class Careless(APIView):
    """A DRF view that switched its checks off."""

    authentication_classes = []
    permission_classes = []

    def get(self, request: Request) -> Response:
        return Response({"secret": 1})


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("protected")


handler400, handler403, handler404, handler500 = urls.handler400, urls.handler403, urls.handler404, urls.handler500
urlpatterns = [
    *urls.urlpatterns,
    path("test/thing", Thing.as_view()),
    path("test/careless", Careless.as_view()),
    path("test/plain", plain),
]


@pytest.fixture(autouse=True)
def test_views(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__


@pytest.fixture
def machine() -> Browser:
    return Browser(enforce_csrf_checks=True, HTTP_HOST="127.0.0.1")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("address", ["/test/thing", "/test/careless", "/test/plain", "/api/whoami"])
@pytest.mark.parametrize("method", ["get", "head", "post", "put", "delete", "options"])
def test_nothing_without_credentials(machine: Browser, address: str, method: str) -> None:
    response = getattr(machine, method)(address)
    assert response.status_code in (401, 403)
    assert b"secret" not in response.content
    assert b"protected" not in response.content
    if method in ("get", "head"):
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == 'Bearer realm="lightbox"'


def test_a_browser_is_shown_the_way_in(browser: Browser) -> None:
    response = browser.get("/test/plain?StudyInstanceUIDs=1.2.3")
    assert response.status_code == 302
    assert response["Location"] == "/accounts/login/?next=%2Ftest%2Fplain%3FStudyInstanceUIDs%3D1.2.3"
    assert browser.get("/dicom-web/studies?PatientID=1").status_code in (401, 404)


def test_a_bearer_token_opens(machine: Browser, make_client: Make, make_token: Make) -> None:
    client = make_client("device")
    response = machine.get("/test/thing", headers=bearer(make_token(client)))
    assert response.json() == {"id": str(client.external_id), "kind": "client", "roles": ["device"]}
    assert machine.post("/test/thing", headers=bearer(make_token(client))).json() == {"may_store": True}


def test_tokens_that_open_nothing(machine: Browser, make_client: Make, make_token: Make, make_person: Make) -> None:
    client: Client = make_client("device")
    of_a_person = make_token(client, user=make_person("radiologist"))
    revoked = make_token(client)
    get_access_token_model().objects.filter(application=client, user=None).delete()
    disabled = make_token(make_client("device", active=False))
    good = make_token(client)
    headers = {
        "expired": f"Bearer {make_token(client, seconds=-1)}",
        "just expired": f"Bearer {make_token(client, seconds=0)}",
        "revoked": f"Bearer {revoked}",
        "disabled client": f"Bearer {disabled}",
        "a person's": f"Bearer {of_a_person}",
        "unknown": "Bearer nonsense",
        "empty": "Bearer ",
        "blank stored token": "Bearer  ",
        "no scheme": good,
        "basic": "Basic " + base64.b64encode(b"admin:admin").decode(),
        "not latin": "Bearer \u00ff\u00fe",
        "twice": f"Bearer {good}, Bearer {good}",
    }
    for name, header in headers.items():
        response = machine.get("/test/thing", HTTP_AUTHORIZATION=header)
        assert response.status_code == 401, name
        assert response["WWW-Authenticate"].startswith("Bearer "), name
        assert 'error="invalid_token"' in response["WWW-Authenticate"], name
    assert machine.get(f"/test/thing?access_token={good}").status_code == 401
    assert machine.get("/test/thing", headers=bearer(good)).status_code == 200


def test_a_client_disabled_now_is_out_now(machine: Browser, make_client: Make, make_token: Make) -> None:
    client = make_client("device")
    token = make_token(client)
    assert machine.get("/test/thing", headers=bearer(token)).status_code == 200
    client.is_active = False
    client.save()
    assert machine.get("/test/thing", headers=bearer(token)).status_code == 401


def test_a_bad_token_does_not_fall_back_to_the_session(browser: Browser, make_person: Make) -> None:
    browser.force_login(make_person("radiologist"))
    assert browser.get("/test/thing").status_code == 200
    assert browser.get("/test/thing", headers=bearer("nonsense")).status_code == 401


def test_a_person_disabled_now_is_out_now(browser: Browser, make_person: Make) -> None:
    user: User = make_person("radiologist")
    browser.force_login(user)
    assert browser.get("/test/thing").json()["roles"] == ["radiologist"]
    user.is_active = False
    user.save()
    assert browser.get("/test/thing", headers={"Accept": "*/*"}).status_code == 401
    assert browser.get("/", headers={"Accept": "text/html"}).status_code == 302


def test_a_role_taken_is_gone_now(browser: Browser, make_person: Make) -> None:
    user: User = make_person("radiologist", "technologist")
    browser.force_login(user)
    assert browser.get("/test/thing").json()["roles"] == ["radiologist", "technologist"]
    user.roles.filter(role="radiologist").delete()
    assert browser.get("/test/thing").json()["roles"] == ["technologist"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": SITE}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://127.0.0.1"}, 403),
        ({"Origin": "http://127.0.0.1.evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": ""}, 403),
        ({}, 403),
    ],
)
def test_a_session_stores_only_from_our_own_pages(
    browser: Browser, make_person: Make, headers: dict[str, str], status: int
) -> None:
    browser.force_login(make_person("technologist"))
    assert browser.post("/test/thing", headers=headers).status_code == status


def test_a_csrf_token_will_do_where_there_is_no_origin(browser: Browser, make_person: Make) -> None:
    browser.force_login(make_person("technologist"))
    browser.get("/")
    token = browser.cookies[settings.CSRF_COOKIE_NAME].value
    assert browser.post("/test/thing", headers={"X-CSRFToken": token}).status_code == 200
    assert browser.post("/test/thing", headers={"X-CSRFToken": "x" * 64}).status_code == 403
    assert (
        browser.post("/test/thing", headers={"X-CSRFToken": token, "Origin": "http://evil.example"}).status_code == 403
    )


def test_a_machine_needs_no_csrf_token(machine: Browser, make_client: Make, make_token: Make) -> None:
    token = make_token(make_client("device"))
    assert machine.post("/test/thing", headers=bearer(token) | {"Origin": "http://else.example"}).status_code == 200


def test_what_a_request_costs(
    browser: Browser,
    machine: Browser,
    make_person: Make,
    make_client: Make,
    make_token: Make,
) -> None:
    browser.force_login(make_person("radiologist", "administrator"))
    browser.get("/test/thing")
    with CaptureQueriesContext(connection) as session_queries:
        browser.get("/test/thing")
    token = make_token(make_client("device"))
    with CaptureQueriesContext(connection) as token_queries:
        machine.get("/test/thing", headers=bearer(token))
    assert len(session_queries) == 2
    assert len(token_queries) == 1
    assert all(query["sql"].startswith("SELECT") for query in [*session_queries, *token_queries])


class TestSessionLimits:
    """A session ends when idle and when old, and reading doesn't write it."""

    def test_idle(self, browser: Browser, make_person: Make, shift_session: Make) -> None:
        browser.force_login(make_person("radiologist"))
        browser.get("/test/thing")
        shift_session(browser, settings.PACS.idle_minutes * 60 - 5)
        assert browser.get("/test/thing").status_code == 200
        shift_session(browser, settings.PACS.idle_minutes * 60 + 5)
        assert browser.get("/test/thing", headers={"Accept": "*/*"}).status_code == 401
        event = AccessEvent.objects.get(kind="sign_out")
        assert (event.rule, event.principal_name) == ("idle", "person-0")

    def test_idle_by_setting(self, browser: Browser, make_person: Make, settings: Any) -> None:
        settings.PACS = settings.PACS.model_copy(update={"idle_minutes": 0.01})
        browser.force_login(make_person("radiologist"))
        assert browser.get("/test/thing").status_code == 200
        time.sleep(0.7)
        assert browser.get("/test/thing", headers={"Accept": "*/*"}).status_code == 401

    def test_absolute(self, browser: Browser, make_person: Make, shift_session: Make) -> None:
        browser.force_login(make_person("radiologist"))
        browser.get("/test/thing")
        shift_session(browser, settings.PACS.session_hours * 3600 + 1, keys=("signed_in_at",))
        assert browser.get("/test/thing", headers={"Accept": "*/*"}).status_code == 401
        assert AccessEvent.objects.get(kind="sign_out").rule == "session_hours"

    def test_renewed_at_most_once_a_minute(self, browser: Browser, make_person: Make, shift_session: Make) -> None:
        browser.force_login(make_person("radiologist"))
        browser.get("/test/thing")
        shift_session(browser, 50, keys=("seen_at",))
        with CaptureQueriesContext(connection) as reading:
            browser.get("/test/thing")
        assert not [query for query in reading if "UPDATE" in query["sql"]]
        shift_session(browser, 20, keys=("seen_at",))
        before = browser.session["seen_at"]
        browser.get("/test/thing")
        assert browser.session["seen_at"] > before + 60

    def test_a_copied_cookie_is_worthless_after_sign_out(self, browser: Browser, make_person: Make) -> None:
        browser.force_login(make_person("radiologist"))
        thief = Browser(HTTP_HOST="127.0.0.1")
        thief.cookies[settings.SESSION_COOKIE_NAME] = browser.cookies[settings.SESSION_COOKIE_NAME].value
        assert thief.get("/test/thing").status_code == 200
        browser.post("/accounts/logout/", headers={"X-CSRFToken": ""})
        assert thief.get("/test/thing").status_code == 200
        browser.get("/")
        token = browser.cookies[settings.CSRF_COOKIE_NAME].value
        assert browser.post("/accounts/logout/", headers={"X-CSRFToken": token}).status_code == 302
        assert thief.get("/test/thing").status_code == 401

    def test_a_new_password_ends_other_sessions(self, browser: Browser, make_person: Make) -> None:
        user: User = make_person("radiologist")
        browser.force_login(user)
        assert browser.get("/test/thing").status_code == 200
        user.set_password("another password here")
        user.save()
        assert browser.get("/test/thing", headers={"Accept": "*/*"}).status_code == 401
