"""What a message says of a report (ORU, MDM), as frozen values: the seam to HL7."""

from __future__ import annotations

from dataclasses import dataclass

from worklist.order_messages import EntityIdentifier


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file beside a report's text, or a link: its address, which nobody opens but a reader who wants to.

    ``media_type`` is that of the content, whatever the sender calls it.
    """

    media_type: str
    title: str = ""
    data: bytes = b""
    link: str = ""


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """One report: which studies and orders it names, its status and its parts.

    ``status`` is that of OBR-25 (table 0123). ``sections`` are pairs of a LOINC code and a text. ``document`` and
    ``parent`` are the numbers of a document (TXA-12, TXA-13), by which it is known where it has one. ``known``: it is
    about a report that is there already, else refused. ``status_only``: the text stays as it is.

    ``addendum``: what it says is added to a signed report. ``appends``: an addendum comes alone, and what was said
    before stays in front of it; else it comes with the whole text. Whoever appends also sends addenda as mere finals.
    """

    status: str
    study_instance_uids: tuple[str, ...] = ()
    accessions: tuple[EntityIdentifier, ...] = ()
    placer: EntityIdentifier | None = None
    filler: EntityIdentifier | None = None
    document: EntityIdentifier | None = None
    parent: EntityIdentifier | None = None
    sections: tuple[tuple[str, str], ...] = ()
    pdf: bytes | None = None
    attachments: tuple[Attachment, ...] = ()
    signed_by: str = ""
    signed_at: str = ""  # DT
    known: bool = False
    status_only: bool = False
    addendum: bool = False
    appends: bool = False
