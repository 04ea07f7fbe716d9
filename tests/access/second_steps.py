"""How a browser of the tests goes through the pages of a sign-in with a second factor."""

import json
import re
import time
from collections.abc import Callable
from html import unescape
from typing import Any

import pyotp
from django.conf import settings
from django.test import Client as Browser

from access import totp
from access.models import SecondFactor, User

PASSWORD = "correct horse battery staple"
LOGIN = "/accounts/login/"
SECOND = "/accounts/login/second-factor"
SET_UP = "/accounts/login/set-up"
Make = Callable[..., Any]


def post(browser: Browser, path: str, **fields: str) -> Any:
    """A form of a page of ours."""
    for page in (LOGIN, "/account/"):
        if settings.CSRF_COOKIE_NAME not in browser.cookies:
            browser.get(page)
    token = browser.cookies[settings.CSRF_COOKIE_NAME].value
    return browser.post(path, {**fields, "csrfmiddlewaretoken": token})


def password_step(browser: Browser, username: str = "rita", password: str = PASSWORD, **fields: str) -> Any:
    return post(browser, LOGIN, username=username, password=password, **fields)


def add_app(user: User) -> str:
    """An app of the person, of which no code was used yet; its secret."""
    new = totp.new_app()
    assert totp.add_app(user, new, "Phone", code_of(new.secret)) is not None
    time_passes(user)
    return new.secret


def code_of(secret: str) -> str:
    """The code of the step to come: accepted now, and for at least a minute, however slow the machine is."""
    return pyotp.TOTP(secret).at(int(time.time()) + totp.STEP_SECONDS)


def time_passes(user: User) -> None:
    """As if the codes used so far were of long ago."""
    SecondFactor.objects.filter(user=user).update(last_step=0)


def options_of(page: Any) -> dict[str, Any]:
    """What a page asks a passkey for."""
    found = re.search(r'data-options="([^"]*)"', page.content.decode())
    assert found, page.content.decode()
    options: dict[str, Any] = json.loads(unescape(found[1]))
    return options
