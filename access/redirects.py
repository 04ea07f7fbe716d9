"""Where the answer to an app's question for consent may be sent: an address that was registered, and no other."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

LONGEST: Final = 2000


class BadRedirect(ValueError):
    """An address that answers may not be sent to; the text says why."""


def checked(uri: str) -> str:
    """``uri`` if it may be registered: https, or http to this computer (RFC 8252 7.3). Raises BadRedirect."""
    if len(uri) > LONGEST or not uri.isascii() or any(char.isspace() or char in '"<>\\^`{|}' for char in uri):
        raise BadRedirect("a redirect address is plain ASCII without spaces, of 2000 characters at the most")
    parts = _split(uri)
    if parts is None or not parts.hostname or "@" in parts.netloc or "#" in uri:
        raise BadRedirect("a redirect address names a host, and neither an account nor a fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_computer(parts.hostname)):
        raise BadRedirect("a redirect address is https, or http to 127.0.0.1, [::1] or localhost")
    return uri


def is_same(uri: str, registered: str) -> bool:
    """Whether they are the same, letter by letter (RFC 9700 4.1.3).

    A loopback address of numbers that was registered without a port takes any: native apps get one from the system
    (RFC 8252 7.3).
    """
    if uri == registered:
        return True
    asked, known = _split(uri), _split(registered)
    if asked is None or known is None or known.scheme != "http" or not _is_loopback_number(known.hostname or ""):
        return False
    return known.port is None and _without_port(asked) == _without_port(known) and asked.netloc.count("@") == 0


def origin(uri: str) -> str:
    """Scheme, host and port, as a policy for the browser names them."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        return parts if parts.port is None or parts.port > 0 else None
    except ValueError:
        return None


def _without_port(parts: SplitResult) -> tuple[str, str | None, str, str, str]:
    return parts.scheme, parts.hostname, parts.path, parts.query, parts.fragment


def _is_this_computer(host: str) -> bool:
    return host == "localhost" or _is_loopback_number(host)


def _is_loopback_number(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
