"""Accounting of disclosures (45 CFR 164.528): to whom a patient's images were given, when, what, and what for."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Q
from django.utils import timezone

from archive.models import Study
from audit.kinds import ACCESS, KINDS, RETRIEVE, SHARE_USED
from audit.models import AccessEvent
from trail.filters import CHUNK, Filter

YEARS: Final = 6
NOT_STATED: Final = "not stated"
_VENDOR: Final = "ai_vendor"
EXPORTS: Final = tuple(kind.name for kind in KINDS.values() if kind.event_id == "110106")
_DONE: Final = {SHARE_USED.name: "share link opened"} | {
    name: "exported" for name in EXPORTS if name != SHARE_USED.name
}


@dataclass(slots=True)
class Disclosure:
    """One row of the accounting; ``until`` is later than ``at`` where reads of one day are told together."""

    at: datetime
    until: datetime
    recipient: str
    recipient_id: str
    address: str
    how: str
    what: str
    purpose: str
    instances: int
    sequence: int

    @property
    def told(self) -> str:
        """What was given, with the number of instances where it is known."""
        return f"{self.what} ({self.instances:,} instances)" if self.instances else self.what


def disclosures(patient: str, issuer: str, now: datetime | None = None) -> list[Disclosure]:
    """All of the last six years, newest first: exports, share links opened, and what AI vendors read, by day.

    What was opened through a link is told with the link's opening. However much a vendor has read, nothing is left out.
    """
    since = _years_before(now or timezone.now())
    events = Filter(patient=patient, issuer=issuer, since=since).events()
    given = Q(kind__in=EXPORTS) | Q(kind__in=(RETRIEVE.name, ACCESS.name), roles__contains=[_VENDOR])
    own = _studies(patient, issuer)
    found: dict[tuple[object, ...], Disclosure] = {}
    for event in events.filter(given, decision="allow", outcome=0).iterator(chunk_size=CHUNK):
        key = _key(event)
        if key in found:
            row = found[key]
            row.at = event.recorded_at
            row.instances += event.instance_count
        else:
            found[key] = _row(event, own)
    return list(found.values())


def _key(event: AccessEvent) -> tuple[object, ...]:
    """Exports and openings stand alone; reads of one vendor on one day about the same studies stand together."""
    if event.kind in _DONE:
        return (event.pk,)
    day = event.recorded_at.date()
    return (event.principal_id, day, event.purpose, event.source_ip, tuple(event.study_uids))


def _row(event: AccessEvent, own: dict[str, str]) -> Disclosure:
    # An event may name studies of other patients as well; they are nobody else's business.
    named = [own[uid] for uid in event.study_uids if uid in own]
    return Disclosure(
        at=event.recorded_at,
        until=event.recorded_at,
        recipient=event.principal_name or NOT_STATED,
        recipient_id=event.principal_id,
        address=event.source_ip or "",
        how=_DONE.get(event.kind, "read by an AI vendor"),
        what="; ".join(named) or "studies that are no longer in the archive",
        purpose=event.purpose or NOT_STATED,
        instances=event.instance_count,
        sequence=event.pk,
    )


def _studies(patient: str, issuer: str) -> dict[str, str]:
    """What each study of the patient is, by its UID."""
    known = Study.objects.filter(patient__patient_id=patient)
    if issuer:
        known = known.filter(patient__issuer_of_patient_id=issuer)
    columns = known.values_list("study_instance_uid", "modalities_in_study", "study_date", "study_description")
    return {uid: " ".join(filter(None, ("/".join(kinds), _day(day), text))) or uid for uid, kinds, day, text in columns}


def _day(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 else text


def _years_before(now: datetime) -> datetime:
    try:
        return now.replace(year=now.year - YEARS)
    except ValueError:
        return now.replace(year=now.year - YEARS, day=28)


def lines(rows: list[Disclosure]) -> Iterator[list[object]]:
    """The rows as cells of ``COLUMNS``."""
    for row in rows:
        day = row.at.isoformat(timespec="seconds")
        yield [day, row.recipient, row.address, row.told, row.purpose, row.how, row.recipient_id, row.sequence]


COLUMNS: Final = ("date", "recipient", "address", "what", "purpose", "how", "recipient_id", "sequence")
