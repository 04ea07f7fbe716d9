"""A passkey in software: what a browser and its authenticator answer, and what a false one would."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from fido2.cose import ES256, ES384, RS256, CoseKey, EdDSA
from fido2.utils import websafe_encode
from fido2.webauthn import (
    Aaguid,
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)

FLAG = AuthenticatorData.FLAG


@dataclass
class Authenticator:
    """Knows one credential. ``origin``, ``rp_id``, ``flags`` and ``counter`` may be set to wrong ones."""

    origin: str = "https://pacs.example.org"
    rp_id: str = "pacs.example.org"
    kind: str = "ES256"
    counter: int = 0
    step: int = 1
    flags: AuthenticatorData.FLAG = FLAG.UP
    credential_id: bytes = b"\x07" * 32
    key: Any = field(init=False)

    def __post_init__(self) -> None:
        match self.kind:
            case "ES256":
                self.key = ec.generate_private_key(ec.SECP256R1())
            case "EdDSA":
                self.key = ed25519.Ed25519PrivateKey.generate()
            case "ES384":
                self.key = ec.generate_private_key(ec.SECP384R1())
            case _:
                self.key = rsa.generate_private_key(65537, 2048)

    def public_key(self) -> CoseKey:
        kinds: dict[str, Any] = {"ES256": ES256, "EdDSA": EdDSA, "RS256": RS256, "ES384": ES384}
        found: CoseKey = kinds[self.kind].from_cryptography_key(self.key.public_key())
        return found

    def create(self, options: dict[str, Any], **changed: Any) -> str:
        """RegistrationResponseJSON; ``changed`` replaces fields of the client data."""
        credential = AttestedCredentialData.create(Aaguid.NONE, self.credential_id, self.public_key())
        data = AuthenticatorData.create(self._hash(), self.flags | FLAG.AT, self.counter, credential)
        response = {
            "clientDataJSON": websafe_encode(self._client_data("webauthn.create", options, changed)),
            "attestationObject": websafe_encode(AttestationObject.create("none", data, {})),
        }
        return self._answer(response)

    def get(self, options: dict[str, Any], **changed: Any) -> str:
        """AuthenticationResponseJSON; ``changed`` replaces fields of the client data."""
        self.counter += self.step
        data = AuthenticatorData.create(self._hash(), self.flags, self.counter)
        client_data = self._client_data("webauthn.get", options, changed)
        signed = bytes(data) + hashlib.sha256(client_data).digest()
        response = {
            "clientDataJSON": websafe_encode(client_data),
            "authenticatorData": websafe_encode(data),
            "signature": websafe_encode(self._sign(signed)),
        }
        return self._answer(response)

    def _sign(self, message: bytes) -> bytes:
        how: dict[str, tuple[Any, ...]] = {
            "ES256": (ec.ECDSA(SHA256()),),
            "EdDSA": (),
            "RS256": (padding.PKCS1v15(), SHA256()),
        }
        signature: bytes = self.key.sign(message, *how[self.kind])
        return signature

    def _hash(self) -> bytes:
        return hashlib.sha256(self.rp_id.encode()).digest()

    def _client_data(self, kind: str, options: dict[str, Any], changed: dict[str, Any]) -> bytes:
        fields = {"type": kind, "challenge": options["challenge"], "origin": self.origin} | changed
        return bytes(CollectedClientData.create(**fields))

    def _answer(self, response: dict[str, str]) -> str:
        name = websafe_encode(self.credential_id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})
