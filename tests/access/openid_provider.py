"""A real OpenID provider as a process of its own: oidc-provider-mock, and PKCE in front of it, which it doesn't check.

    python -m tests.access.openid_provider PORT USERS

USERS is a JSON object of subjects and their claims. Codes are given only for a challenge, and taken only with the
verifier that belongs to it (RFC 7636).
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

ROOT = Path(__file__).resolve().parent.parent.parent


class Pkce:
    """A WSGI application around another one."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application
        self.challenges: dict[str, str] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        where = environ["PATH_INFO"]
        if where == "/oauth2/authorize":
            question = parse_qs(environ["QUERY_STRING"])
            challenge = question.get("code_challenge", [""])[0]
            if not challenge or question.get("code_challenge_method") != ["S256"]:
                start_response("400 Bad Request", [("Content-Type", "text/plain")])
                return [b"PKCE is needed"]

            def remember(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
                there = dict(headers).get("Location", "")
                for code in parse_qs(urlsplit(there).query).get("code", []):
                    self.challenges[code] = challenge
                return start_response(status, headers, *rest)

            return self.application(environ, remember)
        if where == "/oauth2/token":
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            form = parse_qs(body.decode())
            verifier = form.get("code_verifier", [""])[0]
            digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
            if self.challenges.pop(form.get("code", [""])[0], None) != digest:
                start_response("400 Bad Request", [("Content-Type", "application/json")])
                return [b'{"error": "invalid_grant"}']
        return self.application(environ, start_response)


class OpenIdProvider:
    """The process, and its address as an issuer."""

    def __init__(self, users: dict[str, dict[str, Any]]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.issuer = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "tests.access.openid_provider", str(self.port), json.dumps(users)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PACS_", "DJANGO_"))}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, "the provider did not start"
            assert time.monotonic() < until, "the provider does not answer"
            time.sleep(0.1)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.issuer}/.well-known/openid-configuration", timeout=30) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def main(port: int, users: dict[str, dict[str, Any]]) -> None:
    from oidc_provider_mock import User, app  # type: ignore[import-untyped]
    from werkzeug.serving import run_simple

    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    made = app(require_nonce=True, user_claims=[User(sub=sub, claims=claims) for sub, claims in users.items()])
    made.debug = False
    run_simple("127.0.0.1", port, Pkce(made.wsgi_app), threaded=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(sys.argv[2]))
