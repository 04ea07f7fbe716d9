"""The OpenID provider: where it is, what it is asked, and when its answer is believed (OpenID Connect Core)."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from django.conf import settings

from access.asking import get_json, post_form
from access.federation_settings import EVERY_ALGORITHM, Algorithm, OidcConfig, is_safe
from access.jwt_checks import Expected, Refused, claim, keys_of, verified
from access.jwt_keys import discovered, published_keys
from access.remembered import BadAnswer, Remembered

RETURN = "/accounts/sso/return"


@dataclass(frozen=True, slots=True)
class Provider:
    """What the discovery document says; addresses that may be missing are "" then."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    end_session_endpoint: str
    algorithms: tuple[Algorithm, ...]
    secret_in_form: bool
    names_itself: bool


@dataclass(frozen=True, slots=True)
class Secrets:
    """What one sign-in is tied to: ``state`` to the browser, ``nonce`` to the ID token, ``verifier`` to the code."""

    state: str
    nonce: str
    verifier: str


def provider(issuer: str) -> Provider:
    """The provider as its discovery document has it, kept like keys are. Raises Away, BadAnswer."""
    return _known(issuer).get()


def authorization_address(there: Provider, oidc: OidcConfig, secrets: Secrets, *, again: bool) -> str:
    """Where the browser is sent: code flow (Core 3.1.2.1) with PKCE (RFC 7636 4.3).

    ``again`` has the person asked even if they are signed in there.
    """
    challenge = base64.urlsafe_b64encode(hashlib.sha256(secrets.verifier.encode()).digest()).rstrip(b"=").decode()
    question = {
        "response_type": "code",
        "client_id": oidc.client_id,
        "redirect_uri": return_address(),
        "scope": oidc.scopes,
        "state": secrets.state,
        "nonce": secrets.nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    } | ({"prompt": "login"} if again else {})
    return _with_query(there.authorization_endpoint, question)


def end_session_address(there: Provider, oidc: OidcConfig) -> str:
    """Where the browser is sent to sign out there too (RP-Initiated Logout 2); "" if the provider has no such place."""
    if not there.end_session_endpoint:
        return ""
    back = f"{settings.PACS.public_root}{settings.LOGOUT_REDIRECT_URL}"
    question = {"client_id": oidc.client_id, "post_logout_redirect_uri": back}
    return _with_query(there.end_session_endpoint, question)


def return_address() -> str:
    """Our own address to which the provider sends the browser back."""
    return f"{settings.PACS.public_root}{RETURN}"


def claims_for(code: str, there: Provider, oidc: OidcConfig, secrets: Secrets) -> Mapping[str, Any]:
    """What the provider says about whoever brings ``code``: the ID token's claims, and from the userinfo endpoint what
    is missing there. Raises Away, BadAnswer, and Refused for an ID token that is not right."""
    answer = _exchange(code, there, oidc, secrets)
    claims = _id_token(str(answer.get("id_token", "")), there, oidc, secrets)
    wanted = [oidc.username_claim, *([oidc.roles_claim] if oidc.roles else [])]
    token = answer.get("access_token")
    if there.userinfo_endpoint and isinstance(token, str) and any(claim(claims, name) is None for name in wanted):
        more = get_json(there.userinfo_endpoint, token=token)
        if more.get("sub") != claims["sub"]:
            raise Refused("the userinfo is about somebody else")
        return {**more, **claims}
    return claims


def _exchange(code: str, there: Provider, oidc: OidcConfig, secrets: Secrets) -> dict[str, Any]:
    """The token endpoint's answer (RFC 6749 4.1.3), with our secret in the header unless it wants it in the form."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": return_address(),
        "code_verifier": secrets.verifier,
    }
    secret = oidc.client_secret.get_secret_value()
    if secret and not there.secret_in_form:
        return post_form(there.token_endpoint, form, (quote_plus(oidc.client_id), quote_plus(secret)))
    form |= {"client_id": oidc.client_id} | ({"client_secret": secret} if secret else {})
    return post_form(there.token_endpoint, form, None)


def _id_token(token: str, there: Provider, oidc: OidcConfig, secrets: Secrets) -> dict[str, Any]:
    """The claims of the ID token (Core 3.1.3.7)."""
    expected = Expected(
        oidc.issuer, [oidc.client_id], there.algorithms, claims=("iss", "sub", "aud", "exp", "iat", "nonce")
    )
    claims = verified(token, expected, keys_of(published_keys(there.jwks_uri)))
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if (several or "azp" in claims) and claims.get("azp") != oidc.client_id:
        raise Refused("it was made for another client")
    if not hmac.compare_digest(str(claims["nonce"]).encode("utf-8", "replace"), secrets.nonce.encode()):
        raise Refused("it belongs to another sign-in")
    return claims


@lru_cache(maxsize=8)
def _known(issuer: str) -> Remembered[Provider]:
    return Remembered(f"the provider {issuer}", lambda: _described(discovered(issuer)))


def _described(document: Mapping[str, Any]) -> Provider:
    def address(name: str, *, needed: bool = True) -> str:
        found = document.get(name, "")
        if not isinstance(found, str) or (found and not is_safe(found)) or (needed and not found):
            raise BadAnswer(f"the discovery document names no safe {name}")
        return found

    said = document.get("id_token_signing_alg_values_supported", ["RS256"])
    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    algorithms = tuple(name for name in EVERY_ALGORITHM if isinstance(said, list) and name in said)
    if not algorithms:
        raise BadAnswer("the provider signs with no algorithm that is allowed here")
    return Provider(
        authorization_endpoint=address("authorization_endpoint"),
        token_endpoint=address("token_endpoint"),
        jwks_uri=address("jwks_uri"),
        userinfo_endpoint=address("userinfo_endpoint", needed=False),
        end_session_endpoint=address("end_session_endpoint", needed=False),
        algorithms=algorithms,
        secret_in_form=isinstance(methods, list) and "client_secret_basic" not in methods,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _with_query(address: str, question: Mapping[str, str]) -> str:
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(question)}"
