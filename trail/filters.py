"""What can be asked of the trail, as a queryset of events; newest first, and on from where a page ended."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from access.models import Client, ShareLink, User
from archive.models import Study
from audit.models import AccessEvent
from audit.newest import newest
from trail.groups import GROUPS

CHUNK: Final = 1_000
MOST_STUDIES: Final = 10_000
UID: Final = re.compile(r"[0-9]+(\.[0-9]+)+")
_DIGEST: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What is asked. All of it must hold; "" and None ask nothing.

    ``subject`` is a Study Instance UID, an accession number or a Patient ID; ``patient`` with ``issuer`` is a Patient
    ID alone. ``who`` is a name or identity of a person, client or link, an address, or the digest of a session or
    token. ``group`` is a key of ``GROUPS``. ``after`` asks for what has a larger sequence.
    """

    subject: str = ""
    patient: str = ""
    issuer: str = ""
    who: str = ""
    group: str = ""
    request_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    refused: bool = False
    after: int = 0

    def events(self, *, before: int | None = None) -> QuerySet[AccessEvent]:
        """The events, newest first; with ``before`` only those of smaller sequences."""
        events = AccessEvent.objects.all()
        if self.since is not None:
            events = events.filter(recorded_at__gte=self.since)
        if self.until is not None:
            events = events.filter(recorded_at__lt=self.until)
        if self.group:
            events = events.filter(kind__in=GROUPS[self.group].kinds)
        if self.refused:
            events = events.filter(Q(decision="deny") | Q(outcome__gt=0))
        if self.request_id:
            events = events.filter(request_id=self.request_id)
        if self.who:
            events = events.filter(_by(self.who))
        if self.subject:
            events = events.filter(_about(self.subject))
        if self.patient:
            events = events.filter(_of_patient(self.patient, self.issuer))
        if self.after:
            events = events.filter(sequence__gt=self.after)
        if (self.since or self.until) and not (self.who or self.subject or self.patient or self.request_id):
            # By the key of the trail's partitions: the index of sequences would lead through all that came later.
            return _earlier(events, before).order_by("-recorded_at", "-sequence")
        if before is not None:
            events = events.filter(sequence__lt=before)
        if self.subject or self.patient:
            # Not by the index of sequences: who asks about one study must not read the events of all others.
            return events.order_by((F("sequence") + 0).desc())
        return events.order_by("-sequence")

    def newest(self, count: int, *, before: int | None = None, more: Q | None = None) -> list[AccessEvent]:
        """The first ``count`` of ``events()`` for which also ``more`` holds: for pages."""
        events = self.events(before=before).filter(more or Q())
        if not (self.subject or self.patient) or self.until is not None:
            return list(events[:count])
        known = AccessEvent.objects.filter(pk=before).values_list("recorded_at", flat=True).first() if before else None
        return newest(events, count, known or timezone.now())

    def chunks(self) -> Iterator[list[AccessEvent]]:
        """All events in lists, a short statement each: for answers that are streamed."""
        before: int | None = None
        while chunk := list(self.events(before=before)[:CHUNK]):
            yield chunk
            before = chunk[-1].pk

    def words(self) -> str:
        """What is asked, for the trail."""
        asked = {field.name: getattr(self, field.name) for field in fields(self)}
        return "&".join(f"{name}={_word(value)}" for name, value in asked.items() if value)


def _earlier(events: QuerySet[AccessEvent], before: int | None) -> QuerySet[AccessEvent]:
    """Those that come after the event ``before`` when the newest come first."""
    at = AccessEvent.objects.filter(pk=before).values_list("recorded_at", flat=True).first() if before else None
    if at is None:
        return events if before is None else events.filter(sequence__lt=before)
    return events.filter(recorded_at__lte=at).exclude(recorded_at=at, sequence__gte=before)


def _word(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _by(who: str) -> Q:
    """Events of a principal: by identity, address, digest or name."""
    try:
        return Q(principal_id=str(UUID(who))) if len(who) == 36 else Q(source_ip=_address(who))
    except ValueError:
        pass
    if _DIGEST.fullmatch(who):
        return Q(token_id=who) | Q(request_id=who)
    named = (
        User.objects.filter(username__iexact=who).values_list("external_id", flat=True),
        Client.objects.filter(name__iexact=who).values_list("external_id", flat=True),
        ShareLink.objects.filter(recipient__iexact=who).values_list("external_id", flat=True)[:CHUNK],
    )
    ids = [str(identity) for found in named for identity in found]
    # A name that failed to sign in belongs to nobody.
    return Q(principal_id__in=ids) | Q(principal_id="", principal_name=who)


def _address(who: str) -> str:
    """An address as the trail has it, without a zone. Raises ValueError."""
    return str(ipaddress.ip_address(who.partition("%")[0]))


def _about(subject: str) -> Q:
    """Events of a study by its UID or accession number, or of all studies of a patient."""
    known = Study.objects.filter(Q(accession_number=subject) | Q(patient__patient_id=subject))
    return _of_studies(known, [subject] if UID.fullmatch(subject) else []) | Q(patient_ids__contains=[subject])


def _of_patient(patient: str, issuer: str) -> Q:
    known = Study.objects.filter(patient__patient_id=patient)
    if issuer:
        known = known.filter(patient__issuer_of_patient_id=issuer)
        # Events name patients without their issuer: with one, only studies tell.
        return _of_studies(known, [])
    return _of_studies(known, []) | Q(patient_ids__contains=[patient])


def _of_studies(known: QuerySet[Study], others: list[str]) -> Q:
    uids = [*known.values_list("study_instance_uid", flat=True)[:MOST_STUDIES], *others]
    return Q(study_uids__overlap=uids) if uids else Q(pk__in=[])
