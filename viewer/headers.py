"""The headers of every answer below ``/viewer/``.

Workers take their policy from their own response, not from the page, so files carry the same headers as the page.
"""

from collections.abc import Sequence
from typing import TypeVar

from django.http import HttpResponseBase

Response = TypeVar("Response", bound=HttpResponseBase)

# COOP and COEP make the page cross-origin isolated: the viewer shares decoded volumes between its workers.
FIXED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

# `wasm-unsafe-eval` compiles the image codecs and permits no text to run as script; `blob:` carries worker code,
# thumbnails and encapsulated PDF that the viewer itself made ('self' in object-src is the viewer's PDF element while
# it is still empty); inline styles are how its components are positioned.
POLICY = {
    "default-src": ("'none'",),
    "script-src": ("'self'", "'wasm-unsafe-eval'"),
    "worker-src": ("'self'", "blob:"),
    "style-src": ("'self'", "'unsafe-inline'"),
    "img-src": ("'self'", "data:", "blob:"),
    "media-src": ("'self'", "blob:"),
    "font-src": ("'self'", "data:"),
    "connect-src": ("'self'", "blob:", "data:"),
    "object-src": ("'self'", "blob:"),
    "frame-src": ("blob:",),
    "base-uri": ("'none'",),
    "form-action": ("'self'",),
    "frame-ancestors": ("'self'",),
}


# What a codec's worker adds to its own policy: its bindings are built from text when it starts (JPEG 2000, JPEG-LS).
CODEC = ("'unsafe-eval'",)


def content_security_policy(script_sources: Sequence[str] = ()) -> str:
    """The policy's text, with `script_sources` added to what may run."""
    added = {"script-src": tuple(script_sources)}
    return "; ".join(
        " ".join((directive, *sources, *added.get(directive, ()))) for directive, sources in POLICY.items()
    )


def protect(response: Response, script_sources: Sequence[str] = ()) -> Response:
    """`response` with the viewer's headers."""
    for name, value in FIXED.items():
        response.headers[name] = value
    response.headers["Content-Security-Policy"] = content_security_policy(script_sources)
    return response
