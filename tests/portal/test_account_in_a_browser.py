"""Second factors in a real browser: an app's code, and a passkey of Chromium's virtual authenticator (WebAuthn)."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from access.models import SecondFactor, User
from audit.models import AccessEvent
from tests.access.second_steps import PASSWORD, code_of, time_passes

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained of."""
    return []


@pytest.fixture
def page(chromium: str, complaints: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # the driver's loop runs in the thread of the test
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = chrome.new_context().new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        chrome.close()


@pytest.fixture
def rita(make_person: Callable[..., User]) -> User:
    return make_person("radiologist", username="rita", password=PASSWORD)


@pytest.fixture
def root(live_server: LiveServer, settings: Any) -> str:
    """The address of the server, by name: passkeys have no addresses."""
    url = str(live_server.url.replace("127.0.0.1", "localhost"))
    settings.PACS = settings.PACS.model_copy(update={"public_root": url})
    return url


def give_password(page: Page, root: str) -> None:
    page.goto(f"{root}/account/")
    page.fill("#username", "rita")
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")


def with_authenticator(page: Page) -> tuple[CDPSession, str]:
    """A key that is plugged in, and verifies its owner by itself."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    return session, session.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]


def test_an_app_by_keyboard(page: Page, complaints: list[str], root: str, rita: User) -> None:
    give_password(page, root)
    page.get_by_role("link", name="Add an authenticator app").click()
    assert page.locator(".qr").bounding_box()["width"] > 100  # type: ignore[index]
    page.get_by_text("I can't scan it").click()
    secret = page.locator(".secret").inner_text().replace(" ", "")
    page.fill("#code", code_of(secret))
    page.press("#code", "Enter")
    page.wait_for_selector("text=Your recovery codes")
    codes = page.locator("#codes").input_value().split()
    assert len(codes) == 10
    page.get_by_role("link", name="go on").click()
    page.wait_for_selector("text=Authenticator app · added")

    for keys in (code_of(secret), codes[0]):
        time_passes(rita)
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_selector("#password")
        give_password(page, root)
        page.locator("#code:focus").wait_for()
        if keys is codes[0]:
            page.get_by_text("Use a recovery code").click()
            page.fill("#recovery_code", keys)
            page.press("#recovery_code", "Enter")
        else:
            page.keyboard.insert_text(code_of(secret))
            page.keyboard.press("Enter")
        page.wait_for_selector("text=Where you are signed in")
    rules = AccessEvent.objects.filter(kind="sign_in").order_by("sequence").values_list("rule", flat=True)
    assert list(rules) == ["password", "password+totp", "password+recovery code"]
    assert not complaints


def test_a_passkey(page: Page, complaints: list[str], root: str, rita: User) -> None:
    session, authenticator = with_authenticator(page)
    give_password(page, root)
    page.get_by_role("link", name="Add a passkey").click()
    page.fill("#name", "Laptop")
    page.press("#name", "Enter")
    page.wait_for_selector("text=Your recovery codes")
    page.get_by_role("link", name="go on").click()
    page.wait_for_selector("text=Laptop")
    stored = session.send("WebAuthn.getCredentials", {"authenticatorId": authenticator})["credentials"]
    assert [credential["rpId"] for credential in stored] == ["localhost"]

    for count in (1, 2):
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_selector("#password")
        give_password(page, root)
        page.get_by_role("button", name="Use a passkey").click()
        page.wait_for_selector("text=Where you are signed in")
        assert AccessEvent.objects.filter(kind="sign_in", rule="password+passkey").count() == count
    assert SecondFactor.objects.get().used_at is not None

    # The same key can't be added twice, and the page says so.
    page.get_by_role("link", name="Add a passkey").click()
    page.press("#name", "Enter")
    page.wait_for_selector("text=has a passkey for your account already")

    # Whoever can't show it doesn't get in, and learns why.
    page.goto(f"{root}/account/")
    page.get_by_role("button", name="Sign out").click()
    session.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": authenticator})
    with_authenticator(page)
    give_password(page, root)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_selector("[data-passkey-error]:not([hidden])")
    page.goto(f"{root}/account/")
    page.wait_for_selector("#username")
    assert not complaints


def test_set_up_because_one_must(page: Page, complaints: list[str], root: str, rita: User, settings: Any) -> None:
    settings.PACS = settings.PACS.model_copy(update={"second_factor": "required"})
    with_authenticator(page)
    give_password(page, root)
    page.wait_for_selector("text=Protect your account")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_selector("text=Your recovery codes")
    page.get_by_role("link", name="go on").click()
    page.wait_for_selector("text=Where you are signed in")
    assert AccessEvent.objects.get(kind="sign_in").rule == "password+passkey"
    assert not complaints


def test_a_browser_without_passkeys_is_told(page: Page, root: str, rita: User) -> None:
    page.add_init_script("delete window.PublicKeyCredential")
    give_password(page, root)
    page.goto(f"{root}/account/second-factors/passkey")
    page.wait_for_selector("text=This browser knows no passkeys")
    assert not page.locator("form[data-passkey]").is_visible()
