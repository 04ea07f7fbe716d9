"""Text made smaller for whoever takes that: gzip and zstd by Accept-Encoding (RFC 9110 8.4, 12.5.3; RFC 8878).

JSON, XML and WADL only. Pixels and bulk data never: compressed frames grow, and a client may take the coding for a
transfer syntax. What is short stays as it is.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import imagecodecs
from django.http import HttpResponse, HttpResponseBase
from isal import igzip

from access.answer_fields import vary

SMALLEST: Final = 1024
_TEXTS: Final = (
    "application/dicom+json",
    "application/json",
    "application/problem+json",
    "application/vnd.sun.wadl+xml",
    "application/dicom+xml",
    'multipart/related; type="application/dicom+xml"',
)
_WEIGHT: Final = re.compile(r"q=([01](?:\.[0-9]{0,3})?|\.[0-9]{1,3})")
# In the server's order of preference, which counts where a client has none
CODINGS: Final[Mapping[str, Callable[[bytes], bytes]]] = MappingProxyType(
    {
        "gzip": lambda data: bytes(igzip.compress(data, 1)),
        "zstd": lambda data: bytes(imagecodecs.zstd_encode(data, 3)),
    }
)


def coding_for(accept_encoding: str) -> str:
    """The coding that the client likes best of ``CODINGS``; "" for none."""
    weights = _weights(accept_encoding)
    liked = {name: weights.get(name, weights.get("*", 0.0)) for name in CODINGS}
    best = max(liked, key=lambda name: liked[name])
    return best if liked[best] > 0 and liked[best] >= weights.get("identity", 0.0) else ""


def coded(accept_encoding: str, response: HttpResponseBase) -> HttpResponseBase:
    """``response`` in the coding that the client likes best, if it is a text of some length; else as it is."""
    if not response.headers.get("Content-Type", "").startswith(_TEXTS):
        return response
    vary(response, "Accept-Encoding")
    name = coding_for(accept_encoding)
    if not name or response.has_header("Content-Encoding") or response.status_code in (204, 304):
        return response
    if response.streaming:
        # Native DICOM XML: its parts are in memory already
        body = b"".join(response)
        whole = HttpResponse(body, status=response.status_code, headers=dict(response.items()))
        whole.cookies = response.cookies
    elif isinstance(response, HttpResponse):
        whole = response
    else:
        return response
    if len(whole.content) >= SMALLEST:
        whole.content = CODINGS[name](whole.content)
        whole["Content-Encoding"] = name
    if whole.has_header("Content-Length"):
        whole["Content-Length"] = str(len(whole.content))
    return whole


def _weights(accept_encoding: str) -> dict[str, float]:
    """Coding -> weight; a malformed weight counts as 1."""
    weights: dict[str, float] = {}
    for element in accept_encoding.lower().split(","):
        name, *parameters = (part.strip() for part in element.split(";"))
        if not name:
            continue
        named = next((match for text in parameters if (match := _WEIGHT.fullmatch(text))), None)
        weights["gzip" if name == "x-gzip" else name] = min(float(named[1]), 1.0) if named else 1.0
    return weights
