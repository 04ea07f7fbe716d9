"""Alerts by webhook: one signed POST, to a host that is allowed, at an address that may be reached.

The form is that of Standard Webhooks: ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``, HMAC-SHA256 of
``id.timestamp.body``. The name is looked up once, every address found is checked, and to one of those it is connected:
a name that answers otherwise a moment later leads nowhere else. Redirects are not followed.
"""

import base64
import hmac
import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

SECONDS: Final = 10.0
_PREFIX: Final = "whsec_"
# IPv4 inside IPv6 by a translator or a tunnel: what is reached is the address within.
_WRAPPED: Final = {ip_network("64:ff9b::/96"): 0, ip_network("2002::/16"): 80, ip_network("::/96"): 0}
# All that is given out to be reached from everywhere (RFC 4291 2.4); what is outside leads inside a house, if anywhere.
_GLOBAL_UNICAST: Final = ip_network("2000::/3")
Address = IPv4Address | IPv6Address
Networks = list[IPv4Network | IPv6Network]


class NotDelivered(OSError):
    """The receiver did not take it; the text says why, without the address."""


def post(url: str, message_id: str, facts: Mapping[str, Any], secret: str, networks: Networks, ca: Path | None) -> None:
    """Post ``facts`` as JSON. Raises OSError (NotDelivered among them): anything but an answer of 2xx in time."""
    body = json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode()
    moment = str(int(time.time()))
    at = urlsplit(url)
    headers = {
        "Host": at.netloc,
        "Content-Type": "application/json",
        "User-Agent": "Lightbox",
        "Connection": "close",
        "webhook-id": message_id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{signature(secret, message_id, moment, body)}",
    }
    connected = _connected(url, networks)
    # Each wait has its limit; this is that of all of them.
    duplicate = connected.dup()
    limit = threading.Timer(SECONDS, _cut, [duplicate])
    limit.start()
    with closing(connected), closing(HTTPConnection(at.hostname or "", timeout=SECONDS)) as server:
        try:
            server.sock = _secured(connected, at.hostname or "", ca) if at.scheme == "https" else connected
            server.request("POST", (at.path or "/") + (f"?{at.query}" if at.query else ""), body, headers)
            status = server.getresponse().status
        except HTTPException as error:
            raise NotDelivered(f"the answer is not HTTP ({type(error).__name__})") from None
        finally:
            limit.cancel()
            duplicate.close()
    if not 200 <= status < 300:
        raise NotDelivered(f"status {status}")


def signature(secret: str, message_id: str, moment: str, body: bytes) -> str:
    """HMAC-SHA256 in base64; a secret that begins with ``whsec_`` is base64 itself."""
    key = base64.b64decode(secret.removeprefix(_PREFIX)) if secret.startswith(_PREFIX) else secret.encode()
    signed = f"{message_id}.{moment}.".encode() + body
    return base64.b64encode(hmac.digest(key, signed, sha256)).decode()


def may_connect(address: Address, networks: Networks) -> bool:
    """Whether ``address`` is a public one, or in a network that the settings allow."""
    inner = _inner(address)
    if is_named(inner, networks):
        return True
    given_out = inner.version == 4 or inner in _GLOBAL_UNICAST
    return given_out and inner.is_global and not inner.is_multicast


def is_named(address: Address, networks: Networks) -> bool:
    """Whether the settings name a network with ``address``."""
    return any(address.version == network.version and address in network for network in networks)


def _inner(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    for network, shift in _WRAPPED.items():
        if address in network and int(address) > 1:
            return IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    return address


def _connected(url: str, networks: Networks) -> socket.socket:
    at = urlsplit(url)
    port = at.port or (443 if at.scheme == "https" else 80)
    found = socket.getaddrinfo(at.hostname, port, type=socket.SOCK_STREAM)
    addresses = [ip_address(str(each[4][0]).partition("%")[0]) for each in found]
    if not all(may_connect(address, networks) for address in addresses):
        raise NotDelivered("its host has an address that is not public, and no setting allows it")
    if at.scheme != "https" and not all(is_named(_inner(address), networks) for address in addresses):
        raise NotDelivered("without TLS only to what the settings name as a private network")
    failure: OSError = NotDelivered("its host has no address")
    for address in addresses:
        try:
            return socket.create_connection((str(address), port), timeout=SECONDS)
        except OSError as error:
            failure = error
    raise failure


def _secured(connected: socket.socket, host: str, ca: Path | None) -> ssl.SSLSocket:
    return ssl.create_default_context(cafile=str(ca) if ca else None).wrap_socket(connected, server_hostname=host)


def _cut(connected: socket.socket) -> None:
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
