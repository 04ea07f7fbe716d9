"""An issuer on loopback with keys of its own: it signs whatever a test wants, and counts what it is asked."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

CLASSES: dict[str, Any] = {
    "RSA": jwt.algorithms.RSAAlgorithm,
    "EC": jwt.algorithms.ECAlgorithm,
    "OKP": jwt.algorithms.OKPAlgorithm,
}


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def public_jwk(key: Any, kid: str | None, **fields: Any) -> dict[str, Any]:
    """The public half as a JWK."""
    kind = "RSA" if isinstance(key, rsa.RSAPrivateKey) else "OKP"
    kind = "EC" if isinstance(key, ec.EllipticCurvePrivateKey) else kind
    jwk: dict[str, Any] = json.loads(CLASSES[kind].to_jwk(key.public_key()))
    jwk.pop("key_ops", None)
    return {**jwk, **({"kid": kid} if kid else {}), **fields}


def raw_token(header: Mapping[str, Any], claims: Any, signature: bytes = b"") -> str:
    """A token put together by hand."""
    parts = (json.dumps(header).encode(), claims if isinstance(claims, bytes) else json.dumps(claims).encode())
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, signature))


class Issuer:
    """``http://127.0.0.1:PORT``; each of ``paths`` answers with what its function returns for the form posted.

    That is an object for JSON, or status, headers and body; a body may come in pieces.
    """

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {"one": rsa_key()}
        self.asked: Counter[str] = Counter()
        self.paths: dict[str, Callable[[dict[str, str]], Any]] = {
            "/.well-known/openid-configuration": lambda form: self.document(),
            "/jwks": lambda form: {"keys": [public_jwk(key, kid) for kid, key in self.keys.items()]},
        }
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def document(self) -> dict[str, Any]:
        """The discovery document."""
        return {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/jwks",
            "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA", "HS256", "none"],
        }

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims that are right, with changes; None leaves one out."""
        now = int(time.time())
        good = {"iss": self.address, "sub": "robot", "aud": "lightbox", "exp": now + 300, "iat": now}
        return {name: value for name, value in (good | changes).items() if value is not None}

    def sign(
        self, *, kid: str | None = "one", alg: str = "RS256", key: Any = None, header: Any = None, **changes: Any
    ) -> str:
        """A token of this issuer."""
        headers = ({"kid": kid} if kid else {}) | (header or {})
        return jwt.encode(self.claims(**changes), key or self.keys["one"], algorithm=alg, headers=headers)

    def sign_raw(self, header: Mapping[str, Any], claims: Any) -> str:
        """The same with a header and claims that no library would write."""
        unsigned = raw_token({"alg": "RS256", "kid": "one", **header}, claims).rstrip(".")
        signature = self.keys["one"].sign(unsigned.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    def stop(self) -> None:
        """Nobody listens there any more."""
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()

    def _handler(issuer) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer({})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.answer(dict(parse_qsl(body.decode())))

            def answer(self, form: dict[str, str]) -> None:
                path = urlsplit(self.path).path
                issuer.asked[path] += 1
                make = issuer.paths.get(path)
                found = make(form) if make else (404, {}, b"")
                status, headers, body = found if isinstance(found, tuple) else (200, {}, json.dumps(found).encode())
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                with suppress(OSError):
                    for piece in [body] if isinstance(body, bytes) else body:
                        self.wfile.write(piece)

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        return Handler


def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def ec_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())
