"""An app as the tests play it: its question, the consent of a person, and its requests for tokens."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.test import Client as Browser

from access.clients import create_app
from access.models import Client
from access.smart import DEFAULT_OF_APPS

CALLBACK = "https://app.example/callback"
STATE = "a state that cannot be guessed"


@dataclass
class App:
    """An app with its verifier (RFC 7636 4.1); ``answer`` is what came back to its address last."""

    client: Client
    secret: str
    verifier: str = "v" * 64
    machine: Browser = field(default_factory=lambda: Browser(HTTP_HOST="127.0.0.1"))
    answer: dict[str, str] = field(default_factory=dict)

    @property
    def challenge(self) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")

    def question(self, **changed: str | None) -> str:
        """The address of its question; a field given as None is left out."""
        fields: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": CALLBACK,
            "scope": "user/ImagingStudy.rs",
            "state": STATE,
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
        }
        given = {name: value for name, value in (fields | changed).items() if value is not None}
        return f"/oauth/authorize/?{urlencode(given)}"

    def ask(self, browser: Browser, answer: str = "allow", posted: dict[str, str] | None = None, **changed: Any) -> Any:
        """The person opens the question and answers it; the response to the answer."""
        address = self.question(**changed)
        browser.get(address)
        token = browser.cookies["lightbox_csrf"].value
        response = browser.post(address, {"answer": answer, **(posted or {})}, headers={"X-CSRFToken": token})
        self.answer = read_answer(response) if response.status_code == 303 else {}
        return response

    def post(self, path: str, **fields: str) -> Any:
        """A form of the app, with its id and its secret if it has one."""
        own = {"client_id": self.client.client_id} | ({"client_secret": self.secret} if self.secret else {})
        return self.machine.post(path, own | fields)

    def exchange(self, code: str | None = None, **changed: str) -> Any:
        """The code for tokens."""
        fields = {
            "grant_type": "authorization_code",
            "code": self.answer["code"] if code is None else code,
            "redirect_uri": CALLBACK,
            "code_verifier": self.verifier,
        }
        return self.post("/oauth/token/", **(fields | changed))

    def refresh(self, token: str, **fields: str) -> Any:
        """A refresh token for the next tokens."""
        return self.post("/oauth/token/", grant_type="refresh_token", refresh_token=token, **fields)

    def tokens(self, browser: Browser, **changed: Any) -> dict[str, Any]:
        """All the way to the tokens."""
        response = self.ask(browser, **changed)
        assert response.status_code == 303, response.content
        found = self.exchange()
        assert found.status_code == 200, found.content
        body: dict[str, Any] = found.json()
        return body

    def whoami(self, token: str) -> Any:
        """What the server takes a token for."""
        return self.machine.get("/api/whoami", headers={"Authorization": f"Bearer {token}"})


def make_app(*, public: bool = True, scopes: tuple[str, ...] = DEFAULT_OF_APPS, name: str = "Reading app") -> App:
    """An app that was made as the command makes it."""
    client, secret = create_app(name, [CALLBACK, "http://127.0.0.1/cb"], scopes, public=public)
    return App(client, secret)


def read_answer(response: Any) -> dict[str, str]:
    """The fields of the address that the browser is sent to, which is the app's."""
    location = response["Location"]
    assert location.startswith(f"{CALLBACK}?"), location
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
