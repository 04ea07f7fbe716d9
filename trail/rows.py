"""Events as the pages tell them: what belongs together in one row, in plain words, by day."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from archive.models import Study
from audit.messages import kind_of
from audit.models import AccessEvent
from trail.groups import group_of, verb

TOGETHER: Final = timedelta(minutes=10)
NAMED: Final = 3
_COUNTED: Final = {"retrieve": "image", "store": "object", "import": "object", "delete_instances": "object"}
_ASKING: Final = frozenset({"search", "read_trail"})
_MARKS: Final = {"refused": "refused", "alert": "alert", "emergency_started": "emergency"}


@dataclass(frozen=True, slots=True)
class StudyLabel:
    """A study as a row names it."""

    uid: str
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One event with all that is known of it, as pairs of label and text."""

    sequence: int
    at: datetime
    brief: str
    fields: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Row:
    """One or more events of one principal about one thing; ``at`` is the newest, ``since`` the oldest of them."""

    at: datetime
    since: datetime
    who: str
    who_id: str
    who_kind: str
    kind: str
    group: str
    refused: bool
    note: str
    asked: str
    patients: tuple[str, ...]
    studies: tuple[StudyLabel, ...]
    more_studies: int
    series: set[str] = field(default_factory=set)
    instances: int = 0
    entries: list[Entry] = field(default_factory=list)

    @property
    def said(self) -> str:
        """What the event says besides; of a single search what was asked."""
        return self.note or (self.asked if len(self.entries) == 1 else "")

    @property
    def mark(self) -> str:
        """Why the row stands out, in a word; "" if it does not."""
        if self.kind in _MARKS:
            return _MARKS[self.kind]
        return "failed" if self.refused else ""

    @property
    def what(self) -> str:
        """What was done, up to the name of the study."""
        return self._told(verb(self.kind)) + (" of" if self._count() and self.studies else "")

    def _told(self, done: str) -> str:
        count = self._count()
        times = f", {len(self.entries)} times" if len(self.entries) > 1 and not count and not self.studies else ""
        return f"{done} {count}" if count else done + times

    def _count(self) -> str:
        unit = _COUNTED.get(self.kind)
        if unit is None or self.instances == 0:
            return ""
        series = f" in {len(self.series)} series" if len(self.series) > 1 else ""
        return f"{self.instances:,} {unit}{'' if self.instances == 1 else 's'}{series}"


@dataclass(frozen=True, slots=True)
class Day:
    """The rows of one day (UTC), newest first."""

    date: date
    rows: list[Row]


def days(events: Sequence[AccessEvent]) -> list[Day]:
    """``events``, newest first, as rows by day; one query for all studies that are named."""
    labels = labels_of({uid for event in events for uid in event.study_uids[:NAMED]})
    open_rows: dict[tuple[object, ...], Row] = {}
    found: list[Day] = []
    for event in events:
        if not found or found[-1].date != event.recorded_at.date():
            found.append(Day(event.recorded_at.date(), []))
            open_rows = {}
        key = _key(event)
        row = open_rows.get(key)
        if row is None or abs(row.since - event.recorded_at) > TOGETHER:
            row = open_rows[key] = _row(event, labels)
            found[-1].rows.append(row)
        row.since = event.recorded_at
        row.instances += event.instance_count
        if event.series_uid:
            row.series.add(event.series_uid)
        row.entries.append(entry(event))
    return found


def _key(event: AccessEvent) -> tuple[object, ...]:
    what = (event.kind, tuple(event.study_uids), event.decision, event.outcome, event.outcome_description)
    return (event.principal_kind, event.principal_id, event.principal_name, event.source_ip, *what)


def _row(event: AccessEvent, labels: Mapping[str, str]) -> Row:
    named = event.study_uids[:NAMED]
    return Row(
        at=event.recorded_at,
        since=event.recorded_at,
        who=event.principal_name or event.source_ip or "somebody unknown",
        who_id=event.principal_id,
        who_kind=event.principal_kind,
        kind=event.kind,
        group=group_of(kind_of(event)),
        refused=event.decision == "deny" or event.outcome > 0,
        note=event.outcome_description[:300],
        asked=event.query[:300] if event.kind in _ASKING else "",
        patients=tuple(event.patient_ids[:NAMED]) if not event.study_uids else (),
        studies=tuple(StudyLabel(uid, labels.get(uid) or f"study {uid}") for uid in named),
        more_studies=len(event.study_uids) - len(named),
    )


def labels_of(uids: Iterable[str]) -> dict[str, str]:
    """What the studies that are there are called, by UID; one query."""
    found = Study.objects.filter(study_instance_uid__in=list(uids)).values_list(
        "study_instance_uid", "modalities_in_study", "study_date", "accession_number", "patient__patient_id"
    )
    return {uid: _label(modalities, day, accession, patient) for uid, modalities, day, accession, patient in found}


def _label(modalities: Sequence[str], day: str, accession: str, patient: str) -> str:
    shown = f"{day[:4]}-{day[4:6]}-{day[6:]}" if len(day) == 8 else day
    parts = [
        f"{'/'.join(modalities) or 'study'}{f' of {shown}' if shown else ''}",
        accession and f"accession {accession}",
        patient and f"patient {patient}",
    ]
    return ", ".join(part for part in parts if part)


def entry(event: AccessEvent) -> Entry:
    """One event with all of its fields that are filled."""
    kind = kind_of(event)
    pairs = {
        "Time": f"{event.recorded_at:%Y-%m-%d %H:%M:%S.%f} UTC",
        "Event": f"{event.kind} ({kind.event_id} {kind.event_name}{f', {kind.type_name}' if kind.type_name else ''})",
        "Who": f"{event.principal_kind} {event.principal_name}".strip(),
        "Identity": event.principal_id,
        "Roles": ", ".join(event.roles),
        "Signed in by": event.auth_method,
        "Session or token": event.token_id,
        "Address": event.source_ip or "",
        "Program": event.user_agent,
        "Request": " ".join(part for part in (event.method, event.path) if part),
        "Request ID": event.request_id,
        "Asked for": event.query,
        "Decision": event.decision + (f", by the rule {event.rule}" if event.rule else ""),
        "Outcome": "success" if event.outcome == 0 else f"failure ({event.outcome})",
        "Said": event.outcome_description,
        "Purpose": event.purpose,
        "Studies": "\n".join(event.study_uids),
        "Series": event.series_uid,
        "Instance": event.instance_uid,
        "Patient IDs": ", ".join(event.patient_ids),
        "Instances": f"{event.instance_count:,}" if event.instance_count else "",
        "Bytes": f"{event.bytes:,}" if event.bytes else "",
    }
    brief = event.query or event.instance_uid or event.series_uid or event.path
    return Entry(event.pk, event.recorded_at, brief[:120], tuple((k, v) for k, v in pairs.items() if v))
