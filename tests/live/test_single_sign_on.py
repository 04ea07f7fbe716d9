"""A whole installation with a real OpenID provider beside it, a browser that knows neither, and an issuer of tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from playwright.sync_api import sync_playwright

from tests.access.issuer import Issuer
from tests.access.openid_provider import OpenIdProvider
from tests.live.server import LivePacs

USERS: dict[str, dict[str, Any]] = {
    "grey": {"preferred_username": "dr.grey", "groups": ["radiology"]},
    "cook": {"preferred_username": "cook"},
}


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    made = OpenIdProvider(USERS)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def live(provider: OpenIdProvider, issuer: Issuer) -> Iterator[LivePacs]:
    made = LivePacs()
    trusted = {"issuer": issuer.address, "audience": "lightbox", "roles": {"read": "technologist"}, "create": True}
    made.environment |= {
        "PACS_OIDC__ISSUER": provider.issuer,
        "PACS_OIDC__CLIENT_ID": "lightbox",
        "PACS_OIDC__CLIENT_SECRET": "a secret of the hospital",
        "PACS_OIDC__TITLE": "Sign in with the hospital account",
        "PACS_OIDC__ROLES_CLAIM": "groups",
        "PACS_OIDC__ROLES": '{"radiology": "radiologist"}',
        "PACS_OIDC__CREATE": "true",
        "PACS_TRUSTED_ISSUERS": json.dumps([trusted]),
    }
    try:
        yield made.start(worker=False)
    finally:
        made.stop()


@pytest.mark.browser
def test_with_a_browser(live: LivePacs, provider: OpenIdProvider, chromium: str) -> None:
    complaints: list[str] = []
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = chrome.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: complaints.append(message.text) if live.url in page.url else None)
        page.goto(f"{live.url}/?page=1")
        page.get_by_role("button", name="Sign in with the hospital account").press("Enter")
        page.wait_for_url(f"{provider.issuer}/**")
        asked = parse_qs(urlsplit(page.url).query)
        assert (asked["code_challenge_method"], asked["response_type"]) == (["S256"], ["code"])
        page.get_by_role("button", name="cook").click()
        page.wait_for_selector("text=Your account has no role here.")
        page.get_by_role("button", name="Try again").click()
        page.wait_for_url(f"{provider.issuer}/**")
        page.get_by_role("button", name="grey").click()
        page.get_by_role("button", name="Sign out").wait_for()
        assert urlsplit(page.url).path == "/"
        assert page.get_by_text("dr.grey").count() >= 1
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("button", name="Sign in with the hospital account").wait_for()
        chrome.close()
    # The browser itself notes that an answer was 403.
    assert not [text for text in complaints if "status of 403" not in text]
    events = live.query(
        "SELECT kind, rule, principal_name FROM audit_accessevent WHERE kind LIKE 'sign%%' ORDER BY sequence"
    )
    assert events[-3:] == [("sign_in_failed", "oidc", ""), ("sign_in", "oidc", "dr.grey"), ("sign_out", "", "dr.grey")]
    logged = (live.home / "web.log").read_text()
    assert "a secret of the hospital" not in logged
    assert "code=" not in logged


def test_with_a_token_of_an_issuer(live: LivePacs, issuer: Issuer) -> None:
    def ask(token: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return requests.get(f"{live.url}/dicom-web/studies", headers=headers, timeout=60)

    token = issuer.sign(sub="gateway", client_id="the gateway", roles=["read"])
    for _ in range(20):
        assert ask(token).status_code in (200, 204)
    assert issuer.asked["/jwks"] <= 4, "each process asks once"
    assert ask(issuer.sign(sub="gateway", roles=["read"], aud="other")).status_code == 401
    searches = "SELECT auth_method, principal_name FROM audit_accessevent WHERE kind = 'search'"
    found = live.query(f"{searches} AND principal_kind = 'client' LIMIT 1")
    assert found == [("jwt", "the gateway")]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("PACS_OIDC__ISSUER", "http://login.example.org", "PACS_OIDC__ISSUER: expected an https:// address"),
        ("PACS_OIDC__CLIENT_ID", "", "PACS_OIDC: client_id is missing"),
        ("PACS_OIDC__SECRET", "ZZQXMARKER", "PACS_OIDC__SECRET: "),
        ("PACS_TRUSTED_ISSUERS", "ZZQXMARKER", "PACS_TRUSTED_ISSUERS: expected JSON"),
        ("PACS_TRUSTED_ISSUERS", '[{"issuer": "https://x.example"}]', "PACS_TRUSTED_ISSUERS, entry 1, audience: "),
    ],
)
def test_a_wrong_setting_is_named_at_the_start(live: LivePacs, name: str, value: str, text: str) -> None:
    before = dict(live.environment)
    live.environment[name] = value
    try:
        done = live.manage_anyhow("check")
    finally:
        live.environment = before
    assert done.returncode == 1
    assert done.stderr.startswith(text)
    assert "Traceback" not in done.stderr
    assert "ZZQXMARKER" not in done.stderr
