"""Which other systems vouch for people and machines: settings that are checked when a process starts."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

Algorithm = Literal["RS256", "PS256", "ES256", "ES384", "EdDSA"]
EVERY_ALGORITHM: Final[tuple[Algorithm, ...]] = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
# A role of the house's own is known to the database only: what nobody knows gives nothing when it is used.
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\uffff\\]")


def is_safe(address: str) -> bool:
    """Whether secrets and keys may travel there: https, or http to this machine."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or _UNSAFE.search(address):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine, by its address or as ``localhost``."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _safe(address: str) -> str:
    if address and not is_safe(address):
        raise ValueError("expected an https:// address (http:// only for this machine)")
    return address


def _issuer(address: str) -> str:
    if urlsplit(_safe(address)).query or "#" in address:
        raise ValueError("an issuer has neither a query nor a fragment")
    return address


def _listed(table: object) -> object:
    """One role may stand alone, without a list around it."""
    if not isinstance(table, dict):
        return table
    return {value: [roles] if isinstance(roles, str) else roles for value, roles in table.items()}


def _mapping(table: Mapping[str, list[str]]) -> Mapping[str, list[str]]:
    for value, roles in table.items():
        if not value.strip() or "*" in value:
            raise ValueError("each value of the claim must be named; there are no wild cards")
        for role in roles:
            if not _ROLE.fullmatch(role):
                raise ValueError(f"a role can't be called {role!r}")
    return table


Issuer = Annotated[str, AfterValidator(_issuer)]
Address = Annotated[str, AfterValidator(_safe)]
RoleTable = Annotated[dict[str, list[str]], BeforeValidator(_listed), AfterValidator(_mapping)]


class OidcConfig(BaseModel):
    """The OpenID provider that people sign in with (OpenID Connect Core 1.0); without an ``issuer`` there is none.

    ``roles`` has the roles that each value of ``roles_claim`` gives. If it is empty, roles are given here alone; else a
    person has those of the last sign-in. A claim inside others is named with dots.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    issuer: Issuer = ""
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    scopes: str = "openid profile email"
    title: str = Field(default="Single sign-on", min_length=1, max_length=60)
    username_claim: str = Field(default="preferred_username", min_length=1)
    roles_claim: str = Field(default="roles", min_length=1)
    roles: RoleTable = {}
    create: bool = False
    sign_out: bool = False

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.issuer and not self.client_id:
            raise ValueError("client_id is missing")
        if self.client_id and not self.issuer:
            raise ValueError("issuer is missing")
        if "openid" not in self.scopes.split():
            raise ValueError("scopes must name openid")
        return self


class TrustedIssuer(BaseModel):
    """Somebody whose signed tokens (JWT, RFC 7519) are taken as Bearer tokens, and what they say.

    Keys are those at ``jwks_uri``, else where the issuer's discovery document says. ``subject_claim`` tells who it is:
    a machine or a person (``kind``) that is linked to it. ``require`` has claims that must have these values.
    ``create`` makes machines that the table of roles knows, called as ``name_claim`` says.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    issuer: Issuer = Field(min_length=1)
    audience: str = Field(min_length=1)
    jwks_uri: Address = ""
    algorithms: list[Algorithm] = Field(default=["RS256", "PS256", "ES256", "EdDSA"], min_length=1)
    kind: Literal["client", "person"] = "client"
    subject_claim: str = Field(default="sub", min_length=1)
    name_claim: str = Field(default="client_id", min_length=1)
    require: dict[str, str] = {}
    roles_claim: str = Field(default="roles", min_length=1)
    roles: RoleTable = {}
    create: bool = False

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.create and self.kind == "person":
            raise ValueError("people are not created by tokens: they sign in first")
        if self.create and not self.roles:
            raise ValueError("create needs a table of roles")
        return self


def each_once(issuers: list[TrustedIssuer]) -> list[TrustedIssuer]:
    """The same list. Raises ValueError if it names an issuer twice."""
    if len({issuer.issuer for issuer in issuers}) < len(issuers):
        raise ValueError("an issuer is named twice")
    return issuers
