"""No address of the house answers a stranger but those named here."""

import re
from collections.abc import Iterator

import pytest
from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, get_resolver

pytestmark = pytest.mark.django_db
OPEN = {
    "accounts/login/",
    "accounts/login/second-factor",
    "accounts/login/set-up",
    "accounts/sso/",
    "accounts/sso/return",
    "oauth/token/",
    "oauth/revoke/",
    "oauth/introspect/",
    ".well-known/smart-configuration",
    "dicom-web/.well-known/smart-configuration",
    ".well-known/oauth-authorization-server",
    "livez",
    "readyz",
    "status",
    "metrics",
    "s/",
    "s/open",
    "share/token",
}
SAMPLES = {"int": "1", "path": "a/b", "slug": "a", "str": "1.2.3", "uuid": "00000000-0000-0000-0000-000000000000"}


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, route)
        else:
            yield route, entry


def addresses() -> list[str]:
    return [route for route, _ in patterns(get_resolver())]


def concrete(route: str) -> str:
    return re.sub(r"<(?:(\w+):)?\w+>", lambda match: SAMPLES.get(match[1] or "str", "1.2.3"), route)


def test_the_open_ones_are_these() -> None:
    marked = {route for route, entry in patterns(get_resolver()) if getattr(entry.callback, "open_to_all", False)}
    assert marked == OPEN


def test_there_is_something_to_walk() -> None:
    assert {"", "accounts/logout/", "api/schema", "api/docs", "api/whoami", "viewer/"} <= set(addresses())
    assert not any("applications" in route or route.startswith("admin/") for route in addresses())


@pytest.mark.parametrize("accept", ["*/*", "text/html"])
@pytest.mark.parametrize("method", ["get", "head", "options", "post", "put", "patch", "delete"])
def test_strangers_get_nothing(method: str, accept: str) -> None:
    stranger = Browser(HTTP_HOST="127.0.0.1", HTTP_ACCEPT=accept)
    for route in sorted(set(addresses()) - OPEN):
        response = getattr(stranger, method)("/" + concrete(route))
        if response.status_code == 302:
            assert accept == "text/html", route
            assert response["Location"].startswith("/accounts/login/?next="), route
        elif method == "options" and response.status_code == 204:
            assert (response.content, "Allow" in response) == (b"", True), route
        else:
            assert response.status_code in (401, 404), (route, response.status_code)
        if response.status_code == 401:
            assert response["WWW-Authenticate"].startswith("Bearer"), route


@pytest.mark.parametrize(
    "guess",
    ["admin/", "metrics", "debug", ".env", "static/../manage.py", "media/x", "oauth/authorize/", "oauth/applications/",
     "accounts/password_reset/", "static/portal/../../settings.py", "dicom-web", "api/", "health", "%2e%2e/manage.py"],
)  # fmt: skip
def test_neighbours_are_not_there(guess: str) -> None:
    assert Browser(HTTP_HOST="127.0.0.1").get(f"/{guess}").status_code in (401, 404)


def test_the_pages_own_files_are_open() -> None:
    page = Browser(HTTP_HOST="127.0.0.1").get("/accounts/login/").content.decode()
    files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert len(files) >= 2
    for file in files:
        assert Browser(HTTP_HOST="127.0.0.1").get(file).status_code == 200, file
