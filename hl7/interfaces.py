"""Whose message is it: the interface for a sender, its certificate and the way it came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from archive.prepared_rows import PreparedRows
from hl7.errors import Condition, Place, Refused
from hl7.header import Header
from hl7.models import Hl7Interface
from hl7.profiles import InvalidProfile, Profile

_KNOWN: Final = PreparedRows(
    Hl7Interface,
    "WHERE active AND certificate_sha256 = %s AND sending_application IN ('', %s) AND sending_facility IN ('', %s)",
)


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end: ``transport`` is mllp, mllp-tls or http, ``certificate_sha256`` in lower-case hex.

    ``account`` and its name are of whoever proved who they are over HTTP.
    """

    transport: str
    address: str = ""
    certificate_sha256: str = ""
    account: str = ""
    account_name: str = ""


def interface_for(header: Header, peer: Peer) -> tuple[Hl7Interface, Profile]:
    """The interface that knows this sender, the one that says most about it where several do, and its profile.

    Raises Refused: 103 for a sender that nobody knows, 207 for a profile that isn't right.
    """
    application, facility = header.text(3), header.text(4)
    found = _KNOWN(peer.certificate_sha256, application, facility)
    best = max(found, key=lambda each: (each.sending_application != "", each.sending_facility != ""), default=None)
    if best is None:
        raise Refused(Condition.VALUE_NOT_FOUND, Place("MSH", 3), "this sender isn't known here")
    try:
        return best, best.rules()
    except InvalidProfile:
        raise Refused(Condition.INTERNAL, None, "the profile of this interface isn't right") from None
