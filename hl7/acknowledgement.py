"""Answers (HL7 v2 2.9): ACK in the sender's own delimiters, built from the bytes of its header.

Original mode: one answer, AA, AE or AR, after the effect. Enhanced mode, where MSH-15 or MSH-16 has a value: CA, CE or
CR says that the message is kept or isn't, and the application's answer comes later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from secrets import token_hex
from typing import Final

from hl7.errors import Refused
from hl7.header import Header

LONGEST_TEXT: Final = 80
_NEVER: Final = "NE"
# Table 0155: whether an answer of success, or of an error, is wanted.
_WANTED: Final = {"AL": (True, True), "SU": (True, False), "ER": (False, True), "NE": (False, False)}
# Answers aren't answered.
ANSWERS: Final = frozenset({"ACK", "MCF", "NMR", "RSP", "ORR", "RRA", "ADR"})


class Code(StrEnum):
    """Table 0008."""

    ACCEPTED = "AA"
    ERROR = "AE"
    REJECTED = "AR"
    COMMIT_ACCEPTED = "CA"
    COMMIT_ERROR = "CE"
    COMMIT_REJECTED = "CR"


_COMMITTED: Final = {
    Code.ACCEPTED: Code.COMMIT_ACCEPTED,
    Code.ERROR: Code.COMMIT_ERROR,
    Code.REJECTED: Code.COMMIT_REJECTED,
}


@dataclass(frozen=True, slots=True)
class Answers:
    """``now`` goes back over the connection that the message came by; ``later`` is for the sender's own listener."""

    now: bytes | None
    later: bytes | None = None


def code_of(refused: Refused | None) -> Code:
    """AA, or what table 0357 makes of a refusal."""
    if refused is None:
        return Code.ACCEPTED
    return Code.REJECTED if refused.condition.rejects else Code.ERROR


def answers(header: Header, refused: Refused | None, *, original: bool = False, committed: bool = True) -> Answers:
    """What the sender gets: by MSH-15 and MSH-16, or, with ``original``, as if both were empty.

    ``committed``: the message was kept and could be read, so that a commit answer says CA whatever its effect was.
    Where only the application's answer is wanted it goes over the same connection.
    """
    if header.type in ANSWERS:
        return Answers(None)
    code = code_of(refused)
    accept, application = header.text(15).upper(), header.text(16).upper()
    if original or not (accept or application):
        return Answers(acknowledgement(header, code, refused))
    commit = Code.COMMIT_ACCEPTED if committed else _COMMITTED[code]
    now = acknowledgement(header, commit, None if committed else refused) if _wants(accept, not committed) else None
    wanted = committed and _wants(application, refused is not None)
    later = acknowledgement(header, code, refused) if wanted else None
    return Answers(now, later) if now is not None or accept not in ("", _NEVER) else Answers(later)


def _wants(condition: str, failed: bool) -> bool:
    # A word that isn't of the table asks for an answer; an empty field beside one with a value doesn't.
    return _WANTED.get(condition or _NEVER, (True, True))[failed]


def acknowledgement(header: Header, code: Code, refused: Refused | None) -> bytes:
    """MSH, MSA and, with a refusal, ERR. It holds nothing of the message but its header."""
    separator, component = header.separator, header.fields[2][:1]
    event = header.component(9, 2)
    msh = [b"MSH", header.fields[2], *(header.field(number) for number in (5, 6, 3, 4))]
    msh += [datetime.now(UTC).strftime("%Y%m%d%H%M%S+0000").encode(), b""]
    msh += [component.join([b"ACK", event, b"ACK"]) if event else b"ACK", token_hex(10).encode()]
    msh += [header.field(11), header.field(12), b"", b"", b"", b"", b"", header.field(18)]
    text = _plain(refused.text, header) if refused else b""
    segments = [msh, [b"MSA", code.value.encode(), header.control_id, text[:LONGEST_TEXT]]]
    if refused is not None:
        condition = component.join(
            [str(int(refused.condition)).encode(), refused.condition.display.encode(), b"HL70357"]
        )
        place = str(refused.place or "").encode().replace(b"^", component)
        segments.append([b"ERR", b"", place, condition, b"E", b"", b"", b"", text])
    return b"".join(separator.join(fields).rstrip(separator) + b"\r" for fields in segments)


def _plain(text: str, header: Header) -> bytes:
    """Our own words without the sender's delimiters, which may be any signs."""
    delimiters = header.separator + header.fields[2]
    return bytes(byte for byte in text.encode("ascii", "replace") if byte not in delimiters)
