"""Questions to systems that vouch for others: short, of bounded size, without redirects, never to an unsafe address."""

import json
import time
from collections.abc import Mapping
from typing import Any, Final

import requests
from urllib3.exceptions import HTTPError

from access.federation_settings import is_safe
from access.remembered import Away, BadAnswer

SECONDS: Final = 5.0
MOST_BYTES: Final = 262_144


def get_json(address: str, *, token: str = "") -> dict[str, Any]:
    """The JSON object at ``address``, asked for with a Bearer ``token`` if there is one. Raises Away, BadAnswer."""
    return _ask("GET", address, headers={"Authorization": f"Bearer {token}"} if token else {})


def post_form(address: str, fields: Mapping[str, str], login: tuple[str, str] | None) -> dict[str, Any]:
    """The JSON object that answers a form, with HTTP Basic credentials if there are any. Raises Away, BadAnswer."""
    return _ask("POST", address, data=dict(fields), auth=login)


def _ask(method: str, address: str, *, headers: Mapping[str, str] | None = None, **options: Any) -> dict[str, Any]:
    if not is_safe(address):
        raise BadAnswer("the address is neither https nor on this machine")
    until = time.monotonic() + SECONDS
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
    try:
        with requests.request(
            method, address, headers=headers, timeout=SECONDS, allow_redirects=False, stream=True, **options
        ) as response:
            body = _read(response, until)
    except (requests.RequestException, HTTPError, OSError) as error:
        raise Away(f"no answer ({type(error).__name__})") from error
    if response.status_code >= 500:
        raise Away(f"answered with status {response.status_code}")
    if response.status_code != 200:
        raise BadAnswer(f"answered with status {response.status_code}")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadAnswer("the answer is not JSON") from error
    if not isinstance(found, dict):
        raise BadAnswer("the answer is not a JSON object")
    return found


def _read(response: requests.Response, until: float) -> bytes:
    """The body as it comes. Raises Away when it takes too long, BadAnswer when it is too large."""
    body = b""
    while piece := response.raw.read1(65_536):
        body += piece
        if len(body) > MOST_BYTES:
            raise BadAnswer(f"the answer has more than {MOST_BYTES} bytes")
        if time.monotonic() > until:
            raise Away("the answer takes too long")
    return body
